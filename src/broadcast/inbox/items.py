"""Items of inboxes: which there are, how each one stands, and whose they are by now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Area, Level
from broadcast.areas.scope import Territory
from broadcast.areas.standing import resolve_area
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.inbox.model import Answer, InboxItem
from broadcast.kit.errors import Conflict, Forbidden, NotFound
from broadcast.web.rest import require_known
from broadcast.wire.fields import BulletinClass

DIVIDED = "Xã này đã chia cho nhiều xã nên không còn hộp tin chung; hãy nhờ tỉnh gửi lại."
"""Why nothing of an item is done any more in a commune that was divided."""


class State(StrEnum):
    """How an item stands."""

    PLACING = "placing"  # of class priority: the leader is to place it
    WAITING = "waiting"
    PICKED = "picked"
    DECLINED = "declined"
    PLACED = "placed"
    EXPIRED = "expired"  # the commune has left it until it was of no use any more
    WITHDRAWN = "withdrawn"  # the bulletin was; nothing of it sounds any more


def state(now: datetime) -> sa.ColumnElement[str]:
    """How items stand now, in SQL."""
    approved = sa.exists().where(
        Revision.bulletin_id == InboxItem.bulletin_id, Revision.state == RevisionState.APPROVED
    )
    return sa.case(
        (InboxItem.answer == Answer.DECLINED, State.DECLINED.value),
        (~approved, State.WITHDRAWN.value),
        (InboxItem.answer == Answer.PICKED, State.PICKED.value),
        (InboxItem.answer == Answer.PLACED, State.PLACED.value),
        (InboxItem.useful_until <= now, State.EXPIRED.value),
        (InboxItem.to_place, State.PLACING.value),
        else_=State.WAITING.value,
    )


async def counts_of(session: AsyncSession, bulletin_id: UUID, now: datetime) -> dict[State, int]:
    """How the items of a bulletin stand, of those that the transaction finds."""
    stands = state(now)
    rows = await session.execute(
        sa.select(stands, sa.func.count())
        .where(InboxItem.bulletin_id == bulletin_id)
        .group_by(stands)
    )
    found = {State(name): count for name, count in rows}
    return {each: found[each] for each in State if each in found}


async def not_placed(
    session: AsyncSession, bulletin_id: UUID, now: datetime
) -> Sequence[InboxItem]:
    """Items of a bulletin that wait for their communes because no time was found for them."""
    found = sa.select(InboxItem).where(
        InboxItem.bulletin_id == bulletin_id,
        InboxItem.not_placed != "",
        state(now) == State.WAITING.value,
    )
    return (await session.scalars(found.order_by(InboxItem.commune_code))).all()


async def select_items(
    session: AsyncSession,
    now: datetime,
    *,
    state_is: State | None = None,
    class_: BulletinClass | None = None,
    bulletin: UUID | None = None,
    commune: str | None = None,
) -> sa.Select[*tuple[Any, ...]]:
    """Return the statement of items with their bulletin and state.

    Raises:
        Unknown: There is no such bulletin or commune.
    """
    stands = state(now)
    statement: sa.Select[*tuple[Any, ...]] = sa.select(InboxItem, Bulletin, stands).join(
        Bulletin, Bulletin.id == InboxItem.bulletin_id
    )
    if state_is is not None:
        statement = statement.where(stands == state_is.value)
    if class_ is not None:
        statement = statement.where(Bulletin.class_ == class_)
    if bulletin is not None:
        await require_known(session, "bulletin", Bulletin.id, bulletin)
        statement = statement.where(InboxItem.bulletin_id == bulletin)
    if commune is not None:
        await require_known(session, "area", Area.code, commune)
        inside = (await scope.territory_of(session)).inside(commune)
        statement = statement.where(InboxItem.commune_code.in_(inside))
    return statement


def missing(item_id: UUID) -> NotFound:
    """The error where there is no such item, or the caller may not see it."""
    return NotFound(f"Không có tin đến {item_id} trong hộp tin của địa bàn này.")


async def get(
    session: AsyncSession, item_id: UUID, now: datetime
) -> tuple[InboxItem, Bulletin, State]:
    """An item with its bulletin, and how it stands.

    Raises:
        NotFound: There is none.
    """
    statement = await select_items(session, now)
    row = (await session.execute(statement.where(InboxItem.id == item_id))).one_or_none()
    if row is None:
        raise missing(item_id)
    return row[0], row[1], State(row[2])


def present(territory: Territory, code: str) -> str | None:
    """The commune of today that a commune surely became; None where it was divided."""
    tree = territory.lineage.tree_on(territory.on)
    if code in tree:
        return code
    chain = territory.lineage.certain_chain(code, territory.on)
    return next((unit.code for unit in chain if unit.level is Level.COMMUNE), None)


async def lock_alike(
    session: AsyncSession, item_id: UUID, caller: Caller, now: datetime
) -> tuple[list[InboxItem], Bulletin, str]:
    """Lock an item, and those of the same bulletin that came to the same inbox by a merger.

    Returns:
        The items, the one that was named first; their bulletin; the commune of today.

    Raises:
        NotFound: There is none, or the caller cannot see it.
        Forbidden: The caller is not of that commune.
    """
    item, bulletin, _ = await get(session, item_id, now)
    await require_of_commune(session, caller, item)
    territory = await scope.territory_of(session)
    commune = present(territory, item.commune_code)
    if commune is None:
        raise Forbidden(DIVIDED)
    found = await of_bulletin(session, bulletin.id, territory.inside(commune))
    items = sorted(found, key=lambda each: each.id != item_id)
    return items, bulletin, commune


def in_communes(caller: Caller) -> Caller:
    """A caller without the roles that are held in the whole province: communes decide."""
    return caller._replace(
        roles=tuple(held for held in caller.roles if held.area_code is not None)
    )


async def require_of_commune(session: AsyncSession, caller: Caller, item: InboxItem) -> None:
    """Refuse what the commune decides itself to who is not of it, the province included.

    Raises:
        NotFound: The caller cannot see it.
        Forbidden: The caller has no role in this commune by which they schedule.
    """
    thing = sa.select(InboxItem.id).where(InboxItem.id == item.id)
    of_communes = in_communes(caller)
    if Permission.SCHEDULE_WRITE not in of_communes.permissions:
        await scope.require(
            session,
            caller,
            Permission.SCHEDULE_WRITE,
            [item.commune_code],
            thing,
            missing(item.id),
        )
        raise Forbidden(
            "Xã tự quyết định việc này (Thông tư 39/2020/TT-BTTTT); hãy nhờ cán bộ phụ trách đài"
            " của xã."
        )
    await scope.require(
        session, of_communes, Permission.SCHEDULE_WRITE, [item.commune_code], thing,
        missing(item.id),
    )  # fmt: skip


async def commune_of(session: AsyncSession, item: InboxItem) -> str | None:
    """The commune of today in whose inbox an item is."""
    return present(await scope.territory_of(session), item.commune_code)


async def is_of_commune(session: AsyncSession, caller: Caller, item: InboxItem) -> bool:
    """Tell whether a caller may answer an item; records nothing."""
    territory = await scope.territory_of(session)
    return item.commune_code in scope.changeable(
        in_communes(caller), Permission.SCHEDULE_WRITE, territory
    )


async def targets_of(
    session: AsyncSession, alike: Iterable[InboxItem], commune: str
) -> list[dict[str, str]]:
    """Where items of a bulletin are to be heard in the commune of today in whose inbox they are.

    Raises:
        Conflict: They are for villages only, and none of those is there any more.
    """
    some = list(alike)
    if any(not each.villages for each in some):
        return [{"area": commune}]
    territory = await scope.territory_of(session)
    found = {
        code
        for each in some
        for village in each.villages
        for code in resolve_area(territory.lineage, village, each.meant_on, territory.on)
    }
    if not found:
        raise Conflict(
            "Các thôn mà bản tin này gửi đến không còn trong danh mục; hãy nhờ nơi gửi gửi lại."
        )
    return [{"area": code} for code in sorted(found)]


async def to_answer(session: AsyncSession, caller: Caller, now: datetime) -> int:
    """How many items wait for an answer of a caller; none for who answers in no commune."""
    if Permission.SCHEDULE_WRITE not in in_communes(caller).permissions:
        return 0
    return await waiting_count(session, now)


async def waiting_count(session: AsyncSession, now: datetime) -> int:
    """How many items wait, as far as the transaction finds them."""
    counted = sa.select(sa.func.count()).select_from(InboxItem)
    return await session.scalar(counted.where(state(now) == State.WAITING.value)) or 0


async def of_bulletin(
    session: AsyncSession, bulletin_id: UUID, communes: Collection[str]
) -> Sequence[InboxItem]:
    """Items of a bulletin at some communes, locked, and as they are then."""
    found = sa.select(InboxItem).where(
        InboxItem.bulletin_id == bulletin_id, InboxItem.commune_code.in_(communes)
    )
    found = found.order_by(InboxItem.id).with_for_update()
    return (await session.scalars(found.execution_options(populate_existing=True))).all()
