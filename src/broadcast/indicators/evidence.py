"""The evidence on each cluster over the window: minutes, plays, faults, attestations.

Set-based statements, one per kind: evidence is summed up where it lies, and a map of 1,440
minutes never leaves the database. None looks at anything later than the instant asked about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators.definitions import OperatingRule
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.online_minutes import mask, span, to_bits

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """The local days looked back over, and how far into the last one.

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
    def begins_at(self) -> datetime:
        """Midnight of the first day."""
        return datetime.combine(self.first_on, time(), LOCAL)

    def parameters(self) -> dict[str, Any]:
        """As the statements name them."""
        return {
            "first_on": self.first_on,
            "as_of": self.as_of,
            "begins_at": self.begins_at,
            "at": self.at,
            "zone": LOCAL.key,
        }


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
    """A statement whose parameters carry their types: PostgreSQL need not guess."""
    return sa.text(sql).bindparams(
        *(sa.bindparam(name, type_=_TYPES[name]) for name in set(re.findall(r"(?<!:):(\w+)", sql)))
    )


DECLARED = """
place AS (
    SELECT area_code AS code, (starts_at AT TIME ZONE :zone)::date AS on_day, starts_at, ends_at
    FROM outages WHERE area_code IS NOT NULL AND starts_at < :at AND ends_at > :begins_at
    UNION ALL
    SELECT area.code, place.on_day, place.starts_at, place.ends_at
    FROM place JOIN areas area ON area.parent_code = place.code
    WHERE area.valid_from <= place.on_day
    AND (area.valid_to IS NULL OR area.valid_to >= place.on_day)
),
declared AS MATERIALIZED (
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

HEARD = """
    online.minutes & CASE WHEN online.day = :as_of THEN last_hours ELSE hours END & CASE
        WHEN online.day > hung.begins::date AND online.day < hung.ends::date THEN whole
        ELSE (whole >> greatest(
                0, floor(extract(epoch FROM hung.begins - online.day) / 60))::int)
            & ~(whole >> least(
                1440, floor(extract(epoch FROM hung.ends - online.day) / 60))::int)
    END"""
"""Minutes of a day in broadcast hours in which the device was heard while it hung there."""

_ONLINE = statement(f"""
WITH RECURSIVE {DECLARED},
map AS (
    SELECT repeat('1', 1440)::bit(1440) AS whole,
           CAST(:hours AS bit(1440)) AS hours, CAST(:last_hours AS bit(1440)) AS last_hours
),
hung AS MATERIALIZED (
    SELECT cluster_id, device_id,
           installed_at AT TIME ZONE :zone AS begins,
           coalesce(removed_at, :at) AT TIME ZONE :zone AS ends
    FROM installations WHERE cluster_id = ANY(:clusters) AND installed_at < :at
),
known AS (
    SELECT cluster_id, min(begins) AS begins, max(ends) > :first_on AS device
    FROM hung GROUP BY cluster_id
),
pause AS (
    SELECT cluster_id, starts_at AT TIME ZONE :zone AS begins, ends_at AT TIME ZONE :zone AS ends
    FROM declared
    UNION ALL
    SELECT cluster_id, begins::date, begins FROM known WHERE begins > :first_on
),
closed AS MATERIALIZED (
    SELECT cluster_id, day::date AS day, bit_or(
        (whole >> greatest(0, floor(extract(epoch FROM pause.begins - day) / 60))::int)
        & ~(whole >> least(1440, ceil(extract(epoch FROM pause.ends - day) / 60))::int)
    ) & CASE WHEN day = :as_of THEN last_hours ELSE hours END AS minutes
    FROM pause JOIN known USING (cluster_id) CROSS JOIN map
    CROSS JOIN LATERAL generate_series(
        greatest(pause.begins::date, known.begins::date, :first_on)::timestamp,
        least(pause.ends::date, :as_of)::timestamp,
        interval '1 day'
    ) day
    GROUP BY cluster_id, day, whole, hours, last_hours
),
excused AS (
    SELECT cluster_id, sum(bit_count(minutes)) AS minutes FROM closed GROUP BY cluster_id
),
heard AS (
    SELECT hung.cluster_id, sum(online.minutes) AS minutes
    FROM hung CROSS JOIN map CROSS JOIN LATERAL (
        SELECT sum(bit_count({HEARD})) AS minutes FROM online_minutes online
        WHERE device_id = hung.device_id
        AND day BETWEEN greatest(hung.begins::date, :first_on) AND least(hung.ends::date, :as_of)
    ) online
    GROUP BY hung.cluster_id
),
void AS (
    SELECT hung.cluster_id, sum(online.minutes) AS minutes
    FROM closed JOIN hung USING (cluster_id) CROSS JOIN map CROSS JOIN LATERAL (
        SELECT sum(bit_count({HEARD} & closed.minutes)) AS minutes FROM online_minutes online
        WHERE device_id = hung.device_id AND day = closed.day
        AND day BETWEEN hung.begins::date AND hung.ends::date
    ) online
    GROUP BY hung.cluster_id
)
SELECT known.cluster_id, known.device,
    coalesce(heard.minutes, 0) - coalesce(void.minutes, 0) AS online,
    (:as_of - greatest(known.begins::date, :first_on)) * bit_count(map.hours)
    + bit_count(map.last_hours) - coalesce(excused.minutes, 0) AS expected
FROM known CROSS JOIN map
LEFT JOIN excused USING (cluster_id) LEFT JOIN heard USING (cluster_id)
LEFT JOIN void USING (cluster_id)
""")  # noqa: S608  made of constants
"""Minutes expected and heard.

