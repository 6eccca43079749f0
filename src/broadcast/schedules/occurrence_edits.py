"""Moving and cancelling single occurrences, with every check, in one transaction."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.bulletins.model import Revision
from broadcast.bulletins.revisions import get_bulletin, get_revision
from broadcast.calendars.days import Silence
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.schedules import capacity, exceptions, planning, recurrence
from broadcast.schedules.cancellation import cancel_one
from broadcast.schedules.edits import require_active
from broadcast.schedules.locking import lock_schedule_grid
from broadcast.schedules.model import (
    Occurrence,
    OccurrenceState,
    Schedule,
    ScheduleException,
    ScheduleState,
)
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.places import needed_for, require_at_schedule
from broadcast.schedules.queries import get_schedule
from broadcast.schedules.starts import rule_of
from broadcast.schedules.targets import SILENCES

log = structlog.get_logger()


async def move(
    session: AsyncSession,
    row: Occurrence,
    to: datetime,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> None:
    """Move one occurrence that has not started; it keeps its id.

    Raises:
        Conflict: It has started, is cancelled, or would clash.
        InvalidInput: The new time has passed, or lies in quiet hours.
        Forbidden: It is an emergency, and the caller may not schedule one.
    """
    schedule, revision, moved = await prepare_move(session, row, to, caller, now)
    planning.refuse_clashes(
        await planning.collisions(session, schedule, revision, moved, rules, now)
    )
    schedule.state = ScheduleState.ACTIVE
    _record(session, row, schedule, {"starts_at": row.starts_at}, {"starts_at": to})
    await exceptions.put(session, schedule.id, row.recurrence_at, to, caller, now)
    await capacity.refuse_overfull(session, schedule, rules, now)
    await materialise(session, now, rules.horizon, [schedule.id])
    log.info(
        "schedules.occurrence.moved", occurrence_id=str(row.id), to=str(to), by=caller.account_id
    )


async def prepare_move(
    session: AsyncSession, row: Occurrence, to: datetime, caller: Caller, now: datetime
) -> tuple[Schedule, Revision, ScheduleException]:
    """Lock what the move of one occurrence touches; what it meets is not checked yet.

    Raises:
        BroadcastError: As `move`.
    """
    schedule = await open_for_change(session, row, caller, now, silenced=True)
    bulletin = await get_bulletin(session, schedule.bulletin_id)
    planning.require_emergency_permission(bulletin.class_, caller, now)
    await require_at_schedule(session, caller, schedule, *needed_for(bulletin.class_))
    if row.starts_at <= now:
        raise Conflict(
            "Buổi phát này đã bắt đầu, không dời được nữa; muốn dừng hãy thu hồi lịch phát."
        )
    await lock_schedule_grid(session)
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    moved = ScheduleException(
        schedule_id=schedule.id, recurrence_at=row.recurrence_at, moved_to=to
    )
    return schedule, revision, moved


async def reinstate(
    session: AsyncSession, row: Occurrence, caller: Caller, rules: Rules, now: datetime
) -> None:
    """Put an occurrence that was moved or cancelled by itself back where its rule has it.

    Repeating it changes nothing.

    Raises:
        Conflict: Its schedule was withdrawn or has no such start any more; the time has passed;
            or something else has taken it.
        InvalidInput: It lies in quiet hours by now.
        Forbidden: As `move`.
    """
    schedule = await get_schedule(session, row.schedule_id, lock=True)
    await require_at_schedule(session, caller, schedule)
    await session.refresh(row, with_for_update=True)
    require_active(schedule)
    at = row.recurrence_at
    if row.state is OccurrenceState.PLANNED and row.starts_at == at:
        return
    if not recurrence.fires(rule_of(schedule), schedule.starts_at, at, LOCAL):
        raise Conflict("Lịch phát không còn giờ này; hãy tạo lịch mới nếu cần phát.")
    if min(at, row.starts_at) <= now:
        raise Conflict("Giờ theo lịch đã qua nên không khôi phục được; hãy dời sang giờ khác.")
    bulletin = await get_bulletin(session, schedule.bulletin_id)
    planning.require_emergency_permission(bulletin.class_, caller, now)
    await require_at_schedule(session, caller, schedule, *needed_for(bulletin.class_))
    await lock_schedule_grid(session)
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    if row.cancel_reason in {Silence.MOURNING, Silence.EXAM}:
        raise Conflict(
            "Ngày này loa im vì là ngày tang hoặc ngày thi, nên không phát lại riêng được; hãy dời"
            " sang ngày khác, hoặc sửa ngày đó trong Lịch ngày."
        )
    if row.cancel_reason == Silence.REGULATION:
        raise Conflict(
            "Quy chế không cho phát lúc này, nên không phát lại riêng được; hãy dời sang giờ khác."
        )
    if row.cancel_reason in SILENCES:  # a person names the day all the same
        schedule.dates = sorted({*schedule.dates, at})
    back = ScheduleException(schedule_id=schedule.id, recurrence_at=at, moved_to=at)
    planning.refuse_clashes(
        await planning.collisions(session, schedule, revision, back, rules, now)
    )
    _record(
        session, row, schedule,
        {"state": row.state, "starts_at": row.starts_at},
        {"state": OccurrenceState.PLANNED, "starts_at": at},
    )  # fmt: skip
    schedule.state = ScheduleState.ACTIVE
    await exceptions.remove(session, schedule.id, at)
    await capacity.refuse_overfull(session, schedule, rules, now)
    await materialise(session, now, rules.horizon, [schedule.id])
    log.info("schedules.occurrence.reinstated", occurrence_id=str(row.id), by=caller.account_id)


async def cancel_occurrence(
    session: AsyncSession, row: Occurrence, caller: Caller, now: datetime
) -> None:
    """Cancel one occurrence; if it sounds already it is stopped.

    Raises:
        Conflict: It has ended, or is cancelled.
    """
    schedule = await open_for_change(session, row, caller, now)
    _record(session, row, schedule, {"state": row.state}, {"state": OccurrenceState.CANCELLED})
    await exceptions.put(session, schedule.id, row.recurrence_at, None, caller, now)
    await cancel_one(session, row)
    log.info("schedules.occurrence.cancelled", occurrence_id=str(row.id), by=caller.account_id)


def _record(
    session: AsyncSession,
    row: Occurrence,
    schedule: Schedule,
    before: dict[str, object],
    after: dict[str, object],
) -> None:
    recording.concern(session, *(each["area"] for each in schedule.targets if "area" in each))
    recording.change(
        session, Occurrence.__tablename__, row.id, before | {"schedule_id": schedule.id}, after
    )


async def open_for_change(
    session: AsyncSession,
    row: Occurrence,
    caller: Caller,
    now: datetime,
    *,
    silenced: bool = False,
) -> Schedule:
    """The schedule of an occurrence that can still be changed, both locked.

    Args:
        session: Open transaction.
        row: The occurrence.
        caller: Who changes it.
        now: Present.
        silenced: Accept one that a calendar or a Quy chế silences: no person has cancelled it.

    Raises:
        Conflict: It has ended, or is cancelled, or its schedule was withdrawn.
    """
    schedule = await get_schedule(session, row.schedule_id, lock=True)
    await require_at_schedule(session, caller, schedule)
    await session.refresh(row, with_for_update=True)
    require_active(schedule)
    if row.state is OccurrenceState.CANCELLED and not (silenced and row.cancel_reason in SILENCES):
        raise Conflict("Buổi phát này đã bỏ; hãy tạo lịch mới nếu cần phát.")
    if row.ends_by <= now:
        raise Conflict("Buổi phát này đã xong; hãy tạo lịch mới nếu cần phát lại.")
    return schedule
