"""Restatements: past days whose evidence changed later, for readers who quoted their figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators.definitions import operating_rule
from broadcast.indicators.model import Restatement
from broadcast.kit.clock import LOCAL

RESTATED = Counter(
    "broadcast_cluster_days_restated", "Cluster-days changed by evidence that came later"
)

_RECORD = sa.text("""
INSERT INTO restatements AS known
    (day, restated_on, cause, first_at, restated_at, cluster_days)
SELECT day, :restated_on, cause, :now, :now, changed
FROM unnest(CAST(:days AS date[]), CAST(:causes AS text[]), CAST(:changed AS integer[]))
    AS n (day, cause, changed)
ON CONFLICT (day, restated_on, cause) DO UPDATE SET
    restated_at = greatest(known.restated_at, excluded.restated_at),
    cluster_days = known.cluster_days + excluded.cluster_days
""")


async def record(
    session: AsyncSession,
    changed: Mapping[date, int],
    causes: Mapping[date, Collection[str]],
    now: datetime,
) -> None:
    """Record how many cluster-days changed, and the tables that were written."""
    if not changed:
        return
    RESTATED.inc(sum(changed.values()))
    await session.execute(
        _RECORD,
        {
            "days": list(changed),
            "causes": [",".join(sorted(causes[day])) for day in changed],
            "changed": list(changed.values()),
            "restated_on": now.astimezone(LOCAL).date(),
            "now": now,
        },
    )


def _of_figure(as_of: date) -> sa.ColumnElement[bool]:
    """Condition: the restatement changed a day's figure after the day was over."""
    first_on = as_of - timedelta(days=operating_rule(as_of).window_days - 1)
    over_at = datetime.combine(as_of + timedelta(days=1), time(), LOCAL)
    return sa.and_(Restatement.day.between(first_on, as_of), Restatement.restated_at >= over_at)


async def restatements(
    session: AsyncSession, as_of: date | None, limit: int
) -> Sequence[Restatement]:
    """Restatements, the newest first; with a day, those that its figure rests on."""
    wanted = (
        sa.select(Restatement)
        if as_of is None
        else sa.select(Restatement).where(_of_figure(as_of))
    )
    order = (Restatement.restated_at.desc(), Restatement.day.desc(), Restatement.cause)
    return (await session.scalars(wanted.order_by(*order).limit(limit))).all()


async def restated(session: AsyncSession, as_of: date) -> datetime | None:
    """Time of the last restatement that the figure of a past day rests on."""
    latest: datetime | None = await session.scalar(
        sa.select(sa.func.max(Restatement.restated_at)).where(_of_figure(as_of))
    )
    return latest
