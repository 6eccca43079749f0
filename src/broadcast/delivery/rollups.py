"""The past days of the indicators: rolled up once they are ready, again where they changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.delivery.steps import Budget
from broadcast.indicators import rollup
from broadcast.indicators.definitions import OperatingRule, operating_rule
from broadcast.kit import db, failures
from broadcast.kit.clock import LOCAL

ROLLUP, INVALIDATIONS = "rollup", "invalidations"
"""Names under which failures are recorded."""


class Rollups:
    """Rolls up days, and remembers which of them have been announced."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._announced_on: date | None = None
        """Newest day announced to be rolled up."""

    async def step(self, now: datetime) -> bool:
        """Apply invalidations, announce days, roll up those announced; returns whether more is."""
        rule = operating_rule(now.astimezone(LOCAL).date())
        if self._announced_on != rollup.last_day_to_roll_up(now):
            async with db.transaction(self._engine) as session:
                await rollup.announce_days(session, now, rule)
            self._announced_on = rollup.last_day_to_roll_up(now)
        async with db.transaction(self._engine) as session:
            pending = await rollup.pending(session)
        if pending.invalidated:
            await self._apply_invalidations(rule, now)
        if pending.announced:
            async with db.transaction(self._engine) as session:
                await rollup.note_horizon(session)

        async def work(session: AsyncSession, some: Sequence[date]) -> None:
            await rollup.roll_up_days(session, some, rule, now)

        budget = Budget()
        while pending.to_roll_up and not budget.spent():
            async with db.transaction(self._engine) as session:
                but = await failures.waiting(session, ROLLUP, now)
                days = await rollup.ready_days(session, rule, but=map(date.fromisoformat, but))
            if not days:
                return False
            await failures.one_by_one(self._engine, ROLLUP, days, date.isoformat, work, now)
        return pending.to_roll_up

    async def _apply_invalidations(self, rule: OperatingRule, now: datetime) -> None:
        """Roll up invalidated days again: all at once, or one by one where one of them fails."""

        async def work(session: AsyncSession, some: Sequence[date]) -> None:
            for day in some:
                await rollup.apply_invalidations(session, day, day, rule, now)

        async with db.transaction(self._engine) as session:
            but = await failures.waiting(session, INVALIDATIONS, now)
        if not but:
            try:
                async with db.transaction(self._engine) as session:
                    await rollup.apply_invalidations(session, date.min, date.max, rule, now)
            except Exception as error:
                if failures.is_away(error):
                    raise
            else:
                return
        async with db.transaction(self._engine) as session:
            invalidated = await rollup.invalidated_days(session)
        days = [day for day in invalidated if day.isoformat() not in but]
        await failures.one_by_one(self._engine, INVALIDATIONS, days, date.isoformat, work, now)
