"""Schedules that use a revision: cancelled with its withdrawal, or moved to another one."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.bulletins import revisions
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import Revision
from broadcast.bulletins.places import require_readable_bulletin
from broadcast.bulletins.revisions import Key
from broadcast.config import Rules
from broadcast.kit.errors import BroadcastError, Conflict
from broadcast.schedules import capacity, planning
from broadcast.schedules.cancellation import cancel_revision, coming_of_revision
from broadcast.schedules.locking import lock_schedule_grid, lock_schedules
from broadcast.schedules.model import Occurrence, Schedule, ScheduleState
from broadcast.schedules.occurrences import materialise
from broadcast.schedules.places import require_at_schedule
from broadcast.schedules.planning import Plan
from broadcast.schedules.starts import Exceptions, exceptions_of

log = structlog.get_logger()


class Use(NamedTuple):
    """A schedule, and those of its planned starts that have not ended."""

    schedule: Schedule
    starts: list[datetime]


async def of_revision(session: AsyncSession, key: Key, now: datetime) -> list[Use]:
    """Return the schedules that use a revision with their coming starts, the soonest first."""
    coming = sa.select(Occurrence).where(coming_of_revision(key, now))
    coming = coming.order_by(Occurrence.starts_at)
    occurrences = list(await session.scalars(coming))
    starts: dict[UUID, list[datetime]] = {}
    for row in occurrences:
        starts.setdefault(row.schedule_id, []).append(row.starts_at)
    rows = await session.scalars(
        sa.select(Schedule).where(
            sa.or_(_uses(key), Schedule.id.in_(starts)), Schedule.bulletin_id == key[0]
        )
    )
    found = [Use(row, starts.get(row.id, [])) for row in rows]
    return sorted(found, key=lambda use: (not use.starts, use.starts[:1], use.schedule.id))


async def left_behind(session: AsyncSession, key: Key, now: datetime) -> list[Use]:
    """Schedules that go on with an earlier revision of the bulletin."""
    numbers = await session.scalars(
        sa.select(Schedule.bulletin_revision)
        .where(
            Schedule.bulletin_id == key[0],
            Schedule.bulletin_revision < key[1],
            Schedule.state == ScheduleState.ACTIVE,
        )
        .distinct()
    )
    return [use for n in sorted(numbers) for use in await of_revision(session, (key[0], n), now)]


async def withdraw(
    session: AsyncSession, key: Key, caller: Caller, note: str, now: datetime
) -> tuple[Revision, list[Use]]:
    """Withdraw a revision, and cancel all that is to sound of it, with it.

    Returns:
        The revision, and what was cancelled.

    Raises:
        BroadcastError: As `revisions.move`.
    """
    await lock_schedules(session, Schedule.bulletin_id == key[0])
    revision = await revisions.move(session, key, Action.WITHDRAW, caller, note, now)
    cancelled = await of_revision(session, key, now)
    for use in cancelled:
        schedule = use.schedule
        if schedule.state is ScheduleState.ACTIVE and schedule.bulletin_revision == key[1]:
            schedule.state, schedule.changed_at = ScheduleState.WITHDRAWN, now
    await session.flush()
    await cancel_revision(session, key, now)
    log.info(
        "schedules.revision.withdrawn",
        bulletin_id=str(key[0]), revision=key[1], schedules=len(cancelled), by=caller.account_id,
    )  # fmt: skip
    return revision, cancelled


async def move_here(
    session: AsyncSession,
    key: Key,
    earlier: int | None,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> list[tuple[Schedule, Plan | None]]:
    """Have all schedules of a bulletin go on with this revision, or none of them.

    Every check of a change is made for each: length, quiet hours, clashes, room. What has started
    stays with the revision that it began with.

    Args:
        session: Open transaction.
        key: The bulletin and the approved revision to go on with.
        earlier: Only schedules of this revision; of every other one by default.
        caller: The person who moves them.
        rules: Quiet hours and the horizon.
        now: Present.

    Returns:
        The schedules that were moved, and what each comes to; None where its last start has begun.

    Raises:
        Conflict: The revision is not approved; or a schedule cannot be moved: says which and why.
        BroadcastError: As `planning.require_approved_revision`.
    """
    chosen = Schedule.bulletin_revision != key[1]
    if earlier is not None:
        chosen = sa.and_(chosen, Schedule.bulletin_revision == earlier)
    of_bulletin = sa.and_(Schedule.bulletin_id == key[0], Schedule.state == ScheduleState.ACTIVE)
    await require_readable_bulletin(session, caller, key[0])
    schedules = await lock_schedules(session, sa.and_(of_bulletin, chosen))
    await lock_schedule_grid(session)
    _, revision = await planning.require_approved_revision(session, *key, caller, now)
    for schedule in schedules:
        await require_at_schedule(session, caller, schedule)
        schedule.bulletin_revision, schedule.changed_at = revision.number, now
    await session.flush()
    exceptions = await exceptions_of(session, [schedule.id for schedule in schedules])
    moved = []
    for schedule in schedules:
        try:
            plan = await _check(session, schedule, revision, exceptions[schedule.id], rules, now)
            await capacity.refuse_overfull(session, schedule, rules, now)
        except BroadcastError as error:
            raise Conflict(
                f"Không chuyển được lịch “{schedule.title}” sang phiên bản {revision.number}, nên"
                f" chưa lịch nào được chuyển: {error.detail}",
                **{**error.extra, "schedule_id": str(schedule.id)},
            ) from None
        moved.append((schedule, plan))
    await materialise(session, now, rules.horizon, [schedule.id for schedule in schedules])
    log.info(
        "schedules.schedules.moved",
        bulletin_id=str(key[0]), revision=key[1], schedules=len(schedules), by=caller.account_id,
    )  # fmt: skip
    return moved


async def _check(
    session: AsyncSession,
    schedule: Schedule,
    revision: Revision,
    exceptions: Exceptions,
    rules: Rules,
    now: datetime,
) -> Plan | None:
    if planning.first_start(schedule, exceptions, now) is None:
        return None
    plan = await planning.plan(session, schedule, revision, rules, now, exceptions)
    planning.refuse_clashes(plan.overlaps)
    return plan


def _uses(key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(
        Schedule.bulletin_id == key[0],
        Schedule.bulletin_revision == key[1],
        Schedule.state == ScheduleState.ACTIVE,
    )
