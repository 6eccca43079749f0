"""Occurrences as rows: materialised ahead from the rules, moved, left out and cancelled.

Everything here can be repeated. What changes is marked `dirty`; the dispatcher derives plays and
documents from it. Nothing but `materialise` makes an occurrence, and it looks at the approval
first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.kit.clock import LOCAL
from broadcast.kit.notify import Channel, notify
from broadcast.schedules import recurrence, rrule, targets
from broadcast.schedules.model import (
    Occurrence,
    OccurrenceState,
    Schedule,
    ScheduleException,
    ScheduleState,
)
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.rrule import Rule
from broadcast.schedules.targets import Resolved

log = structlog.get_logger()

SLACK = timedelta(seconds=30)
"""Added to the latest end: pre-emption and decoding take a moment, and a late limit of nothing
must still let a bulletin end."""

LONGEST = timedelta(hours=6)
"""No occurrence lasts longer from `starts_at` to `ends_by`: an hour of audio, an hour late, and
room for who changes either."""

WITHDRAWN = "withdrawn"
"""Cancelled because the schedule or the revision was withdrawn."""
CHANGED = "lịch phát đã đổi"
"""Cancelled because the schedule no longer comes to it."""
CANCELLED_SINGLY = "bỏ riêng lần phát này"
"""Cancelled by itself."""

Exceptions = dict[datetime, datetime | None]


def occurrence_id(schedule_id: UUID, recurrence_at: datetime) -> UUID:
    """Name of an occurrence for ever, the same in every copy of the database."""
    return uuid5(schedule_id, f"{recurrence_at.timestamp():.0f}")


def rule_of(schedule: Schedule) -> Rule | None:
    """The recurrence of a schedule."""
    return None if schedule.rrule is None else rrule.parse(schedule.rrule, LOCAL)


def of_revision() -> sa.ColumnElement[bool]:
    """Condition that joins a schedule with its revision."""
    return sa.and_(
        Revision.bulletin_id == Schedule.bulletin_id,
        Revision.number == Schedule.bulletin_revision,
    )


async def exceptions_of(
    session: AsyncSession, schedule_ids: Collection[UUID]
) -> dict[UUID, Exceptions]:
    """Moved and left-out starts, by schedule."""
    found: defaultdict[UUID, Exceptions] = defaultdict(dict)
    for row in await session.scalars(
        sa.select(ScheduleException).where(ScheduleException.schedule_id.in_(schedule_ids))
    ):
        found[row.schedule_id][row.recurrence_at] = row.moved_to
    return found


async def active_ids(session: AsyncSession) -> list[UUID]:
    """Schedules that may come to further occurrences."""
    ids = sa.select(Schedule.id).where(Schedule.state == ScheduleState.ACTIVE)
    return list(await session.scalars(ids.order_by(Schedule.id)))


async def materialise(
    session: AsyncSession,
    now: datetime,
    horizon: timedelta,
    schedule_ids: Collection[UUID] | None = None,
    *,
    since: datetime | None = None,
) -> int:
    """Make the rows of the coming occurrences say what the schedules say.

    The schedules are locked before anything is read of them, as every edit locks the one that it
    changes: what is written here was decided after the last edit, and the next one waits.

    1. Expand every active schedule with an approved revision from `now` to the horizon.
    2. Insert what is new; change what differs and has not started.
    3. Cancel coming rows that no schedule asks for any more.
    4. A schedule to which nothing can come any more has ended.

    Args:
        session: Open transaction.
        now: What has started before stays as it is.
        horizon: How far ahead.
        schedule_ids: Only these; all active ones by default.
        since: Insert what was never made since then, too: after days of standstill the ledger
            must tell of every miss.

    Returns:
        How many rows were inserted, changed or cancelled.
    """
    ids = await active_ids(session) if schedule_ids is None else schedule_ids
    await _hold(session, ids)
    wanted = await _wanted(session, ids, now, now + horizon, since or now)
    rows = await _rows(session, ids, wanted, now)
    count = 0
    for id_, values in wanted.items():
        known = rows.get(id_)
        if known is None:
            session.add(Occurrence(id=id_, carried_scopes=[], dirty=True, **values))
            count += 1
        elif known.starts_at >= now:
            count += _change(known, values)
    exceptions = await exceptions_of(session, ids)
    for id_, row in rows.items():
        near = now <= row.starts_at < now + horizon
        if id_ in wanted or row.state is OccurrenceState.CANCELLED or not near:
            continue
        left_out = row.recurrence_at in exceptions[row.schedule_id]
        reason = CANCELLED_SINGLY if left_out else CHANGED
        count += _change(row, {"state": OccurrenceState.CANCELLED, "cancel_reason": reason})
    await session.flush()
    await _end(session, ids, now)
    if count:
        await notify(session, Channel.DISPATCH)
    return count


async def dirty(session: AsyncSession, limit: int, but: Iterable[UUID]) -> list[UUID]:
    """Occurrences whose plays and documents are to be derived, the soonest first.

    `but`: not these.
    """
    rows = sa.select(Occurrence.id).where(Occurrence.dirty, Occurrence.id.not_in(list(but)))
    return list(await session.scalars(rows.order_by(Occurrence.starts_at).limit(limit)))


async def mark_dirty(session: AsyncSession, ids: Collection[UUID]) -> None:
    """Have the plays and documents of these occurrences derived again."""
    await session.execute(sa.update(Occurrence).where(Occurrence.id.in_(ids)).values(dirty=True))


async def cancel_coming(
    session: AsyncSession, schedule: Schedule, now: datetime, reason: str
) -> None:
    """Cancel every occurrence of a schedule that has not ended; what sounds is stopped too."""
    await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.schedule_id == schedule.id,
            Occurrence.starts_at > now - LONGEST,
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=reason, dirty=True)
    )
    await notify(session, Channel.DISPATCH)


async def cancel_withdrawn(session: AsyncSession, now: datetime) -> int:
    """Cancel what is still planned of schedules that were withdrawn.

    Whoever withdraws a schedule does that; here it is made true again, whatever came in between
    (a restored backup, a correction by hand).

    Returns:
        How many occurrences were cancelled.
    """
    cancelled = await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.starts_at > now - LONGEST,
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
            sa.exists().where(
                Schedule.id == Occurrence.schedule_id, Schedule.state == ScheduleState.WITHDRAWN
            ),
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=WITHDRAWN, dirty=True)
        .returning(Occurrence.id)
    )
    count = len(cancelled.all())
    if count:
        log.warning("schedules.occurrences.withdrawn", count=count)
    return count


async def cancel_unapproved(session: AsyncSession, now: datetime) -> int:
    """Withdraw schedules whose revision is no longer approved, and stop what sounds of it.

    Returns:
        How many schedules were withdrawn.
    """
    disapproved = sa.select(Schedule).join(Revision, of_revision())
    schedules = list(
        await session.scalars(
            disapproved.where(
                Schedule.state == ScheduleState.ACTIVE, Revision.state != RevisionState.APPROVED
            ).with_for_update(of=Schedule)
        )
    )
    for schedule in schedules:
        schedule.state, schedule.changed_at = ScheduleState.WITHDRAWN, now
        await cancel_coming(session, schedule, now, WITHDRAWN)
        log.warning("schedules.schedule.withdrawn", schedule_id=str(schedule.id), by="approval")
    # What has started may be of a schedule that has ended, or of an earlier revision.
    await session.execute(
        sa.update(Occurrence)
        .where(
            Occurrence.starts_at.between(now - LONGEST, now),
            Occurrence.ends_by > now,
            Occurrence.state == OccurrenceState.PLANNED,
            sa.exists().where(
                Revision.bulletin_id == Occurrence.bulletin_id,
                Revision.number == Occurrence.bulletin_revision,
                Revision.state != RevisionState.APPROVED,
            ),
        )
        .values(state=OccurrenceState.CANCELLED, cancel_reason=WITHDRAWN, dirty=True)
    )
    return len(schedules)


async def _hold(session: AsyncSession, schedule_ids: Collection[UUID]) -> None:
    """Lock schedules until the end of the transaction, in the order of their ids."""
    schedules = sa.select(Schedule).where(Schedule.id.in_(schedule_ids)).order_by(Schedule.id)
    await session.execute(
        schedules.with_for_update(key_share=True).execution_options(populate_existing=True)
    )


def _change(row: Occurrence, values: Mapping[str, Any]) -> bool:
    differs = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in differs.items():
        setattr(row, name, value)
    row.dirty = row.dirty or bool(differs)
    return bool(differs)


async def _rows(
    session: AsyncSession,
    schedule_ids: Collection[UUID],
    wanted: Collection[UUID],
    now: datetime,
) -> dict[UUID, Occurrence]:
    """Coming occurrences of schedules, and those that are wanted whenever they are."""
    coming = sa.select(Occurrence).where(
        Occurrence.schedule_id.in_(schedule_ids), Occurrence.starts_at >= now
    )
    rows = {row.id: row for row in await session.scalars(coming.with_for_update())}
    # One that is to be moved may by its old time have passed.
    passed = sa.select(Occurrence).where(Occurrence.id.in_(wanted - rows.keys()))
    return rows | {row.id: row for row in await session.scalars(passed.with_for_update())}


async def _wanted(
    session: AsyncSession,
    schedule_ids: Collection[UUID],
    now: datetime,
    until: datetime,
    since: datetime,
) -> dict[UUID, dict[str, Any]]:
    """Columns of the occurrences that the schedules come to."""
    rows = await session.execute(
        sa.select(Schedule, Bulletin, Revision)
        .join(Bulletin, Bulletin.id == Schedule.bulletin_id)
        .join(Revision, of_revision())
        .where(
            Schedule.id.in_(schedule_ids),
            Schedule.state == ScheduleState.ACTIVE,
            Revision.state == RevisionState.APPROVED,
        )
    )
    exceptions = await exceptions_of(session, schedule_ids)
    resolver = await targets.target_resolver(session)
    wanted: dict[UUID, dict[str, Any]] = {}
    for schedule, bulletin, revision in rows:
        # A rule that was changed says nothing about the time before.
        begin = now if since >= now else min(max(since, schedule.changed_at), now)
        for planned in starts_of(schedule, exceptions[schedule.id], begin, until):
            on = planned.starts_at.astimezone(LOCAL).date()
            reached = await resolver.reach(schedule, on)
            wanted[occurrence_id(schedule.id, planned.recurrence_at)] = _values(
                schedule, bulletin, revision, planned, reached
            )
    return wanted


def starts_of(
    schedule: Schedule, exceptions: Exceptions, begin: datetime, until: datetime
) -> list[Planned]:
    """Starts of a schedule in a span, and those that were moved beyond its end."""
    rule = rule_of(schedule)
    starts = recurrence.occurrences_between(
        rule, schedule.starts_at, exceptions, begin, until, LOCAL
    )
    later = (
        Planned(at, moved_to)
        for at, moved_to in exceptions.items()
        if moved_to is not None
        and moved_to >= until
        and recurrence.fires(rule, schedule.starts_at, at, LOCAL)
    )
    return [*starts, *sorted(later, key=lambda each: each.starts_at)]


def _values(
    schedule: Schedule,
    bulletin: Bulletin,
    revision: Revision,
    planned: Planned,
    reached: Resolved,
) -> dict[str, Any]:
    latest = planned.starts_at + timedelta(seconds=schedule.late_limit_seconds)
    return {
        "schedule_id": schedule.id,
        "recurrence_at": planned.recurrence_at,
        "starts_at": planned.starts_at,
        "ends_by": latest + timedelta(seconds=revision.seconds) + SLACK,
        "bulletin_id": schedule.bulletin_id,
        "bulletin_revision": schedule.bulletin_revision,
        "class_": bulletin.class_,
        "priority": schedule.priority,
        "late_limit_seconds": schedule.late_limit_seconds,
        "on_preempt": schedule.on_preempt,
        "volume": schedule.volume,
        "title": schedule.title or bulletin.title,
        "state": OccurrenceState.PLANNED,
        "cancel_reason": None,
        "scopes": reached.scopes,
        "reach": reached.digest(),
    }


async def _end(session: AsyncSession, schedule_ids: Collection[UUID], now: datetime) -> None:
    idle = sa.select(Schedule).where(
        Schedule.id.in_(schedule_ids),
        Schedule.state == ScheduleState.ACTIVE,
        ~sa.exists().where(
            Occurrence.schedule_id == Schedule.id,
            Occurrence.starts_at > now - LONGEST,
            Occurrence.state == OccurrenceState.PLANNED,
        ),
    )
    # Whoever edits a schedule holds it; by then it may have starts again.
    for schedule in await session.scalars(idle.with_for_update(skip_locked=True)):
        if recurrence.first_after(rule_of(schedule), schedule.starts_at, now, LOCAL) is None:
            schedule.state = ScheduleState.ENDED
    await session.flush()
