"""Occurrences as rows, materialised ahead from the rules.

Everything here can be repeated. A row that changes is marked `dirty`; the dispatcher derives plays
and documents from it. Nothing but `materialise` makes an occurrence, and it looks at the approval
first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Bulletin, Revision, RevisionState
from broadcast.calendars.days import Silence
from broadcast.kit.clock import LOCAL
from broadcast.kit.notify import Channel, notify
from broadcast.schedules import recurrence, targets
from broadcast.schedules.cancellation import CANCELLED_SINGLY, CHANGED
from broadcast.schedules.locking import lock_schedules
from broadcast.schedules.model import (
    Occurrence,
    OccurrenceState,
    Schedule,
    ScheduleState,
)
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.starts import (
    LONGEST,
    SLACK,
    exceptions_of,
    occurrence_id,
    of_revision,
    rule_of,
    starts_of,
)
from broadcast.schedules.targets import Resolved

log = structlog.get_logger()


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
    """Bring the rows of the coming occurrences in line with the schedules.

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
    await lock_schedules(session, Schedule.id.in_(ids), key_share=True)
    expected, off = await _expected(session, ids, now, now + horizon, since or now)
    rows = await _rows(session, ids, expected, now)
    count = 0
    for id_, values in expected.items():
        known = rows.get(id_)
        if known is None:
            session.add(Occurrence(id=id_, carried_scopes=[], dirty=True, **values))
            count += 1
        elif known.starts_at >= now:
            count += _change(known, values)
    exceptions = await exceptions_of(session, ids)
    for id_, row in rows.items():
        near = now <= row.starts_at and (
            row.starts_at < now + horizon or row.starts_at != row.recurrence_at
        )
        if id_ in expected or row.state is OccurrenceState.CANCELLED or not near:
            continue
        is_single = row.recurrence_at in exceptions[row.schedule_id]
        reason = CANCELLED_SINGLY if is_single else CHANGED
        reason = Silence.OTHER_DAY if id_ in off else reason
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


async def end_alerts(session: AsyncSession, now: datetime) -> None:
    """Have the documents of alerts and live speech whose time is over issued without them."""
    await session.execute(
        sa.update(Occurrence)
        .where(
            sa.or_(Occurrence.alert_mode.is_not(None), Occurrence.live_key.is_not(None)),
            Occurrence.carried_scopes != [],
            Occurrence.ends_by <= now,
            ~Occurrence.dirty,
        )
        .values(dirty=True)
    )


async def mark_dirty(session: AsyncSession, ids: Collection[UUID]) -> None:
    """Have the plays and documents of these occurrences derived again."""
    await session.execute(sa.update(Occurrence).where(Occurrence.id.in_(ids)).values(dirty=True))


def _change(row: Occurrence, values: Mapping[str, Any]) -> bool:
    differs = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in differs.items():
        setattr(row, name, value)
    row.dirty = row.dirty or bool(differs)
    return bool(differs)


async def _rows(
    session: AsyncSession,
    schedule_ids: Collection[UUID],
    expected: Collection[UUID],
    now: datetime,
) -> dict[UUID, Occurrence]:
    """Coming occurrences of schedules, and those that are expected, whenever they are."""
    coming = sa.select(Occurrence).where(
        Occurrence.schedule_id.in_(schedule_ids), Occurrence.starts_at >= now
    )
    rows = {row.id: row for row in await session.scalars(coming.with_for_update())}
    # One that is to be moved may by its old time have passed.
    unknown = sa.literal([*expected - rows.keys()], ARRAY(sa.Uuid()))
    passed = sa.select(Occurrence).where(Occurrence.id == sa.any_(unknown))
    return rows | {row.id: row for row in await session.scalars(passed.with_for_update())}


async def _expected(
    session: AsyncSession,
    schedule_ids: Collection[UUID],
    now: datetime,
    until: datetime,
    since: datetime,
) -> tuple[dict[UUID, dict[str, Any]], set[UUID]]:
    """Columns of the occurrences that the schedules come to, and those of days that are off."""
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
    expected: dict[UUID, dict[str, Any]] = {}
    off: set[UUID] = set()
    for schedule, bulletin, revision in rows:
        # A rule that was changed says nothing about the time before.
        begin = now if since >= now else min(max(since, schedule.changed_at), now)
        for planned in starts_of(schedule, exceptions[schedule.id], begin, until):
            id_ = occurrence_id(schedule.id, planned.recurrence_at)
            reached = await resolver.reach_at(schedule, planned, schedule.seconds_of(revision))
            if reached.is_off:
                off.add(id_)
            else:
                expected[id_] = _values(schedule, bulletin, revision, planned, reached)
    return expected, off


def _values(
    schedule: Schedule,
    bulletin: Bulletin,
    revision: Revision,
    planned: Planned,
    reached: Resolved,
) -> dict[str, Any]:
    lasts = timedelta(seconds=schedule.seconds_of(revision))
    if schedule.relay_seconds is None:  # the end of a relay is hard, however late it begins
        lasts += timedelta(seconds=schedule.late_limit_seconds) + SLACK
    return {
        "schedule_id": schedule.id,
        "recurrence_at": planned.recurrence_at,
        "starts_at": planned.starts_at,
        "ends_by": planned.starts_at + lasts,
        "bulletin_id": schedule.bulletin_id,
        "bulletin_revision": schedule.bulletin_revision,
        "class_": bulletin.class_,
        "priority": schedule.priority,
        "late_limit_seconds": schedule.late_limit_seconds,
        "on_preempt": schedule.on_preempt,
        "volume": schedule.volume,
        "relay_source_id": schedule.relay_source_id,
        "relay_seconds": schedule.relay_seconds,
        "title": schedule.title or bulletin.title,
        "state": OccurrenceState.CANCELLED if reached.silenced else OccurrenceState.PLANNED,
        "cancel_reason": reached.silenced,
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
    # One that is being edited is locked; it may have starts again afterwards.
    for schedule in await session.scalars(idle.with_for_update(skip_locked=True)):
        if recurrence.first_after(rule_of(schedule), schedule.starts_at, now, LOCAL) is None:
            schedule.state = ScheduleState.ENDED
    await session.flush()
