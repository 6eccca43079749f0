"""What a Quy chế would silence before it is entered, and entering it with that known.

Nothing that was approved falls silent unsaid: what becomes forbidden is told and refused, until a
person moves it, chooses a later day, or agrees that it is to be silent.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.regulations import entering
from broadcast.regulations.model import RegulationRow
from broadcast.regulations.schemas import RegulationIn
from broadcast.schedules.calendar_effects import MOST_DAYS, Effect, compare
from broadcast.schedules.expansion import DAY
from broadcast.schedules.locking import lock_schedule_grid

MOST_NAMED = 50


async def of_entry(
    session: AsyncSession, body: RegulationIn, caller: Caller, now: datetime
) -> Effect:
    """What a Quy chế would silence, or let sound, in two months; nothing is saved.

    Raises:
        BroadcastError: As `entering.enter`.
    """
    return await _effect(session, entering.enter(session, body, caller, now), body.valid_from, now)


async def of_withdrawal(
    session: AsyncSession, row: RegulationRow, caller: Caller, now: datetime
) -> Effect:
    """What the withdrawal of a Quy chế would come to; nothing is saved."""
    found = await _effect(
        session, entering.withdraw(session, row, caller, now), row.valid_from, now
    )
    await session.refresh(row)
    return found


async def of_reinstatement(session: AsyncSession, row: RegulationRow, now: datetime) -> Effect:
    """What taking back the withdrawal of a Quy chế would come to; nothing is saved."""
    found = await _effect(session, entering.reinstate(session, row), row.valid_from, now)
    await session.refresh(row)
    return found


async def enter(
    session: AsyncSession, body: RegulationIn, caller: Caller, now: datetime
) -> RegulationRow:
    """Enter a Quy chế.

    Raises:
        Conflict: It would silence planned starts, and nobody agreed to that.
        BroadcastError: As `entering.enter`.
    """
    await lock_schedule_grid(session)
    if not body.silences:
        refuse(await of_entry(session, body, caller, now))
    return await entering.enter(session, body, caller, now)


async def withdraw(
    session: AsyncSession, row: RegulationRow, caller: Caller, now: datetime, *, silences: bool
) -> None:
    """Withdraw a Quy chế, locked; what was in force before holds again.

    Raises:
        Conflict: That would silence planned starts, and nobody agreed to it.
    """
    await lock_schedule_grid(session)
    if not silences:
        refuse(await of_withdrawal(session, row, caller, now))
    await entering.withdraw(session, row, caller, now)


async def reinstate(
    session: AsyncSession, row: RegulationRow, now: datetime, *, silences: bool
) -> None:
    """Undo the withdrawal of a Quy chế, locked.

    Raises:
        Conflict: That would silence planned starts, and nobody agreed to it.
    """
    await lock_schedule_grid(session)
    if not silences:
        refuse(await of_reinstatement(session, row, now))
    await entering.reinstate(session, row)


async def _effect(
    session: AsyncSession, change: Awaitable[object], valid_from: date, now: datetime
) -> Effect:
    first = max(valid_from, now.astimezone(LOCAL).date())
    return await compare(session, [(first, first + (MOST_DAYS - 1) * DAY)], change, now)


def refuse(effect: Effect) -> None:
    """Refuse what silences planned starts.

    Raises:
        Conflict: It does.
    """
    silenced = [each for each in effect.schedules if each.silenced]
    if silenced:
        raise Conflict(
            f"{effect.summary} Hãy dời các buổi đó, chọn ngày hiệu lực muộn hơn, hoặc đồng ý để"
            " chúng im.",
            schedules=[each.schedule_id for each in silenced[:MOST_NAMED]],
        )
