"""Occurrences up to date with their rules, the units of the day and the topology.

A change of the topology, a new local day and an hour each begin a pass through all schedules, some
of them in each turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.areas.model import Topology
from broadcast.delivery.changes import Changes
from broadcast.delivery.steps import Budget, SetAside
from broadcast.kit import clock, db, failures
from broadcast.kit.clock import LOCAL
from broadcast.programmes import issue
from broadcast.programmes.compile import held_until
from broadcast.schedules import cancellation, occurrences

log = structlog.get_logger()

STEP = "horizon"
"""Name under which failures are recorded."""

SCHEDULES_AT_ONCE = 100
"""Schedules of one transaction: a third of a second in a province of 10,000 clusters."""

STANDSTILL = timedelta(days=31)
"""Up to when a new leader makes the occurrences that were due while nobody dispatched."""


class _Pass(NamedTuple):
    """A pass through all schedules: for a topology and a local day; `left` is still to be done."""

    revision: int
    on: date
    changed: bool
    left: list[UUID]


class Horizon:
    """Makes the occurrences of the days ahead."""

    def __init__(
        self, engine: AsyncEngine, changes: Changes, set_aside: SetAside, rules: config.Rules
    ) -> None:
        self._engine = engine
        self._changes = changes
        self._set_aside = set_aside
        self._rules = rules
        self._pass: _Pass | None = None
        self._due_at: datetime | None = None

    @property
    def in_progress(self) -> bool:
        """Schedules are left to go through."""
        return self._pass is not None

    async def step(self, now: datetime) -> bool:
        """Bring occurrences up to date; returns whether more is waiting."""
        if self._pass is None:
            self._pass = await self._begin(now)
        if self._pass is None:
            again = [UUID(name) for name in await self._set_aside.due(STEP, now)]
            await self._materialise(again, now, now)
            return False
        since = None if self._due_at is not None else now - STANDSTILL
        budget = Budget()
        while self._pass.left and not budget.spent():
            some = self._pass.left[:SCHEDULES_AT_ONCE]
            await self._materialise(some, now, since)
            del self._pass.left[:SCHEDULES_AT_ONCE]
        if self._pass.left:
            return True
        async with db.transaction(self._engine) as session:
            await cancellation.cancel_withdrawn(session, now)
        if self._pass.changed:
            until = held_until(now, self._rules.programme_span, LOCAL)
            async with db.transaction(self._engine) as session:
                await issue.mark_configs_dirty(session, now)
                await issue.mark_entering(session, now, until)
                await issue.mark_old(session, now)
                await _applied(session, self._pass.revision, self._pass.on)
            log.info(
                "dispatch.topology.applied", revision=self._pass.revision, on=str(self._pass.on)
            )
        self._pass, self._due_at = None, now + issue.ROLL_EVERY
        return False

    async def _begin(self, now: datetime) -> _Pass | None:
        """Return the pass that is due, None when none is."""
        today = now.astimezone(LOCAL).date()
        async with db.transaction(self._engine) as session:
            revision, applied, applied_on = await _topology(session)
            changed = (revision, today) != (applied, applied_on)
            if not changed and not clock.is_due(self._due_at, now, issue.ROLL_EVERY):
                return None
            left = await occurrences.active_ids(session)
        self._changes.forget()  # corrections of the tables by hand take effect within the hour
        return _Pass(revision, today, changed, left)

    async def _materialise(
        self, schedule_ids: Sequence[UUID], now: datetime, since: datetime | None
    ) -> None:
        async def work(session: AsyncSession, some: Sequence[UUID]) -> None:
            await occurrences.materialise(session, now, self._rules.horizon, some, since=since)

        await failures.one_by_one(self._engine, STEP, schedule_ids, str, work, now)


async def _topology(session: AsyncSession) -> tuple[int, int, date | None]:
    """Revision of the topology, the one last applied, and the local day on which it was."""
    row = (
        await session.execute(
            sa.select(Topology.revision, Topology.applied_revision, Topology.applied_on)
        )
    ).one_or_none()
    return (0, 0, None) if row is None else (row[0], row[1], row[2])


async def _applied(session: AsyncSession, revision: int, on: date) -> None:
    values = {"applied_revision": revision, "applied_on": on}
    statement = insert(Topology).values(id=1, revision=revision, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
