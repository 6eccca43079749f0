"""The starts of one schedule months ahead."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.bulletins.revisions import get_revision
from broadcast.calendars.days import Silence
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.schedules import edits, recurrence
from broadcast.schedules.check import dry_run
from broadcast.schedules.edits import Columns
from broadcast.schedules.model import Schedule
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.starts import exceptions_of, rule_of
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
    is_added: bool
    """A person has named it, beside the rule or in spite of a calendar."""


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
        moved_to, is_added = known.get(at, at), at in schedule.dates
        if moved_to is None:
            found.append(Start(at, None, None, 0, 0, is_added))
            continue
        reached = await resolver.reach_at(
            schedule, Planned(at, moved_to), schedule.seconds_of(revision)
        )
        if reached.is_off:
            continue
        why = min(reached.silent.values(), key=[*Silence].index) if reached.silent else None
        silent, sounding = len(reached.silent), len(reached.cluster_ids)
        found.append(Start(at, moved_to, why, silent, sounding, is_added))
    return found


async def of_new(
    session: AsyncSession,
    bulletin_id: UUID,
    columns: Columns,
    caller: Caller,
    begin: datetime,
    end: datetime,
    now: datetime,
) -> list[Start]:
    """Starts of a schedule that is not stored.

    Raises:
        BroadcastError: As `between` and `edits.draft`.
    """
    async with dry_run(session):
        schedule, _ = await edits.draft(session, bulletin_id, columns, caller, now, approved=False)
        return await between(session, schedule, begin, end)


async def of_change(
    session: AsyncSession,
    schedule: Schedule,
    columns: Columns,
    caller: Caller,
    begin: datetime,
    end: datetime,
    now: datetime,
) -> list[Start]:
    """Starts that a stored schedule would have after a change, its exceptions carried over.

    Raises:
        BroadcastError: As `between` and `edits.rewrite`.
    """
    async with dry_run(session):
        await edits.rewrite(session, schedule, columns, caller, now)
        return await between(session, schedule, begin, end)
