"""One cluster on one day: whether it operates, and the days that this rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Level
from broadcast.indicators.days import NEVER, microseconds
from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.evidence import Window, read_raw_days
from broadcast.indicators.figures import Cache, judge
from broadcast.indicators.province import Cluster, Village
from broadcast.indicators.reach import Operation
from broadcast.kit.errors import NotFound
from broadcast.stations.clusters import serves_on
from broadcast.stations.model import ClusterVillage, Grade


@dataclass(frozen=True, slots=True)
class ClusterDay:
    """A local day of a cluster, as far as it was over."""

    day: date
    expected_minutes: int
    online_minutes: int
    is_due: bool
    """Something was to be broadcast."""
    is_completed: bool
    """Something was, to its end."""


@dataclass(frozen=True, slots=True)
class ClusterOperation:
    """The judgement of a cluster with the evidence on it."""

    cluster: Cluster
    operation: Operation
    rule: OperatingRule
    villages: Sequence[Village]
    """Those that it serves as primary."""
    days: Sequence[ClusterDay]
    """The window, the last day first; none of a cluster that does not report."""


async def operation_of(
    session: AsyncSession,
    cluster_id: int,
    as_of: date,
    province: str,
    now: datetime,
    cache: Cache,
) -> ClusterOperation:
    """Judge a cluster as the figures of a day do, and list the days behind it.

    Raises:
        InvalidInput: The day is in the future.
        NotFound: The cluster did not stand on that day.
    """
    commune = sa.orm.aliased(Area)
    village = sa.orm.aliased(Area)
    scope = await session.scalar(
        sa.select(commune.code)
        .join(village, village.parent_code == commune.code)
        .join(ClusterVillage, ClusterVillage.village_code == village.code)
        .where(
            ClusterVillage.cluster_id == cluster_id,
            ClusterVillage.grade == Grade.PRIMARY,
            commune.level == Level.COMMUNE,
            serves_on(as_of),
            *(
                sa.and_(each.valid_from <= as_of,
                        sa.or_(each.valid_to.is_(None), each.valid_to >= as_of))
                for each in (commune, village)
            ),
        )
        .order_by(commune.code)
        .limit(1)
    )  # fmt: skip
    assessment = (await judge(session, as_of, scope or province, now, cache)).assessment
    cluster = assessment.province.clusters.get(cluster_id)
    if cluster is None:
        raise NotFound(f"Cụm loa này chưa có hoặc đã gỡ vào ngày {as_of:%d/%m/%Y}.")
    served = {
        service.village
        for service in assessment.province.services
        if service.cluster_id == cluster_id and service.grade is Grade.PRIMARY
    }
    days: list[ClusterDay] = []
    if cluster.reports:
        days = await _days(session, cluster_id, Window.of(as_of, assessment.rule, now),
                           assessment.rule)  # fmt: skip
    return ClusterOperation(
        cluster,
        assessment.operations[cluster_id],
        assessment.rule,
        [each for each in assessment.province.villages if each.code in served],
        days,
    )


async def _days(
    session: AsyncSession, cluster_id: int, window: Window, rule: OperatingRule
) -> list[ClusterDay]:
    read = await read_raw_days(session, window.days, [cluster_id], rule, window.at)
    at = microseconds(window.at)
    days = []
    for day in reversed(window.days):
        columns = read[day]
        row = {int(id_): index for index, id_ in enumerate(columns.clusters)}.get(cluster_id)
        if row is None:
            continue
        completed, due = int(columns.completed[row]), int(columns.due[row])
        days.append(
            ClusterDay(
                day,
                int(columns.expected[row]),
                int(columns.online[row]),
                is_due=due < min(at, NEVER),
                is_completed=completed < min(at, NEVER),
            )
        )
    return days
