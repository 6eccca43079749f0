"""The starts of one schedule months ahead, and changes of those that have no row yet."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.bulletins.revisions import get_bulletin, get_revision
from broadcast.calendars.days import Silence
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.schedules import capacity, exceptions, occurrence_edits, planning, recurrence
from broadcast.schedules.edits import require_active
from broadcast.schedules.locking import lock_schedule_grid
from broadcast.schedules.model import Occurrence, Schedule, ScheduleException
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.places import needed_for, require_at_schedule
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.starts import exceptions_of, occurrence_id, rule_of
from broadcast.schedules.targets import target_resolver

LONGEST_VIEW = timedelta(days=400)


class Start(NamedTuple):
    """One start of a schedule, as far as it is known now."""

    recurrence_at: datetime
    starts_at: datetime | None
    """None: a person has cancelled it."""
    silent: Silence | None
    """Why a calendar keeps it silent, at all of its clusters or at some."""
    silent_count: int
    cluster_count: int
    """Clusters at which it sounds."""


async def between(
    session: AsyncSession, schedule: Schedule, begin: datetime, end: datetime
) -> list[Start]:
    """Starts of a schedule that its rule has in a span, whatever became of each.

    Raises:
        InvalidInput: The span is reversed or too long.
    """
    if not timedelta() < end - begin <= LONGEST_VIEW:
        raise InvalidInput("to", f"phải sau lúc đầu, nhiều nhất {LONGEST_VIEW.days} ngày")
    known = (await exceptions_of(session, [schedule.id]))[schedule.id]
    resolver = await target_resolver(session)
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    found = []
    rule = rule_of(schedule)
    for at, _ in recurrence.occurrences_between(rule, schedule.starts_at, {}, begin, end, LOCAL):
        moved_to = known.get(at, at)
        if moved_to is None:
            found.append(Start(at, None, None, 0, 0))
            continue
        reached = await resolver.reach_at(
            schedule, Planned(at, moved_to), schedule.seconds_of(revision)
        )
        if reached.is_off:
            continue
        why = min(reached.silent.values(), key=[*Silence].index) if reached.silent else None
        found.append(Start(at, moved_to, why, len(reached.silent), len(reached.cluster_ids)))
    return found


async def change(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    to: datetime | None,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Move a start, or (None) cancel it, however far ahead it is.

    Args:
        session: Open transaction.
        schedule: Locked.
        at: The start by the rule.
        to: When it is to sound instead.
        caller: Who changes it.
        rules: Quiet hours and the horizon.
        now: Present.

    Raises:
        InvalidInput: The schedule has no such start.
        BroadcastError: As `occurrence_edits.move` and `occurrence_edits.cancel_occurrence`.
    """
    row = await session.get(Occurrence, occurrence_id(schedule.id, at))
    if row is not None and to is not None:
        await occurrence_edits.move(session, row, to, caller, rules, now)
        return
    if row is not None:
        await occurrence_edits.cancel_occurrence(session, row, caller, now)
        return
    await require_at_schedule(session, caller, schedule)
    require_active(schedule)
    if not recurrence.fires(rule_of(schedule), schedule.starts_at, at, LOCAL):
        raise InvalidInput(
            "recurrence_at", "lịch phát không có buổi phát vào giờ này; kiểm tra lại ngày giờ"
        )
    if at <= now:
        raise Conflict("Giờ này đã qua nên không đổi được nữa; hãy chọn một giờ sắp tới.")
    if to is not None:
        bulletin = await get_bulletin(session, schedule.bulletin_id)
        planning.require_emergency_permission(bulletin.class_, caller, now)
        await require_at_schedule(session, caller, schedule, *needed_for(bulletin.class_))
        await lock_schedule_grid(session)
        revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
        moved = ScheduleException(schedule_id=schedule.id, recurrence_at=at, moved_to=to)
        planning.refuse_clashes(
            await planning.collisions(session, schedule, revision, moved, rules, now)
        )
    before = (await exceptions_of(session, [schedule.id]))[schedule.id].get(at, at)
    recording.change(
        session, ScheduleException.__tablename__, schedule.id, {str(at): before}, {str(at): to}
    )
    await exceptions.put(session, schedule.id, at, to, caller, now)
    if to is not None:
        await capacity.refuse_overfull(session, schedule, rules, now)
    await materialise(session, now, rules.horizon, [schedule.id])
