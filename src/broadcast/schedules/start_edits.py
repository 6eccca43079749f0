"""Changes of single starts of a schedule, however far ahead: most of them have no row yet."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.bulletins.revisions import get_bulletin, get_revision
from broadcast.calendars.days import Silence
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.schedules import (
    capacity,
    edits,
    exceptions,
    occurrence_edits,
    planning,
    recurrence,
    single_starts,
)
from broadcast.schedules.locking import lock_schedule_grid
from broadcast.schedules.model import Occurrence, Schedule, ScheduleException, ScheduleState
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.places import needed_for, require_at_schedule
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.single_starts import Said
from broadcast.schedules.starts import exceptions_of, occurrence_id, rule_of
from broadcast.schedules.targets import target_resolver

log = structlog.get_logger()

MOST_DATES = 366
"""Further starts of one schedule."""


async def change(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    to: datetime | None,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Move a start, or (None) leave it out.

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
    await _require_start(session, schedule, at, caller, now)
    before = await _said(session, schedule)
    if to is None:
        if before.exceptions.get(at, at) is None:
            raise Conflict("Buổi phát này đã bỏ rồi; tải lại trang để xem lịch mới nhất.")
        await _put(session, schedule, before, single_starts.leave_out(before, at), caller, now)
    else:
        await _require_room(session, schedule, at, to, caller, rules, now)
        moved = before._replace(exceptions={**before.exceptions, at: to})
        await _put(session, schedule, before, moved, caller, now)
        await capacity.refuse_overfull(session, schedule, rules, now)
    await materialise(session, now, rules.horizon, [schedule.id])


async def put_back(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Put a start that was moved or left out back where the rule has it.

    Repeating it changes nothing.

    Raises:
        InvalidInput: The schedule has no such start.
        BroadcastError: As `occurrence_edits.reinstate`.
    """
    row = await session.get(Occurrence, occurrence_id(schedule.id, at))
    if row is not None:
        await occurrence_edits.reinstate(session, row, caller, rules, now)
        return
    await _require_start(session, schedule, at, caller, now)
    before = await _said(session, schedule)
    if at not in before.exceptions:
        return
    await _require_room(session, schedule, at, at, caller, rules, now)
    await _put(session, schedule, before, single_starts.put_back(before, at), caller, now)
    await capacity.refuse_overfull(session, schedule, rules, now)
    await materialise(session, now, rules.horizon, [schedule.id])


