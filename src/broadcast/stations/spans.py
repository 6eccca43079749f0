"""Clusters that hear an area, and areas that a cluster follows, on each day of a span."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.spans import AreaInterval, Interval, area_intervals, intervals
from broadcast.areas.tree import DAY
from broadcast.areas.units import load_lineage, require_unit
from broadcast.kit.clock import LOCAL
from broadcast.stations.model import Cluster, ClusterVillage, Evidence, Grade

T = TypeVar("T")


class Days(NamedTuple):
    """Local days, both included."""

    first_on: date
    last_on: date


ByDays = Mapping[Days, Collection[T]]
"""Members by the days on which they hold; days may overlap."""


def days_of(since: datetime, until: datetime) -> Days:
    """The local days of a span of time; `until` is not in it."""
    last = max(since, until - datetime.resolution)
    return Days(since.astimezone(LOCAL).date(), last.astimezone(LOCAL).date())


async def days_with(session: AsyncSession, at: Any, on: date) -> Days:
    """From the first day of which there is a row to the last one; `on` is among them."""
    bounds = (await session.execute(sa.select(sa.func.min(at), sa.func.max(at)))).one()
    days = [on, *(bound.astimezone(LOCAL).date() for bound in bounds if bound is not None)]
    return Days(min(days), max(days))


def during(
    found: ByDays[T],
    at: sa.ColumnElement[datetime] | Any,
    condition: Callable[[list[T]], sa.ColumnElement[bool]],
) -> sa.ColumnElement[bool]:
    """Condition that holds at a moment for what is found on that day."""
    return sa.or_(
        sa.false(),
        *(
            sa.and_(
                at >= datetime.combine(days.first_on, time(), LOCAL),
                at < datetime.combine(days.last_on + DAY, time(), LOCAL),
                condition(sorted(members)),  # type: ignore[type-var]
            )
            for days, members in found.items()
        ),
    )


def heard_by(found: Mapping[Days, set[int]], cluster_id: Any, at: Any) -> sa.ColumnElement[bool]:
    """Condition that a cluster is, on the day of a moment, among those found."""
    return during(
        found, at, lambda ids: cluster_id == sa.any_(sa.literal(ids, ARRAY(sa.Integer())))
    )


async def area_over(
    session: AsyncSession, field: str, code: str, days: Days
) -> list[AreaInterval]:
    """The units that stand for an area on every day of a span.

    Raises:
        InvalidInput: It is a unit on no day of the span; `field` is named.
    """
    found = area_intervals(await load_lineage(session), code, *days)
    if not found:
        await require_unit(session, field, code, days.last_on)
    return found


async def clusters_over(
    session: AsyncSession, found: Iterable[AreaInterval]
) -> dict[Days, set[int]]:
    """Ids of the clusters with telemetry that hear an area, by days: as `clusters_serving`."""
    rows = await _served(session)
    clusters: dict[Days, set[int]] = {}
    for each in found:
        chains = _chains(each.interval, {row.village_code for row in rows})
        for row in rows:
            days = _common(each.interval, row.first_on, row.last_on)
            if days is not None and not each.units.isdisjoint(chains[row.village_code]):
                clusters.setdefault(days, set()).add(row.cluster_id)
    return clusters


async def followed_over(
    session: AsyncSession, cluster_id: int, days: Days
) -> dict[Days, set[str]]:
    """Areas whose documents a device on a cluster follows, by days: as `followed_areas`."""
    rows = await _served(session, cluster_id)
    areas: dict[Days, set[str]] = {}
    for interval in intervals(await load_lineage(session), *days):
        chains = _chains(interval, {row.village_code for row in rows})
        for row in rows:
            common = _common(interval, row.first_on, row.last_on)
            if common is not None:
                areas.setdefault(common, set()).update(chains[row.village_code])
    return areas


async def _served(session: AsyncSession, cluster_id: int | None = None) -> list[Any]:
    """Primary villages of clusters with telemetry, and the days on which they are served."""
    end = sa.literal(date.max, sa.Date())
    statement = (
        sa.select(
            ClusterVillage.cluster_id,
            ClusterVillage.village_code,
            sa.func.greatest(ClusterVillage.valid_from, Cluster.installed_on).label("first_on"),
            sa.func.least(
                sa.func.coalesce(ClusterVillage.valid_to, end),
                sa.func.coalesce(Cluster.removed_on - 1, end),
            ).label("last_on"),
        )
        .join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        .where(ClusterVillage.grade == Grade.PRIMARY, Cluster.evidence == Evidence.TELEMETRY)
    )
    if cluster_id is not None:
        statement = statement.where(ClusterVillage.cluster_id == cluster_id)
    return list(await session.execute(statement))


def _common(interval: Interval, first_on: date, last_on: date) -> Days | None:
    days = Days(max(interval.first_on, first_on), min(interval.last_on, last_on))
    return days if days.first_on <= days.last_on else None


def _chains(interval: Interval, villages: Iterable[str]) -> dict[str, set[str]]:
    """Codes of each village and of all that is certain above it."""
    return {
        code: {
            code,
            *(unit.code for unit in interval.lineage.certain_chain(code, interval.first_on)),
        }
        for code in villages
    }
