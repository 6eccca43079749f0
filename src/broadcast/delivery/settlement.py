"""Plays that are over are settled, and settled again where the past was corrected."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.delivery.steps import Budget
from broadcast.kit import db, failures
from broadcast.plays import closer, corrections
from broadcast.plays.settling import settle_plays
from broadcast.plays.silence import Key
from broadcast.programmes import issue

CORRECTIONS_AT_ONCE = 20
"""Corrections of one transaction; each may come to a thousand plays."""


async def settle_due(engine: AsyncEngine, rules: config.Rules, now: datetime) -> bool:
    """Settle the plays whose time is over; returns whether more are waiting.

    A play that cannot be settled is set aside.
    """
    wait = rules.settle_after

    async def work(session: AsyncSession, some: Sequence[Key]) -> None:
        await settle_plays(session, some, now, wait, "closer")

    count, budget = closer.BATCH, Budget()
    while count == closer.BATCH and not budget.spent():
        async with db.transaction(engine) as session:
            but = [_play(name) for name in await failures.waiting(session, "settle", now)]
        try:
            async with db.transaction(engine) as session:
                count = await closer.close_due(session, now, wait, but)
        except Exception as error:
            if failures.is_away(error):
                raise
            async with db.transaction(engine) as session:
                keys = await closer.due(session, now, wait, but)
            await failures.one_by_one(engine, "settle", keys, _name, work, now)
            count = len(keys)
    return count == closer.BATCH


async def settle_corrected(engine: AsyncEngine, settings: config.Settings, now: datetime) -> bool:
    """Settle again what a correction of the past concerns; returns whether more is waiting."""
    rules, kept = settings.rules, settings.upkeep
    shortest = timedelta(days=min(kept.readiness_days, kept.receipt_days))
    # The evidence of a play begins with the first document that held it.
    since = now - min(shortest, issue.KEEP_REVISIONS) + rules.horizon

    async def work(session: AsyncSession, some: Sequence[int]) -> None:
        await corrections.apply(session, some, now, since, rules.settle_after)

    budget = Budget()
    while not budget.spent():
        async with db.transaction(engine) as session:
            waiting = await failures.waiting(session, "corrections", now)
            but = list(map(int, waiting))
            ids = await corrections.pending(session, now, since, but, CORRECTIONS_AT_ONCE)
        if not ids:
            return False
        await failures.one_by_one(engine, "corrections", ids, str, work, now)
    return True


def _name(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _play(name: str) -> Key:
    occurrence_id, _, cluster_id = name.partition("/")
    return UUID(occurrence_id), int(cluster_id)
