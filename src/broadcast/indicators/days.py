"""The evidence of single local days, read from the raw rows or from what is kept of them.

A day of a cluster comes to four values, and a window is the sum of its days: so a day that is over
need not be asked again. `evidence.py` counts the same over a whole window at once, from raw rows
alone; the two are held against each other by `broadcast indicators --check` and the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.evidence import DAY, DECLARED, HEARD, maps, months, statement
from broadcast.kit.clock import LOCAL

Numbers = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
"""Instead of an instant, where there is none."""

_MICROSECOND = 1_000_000

ROWS = f"""
{DECLARED},
dark AS MATERIALIZED (
    SELECT cluster_id, range_agg(tstzrange(starts_at, ends_at)) AS spans
    FROM declared GROUP BY cluster_id
),
map AS (
    SELECT repeat('1', 1440)::bit(1440) AS whole,
           CAST(:hours AS bit(1440)) AS hours, CAST(:last_hours AS bit(1440)) AS last_hours
),
hung AS MATERIALIZED (
    SELECT cluster_id, device_id, installed_at AT TIME ZONE :zone AS begins,
           coalesce(removed_at, '9999-01-01') AT TIME ZONE :zone AS ends
    FROM installations
    WHERE (:clusters IS NULL OR cluster_id = ANY(:clusters)) AND installed_at < :at
),
known AS MATERIALIZED (
    SELECT cluster_id, min(begins) AS begins FROM hung GROUP BY cluster_id
),
pause AS (
    SELECT cluster_id, starts_at AT TIME ZONE :zone AS begins, ends_at AT TIME ZONE :zone AS ends
    FROM declared
    UNION ALL
    SELECT cluster_id, begins::date, begins FROM known WHERE begins > :first_on
),
closed AS MATERIALIZED (
    SELECT cluster_id, day, bit_or(
        (whole >> greatest(0, floor(extract(epoch FROM pause.begins - day) / 60))::int)
        & ~(whole >> least(1440, ceil(extract(epoch FROM pause.ends - day) / 60))::int)
    ) & CASE WHEN day = :as_of THEN last_hours ELSE hours END AS minutes
    FROM pause JOIN known USING (cluster_id) CROSS JOIN map
    JOIN unnest(:days) day ON day BETWEEN pause.begins::date AND pause.ends::date
        AND day >= known.begins::date
    GROUP BY cluster_id, day, whole, hours, last_hours
),
parts (cluster_id, day, expected, online, completed_at, due_at) AS (
    SELECT cluster_id, day,
        (CASE WHEN day = :as_of THEN bit_count(last_hours) ELSE bit_count(hours) END)::int, 0,
        NULL::timestamptz, NULL::timestamptz
    FROM known JOIN unnest(:days) day ON day >= known.begins::date CROSS JOIN map
    UNION ALL
    SELECT cluster_id, day, -bit_count(minutes)::int, 0, NULL, NULL FROM closed
    UNION ALL
    SELECT hung.cluster_id, online.day, 0, online.minutes, NULL, NULL
    FROM hung CROSS JOIN map CROSS JOIN LATERAL (
        SELECT online.day, bit_count({HEARD})::int AS minutes FROM online_minutes online
        WHERE online.device_id = hung.device_id AND online.day = ANY(:days)
        AND online.day BETWEEN hung.begins::date AND hung.ends::date
        OFFSET 0
    ) online
    UNION ALL
    SELECT closed.cluster_id, closed.day, 0, -online.minutes, NULL, NULL
    FROM closed JOIN hung USING (cluster_id) CROSS JOIN map CROSS JOIN LATERAL (
        SELECT bit_count({HEARD} & closed.minutes)::int AS minutes FROM online_minutes online
        WHERE online.device_id = hung.device_id AND online.day = closed.day
        AND online.day BETWEEN hung.begins::date AND hung.ends::date
        OFFSET 0
    ) online
    UNION ALL
    SELECT play.cluster_id, day, 0, 0, CASE WHEN state = 'played' THEN ended_at END,
        CASE WHEN state <> 'cancelled'
            AND (dark.spans IS NULL OR NOT dark.spans @> starts_at) THEN ends_by END
    FROM unnest(:days) day
    CROSS JOIN LATERAL (
        SELECT cluster_id, starts_at, ends_by, ended_at, state FROM plays
        WHERE starts_at >= day::timestamp AT TIME ZONE :zone
        AND starts_at < (day + 1)::timestamp AT TIME ZONE :zone AND starts_at < :at
        AND month BETWEEN :first_month AND :last_month
        AND (:clusters IS NULL OR cluster_id = ANY(:clusters))
    ) play
    LEFT JOIN dark ON dark.cluster_id = play.cluster_id
),
fresh AS MATERIALIZED (
    SELECT cluster_id, day, sum(expected)::smallint AS expected, sum(online)::smallint AS online,
        min(completed_at) AS completed_at, min(due_at) AS due_at
    FROM parts GROUP BY cluster_id, day
)"""  # noqa: S608  made of constants
"""The days of these clusters out of the raw rows, as `fresh`; a day without any has no row.

