"""Which authority goes before which, from a day on; and what a bulletin from above may not do.

A normal bulletin of the province or a district does not sound by itself: the commune chooses
(Thông tư 39/2020/TT-BTTTT). It comes to the commune's inbox (`broadcast.inbox`), and a schedule of
it is made there alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Level
from broadcast.bulletins.model import Bulletin
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.schedules import priority
from broadcast.schedules.model import AuthorityOrder
from broadcast.wire.fields import BulletinClass

ABOVE = frozenset({Level.PROVINCE, Level.DISTRICT})
"""Authorities above the commune."""


async def order_on(session: AsyncSession, on: date) -> Sequence[Level]:
    """The order of authorities on a day."""
    chosen = await session.scalar(
        sa.select(AuthorityOrder.levels)
        .where(AuthorityOrder.valid_from <= on)
        .order_by(AuthorityOrder.valid_from.desc())
        .limit(1)
    )
    return priority.AUTHORITIES if chosen is None else [Level(each) for each in chosen]


async def orders(session: AsyncSession) -> list[AuthorityOrder]:
    """What was chosen, oldest first."""
    return list(
        await session.scalars(sa.select(AuthorityOrder).order_by(AuthorityOrder.valid_from))
    )


async def choose(
    session: AsyncSession, valid_from: date, levels: Sequence[Level], by: int, now: datetime
) -> AuthorityOrder:
    """Store an order from a coming day on; schedules keep the priority that they were made with.

    Raises:
        InvalidInput: The day is today or past, or an authority is missing or named twice.
    """
    if valid_from <= now.astimezone(LOCAL).date():
        raise InvalidInput("valid_from", "phải sau hôm nay; chọn từ ngày mai trở đi")
    if not priority.is_complete(levels):
        raise InvalidInput("levels", "cần đủ province, district và commune, mỗi cấp một lần")
    row = await session.get(AuthorityOrder, valid_from)
    if row is None:
        row = AuthorityOrder(valid_from=valid_from)
        session.add(row)
    row.levels, row.set_by, row.set_at = [each.value for each in levels], by, now
    await session.flush()
    return row


async def level_of(session: AsyncSession, bulletin: Bulletin) -> Level:
    """Authority whose station speaks; of a unit that is not on record a commune's."""
    level = await session.scalar(
        sa.select(Area.level)
        .where(Area.code == bulletin.area_code)
        .order_by(Area.valid_from.desc())
        .limit(1)
    )
    return Level.COMMUNE if level is None else level


async def priority_of(
    session: AsyncSession,
    bulletin: Bulletin,
    named: int | None,
    now: datetime,
    level: Level | None = None,
) -> int:
    """Priority of a schedule of a bulletin that is saved now.

    Args:
        session: Open transaction.
        bulletin: What sounds.
        named: Priority that a person has named.
        now: Present.
        level: Authority as which it speaks; that of its station by default.

    Raises:
        InvalidInput: It is above what the class allows.
    """
    if named is not None:
        return priority.check(bulletin.class_, named)
    order = await order_on(session, now.astimezone(LOCAL).date())
    level = level or await level_of(session, bulletin)
    return priority.priority(bulletin.class_, level, order)


async def waits_for_communes(session: AsyncSession, bulletin: Bulletin) -> bool:
    """Tell whether each commune chooses if and when a bulletin sounds there."""
    return bulletin.class_ is BulletinClass.NORMAL and await level_of(session, bulletin) in ABOVE


async def refuse_unpicked(session: AsyncSession, bulletin: Bulletin) -> None:
    """Refuse to schedule what communes are to choose themselves.

    Raises:
        Conflict: It is a normal bulletin from above.
    """
    if await waits_for_communes(session, bulletin):
        raise Conflict(
            "Bản tin thông thường của cấp trên không tự phát ở xã: hãy gửi vào hộp tin đến của các"
            " xã (nút Gửi đến các xã ở trang của bản tin); xã nghe và chọn giờ phát ở đó."
        )
