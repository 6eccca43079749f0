"""What a device reported over a day, a week or a month, in few points for a chart.

A day comes from the raw heartbeats while they are kept; a week, a month and an older day from the
sums of each hour, with the raw heartbeats that no hour has summed up yet.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.clock import LOCAL
from broadcast.telemetry.health import SENT
from broadcast.telemetry.model import HealthHour, PresenceChange
from broadcast.telemetry.online_minutes import BEHIND
from broadcast.telemetry.presence import Presence

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

MAX_INTERVALS = 500
"""Intervals of presence that are answered, the newest: a bad contact makes thousands."""


class ChartSpan(StrEnum):
    """Length of a chart."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


LENGTHS = {ChartSpan.DAY: DAY, ChartSpan.WEEK: 7 * DAY, ChartSpan.MONTH: 31 * DAY}
STEPS = {ChartSpan.DAY: HOUR / 6, ChartSpan.WEEK: HOUR, ChartSpan.MONTH: 4 * HOUR}
"""At most 186 points each."""


class Point(NamedTuple):
    """What a device reported within one step; null where it did not."""

    at: datetime
    """Begin of the step."""
    beats: int
    playing_beats: int
    unpowered_beats: int
    signal_dbm: float | None
    signal_dbm_min: int | None
    temperature: float | None
    temperature_max: float | None
    supply_volts_min: float | None
    line: str
    """The worst of the step."""


class Interval(NamedTuple):
    """A span in which the presence of a device stayed the same."""

    presence: Presence
    since: datetime
    until: datetime


class Chart(NamedTuple):
    """Points and presence in [since, until)."""

    since: datetime
    until: datetime
    step: timedelta
    points: list[Point]
    presence: list[Interval]


_POINTS = sa.text(f"""
    SELECT date_bin(CAST(:step AS interval), at, CAST(:origin AS timestamptz)) AS step_at,
           CAST(sum(beats) AS integer), CAST(sum(playing) AS integer),
           CAST(sum(unpowered) AS integer),
           sum(dbm * beats) / sum(beats) FILTER (WHERE dbm IS NOT NULL), min(dbm_min),
           sum(celsius * beats) / sum(beats) FILTER (WHERE celsius IS NOT NULL),
           max(celsius_max), min(volts),
           (ARRAY['short', 'open', 'unknown', 'ok'])[min(array_position(
               ARRAY['short', 'open', 'unknown', 'ok'], line))]
    FROM (
        SELECT hour AS at, beats, playing_beats AS playing, unpowered_beats AS unpowered,
               CAST(signal_dbm_avg AS float8) AS dbm, CAST(signal_dbm_min AS integer) AS dbm_min,
               CAST(temperature_avg AS float8) AS celsius,
               CAST(temperature_max AS float8) AS celsius_max,
               CAST(supply_volts_min AS float8) AS volts, line
        FROM health_hours
        WHERE device_id = :device_id AND hour >= :since AND hour < :raw_from
        UNION ALL
        SELECT at, 1, CAST(COALESCE(body ->> 'state', '') IN ('playing', 'alert') AS integer),
               CAST(COALESCE(body -> 'supply' ->> 'mains', '') = 'false' AS integer),
               CAST(body -> 'network' ->> 'signal_dbm' AS float8),
               CAST(body -> 'network' ->> 'signal_dbm' AS integer),
               CAST(body ->> 'temperature_celsius' AS float8),
               CAST(body ->> 'temperature_celsius' AS float8),
               CAST(body -> 'supply' ->> 'volts' AS float8),
               COALESCE(body ->> 'line', 'unknown')
        FROM (
            SELECT h.body, {SENT} AS at
            FROM (
                SELECT sent_at, received_at, body::jsonb AS body
                FROM heartbeats
                WHERE device_id = :device_id AND received_on BETWEEN :first_on AND :last_on
                OFFSET 0
            ) AS h
        ) AS beat
        WHERE at >= :raw_from AND at < :until
    ) AS grain
    GROUP BY step_at
    ORDER BY step_at
""")  # noqa: S608 — a constant of this package


async def chart(
    session: AsyncSession,
    device_id: int,
    span: ChartSpan,
    until: datetime,
    now: datetime,
    raw_days: int,
) -> Chart:
    """What a device reported in the span before `until`.

    Args:
        session: Transaction; that the caller may read this device was checked before.
        device_id: Key of the device.
        span: Length.
        until: Its end, not included.
        now: The present.
        raw_days: For how many days raw heartbeats are kept.
    """
    since, step = until - LENGTHS[span], STEPS[span]
    kept_since = now - (raw_days - 1) * DAY
    if span is ChartSpan.DAY and since >= kept_since:
        raw_from = since
    else:
        step = max(step, HOUR)
        raw_from = min(max(await _summed_until(session, device_id, since), kept_since), until)
    origin = datetime.combine(since.astimezone(LOCAL), time.min, LOCAL)
    rows = await session.execute(
        _POINTS,
        {
            "step": step,
            "origin": origin,
            "device_id": device_id,
            "since": since,
            "raw_from": raw_from,
            "until": until,
            "first_on": raw_from.astimezone(LOCAL).date(),
            "last_on": (until + BEHIND).astimezone(LOCAL).date(),
        },
    )
    points = [Point(*row) for row in rows]
    return Chart(
        since, until, step, points, await _presence(session, device_id, since, until, now)
    )


async def _summed_until(session: AsyncSession, device_id: int, since: datetime) -> datetime:
    """End of the last hour of a device that is summed up; `since` where none is."""
    last = await session.scalar(
        sa.select(sa.func.max(HealthHour.hour)).where(
            HealthHour.device_id == device_id, HealthHour.hour >= since
        )
    )
    return since if last is None else last + HOUR


async def _presence(
    session: AsyncSession, device_id: int, since: datetime, until: datetime, now: datetime
) -> list[Interval]:
    of_device = PresenceChange.device_id == device_id
    columns = (PresenceChange.happened_at, PresenceChange.presence)
    newest_first = (PresenceChange.happened_at.desc(), PresenceChange.id.desc())
    before = (
        await session.execute(
            sa.select(*columns)
            .where(of_device, PresenceChange.happened_at <= since)
            .order_by(*newest_first)
            .limit(1)
        )
    ).one_or_none()
    found = await session.execute(
        sa.select(*columns)
        .where(of_device, PresenceChange.happened_at > since, PresenceChange.happened_at < until)
        .order_by(*newest_first)
        .limit(MAX_INTERVALS)
    )
    changes = [(row.happened_at, row.presence) for row in reversed(found.all())]
    if len(changes) < MAX_INTERVALS:
        first = Presence.NEVER_SEEN if before is None else before.presence
        changes.insert(0, (since, first))
    return intervals(changes, min(until, now))


def intervals(changes: list[tuple[datetime, Presence]], until: datetime) -> list[Interval]:
    """Intervals between changes of presence, the last one up to `until`. Pure.

    >>> a, b = datetime(2025, 7, 1, 8), datetime(2025, 7, 1, 9)
    >>> [(each.presence.value, each.until == b) for each in intervals([(a, Presence.ONLINE)], b)]
    [('online', True)]
    """
    ends: list[Any] = [at for at, _ in changes[1:]] + [until]
    return [
        Interval(presence, at, min(end, until))
        for (at, presence), end in zip(changes, ends, strict=True)
        if at < min(end, until)
    ]
