"""Lexicons of stations: how the province and its communes say certain words.

An entry of a commune comes before the province's, and that before what the reader knows. Sound
that exists stays as it is: a revision keeps the script that it was made of.
"""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Area, Level
from broadcast.areas.units import find_unit, require_unit
from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import LexiconEntry
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.kit.locks import Lock, lock

log = structlog.get_logger()

MOST_ENTRIES = 1000
"""Of one station."""

_LEVELS = 4


async def require_station(session: AsyncSession, area_code: str, on: date) -> Area:
    """The unit whose station this is.

    Raises:
        InvalidInput: There is no such unit, or it has no station.
    """
    unit = await require_unit(session, "area_code", area_code, on)
    if unit.level not in {Level.PROVINCE, Level.COMMUNE}:
        raise InvalidInput("area_code", f"{unit.name} không có đài; hãy ghi mã tỉnh hoặc mã xã")
    return unit


async def entries(session: AsyncSession, area_code: str, on: date) -> list[LexiconEntry]:
    """Entries that hold for a unit of a day, by what is written; the nearest unit's of each."""
    codes: list[str] = []
    code: str | None = area_code
    while code is not None and len(codes) < _LEVELS:
        codes.append(code)
        unit = await find_unit(session, code, on)
        code = unit.parent_code if unit else None
    rows = await session.scalars(sa.select(LexiconEntry).where(LexiconEntry.area_code.in_(codes)))
    nearest: dict[str, LexiconEntry] = {}
    for row in sorted(rows, key=lambda row: -codes.index(row.area_code)):
        nearest[row.written] = row
    return [nearest[written] for written in sorted(nearest)]


async def readings(session: AsyncSession, area_code: str, on: date) -> dict[str, str]:
    """Written to spoken, as the reader takes it."""
    return {row.written: row.spoken for row in await entries(session, area_code, on)}


async def get(session: AsyncSession, area_code: str, written: str) -> LexiconEntry:
    """An entry of a unit's own.

    Raises:
        NotFound: There is none.
    """
    row = await session.get(LexiconEntry, (area_code, written))
    if row is None:
        raise NotFound(f"Từ điển của đơn vị {area_code} không có mục “{written}”.")
    return row


async def correct(
    session: AsyncSession, caller: Caller, area_code: str, written: str, spoken: str, now: datetime
) -> LexiconEntry:
    """Have a station read a word in another way from now on.

    Raises:
        Forbidden: It is not one of the caller's.
        InvalidInput: There is no such unit, or it has no station.
        Conflict: It has `MOST_ENTRIES`.
    """
    await scope.require(session, caller, Permission.BULLETIN_WRITE, [area_code])
    await require_station(session, area_code, now.astimezone(LOCAL).date())
    row = await put(session, area_code, written, spoken, caller.account_id, now)
    log.info("bulletins.lexicon.put", area=area_code, written=written, by=caller.account_id)
    return row


async def put(
    session: AsyncSession, area_code: str, written: str, spoken: str, by: int, now: datetime
) -> LexiconEntry:
    """Add or change an entry.

    Raises:
        Conflict: The station has `MOST_ENTRIES`.
    """
    await lock(session, Lock.LEXICON, area_code)
    others = await session.scalar(
        sa.select(sa.func.count()).where(
            LexiconEntry.area_code == area_code, LexiconEntry.written != written
        )
    )
    if (others or 0) >= MOST_ENTRIES:
        raise Conflict(f"Từ điển của đơn vị này đã có {MOST_ENTRIES} mục. Hãy xóa mục không dùng.")
    before = await session.get(LexiconEntry, (area_code, written))
    recording.change(
        session,
        LexiconEntry.__tablename__,
        f"{area_code} {written}",
        {"area_code": area_code, "spoken": before.spoken} if before else None,
        {"area_code": area_code, "spoken": spoken},
    )
    values = {"spoken": spoken, "changed_by": by, "changed_at": now}
    found = await session.scalars(
        insert(LexiconEntry)
        .values(area_code=area_code, written=written, **values)
        .on_conflict_do_update(index_elements=["area_code", "written"], set_=values)
        .returning(LexiconEntry),
        execution_options={"populate_existing": True},
    )
    return found.one()


async def remove(session: AsyncSession, area_code: str, written: str) -> None:
    """Remove an entry.

    Raises:
        NotFound: There is none.
    """
    await session.delete(await get(session, area_code, written))
    await session.flush()
