"""Single starts of a schedule that a person moved or cancelled, through every edit of its rule."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.kit.clock import LOCAL
from broadcast.schedules import recurrence, rule_edits
from broadcast.schedules.model import ScheduleException
from broadcast.schedules.rrule import Rule
from broadcast.schedules.starts import Exceptions, exceptions_of

MOST_NAMED = 5
"""Starts that a warning names."""

Series = tuple[Rule | None, datetime]
"""Rule and first start."""


async def put(
    session: AsyncSession,
    schedule_id: UUID,
    recurrence_at: datetime,
    moved_to: datetime | None,
    caller: Caller,
    now: datetime,
) -> None:
    """Move a start, or (None) cancel it."""
    values = {"moved_to": moved_to, "changed_by": caller.account_id, "changed_at": now}
    statement = insert(ScheduleException).values(
        schedule_id=schedule_id, recurrence_at=recurrence_at, **values
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["schedule_id", "recurrence_at"], set_=values
        )
    )


async def remove(session: AsyncSession, schedule_id: UUID, recurrence_at: datetime) -> None:
    """Let a start be where the rule has it."""
    await session.execute(
        sa.delete(ScheduleException).where(
            ScheduleException.schedule_id == schedule_id,
            ScheduleException.recurrence_at == recurrence_at,
        )
    )


async def carry_over(
    session: AsyncSession,
    schedule_id: UUID,
    old: Series,
    new: Series,
    caller: Caller,
    now: datetime,
) -> tuple[Exceptions, list[str]]:
    """Have the exceptions of a schedule hold for its changed rule.

    Returns:
        The exceptions, and warnings about what may not be expected of them.
    """
    before = (await exceptions_of(session, [schedule_id]))[schedule_id]
    if old == new:
        return before, []
    after = rule_edits.carry_over(before, old, new, LOCAL)
    if after != before:
        named = ({str(at): to for at, to in each.items()} for each in (before, after))
        recording.change(session, ScheduleException.__tablename__, schedule_id, *named)
    of_schedule = ScheduleException.schedule_id == schedule_id
    await session.execute(sa.delete(ScheduleException).where(of_schedule))
    for at, moved_to in after.items():
        await put(session, schedule_id, at, moved_to, caller, now)
    return after, _unexpected(before, old, after, new, now)


def _unexpected(
    before: Exceptions, old: Series, after: Exceptions, new: Series, now: datetime
) -> list[str]:
    silent = [
        at
        for at, moved_to in sorted(after.items())
        if moved_to is None
        and at > now
        and recurrence.fires(*new, at, LOCAL)
        and not (at in before and recurrence.fires(*old, at, LOCAL))
    ]
    moved = sorted(at for at in before.values() if at is not None and at > now)
    lost = [at for at in moved if at not in after.values()]
    warnings = []
    if silent:
        warnings.append(
            f"{_listed(silent)} vẫn bỏ như đã chọn trước đây; muốn phát, hãy lập lịch riêng cho "
            "giờ đó"
        )
    if lost:
        warnings.append(
            f"buổi phát đã dời sang {_listed(lost)} không còn trong lịch sau khi sửa nên không"
            " phát"
        )
    return warnings


def _listed(starts: Sequence[datetime]) -> str:
    named = ", ".join(f"{at.astimezone(LOCAL):%H:%M %d/%m/%Y}" for at in starts[:MOST_NAMED])
    more = len(starts) - MOST_NAMED
    return f"{named} và {more} lần khác" if more > 0 else named
