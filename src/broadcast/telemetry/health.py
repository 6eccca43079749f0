"""Hourly health of devices, summed up from the raw heartbeats of closed hours.

A heartbeat counts for the hour in which it was sent, so one that comes late changes an hour that
has been done. Work goes by hours of *reception*: whatever came in such an hour names the device
hours that are to be computed, each from all its heartbeats. So it does not matter how often or in
which order that is done, and nothing is added to a sum that may already hold it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.kit import db
from broadcast.kit.clock import HOUR, LOCAL
from broadcast.telemetry.model import HealthHour
from broadcast.telemetry.online_minutes import AHEAD, BEHIND

log = structlog.get_logger()

SUMMARISED = Counter("broadcast_health_hours_done", "Hours of reception summed up")

CLOSED_AFTER = timedelta(minutes=5)
"""A batch may commit so long after it was received, on a day without outages."""

HOURS_AT_ONCE = 3
"""Hours that are done in one call: a backlog of weeks must not hold up other jobs."""

RECOUNTED = HOURS_AT_ONCE * HOUR
"""Hours before a new one that are counted again: ingest commits, once the database is back, the
batch it had in hand when that went away. Counting an hour of 10,000 devices reads 0.7 GB."""

DEVICES_AT_ONCE = 2500
"""Devices of one statement: 150,000 heartbeats. Each looks through all that came in two hours."""

STATEMENT_TIMEOUT = "5min"
"""For a statement: it may take seconds, more on a busy machine, and nobody waits for it."""

LATE_AT_ONCE = 500
"""Device hours of one statement, where heartbeats came late."""

SENT = f"""
    CASE WHEN (h.body -> 'clock' ->> 'trusted')::boolean
          AND h.sent_at BETWEEN h.received_at - interval '{BEHIND.days} days'
                            AND h.received_at + interval '{AHEAD.seconds} seconds'
         THEN least(h.sent_at, h.received_at) ELSE h.received_at END
"""
"""When a heartbeat was sent: `online_minutes.happened_at`, in SQL."""

_SUM = """
    INSERT INTO health_hours AS s (
        device_id, hour, beats, minutes, sessions, playing_beats, untrusted_beats,
        unpowered_beats, temperature_min, temperature_avg, temperature_max, supply_volts_min,
        battery_percent_min, signal_dbm_min, signal_dbm_avg, clock_offset_ms_max,
        data_used_bytes, storage_free_bytes_min, journal_pending_max, line, amplifier)
    SELECT
        device_id, hour, count(*), count(DISTINCT date_trunc('minute', at)),
        count(DISTINCT session),
        count(*) FILTER (WHERE body ->> 'state' IN ('playing', 'alert')),
        count(*) FILTER (WHERE NOT (body -> 'clock' ->> 'trusted')::boolean),
        count(*) FILTER (WHERE body -> 'supply' ->> 'mains' = 'false'),
        min(celsius), avg(celsius), max(celsius),
        min(round((body -> 'supply' ->> 'volts')::numeric, 3)::real),
        min((body -> 'supply' ->> 'battery_percent')::integer),
        min(dbm), avg(dbm),
        max(abs((body -> 'clock' ->> 'offset_ms')::bigint)),
        least(sum(CASE WHEN used >= used_before THEN used - used_before
                       WHEN used_before IS NOT NULL THEN used END), 9223372036854775807),
        min((body ->> 'storage_free_bytes')::bigint),
        COALESCE(max((body ->> 'journal_pending')::bigint), 0),
        (ARRAY['short', 'open', 'unknown', 'ok'])[min(array_position(
            ARRAY['short', 'open', 'unknown', 'ok'], COALESCE(body ->> 'line', 'unknown')))],
        (ARRAY['fault', 'off', 'on'])[min(array_position(
            ARRAY['fault', 'off', 'on'], body ->> 'amplifier'))]
    FROM (
        SELECT *, lag(used) OVER (PARTITION BY device_id, hour ORDER BY session, seq)
            AS used_before
        FROM (
            SELECT dated.*, date_trunc('hour', at) AS hour,
                   round((body ->> 'temperature_celsius')::numeric, 3)::real AS celsius,
                   (body -> 'network' ->> 'signal_dbm')::integer AS dbm,
                   (body ->> 'data_used_bytes')::bigint AS used
            FROM (
                SELECT h.device_id, h.session, h.seq, h.received_at, h.body, {sent} AS at
                FROM (
                    SELECT h.device_id, h.session, h.seq, h.sent_at, h.received_at,
                           h.body::jsonb AS body
                    FROM heartbeats AS h
                    WHERE h.received_on BETWEEN :first_on AND :last_on AND {received}
                    OFFSET 0
                ) AS h
            ) AS dated
        ) AS beat
        WHERE {touched}
    ) AS counted
    GROUP BY device_id, hour
    HAVING {named}
    ON CONFLICT (device_id, hour) DO UPDATE SET
        beats = excluded.beats, minutes = excluded.minutes, sessions = excluded.sessions,
        playing_beats = excluded.playing_beats, untrusted_beats = excluded.untrusted_beats,
        unpowered_beats = excluded.unpowered_beats,
        temperature_min = excluded.temperature_min, temperature_avg = excluded.temperature_avg,
        temperature_max = excluded.temperature_max,
        supply_volts_min = excluded.supply_volts_min,
        battery_percent_min = excluded.battery_percent_min,
        signal_dbm_min = excluded.signal_dbm_min, signal_dbm_avg = excluded.signal_dbm_avg,
        clock_offset_ms_max = excluded.clock_offset_ms_max,
        data_used_bytes = excluded.data_used_bytes,
        storage_free_bytes_min = excluded.storage_free_bytes_min,
        journal_pending_max = excluded.journal_pending_max,
        line = excluded.line, amplifier = excluded.amplifier
    WHERE s.beats <= excluded.beats
