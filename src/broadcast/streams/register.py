"""The register of stream sources, and what was found of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.units import load_tree, require_unit
from broadcast.auth.caller import Caller
from broadcast.auth.model import Account
from broadcast.auth.people import PersonOut
from broadcast.auth.permissions import Permission
from broadcast.bulletins.places import require_readable_bulletin
from broadcast.bulletins.revisions import newest_approved
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.streams.model import StreamCheck, StreamSource
from broadcast.streams.probing import Look
from broadcast.streams.schemas import SourceCheckOut, SourceIn, SourceOut
from broadcast.web.rest import Page, Paging, paged

MOST_IN_AREA = 50
"""Sources of one unit."""


async def list_sources(
    session: AsyncSession, paging: Paging, *, ended: bool | None = None
) -> Page[SourceOut]:
    """Sources in the order in which they were entered."""
    statement = _rows()
    if ended is not None:
        is_ended = StreamSource.ended_at.is_not(None)
        statement = statement.where(is_ended if ended else ~is_ended)
    return (await paged(session, statement, [StreamSource.id], paging)).page(_out)


async def show(session: AsyncSession, id_: int) -> SourceOut:
    """One source.

    Raises:
        NotFound: There is none.
    """
    found = (await session.execute(_rows().where(StreamSource.id == id_))).one_or_none()
    if found is None:
        raise none(id_)
    return _out(found[0], found[1])


async def usable(
    session: AsyncSession, area_codes: Collection[str] | None
) -> Sequence[StreamSource]:
    """Sources that schedules may relay which reach no further than these units and what is inside.

    `area_codes`: with the units above them; None: of every unit.
    """
    statement = sa.select(StreamSource).where(StreamSource.ended_at.is_(None))
    if area_codes is not None:
        statement = statement.where(StreamSource.area_code.in_(area_codes))
    return (await session.scalars(statement.order_by(StreamSource.name, StreamSource.id))).all()


async def create(
    session: AsyncSession, body: SourceIn, caller: Caller, now: datetime
) -> SourceOut:
    """Enter a source.

    Raises:
        Forbidden: The unit is none of the caller's places.
        InvalidInput: The unit, or the fallback; `field` says which.
    """
    await _require(session, body, caller, now)
    count = await session.scalar(
        sa.select(sa.func.count()).where(
            StreamSource.area_code == body.area_code, StreamSource.ended_at.is_(None)
        )
    )
    if (count or 0) >= MOST_IN_AREA:
        raise InvalidInput(
            "area_code", f"đã có {MOST_IN_AREA} nguồn của đơn vị này; hãy ngừng nguồn không dùng"
        )
    row = StreamSource(entered_by=caller.account_id, entered_at=now, **body.model_dump())
    session.add(row)
    await session.flush()
    return await show(session, row.id)


async def change(
    session: AsyncSession, id_: int, body: SourceIn, caller: Caller, now: datetime
) -> SourceOut:
    """Correct a source; devices learn of it by `schedules.relays.tell`.

    Raises:
        NotFound: There is none.
        BroadcastError: As `create`.
    """
    row = await held(session, id_, caller)
    await _require(session, body, caller, now)
    for name, value in body.model_dump().items():
        setattr(row, name, value)
    row.entered_by, row.entered_at, row.ended_at = caller.account_id, now, None
    await session.flush()
    return await show(session, id_)


async def end(session: AsyncSession, id_: int, caller: Caller, now: datetime) -> None:
    """Let no new schedule relay a source; those that do go on. Repeating it changes nothing.

    Raises:
        NotFound: There is none.
        Forbidden: Its unit is none of the caller's places.
    """
    row = await held(session, id_, caller)
    row.ended_at = row.ended_at or now
    await session.flush()


async def held(session: AsyncSession, id_: int, caller: Caller) -> StreamSource:
    """A source that the caller may change, locked.

    Raises:
        NotFound: There is none.
        Forbidden: Its unit is none of the caller's places.
    """
    row = await session.get(StreamSource, id_, with_for_update=True)
    if row is None:
        raise none(id_)
    thing = sa.select(StreamSource.id).where(StreamSource.id == id_)
    await scope.require(
        session, caller, Permission.SCHEDULE_WRITE, [row.area_code], thing, none(id_)
    )
    return row


def none(id_: int) -> NotFound:
    """Say that there is no such source."""
    return NotFound(f"Không có nguồn tiếp âm {id_}; chọn lại ở trang Nguồn tiếp âm.")


async def checks(session: AsyncSession, ids: Collection[int]) -> dict[int, SourceCheckOut]:
    """What was last found of some sources, by id; of each there is an answer."""
    rows = await session.scalars(sa.select(StreamCheck).where(StreamCheck.source_id.in_(ids)))
    found = {row.source_id: _check_out(row) for row in rows}
    return {id_: found.get(id_) or unchecked(id_) for id_ in ids}


def unchecked(id_: int) -> SourceCheckOut:
    """Nobody has looked yet."""
    return SourceCheckOut(
        source_id=id_, checked_at=None, answers=None, since=None, answered_at=None, url=None,
        codec=None, detail="",
    )  # fmt: skip


async def record(session: AsyncSession, id_: int, found: Look, now: datetime) -> None:
    """Store what a look at a source has found; the time of a state is that of its first look."""
    sound = found.found
    values = {
        "checked_at": now,
        "answers": sound is not None,
        "url": None if sound is None else sound.url,
        "codec": None if sound is None else sound.codec.value,
        "detail": found.detail[:500],
    }
    statement = insert(StreamCheck).values(
        source_id=id_, since=now, answered_at=None if sound is None else now, **values
    )
    new = statement.excluded
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[StreamCheck.source_id],
            set_={
                **{name: new[name] for name in values},
                "since": sa.case(
                    (StreamCheck.answers == new.answers, StreamCheck.since), else_=now
                ),
                "answered_at": sa.func.coalesce(new.answered_at, StreamCheck.answered_at),
            },
            where=StreamCheck.checked_at <= now,
        )
    )


async def _require(session: AsyncSession, body: SourceIn, caller: Caller, now: datetime) -> None:
    await scope.require(session, caller, Permission.SCHEDULE_WRITE, [body.area_code])
    await require_unit(session, "area_code", body.area_code, now.astimezone(LOCAL).date())
    try:
        await require_readable_bulletin(session, caller, body.fallback_bulletin_id)
    except NotFound as error:
        raise InvalidInput("fallback_bulletin_id", error.detail) from None
    if await newest_approved(session, body.fallback_bulletin_id) is None:
        raise InvalidInput(
            "fallback_bulletin_id", "bản tin này chưa được duyệt; hãy chọn bản tin đã duyệt"
        )
    if len(set(body.urls)) < len(body.urls):
        raise InvalidInput("urls", "có hai địa chỉ giống nhau; hãy bỏ một")


async def units_above(session: AsyncSession, codes: Collection[str], now: datetime) -> set[str]:
    """Units that hold all of these, themselves included."""
    tree = await load_tree(session, now.astimezone(LOCAL).date())
    chains = [{unit.code for unit in tree.chain(code)} for code in codes]
    return set.intersection(*chains) if chains else set()


def _rows() -> sa.Select[StreamSource, str]:
    return sa.select(StreamSource, Account.name).join(
        Account, Account.id == StreamSource.entered_by
    )


def _out(row: StreamSource, name: str) -> SourceOut:
    columns = {each: getattr(row, each) for each in SourceOut.model_fields if each != "entered_by"}
    return SourceOut(**columns, entered_by=PersonOut(id=row.entered_by, name=name))


def _check_out(row: StreamCheck) -> SourceCheckOut:
    columns = {name: getattr(row, name) for name in SourceCheckOut.model_fields}
    return SourceCheckOut(**columns)
