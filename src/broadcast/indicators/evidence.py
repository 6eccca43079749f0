"""The evidence on clusters: days out of the raw rows or as rolled up, and open speaker faults.

Set-based statements: evidence is summed up where it lies, and a map of 1,440 minutes never leaves
the database. None looks at anything later than the instant asked about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators.days import DayColumns
from broadcast.indicators.definitions import OperatingRule
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.online_minutes import mask, span, to_bits

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """Local days that a figure looks back over, and how far into the last one.

    Attributes:
        first_on: First day.
        as_of: Last day, the one asked about.
        at: End of the last day, or now on the day itself.
    """

    first_on: date
    as_of: date
    at: datetime

    @classmethod
    def of(cls, as_of: date, rule: OperatingRule, now: datetime) -> Window:
        """The rule's window that ends with a day."""
        at = min(now, datetime.combine(as_of + DAY, time(), LOCAL))
        return cls(as_of - timedelta(days=rule.window_days - 1), as_of, at)

    @property
    def days(self) -> list[date]:
        """Every day, the first one first."""
        return [
            self.first_on + number * DAY for number in range((self.as_of - self.first_on).days + 1)
        ]

    @property
    def begins_at(self) -> datetime:
        """Midnight of the first day."""
        return datetime.combine(self.first_on, time(), LOCAL)


_TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "as_of": sa.Date(),
    "first_on": sa.Date(),
    "first_month": sa.Date(),
    "last_month": sa.Date(),
    "at": sa.DateTime(timezone=True),
    "begins_at": sa.DateTime(timezone=True),
    "zone": sa.Text(),
    "hours": sa.Text(),
    "last_hours": sa.Text(),
    "clusters": postgresql.ARRAY(sa.Integer()),
    "days": postgresql.ARRAY(sa.Date()),
    "kinds": postgresql.ARRAY(sa.Text()),
}


def statement(sql: str) -> sa.TextClause:
    """Make a statement whose parameters carry their types: PostgreSQL need not guess."""
    return sa.text(sql).bindparams(
        *(sa.bindparam(name, type_=_TYPES[name]) for name in set(re.findall(r"(?<!:):(\w+)", sql)))
    )


_OUTAGES = """
place AS (
    SELECT area_code AS code, (starts_at AT TIME ZONE :zone)::date AS on_day, starts_at, ends_at
    FROM outages WHERE area_code IS NOT NULL AND starts_at < :at AND ends_at > :begins_at
    UNION ALL
    SELECT area.code, place.on_day, place.starts_at, place.ends_at
    FROM place JOIN areas area ON area.parent_code = place.code
    WHERE area.valid_from <= place.on_day
    AND (area.valid_to IS NULL OR area.valid_to >= place.on_day)
),
outage_of_cluster AS MATERIALIZED (
    SELECT cluster_id, starts_at, ends_at FROM outages
    WHERE (:clusters IS NULL OR cluster_id = ANY(:clusters))
    AND cluster_id IS NOT NULL AND starts_at < :at AND ends_at > :begins_at
    UNION ALL
    SELECT served.cluster_id, place.starts_at, place.ends_at
    FROM place JOIN cluster_villages served ON served.village_code = place.code
    WHERE (:clusters IS NULL OR served.cluster_id = ANY(:clusters)) AND served.grade = 'primary'
    AND served.valid_from <= place.on_day
    AND (served.valid_to IS NULL OR served.valid_to >= place.on_day)
)"""
"""Declared outages by cluster. An area stands for the clusters whose primary village lay in it
on the day the outage began."""

_REPORTED = """
    online.minutes & CASE WHEN online.day = :as_of THEN last_hours ELSE hours END & CASE
        WHEN online.day > installed.begins::date AND online.day < installed.ends::date THEN whole
        ELSE (whole >> greatest(
                0, floor(extract(epoch FROM installed.begins - online.day) / 60))::int)
            & ~(whole >> least(
                1440, floor(extract(epoch FROM installed.ends - online.day) / 60))::int)
    END"""
"""Minutes of a day in broadcast hours in which the device reported while installed there."""

