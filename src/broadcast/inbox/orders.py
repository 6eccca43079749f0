"""Who comes first where a source item meets priority items of the commune: the commune decides.

It may until five minutes before; without a word the source comes first, as it was placed at once,
so that a device without contact does the same.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.bulletins.revisions import get_revision
from broadcast.config import Rules
from broadcast.inbox import in_session, items
from broadcast.inbox.in_session import Sounding
from broadcast.inbox.model import InboxItem, OrderChoice
from broadcast.inbox.placement import move_all, occurrences
from broadcast.inbox.placing import Own, arrange
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, NotFound
from broadcast.schedules.locking import lock_schedules
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.schedules.starts import occurrence_id

log = structlog.get_logger()


class Settled(StrEnum):
    """How the order came about."""

    OPEN = "open"
    DECIDED = "decided"
    BY_DEFAULT = "by_default"


class Orders(NamedTuple):
    """A choice, and what each of the two orders sounds like."""

    choice: OrderChoice
    settled: Settled
    source_first: list[Sounding]
    own_first: list[Sounding]


def settled(choice: OrderChoice, now: datetime) -> Settled:
    """How an order came about, if it has."""
    if choice.decided_at is not None:
        return Settled.DECIDED
    return Settled.OPEN if now < choice.deadline_at else Settled.BY_DEFAULT


async def open_ids(session: AsyncSession, now: datetime) -> set[UUID]:
    """Items about which a commune may still decide, as far as the transaction finds them."""
    found = sa.select(OrderChoice.item_id).where(
        OrderChoice.decided_at.is_(None), OrderChoice.deadline_at > now
    )
    return set(await session.scalars(found))


async def orders(session: AsyncSession, item_id: UUID, rules: Rules, now: datetime) -> Orders:
    """Both orders, from what is still planned.

    Raises:
        NotFound: There is no such item, or nothing to decide about it.
    """
    item, bulletin, _ = await items.get(session, item_id, now)
    choice = await session.get(OrderChoice, item_id)
    if choice is None:
        raise NotFound("Tin đến này không trùng giờ với tin ưu tiên nào của xã.")
    made = await in_session.item_of(session, item)
    if made is not None:
        both = await in_session.both(session, made, choice.begins_at, rules, now)
        return Orders(choice, settled(choice, now), *both)
    _, own, seconds = await _parts(session, item, choice)
    found = [
        sorted(
            [
                Sounding(bulletin.title, each.source_at, seconds, is_source=True),
                *(
                    Sounding(
                        mine.title, each.starts[mine.occurrence_id], mine.seconds, is_source=False
                    )
                    for mine in own
                ),
            ],
            key=lambda sounding: sounding.starts_at,
        )
        for each in (arrange(own, seconds, source_first=first) for first in (True, False))
    ]
    return Orders(choice, settled(choice, now), *found)


async def decide(
    session: AsyncSession,
    item_id: UUID,
    caller: Caller,
    rules: Rules,
    now: datetime,
    *,
    source_first: bool,
) -> InboxItem:
    """Set the order; it may be changed until the deadline.

    Raises:
        NotFound: There is nothing to decide.
        Forbidden: The caller is not of the commune.
        Conflict: The deadline is over, the bulletin was withdrawn, or something has come in
            between that the moves would meet.
    """
    item, _, state = await items.get(session, item_id, now)
    await items.require_of_commune(session, caller, item)
    choice = await session.get(OrderChoice, item_id, with_for_update=True, populate_existing=True)
    if choice is None:
        raise NotFound("Tin đến này không trùng giờ với tin ưu tiên nào của xã.")
    if state is items.State.WITHDRAWN:
        raise Conflict(
            "Cấp trên đã rút bản tin này nên không cần chọn; hãy xem tin của xã trong lịch phát."
        )
    if now >= choice.deadline_at:
        raise Conflict(
            f"Hạn chọn thứ tự là {choice.deadline_at.astimezone(LOCAL):%H:%M %d/%m/%Y}, đã qua;"
            " loa phát theo thứ tự đã định; muốn đổi, hãy dời buổi phát trong lịch."
        )
    made = await in_session.item_of(session, item)
    if made is not None:
        await in_session.order(session, made, rules, now, source_first=source_first)
    else:
        met = [UUID(each["occurrence_id"]) for each in choice.own]
        ids = sa.select(Occurrence.schedule_id).where(Occurrence.id.in_(met))
        concerned = sa.or_(Schedule.id == item.schedule_id, Schedule.id.in_(ids))
        await lock_schedules(session, concerned)  # all of them before the grid
        source, own, seconds = await _parts(session, item, choice)
        found = arrange(own, seconds, source_first=source_first)
        starts = dict(found.starts) | {source.id: found.source_at}
        await move_all(session, starts, caller, rules, now)
    choice.source_first, choice.decided_by, choice.decided_at = (
        source_first, caller.account_id, now,
    )  # fmt: skip
    await session.flush()
    log.info(
        "inbox.order.decided", item_id=str(item_id), source_first=source_first,
        by=caller.account_id,
    )  # fmt: skip
    return item


async def _parts(
    session: AsyncSession, item: InboxItem, choice: OrderChoice
) -> tuple[Occurrence, list[Own], float]:
    """The source's occurrence, the commune's items that are still where they were put, its length.

    Raises:
        Conflict: The source, or all that it met, is not planned any more.
    """
    schedule = await session.get(Schedule, item.schedule_id)
    assert schedule is not None
    was = [
        Own(
            UUID(each["occurrence_id"]), each["title"],
            datetime.fromisoformat(each["starts_at"]), each["seconds"], each["is_priority"],
        )
        for each in choice.own
    ]  # fmt: skip
    of_source = occurrence_id(schedule.id, schedule.starts_at)
    found = {
        each.id: each
        for each in await occurrences(session, [of_source, *(own.occurrence_id for own in was)])
    }
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    put = arrange(was, revision.air_seconds, source_first=choice.source_first).starts
    own = [
        each
        for each in was
        if each.occurrence_id in found
        and found[each.occurrence_id].starts_at == put[each.occurrence_id]
    ]
    if of_source not in found or not own:
        raise Conflict(
            "Một trong các bản tin đã bỏ hoặc đã dời nên không còn gì để chọn; hãy xem lịch phát."
        )
    return found[of_source], own, revision.air_seconds