A minute is expected when all of it lies in broadcast hours, after the first device was hung, and
outside every declared outage: the time between two devices counts against the cluster. The
minute of a swap belongs to the device that came.
"""

_PLAYS = statement(f"""
WITH RECURSIVE {DECLARED},
dark AS MATERIALIZED (
    SELECT cluster_id, range_agg(tstzrange(starts_at, ends_at)) AS spans
    FROM declared GROUP BY cluster_id
)
SELECT asked.cluster_id, completed.starts_at IS NOT NULL AS completed, broadcast.days
FROM unnest(:clusters) asked (cluster_id)
LEFT JOIN dark USING (cluster_id)
LEFT JOIN LATERAL (
    SELECT starts_at FROM plays
    WHERE cluster_id = asked.cluster_id AND month BETWEEN :first_month AND :last_month
    AND starts_at >= :begins_at AND starts_at < :at AND state = 'played' AND ended_at < :at
    ORDER BY starts_at DESC LIMIT 1
) completed ON true
CROSS JOIN LATERAL (
    SELECT count(DISTINCT (starts_at AT TIME ZONE :zone)::date) AS days FROM plays
    WHERE cluster_id = asked.cluster_id AND month BETWEEN :first_month AND :last_month
    AND starts_at < :at AND ends_by < :at AND state <> 'cancelled'
    AND (dark.spans IS NULL OR NOT dark.spans @> starts_at)
    AND starts_at >= coalesce(
        (date_trunc('day', completed.starts_at AT TIME ZONE :zone) + interval '1 day')
            AT TIME ZONE :zone,
        :begins_at
    )
) broadcast
""")  # noqa: S608  made of constants
"""Whether a play was completed, and on how many days after the newest one broadcasts were due.

Without a completed play: on how many days of the window. A broadcast counts when it was to be
over by the instant asked about and did not fall into a declared outage.
"""

_FAULTS = statement("""
SELECT hung.cluster_id, min(greatest(fault.opened_at, hung.installed_at)) AS since
FROM (
    SELECT device_id, kind, opened_at FROM faults WHERE closed_at IS NULL
    UNION ALL
    SELECT device_id, kind, opened_at FROM faults WHERE closed_at >= :at
) fault JOIN installations hung USING (device_id)
WHERE (:clusters IS NULL OR hung.cluster_id = ANY(:clusters)) AND hung.installed_at < :at
AND (hung.removed_at IS NULL OR hung.removed_at >= :at)
AND fault.kind = ANY(:kinds) AND fault.opened_at < :at
GROUP BY hung.cluster_id
""")
"""A fault belongs to the cluster on which its device hangs, from the hanging on."""

_ATTESTED = statement("""
SELECT cluster_id, max(attested_at) AS attested_at FROM attestations
WHERE cluster_id = ANY(:clusters) AND attested_at < :at
GROUP BY cluster_id
""")


class Evidences(NamedTuple):
    """Rows by cluster id; a cluster without any has no row."""

    online: dict[int, Any]
    plays: dict[int, Any]
    faults: dict[int, datetime]
    """Since when the oldest open speaker fault has been open."""
    attested: dict[int, datetime]
    """When last."""


async def gather(
    session: AsyncSession, window: Window, rule: OperatingRule, clusters: Sequence[int]
) -> Evidences:
    """Read the evidence on these clusters."""
    asked = window.parameters() | {"clusters": clusters}
    return Evidences(
        online=await _by_cluster(session, _ONLINE, asked | maps(window.as_of, window.at, rule)),
        plays=await _by_cluster(session, _PLAYS, asked | await months(session, asked)),
        faults=await faults(session, window, rule, clusters),
        attested=await attested(session, window, clusters),
    )


async def faults(
    session: AsyncSession, window: Window, rule: OperatingRule, clusters: Sequence[int] | None
) -> dict[int, datetime]:
    """Since when a speaker fault has been open, by cluster; of all clusters when None."""
    asked = {"clusters": clusters, "at": window.at, "kinds": sorted(rule.speaker_faults)}
    return {row.cluster_id: row.since for row in await session.execute(_FAULTS, asked)}


async def attested(
    session: AsyncSession, window: Window, clusters: Sequence[int]
) -> dict[int, datetime]:
    """When somebody last attested, by cluster."""
    asked = {"clusters": clusters, "at": window.at}
    return {row.cluster_id: row.attested_at for row in await session.execute(_ATTESTED, asked)}


async def _by_cluster(
    session: AsyncSession, statement: sa.TextClause, parameters: dict[str, Any]
) -> dict[int, Any]:
    return {row.cluster_id: row for row in await session.execute(statement, parameters)}


_mask = cache(mask)


def maps(last_on: date, at: datetime, rule: OperatingRule) -> dict[str, str]:
    """Broadcast hours of a whole day, and of the last one as far as its minutes were over."""
    hours = _mask(rule.broadcast_hours)
    midnight = datetime.combine(last_on, time(), LOCAL)
    over = span(last_on, midnight, at.replace(second=0, microsecond=0), LOCAL)
    return {"hours": to_bits(hours), "last_hours": to_bits(hours & over)}


_RECURRENCES = statement("""
SELECT min(recurrence_at) AS first_at, max(recurrence_at) AS last_at FROM occurrences
WHERE starts_at >= :begins_at AND starts_at < :at
""")


async def months(session: AsyncSession, asked: dict[str, Any]) -> dict[str, date]:
    """Partitions that hold the window's plays.

    `plays.month` is that of the start by the rule; a broadcast may have been moved into the
    window from another month.
    """
    moved = (await session.execute(_RECURRENCES, asked)).one()
    days = [asked["first_on"], asked["as_of"]]
    days += [at.astimezone(LOCAL).date() for at in moved if at is not None]
    return {"first_month": min(days).replace(day=1), "last_month": max(days).replace(day=1)}