"""
"""`OFFSET 0`: each body is parsed once, not for every figure.
What no column holds (a temperature of 1e-60, a counter that leaps to and fro) is rounded or cut:
it would refuse the hour of every device, and every later one with it.
An hour part of whose raw heartbeats has been dropped by age is never computed from the rest."""

_PROMPT = sa.text(
    _SUM.format(
        sent=SENT,
        received="""h.received_at >= :prompt_from AND h.received_at < :until
            AND h.device_id BETWEEN :lowest AND :highest""",
        touched="hour >= :prompt_from",
        named="bool_or(received_at >= :received_from AND received_at < :received_to)",
    )
)
"""Heartbeats received within an hour of their sending: all of these device hours have been
received since the hour before."""

_LATE = sa.text(f"""
    SELECT DISTINCT device_id, date_trunc('hour', at)
    FROM (
        SELECT h.device_id, {SENT} AS at FROM heartbeats AS h
        WHERE h.received_on BETWEEN :first_on AND :last_on
          AND h.received_at >= :received_from AND h.received_at < :received_to
          AND h.sent_at < :prompt_from
    ) AS dated
    WHERE at < :prompt_from
    ORDER BY 1, 2
""")  # noqa: S608 — constants of this module

_RECOMPUTE = sa.text(
    _SUM.format(
        sent=SENT,
        received="""h.received_at >= :earliest
            AND h.device_id = ANY(CAST(:ids AS integer[]))""",
        touched="""(device_id, hour) IN (
            SELECT * FROM unnest(CAST(:ids AS integer[]), CAST(:hours AS timestamptz[])))""",
        named="true",
    )
)

_COUNT = sa.text("""
    SELECT count(*) FROM heartbeats
    WHERE received_on BETWEEN :first_on AND :last_on
      AND received_at >= :received_from AND received_at < :received_to
""")

_PROGRESS = sa.text("SELECT hour, beats FROM health_progress WHERE hour >= :since")

_DONE = sa.text("""
    INSERT INTO health_progress (hour, beats, done_at) VALUES (:hour, :beats, :now)
    ON CONFLICT (hour) DO UPDATE SET beats = excluded.beats, done_at = excluded.done_at