Each part of a day is found on its own and added up: no join for the planner to misjudge. The
minutes are counted behind OFFSET 0, where the planner must look up each device's day: left to
choose it walks the whole index, which grows with history. `:clusters` NULL stands for all.
"""

_PACKED = """
SELECT day, array_agg(cluster_id) AS clusters,
    array_agg(expected::int) AS expected, array_agg(online::int) AS online,
    array_agg((date_part('epoch', completed_at) * 1000000)::bigint) AS completed,
    array_agg((date_part('epoch', due_at) * 1000000)::bigint) AS due
FROM {rows} GROUP BY day
"""

_LIVE = statement(f"WITH RECURSIVE {ROWS} {_PACKED.format(rows='fresh')}")

_KEPT = statement(
    _PACKED.format(
        rows="(SELECT * FROM cluster_days WHERE day = ANY(:days) ORDER BY day, cluster_id) kept"
    )
)


@dataclass(frozen=True, slots=True)
class DayRows:
    """One day: parallel columns, in the order of the clusters' ids."""

    clusters: Numbers
    expected: Numbers
    online: Numbers
    completed: Numbers
    """Instant, in microseconds since 1970."""
    due: Numbers

    @classmethod
    def of(cls, row: Any) -> DayRows:
        """Out of a packed row."""
        clusters = np.array(row.clusters, np.int64)
        order = np.argsort(clusters)
        return cls(
            clusters[order],
            np.array(row.expected, np.int64)[order],
            np.array(row.online, np.int64)[order],
            _instants(row.completed)[order],
            _instants(row.due)[order],
        )


def _instants(values: Sequence[int | None]) -> Numbers:
    return np.array([NEVER if value is None else value for value in values], np.int64)


SOME = 500
"""Above so many it is faster to read all clusters than to pick those asked for."""

EMPTY = DayRows(*(np.array([], np.int64) for _ in range(5)))


def microseconds(at: datetime) -> int:
    """An instant as the columns hold it."""
    whole = at.replace(microsecond=0)
    return int(whole.timestamp()) * _MICROSECOND + at.microsecond


_PLAN_ANEW = sa.text("SET LOCAL plan_cache_mode = force_custom_plan")


async def asked(
    session: AsyncSession,
    days: Sequence[date],
    clusters: Sequence[int] | None,
    rule: OperatingRule,
    at: datetime,
) -> dict[str, Any]:
    """Parameters of `ROWS`: these days of these clusters, as far as they were over at `at`.

    From here on the transaction's statements are planned for their parameters: a plan for any
    number of days and clusters takes many times as long.
    """
    await session.execute(_PLAN_ANEW)
    first_on, last_on = min(days), max(days)
    at = min(at, datetime.combine(last_on + DAY, time(), LOCAL))
    parameters: dict[str, Any] = {
        "days": list(days),
        "clusters": None if clusters is None else list(clusters),
        "first_on": first_on,
        "as_of": last_on,
        "begins_at": datetime.combine(first_on, time(), LOCAL),
        "at": at,
        "zone": LOCAL.key,
    }
    return parameters | maps(last_on, at, rule) | await months(session, parameters)


async def read_live(
    session: AsyncSession,
    days: Sequence[date],
    clusters: Sequence[int],
    rule: OperatingRule,
    at: datetime,
) -> dict[date, DayRows]:
    """Days of clusters, and perhaps of others, out of the raw rows, up to an instant."""
    found = {}
    if days and clusters:
        some = clusters if len(clusters) <= SOME else None
        parameters = await asked(session, days, some, rule, at)
        found = {row.day: DayRows.of(row) for row in await session.execute(_LIVE, parameters)}
    return {day: found.get(day, EMPTY) for day in days}


async def read_kept(session: AsyncSession, days: Sequence[date]) -> dict[date, DayRows]:
    """Folded days, every cluster's, out of `cluster_days`."""
    if not days:
        return {}
    found = {
        row.day: DayRows.of(row) for row in await session.execute(_KEPT, {"days": list(days)})
    }
    return {day: found.get(day, EMPTY) for day in days}
