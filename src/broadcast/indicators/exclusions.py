"""Villages without homes: declared with a document, ended when people come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.areas.units import require_unit
from broadcast.indicators.model import VillageExclusion
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.kit.locks import Lock, lock


def _overlaps(first: date, last: date | None) -> sa.ColumnElement[bool]:
    until = sa.or_(VillageExclusion.valid_to.is_(None), VillageExclusion.valid_to >= first)
    return until if last is None else sa.and_(until, VillageExclusion.valid_from <= last)


async def exclusions_on(session: AsyncSession, on: date) -> Sequence[VillageExclusion]:
    """The villages that do not count on a day, by code."""
    return (
        await session.scalars(
            sa.select(VillageExclusion)
            .where(_overlaps(on, on))
            .order_by(VillageExclusion.village_code)
        )
    ).all()


async def exclude(
    session: AsyncSession,
    village_code: str,
    valid_from: date,
    valid_to: date | None,
    document: str,
    declared_by: int,
) -> VillageExclusion:
    """Leave a village out of the denominators of 1.1 for a span of days.

    Raises:
        InvalidInput: No such village on the first day, no document, or the span ends before it
            begins.
        Conflict: The village is already left out in a part of the span.
    """
    unit = await require_unit(session, "village_code", village_code, valid_from)
    if unit.level != Level.VILLAGE:
        raise InvalidInput("village_code", f"{unit.name} không phải thôn, tổ dân phố")
    if not document.strip():
        raise InvalidInput("document", "cần số văn bản xác nhận thôn không có hộ dân")
    if valid_to is not None and valid_to < valid_from:
        raise InvalidInput("valid_to", "ngày cuối phải từ ngày đầu trở đi")
    await lock(session, Lock.EXCLUSIONS, village_code)
    other = await session.scalar(
        sa.select(VillageExclusion.valid_from).where(
            VillageExclusion.village_code == village_code, _overlaps(valid_from, valid_to)
        )
    )
    if other is not None:
        raise Conflict(f"{unit.name} đã được loại trừ từ {other}; hãy kết thúc lần đó trước.")
    row = VillageExclusion(
        village_code=village_code,
        valid_from=valid_from,
        valid_to=valid_to,
        document=document.strip(),
        declared_by=declared_by,
    )
    session.add(row)
    await session.flush()
    return row


async def get(
    session: AsyncSession, village_code: str, valid_from: date, *, lock: bool = False
) -> VillageExclusion:
    """One exclusion; `lock` it to change it.

    Raises:
        NotFound: There is none with this village and first day.
    """
    row = await session.get(VillageExclusion, (village_code, valid_from), with_for_update=lock)
    if row is None:
        raise NotFound(f"Không có loại trừ nào của thôn {village_code} từ {valid_from}.")
    return row


async def end(session: AsyncSession, row: VillageExclusion, valid_to: date) -> None:
    """Set the last day; the past stays as it was declared.

    Raises:
        InvalidInput: The last day lies before the first, or after the one declared.
    """
    if valid_to < row.valid_from:
        raise InvalidInput("valid_to", "ngày cuối phải từ ngày đầu trở đi")
    if row.valid_to is not None and valid_to > row.valid_to:
        raise InvalidInput("valid_to", f"đã kết thúc ngày {row.valid_to}; hãy khai báo lần mới")
    row.valid_to = valid_to
    await session.flush()