""")


async def summarise(engine: AsyncEngine, now: datetime, keep: timedelta) -> int:
    """Sum up the closed hours that are new, or have grown since; returns how many were done.

    Args:
        engine: Of the database.
        now: The moment.
        keep: For how long raw heartbeats are kept: older hours are left as they are.
    """
    async with db.transaction(engine) as session:
        hours = await _to_do(session, now, keep)
    done = 0
    for hour, counted in hours:
        if done == HOURS_AT_ONCE:
            break
        async with db.transaction(engine) as session:
            count = await session.scalar(_COUNT, _received(hour))
        if count != counted:
            # Done for the first time, later hours are still to come and bring what is theirs.
            await _summarise_hour(engine, hour, hour + HOUR if counted is None else now)
            async with db.transaction(engine) as session:
                await session.execute(_DONE, {"hour": hour, "beats": count, "now": now})
            SUMMARISED.inc()
            done += 1
    return done


async def _to_do(
    session: AsyncSession, now: datetime, keep: timedelta
) -> list[tuple[datetime, int | None]]:
    """Closed hours, oldest first, with the count of heartbeats at which each was done.

    None at all before another hour has closed.
    """
    oldest = await session.scalar(sa.text("SELECT min(received_on) FROM heartbeats"))
    if oldest is None:
        return []
    # A day that is about to be dropped may be gone before its hours are done.
    since = max(
        datetime(oldest.year, oldest.month, oldest.day, tzinfo=LOCAL).astimezone(now.tzinfo),
        _hour(now - keep) + timedelta(days=1),
    )
    known = {row[0]: row[1] for row in await session.execute(_PROGRESS, {"since": since})}
    closed = range((now - CLOSED_AFTER - since) // HOUR)
    hours = [since + n * HOUR for n in closed]
    new = [hour for hour in hours if hour not in known]
    if not new:
        return []
    recent = [hour for hour in hours if hour in known and new[0] - RECOUNTED <= hour < new[0]]
    return [(hour, known.get(hour)) for hour in (*recent, *new)]


async def _summarise_hour(engine: AsyncEngine, hour: datetime, until: datetime) -> None:
    """Compute the device hours that what was received in an hour belongs to.

    Args:
        engine: Of the database.
        hour: Of reception.
        until: What was received later is left to the hour of its own reception.
    """
    async with db.transaction(engine) as session:
        await db.ensure_partition(session, "health_hours", (hour - BEHIND).date())
        await db.ensure_partition(session, "health_hours", hour.date())
        devices = list(await session.scalars(sa.text("SELECT id FROM devices ORDER BY id")))
    for start in range(0, len(devices), DEVICES_AT_ONCE):
        some = devices[start : start + DEVICES_AT_ONCE]
        async with db.transaction(engine) as session:
            await session.execute(sa.text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
            await session.execute(
                _PROMPT,
                {
                    "received_from": hour,
                    "received_to": hour + HOUR,
                    "prompt_from": hour - HOUR,
                    "until": until,
                    "first_on": _day(hour - HOUR),
                    "last_on": _day(until),
                    "lowest": some[0],
                    "highest": some[-1],
                },
            )
    async with db.transaction(engine) as session:
        late = (await session.execute(_LATE, _received(hour) | {"prompt_from": hour - HOUR})).all()
    for start in range(0, len(late), LATE_AT_ONCE):
        async with db.transaction(engine) as session:
            await session.execute(sa.text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
            await _recompute(session, [tuple(row) for row in late[start : start + LATE_AT_ONCE]])
    if late:
        log.info("devices.health.recomputed", hour=hour.isoformat(), device_hours=len(late))


def select_hours(device_id: int, since: datetime, until: datetime) -> sa.Select[HealthHour]:
    """Query of a device's hours that begin in [since, until)."""
    return sa.select(HealthHour).where(
        HealthHour.device_id == device_id, HealthHour.hour >= since, HealthHour.hour < until
    )


async def _recompute(session: AsyncSession, late: Sequence[tuple[int, datetime]]) -> None:
    earliest = min(hour for _, hour in late)
    await session.execute(
        _RECOMPUTE,
        {
            "ids": [device_id for device_id, _ in late],
            "hours": [hour for _, hour in late],
            "earliest": earliest,
            "first_on": _day(earliest),
            "last_on": _day(max(hour for _, hour in late) + BEHIND + HOUR),
        },
    )


def _received(hour: datetime) -> dict[str, object]:
    """Parameters that name the heartbeats received in an hour."""
    return {
        "received_from": hour,
        "received_to": hour + HOUR,
        "first_on": _day(hour),
        "last_on": _day(hour + HOUR),
    }


def _day(at: datetime) -> date:
    """Local day: the partition that holds what was received then."""
    return at.astimezone(LOCAL).date()


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