CLUSTER_DAYS = f"""
{_OUTAGES},
outage AS MATERIALIZED (
    SELECT cluster_id, range_agg(tstzrange(starts_at, ends_at)) AS spans
    FROM outage_of_cluster GROUP BY cluster_id
),
hours_of_day AS (
    SELECT repeat('1', 1440)::bit(1440) AS whole,
           CAST(:hours AS bit(1440)) AS hours, CAST(:last_hours AS bit(1440)) AS last_hours
),
installed AS MATERIALIZED (
    SELECT cluster_id, device_id, installed_at AT TIME ZONE :zone AS begins,
           coalesce(removed_at, '9999-01-01') AT TIME ZONE :zone AS ends
    FROM installations
    WHERE (:clusters IS NULL OR cluster_id = ANY(:clusters)) AND installed_at < :at
),
known AS MATERIALIZED (
    SELECT cluster_id, min(begins) AS begins FROM installed GROUP BY cluster_id
),
pause AS (
    SELECT cluster_id, starts_at AT TIME ZONE :zone AS begins, ends_at AT TIME ZONE :zone AS ends
    FROM outage_of_cluster
    UNION ALL
    SELECT cluster_id, begins::date, begins FROM known WHERE begins > :first_on
),
excused AS MATERIALIZED (
    SELECT cluster_id, day, bit_or(
        (whole >> greatest(0, floor(extract(epoch FROM pause.begins - day) / 60))::int)
        & ~(whole >> least(1440, ceil(extract(epoch FROM pause.ends - day) / 60))::int)
    ) & CASE WHEN day = :as_of THEN last_hours ELSE hours END AS minutes
    FROM pause JOIN known USING (cluster_id) CROSS JOIN hours_of_day
    JOIN unnest(:days) day ON day BETWEEN pause.begins::date AND pause.ends::date
        AND day >= known.begins::date
    GROUP BY cluster_id, day, whole, hours, last_hours
),
parts (cluster_id, day, expected, online, completed_at, due_at) AS (
    SELECT cluster_id, day,
        (CASE WHEN day = :as_of THEN bit_count(last_hours) ELSE bit_count(hours) END)::int, 0,
        NULL::timestamptz, NULL::timestamptz
    FROM known JOIN unnest(:days) day ON day >= known.begins::date CROSS JOIN hours_of_day
    UNION ALL
    SELECT cluster_id, day, -bit_count(minutes)::int, 0, NULL, NULL FROM excused
    UNION ALL
    SELECT installed.cluster_id, online.day, 0, online.minutes, NULL, NULL
    FROM installed CROSS JOIN hours_of_day CROSS JOIN LATERAL (
        SELECT online.day, bit_count({_REPORTED})::int AS minutes FROM online_minutes online
        WHERE online.device_id = installed.device_id AND online.day = ANY(:days)
        AND online.day BETWEEN installed.begins::date AND installed.ends::date
        OFFSET 0
    ) online
    UNION ALL
    SELECT excused.cluster_id, excused.day, 0, -online.minutes, NULL, NULL
    FROM excused JOIN installed USING (cluster_id) CROSS JOIN hours_of_day CROSS JOIN LATERAL (
        SELECT bit_count({_REPORTED} & excused.minutes)::int AS minutes FROM online_minutes online
        WHERE online.device_id = installed.device_id AND online.day = excused.day
        AND online.day BETWEEN installed.begins::date AND installed.ends::date
        OFFSET 0
    ) online
    UNION ALL
    SELECT play.cluster_id, day, 0, 0, CASE WHEN state = 'played' THEN ended_at END,
        CASE WHEN state <> 'cancelled'
            AND (outage.spans IS NULL OR NOT outage.spans @> starts_at) THEN ends_by END
    FROM unnest(:days) day
    CROSS JOIN LATERAL (
        SELECT cluster_id, starts_at, ends_by, ended_at, state FROM plays
        WHERE starts_at >= day::timestamp AT TIME ZONE :zone
        AND starts_at < (day + 1)::timestamp AT TIME ZONE :zone AND starts_at < :at
        AND month BETWEEN :first_month AND :last_month
        AND (:clusters IS NULL OR cluster_id = ANY(:clusters))
    ) play
    LEFT JOIN outage ON outage.cluster_id = play.cluster_id
),
fresh AS MATERIALIZED (
    SELECT cluster_id, day, sum(expected)::smallint AS expected, sum(online)::smallint AS online,
        min(completed_at) AS completed_at, min(due_at) AS due_at
    FROM parts GROUP BY cluster_id, day
)"""  # noqa: S608  made of constants
"""Common table expressions that end in `fresh`: days of clusters out of the raw rows. A day
without evidence has no row.

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

_RAW = statement(f"WITH RECURSIVE {CLUSTER_DAYS} {_PACKED.format(rows='fresh')}")

_ROLLED_UP = statement(
    _PACKED.format(
        rows="(SELECT * FROM cluster_days WHERE day = ANY(:days) ORDER BY day, cluster_id) kept"
    )
)


_FAULTS = statement("""
SELECT installed.cluster_id, min(greatest(fault.opened_at, installed.installed_at)) AS since
FROM (
    SELECT device_id, kind, opened_at FROM faults WHERE closed_at IS NULL
    UNION ALL
    SELECT device_id, kind, opened_at FROM faults WHERE closed_at >= :at
) fault JOIN installations installed USING (device_id)
WHERE installed.installed_at < :at
AND (installed.removed_at IS NULL OR installed.removed_at >= :at)
AND fault.kind = ANY(:kinds) AND fault.opened_at < :at
GROUP BY installed.cluster_id
""")
"""A fault belongs to the cluster on which its device is installed, since then at the earliest."""


async def read_faults(
    session: AsyncSession, rule: OperatingRule, at: datetime
) -> dict[int, datetime]:
    """Read since when the oldest open speaker fault of each cluster has been open."""
    parameters = {"at": at, "kinds": sorted(rule.speaker_faults)}
    return {row.cluster_id: row.since for row in await session.execute(_FAULTS, parameters)}


_mask = cache(mask)


def _hour_maps(last_on: date, at: datetime, rule: OperatingRule) -> dict[str, str]:
    """Broadcast hours of a whole day, and of the last one as far as its minutes were over."""
    hours = _mask(rule.broadcast_hours)
    midnight = datetime.combine(last_on, time(), LOCAL)
    over = span(last_on, midnight, at.replace(second=0, microsecond=0), LOCAL)
    return {"hours": to_bits(hours), "last_hours": to_bits(hours & over)}


_RECURRENCES = statement("""
SELECT min(recurrence_at) AS first_at, max(recurrence_at) AS last_at FROM occurrences
WHERE starts_at >= :begins_at AND starts_at < :at
""")


async def _months(session: AsyncSession, parameters: dict[str, Any]) -> dict[str, date]:
    """First and last partition that hold the window's plays.

    `plays.month` is that of the start by the rule; a broadcast may have been moved into the
    window from another month.
    """
    moved = (await session.execute(_RECURRENCES, parameters)).one()
    days = [parameters["first_on"], parameters["as_of"]]
    days += [at.astimezone(LOCAL).date() for at in moved if at is not None]
    return {"first_month": min(days).replace(day=1), "last_month": max(days).replace(day=1)}


FEW_CLUSTERS = 500
"""Above so many it is faster to read all clusters than to select some."""

_NO_GENERIC_PLAN = sa.text("SET LOCAL plan_cache_mode = force_custom_plan")


async def parameters_of(
    session: AsyncSession,
    days: Sequence[date],
    clusters: Sequence[int] | None,
    rule: OperatingRule,
    at: datetime,
) -> dict[str, Any]:
    """Parameters of `CLUSTER_DAYS`: days of clusters, as far as they were over at `at`.

    From here on the transaction's statements are planned for their parameters: a plan for any
    number of days and clusters takes many times as long.
    """
    await session.execute(_NO_GENERIC_PLAN)
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
    return parameters | _hour_maps(last_on, at, rule) | await _months(session, parameters)


def _columns(row: Any) -> DayColumns:
    return DayColumns.of(
        clusters=row.clusters,
        expected=row.expected,
        online=row.online,
        completed=row.completed,
        due=row.due,
    )


async def read_raw_days(
    session: AsyncSession,
    days: Sequence[date],
    clusters: Sequence[int],
    rule: OperatingRule,
    at: datetime,
) -> dict[date, DayColumns]:
    """Read days of these clusters, and perhaps of others, from the raw rows, up to an instant."""
    found = {}
    if days and clusters:
        selected = clusters if len(clusters) <= FEW_CLUSTERS else None
        parameters = await parameters_of(session, days, selected, rule, at)
        found = {row.day: _columns(row) for row in await session.execute(_RAW, parameters)}
    return {day: found.get(day, DayColumns.of()) for day in days}


async def read_rolled_up_days(
    session: AsyncSession, days: Sequence[date]
) -> dict[date, DayColumns]:
    """Read days of all clusters from `cluster_days`."""
    if not days:
        return {}
    found = {
        row.day: _columns(row) for row in await session.execute(_ROLLED_UP, {"days": list(days)})
    }
    return {day: found.get(day, DayColumns.of()) for day in days}
