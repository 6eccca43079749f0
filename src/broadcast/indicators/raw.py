"""A province on a day from the raw rows alone, all at once: what `present.py` is held against."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators import evidence
from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.evidence import Window
from broadcast.indicators.observed import Cluster, Province
from broadcast.indicators.registry import load_register


async def load(
    session: AsyncSession, as_of: date, scope: str, rule: OperatingRule, now: datetime
) -> Province:
    """Read a province, a district or a commune as it was at the end of a day.

    Args:
        session: Where to read.
        as_of: The day; not after the local day of `now`.
        scope: Code of a unit of that day.
        rule: When a cluster operates.
        now: On the day itself, the evidence up to this instant counts.
    """
    register = await load_register(session, as_of, scope)
    window = Window.of(as_of, rule, now)
    known = await evidence.gather(session, window, rule, register.cluster_ids)
    clusters = {}
    for post in register.posts:
        minutes, played = known.online.get(post.id), known.plays[post.id]
        clusters[post.id] = Cluster(
            id=post.id,
            code=post.code,
            plant_id=post.plant_id,
            telemetry=post.telemetry,
            device=bool(minutes and minutes.device),
            expected_minutes=int(minutes.expected) if minutes else 0,
            online_minutes=int(minutes.online) if minutes else 0,
            completed=played.completed,
            broadcast_days=played.days,
            fault_since=known.faults.get(post.id),
            attested_at=known.attested.get(post.id),
        )
    return register.province(window.at, clusters)