async def add(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Have a schedule sound once more, beside its rule or in spite of a calendar that it follows.

    Raises:
        Conflict: It sounds then already, or was moved from there; the day is one of mourning or
            of an exam; the schedule is of a session, was withdrawn, or would clash.
        InvalidInput: The time has passed, or lies in silent hours; or there are too many dates.
        Forbidden: It is an emergency, and the caller may not schedule one.
    """
    await require_at_schedule(session, caller, schedule)
    edits.require_active(schedule)
    edits.refuse_of_session(schedule)
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    seconds, resolver = schedule.seconds_of(revision), await target_resolver(session)
    before = await _said(session, schedule)
    if before.exceptions.get(at) is not None:
        raise Conflict("Buổi phát giờ này đã dời sang giờ khác; hãy đưa về giờ theo lịch.")
    if at not in before.exceptions and recurrence.fires(
        rule_of(schedule), schedule.starts_at, at, LOCAL
    ):
        reached = await resolver.reach_at(schedule, Planned(at, at), seconds)
        if reached.silenced is None:
            raise Conflict("Lịch đã có buổi phát vào giờ này; hãy chọn giờ khác.")
    after = single_starts.add(before, at)
    if len(after.dates) > MOST_DATES:
        raise InvalidInput("dates", f"nhiều nhất {MOST_DATES} buổi thêm; hãy lập lịch riêng")
    schedule.dates = list(after.dates)  # by hand: calendars do not silence what is to be checked
    await _require_room(session, schedule, at, at, caller, rules, now)
    await _put(session, schedule, before, after, caller, now)
    reached = await resolver.reach_at(schedule, Planned(at, at), seconds)
    if reached.silenced in {Silence.MOURNING, Silence.EXAM}:
        raise Conflict(
            "Ngày này loa im vì là ngày tang hoặc ngày thi, nên không phát thêm được; hãy chọn"
            " ngày khác."
        )
    if schedule.state is ScheduleState.ENDED:
        schedule.state = ScheduleState.ACTIVE
    await capacity.refuse_overfull(session, schedule, rules, now)
    await materialise(session, now, rules.horizon, [schedule.id])
    log.info("schedules.start.added", schedule_id=str(schedule.id), at=str(at))


async def drop(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Take a start that was added away again; where the rule has it the rule decides.

    Raises:
        Conflict: It has begun, or was not added; the schedule is of a session, or was withdrawn.
        BroadcastError: As `require_at_schedule`.
    """
    await require_at_schedule(session, caller, schedule)
    edits.require_active(schedule)
    edits.refuse_of_session(schedule)
    before = await _said(session, schedule)
    if at not in before.dates:
        raise Conflict("Buổi thêm này không còn nữa; tải lại trang để xem lịch mới nhất.")
    _refuse_past(min(at, before.exceptions.get(at) or at), now)
    await _put(session, schedule, before, single_starts.drop(before, at), caller, now)
    await materialise(session, now, rules.horizon, [schedule.id])
    log.info("schedules.start.dropped", schedule_id=str(schedule.id), at=str(at))


async def _require_start(
    session: AsyncSession, schedule: Schedule, at: datetime, caller: Caller, now: datetime
) -> None:
    """Refuse to change what is no start, or is over."""
    await require_at_schedule(session, caller, schedule)
    edits.require_active(schedule)
    if not recurrence.fires(rule_of(schedule), schedule.starts_at, at, LOCAL):
        raise InvalidInput(
            "recurrence_at", "lịch phát không có buổi phát vào giờ này; kiểm tra lại ngày giờ"
        )
    _refuse_past(at, now)


def _refuse_past(at: datetime, now: datetime) -> None:
    if at <= now:
        raise Conflict("Giờ này đã qua nên không đổi được nữa; hãy chọn một giờ sắp tới.")


async def _require_room(
    session: AsyncSession,
    schedule: Schedule,
    at: datetime,
    to: datetime,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Refuse a start where it clashes or is forbidden; the grid is locked from here on."""
    bulletin = await get_bulletin(session, schedule.bulletin_id)
    planning.require_emergency_permission(bulletin.class_, caller, now)
    await require_at_schedule(session, caller, schedule, *needed_for(bulletin.class_))
    await lock_schedule_grid(session)
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    moved = ScheduleException(schedule_id=schedule.id, recurrence_at=at, moved_to=to)
    planning.refuse_clashes(
        await planning.collisions(session, schedule, revision, moved, rules, now)
    )


async def _said(session: AsyncSession, schedule: Schedule) -> Said:
    known = (await exceptions_of(session, [schedule.id]))[schedule.id]
    return Said(tuple(schedule.dates), known)


async def _put(
    session: AsyncSession,
    schedule: Schedule,
    before: Said,
    after: Said,
    caller: Caller,
    now: datetime,
) -> None:
    """Store what is different."""
    if after.dates != before.dates:
        schedule.dates, schedule.changed_at = list(after.dates), now
    changed = {
        at
        for at in before.exceptions.keys() | after.exceptions.keys()
        if before.exceptions.get(at, at) != after.exceptions.get(at, at)
    }
    for at in sorted(changed):
        if at in after.exceptions:
            await exceptions.put(session, schedule.id, at, after.exceptions[at], caller, now)
        else:
            await exceptions.remove(session, schedule.id, at)
        recording.change(
            session, ScheduleException.__tablename__, schedule.id,
            {str(at): before.exceptions.get(at, at)}, {str(at): after.exceptions.get(at, at)},
        )  # fmt: skip
    await session.flush()
