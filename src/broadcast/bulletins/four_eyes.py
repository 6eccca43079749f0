"""Whether a normal bulletin needs a second person: the choice of its station, from a day on.

Nobody approves what they made, unless their station has chosen otherwise for normal bulletins.
Priority and emergency have no choice (`approval`).
"""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import ApprovalRule
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput


async def needs_second_person(session: AsyncSession, area_code: str, on: date) -> bool:
    """Tell whether a station's normal bulletins need a second person on a day."""
    chosen = await session.scalar(
        sa.select(ApprovalRule.second_person)
        .where(ApprovalRule.area_code == area_code, ApprovalRule.valid_from <= on)
        .order_by(ApprovalRule.valid_from.desc())
        .limit(1)
    )
    return True if chosen is None else bool(chosen)


async def rules(session: AsyncSession, area_code: str) -> list[ApprovalRule]:
    """Choices of a station, oldest first."""
    rows = await session.scalars(
        sa.select(ApprovalRule)
        .where(ApprovalRule.area_code == area_code)
        .order_by(ApprovalRule.valid_from)
    )
    return list(rows)


async def choose(
    session: AsyncSession,
    area_code: str,
    valid_from: date,
    account_id: int,
    now: datetime,
    *,
    second_person: bool,
) -> ApprovalRule:
    """Store a station's choice from a coming day on.

    From tomorrow at the earliest: nobody frees himself from it for the bulletin in his hands.

    Raises:
        InvalidInput: The day is today or past.
    """
    if valid_from <= now.astimezone(LOCAL).date():
        raise InvalidInput("valid_from", "phải sau hôm nay; chọn từ ngày mai trở đi")
    row = await session.get(ApprovalRule, (area_code, valid_from))
    if row is None:
        row = ApprovalRule(area_code=area_code, valid_from=valid_from)
        session.add(row)
    row.second_person, row.set_by, row.set_at = second_person, account_id, now
    await session.flush()
    return row
