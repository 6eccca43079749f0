"""A province of full size with a year of history, written by SQL. No benchmark of its own.

The real 96 communes; villages, stations, clusters and all that they did are invented, the same
way every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.areas.imports import import_areas, official_files
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from tests.callers import add_people

CLUSTERS, VILLAGES_PER_COMMUNE, DAYS = 3000, 16, 365
PLAYS_A_DAY: Sequence[time] = (time(5, 30), time(11), time(17, 30))

_REGISTER = (
    """
    INSERT INTO areas (code, level, kind, name, parent_code, valid_from)
    SELECT format('%s-%s', commune.code, number), 'village', 'thôn',
           format('Thôn %s %s', number, commune.name), commune.code, commune.valid_from
    FROM areas commune CROSS JOIN generate_series(1, :villages) number
    WHERE commune.level = 'commune' AND commune.valid_to IS NULL
    """,
    """
    INSERT INTO stations (code, name, commune_code, valid_from)
    SELECT 'DTT-' || code, 'Đài ' || name, code, valid_from FROM areas
    WHERE level = 'commune' AND valid_to IS NULL
    """,
    """
    INSERT INTO station_states (station_id, valid_from, status, cause, document)
    SELECT id, valid_from, 'operating', '', '' FROM stations
    """,
    "INSERT INTO plants (code, name) SELECT code, name FROM stations ORDER BY code",
    """
    INSERT INTO plant_states (plant_id, valid_from, station_id, technologies, status, document)
    SELECT plant.id, station.valid_from, station.id,
           CASE WHEN plant.id % 10 = 0 THEN ARRAY['fm'] ELSE ARRAY['it'] END, 'operating', ''
    FROM plants plant JOIN stations station ON station.code = plant.code
    """,
    """
    INSERT INTO baseline_stations (station_id, listed_on, technologies, document)
    SELECT id, valid_from, ARRAY['fm'], '' FROM stations
    """,
    """
    WITH village AS (
        SELECT code, parent_code, valid_from, row_number() OVER (ORDER BY code) - 1 AS place,
               count(*) OVER () AS villages
        FROM areas WHERE level = 'village'
    ),
    made AS (
        INSERT INTO clusters (code, name, plant_id, horns_count, evidence, installed_on)
        SELECT format('C%s', lpad(number::text, 5, '0')), '', plant.id, 2,
               CASE WHEN number % 10 = 0 THEN 'attested' ELSE 'telemetry' END, village.valid_from
        FROM generate_series(0, :clusters - 1) number
        JOIN village ON village.place = number % village.villages
        JOIN plants plant ON plant.code = 'DTT-' || village.parent_code
        ORDER BY number
        RETURNING id, code, installed_on
    )
    INSERT INTO cluster_villages (cluster_id, village_code, valid_from, grade)
    SELECT made.id, village.code, made.installed_on, 'primary'
    FROM made JOIN village ON village.place = substr(made.code, 2)::int % village.villages
    """,
    """
    INSERT INTO devices (code, model, serial, codecs, volume, alert_volume, enrolled_at)
    SELECT replace(lower(code), 'c', 'loa-'), '', '', ARRAY['opus'], 70, 100, :begins_at
    FROM clusters ORDER BY id
    """,
    """
    INSERT INTO installations (device_id, cluster_id, installed_at)
    SELECT device.id, cluster.id, :begins_at
    FROM devices device
    JOIN clusters cluster ON device.code = replace(lower(cluster.code), 'c', 'loa-')
    WHERE cluster.evidence = 'telemetry'
    """,
    """
    INSERT INTO attestations (cluster_id, attested_at, attested_by, reference, note)
    SELECT id, CAST(:now AS timestamptz) - month * interval '25 days' - interval '1 hour',
           'Trưởng thôn', 'ảnh', ''
    FROM clusters CROSS JOIN generate_series(0, 11) month WHERE evidence = 'attested'
    """,
    """
    INSERT INTO faults (device_id, kind, opened_at, closed_at, detail)
    SELECT id, 'line_open', CAST(:now AS timestamptz) - interval '20 days',
           CASE WHEN id % 100 <> 0 THEN CAST(:now AS timestamptz) - interval '19 days' END, ''
    FROM devices WHERE id % 10 = 0
    """,
    """
    INSERT INTO outages (kind, cluster_id, area_code, starts_at, ends_at, document, declared_by)
    SELECT 'power_cut', NULL, code, at, at + interval '5 hours', '', (SELECT min(id) FROM accounts)
    FROM areas CROSS JOIN generate_series(
        CAST(:begins_at AS timestamptz), CAST(:now AS timestamptz), interval '30 days'
    ) at
    WHERE level = 'commune' AND valid_to IS NULL
    """,
)

_MINUTES = """
INSERT INTO online_minutes (device_id, day, minutes)
SELECT device_id, day::date, CASE
    WHEN (device_id + extract(doy FROM day)::int) % 20 = 0 THEN half ELSE whole END
FROM generate_series(CAST(:first_on AS date), CAST(:last_on AS date), interval '1 day') day
CROSS JOIN installations CROSS JOIN (
    SELECT repeat('1', 1440)::bit(1440) AS whole, repeat('01', 720)::bit(1440) AS half
) map
"""

_PLAYS = """
WITH slot AS (
    SELECT gen_random_uuid() AS id, (day + CAST(:clock AS time)) AT TIME ZONE :zone AS starts_at,
           date_trunc('month', day)::date AS month, day
    FROM generate_series(CAST(:first_on AS timestamp), CAST(:last_on AS timestamp),
                         interval '1 day') day
)
INSERT INTO plays (occurrence_id, cluster_id, month, starts_at, ends_by, state, reason, device_id,
                   started_at, ended_at, played_seconds, fresh_starts, evidence, settled_at,
                   restated)
SELECT slot.id, installed.cluster_id, slot.month, slot.starts_at,
       slot.starts_at + interval '10 min',
       CASE WHEN missed THEN 'missed' ELSE 'played' END, '', installed.device_id, slot.starts_at,
       CASE WHEN NOT missed THEN slot.starts_at + interval '5 min' END, 300, 1, 'device',
       slot.starts_at + interval '6 min', 0
FROM slot CROSS JOIN LATERAL (
    SELECT *, (cluster_id + extract(doy FROM slot.day)::int) % 15 = 0 AS missed FROM installations
) installed
"""

_HEARTBEATS = """
INSERT INTO heartbeats (received_on, device_id, session, seq, sent_at, received_at, body)
SELECT :day, id, :session, seq, at, at, CAST(:body AS json)
FROM devices CROSS JOIN generate_series(1, :beats) seq
CROSS JOIN LATERAL (SELECT CAST(:day AS timestamp) + seq * interval '1 minute' AS at) sent
"""

BODY = (
    '{"session": 1, "seq": 1, "clock": {"trusted": true, "source": "ntp"}, "volume": 70,'
    ' "uptime_seconds": 864000, "signal_dbm": -71, "temperature_c": 41.5, "free_bytes": 734003200}'
)


async def fill(
    engine: AsyncEngine,
    now: datetime,
    days: int = DAYS,
    plays_a_day: Sequence[time] = PLAYS_A_DAY,
    clusters: int | None = None,
) -> None:
    """Fill an empty, migrated database with a province that has run for so many days."""
    today = now.astimezone(LOCAL).date()
    first_on = today - timedelta(days=days)
    async with db.transaction(engine) as session:
        await _plain(session)
        await import_areas(session, *official_files())
        await add_people(session)
        parameters = {
            "villages": VILLAGES_PER_COMMUNE, "clusters": clusters or CLUSTERS, "now": now,
            "begins_at": datetime.combine(first_on, time(6, 30), LOCAL),
        }  # fmt: skip
        for statement in _REGISTER:
            named = {key: value for key, value in parameters.items() if f":{key}" in statement}
            await session.execute(sa.text(statement), named)
        for offset in range(-31, days + 15):
            day = first_on + timedelta(days=offset)
            await db.ensure_partition(session, "plays", day)
            await db.ensure_partition(session, "online_minutes", day)
    for month in _months(first_on, today):
        async with db.transaction(engine) as session:
            await _plain(session)
            await session.execute(sa.text(_MINUTES), month)
            for clock in plays_a_day:
                parameters = month | {"clock": clock, "zone": LOCAL.key}
                await session.execute(sa.text(_PLAYS), parameters)
    await analyze(engine)


async def beat(engine: AsyncEngine, day: date, session_number: int, beats: int) -> None:
    """So many raw heartbeats more of every device."""
    async with db.transaction(engine) as session:
        await _plain(session)
        await db.ensure_day(session, day)
        await session.execute(
            sa.text(_HEARTBEATS),
            {"day": day, "session": session_number, "beats": beats, "body": BODY},
        )


async def analyze(engine: AsyncEngine) -> None:
    """The work that autovacuum would have done by now."""
    async with engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(sa.text("VACUUM ANALYZE"))


async def _plain(session: AsyncSession) -> None:
    """Long statements, no triggers and no waiting for the disk: it is only made up."""
    for setting in ("statement_timeout = 0", "session_replication_role = replica",
                    "synchronous_commit = off"):  # fmt: skip
        await session.execute(sa.text(f"SET LOCAL {setting}"))


def _months(first_on: date, last_on: date) -> list[dict[str, date]]:
    months = []
    while first_on <= last_on:
        after = (first_on.replace(day=1) + timedelta(days=32)).replace(day=1)
        months.append({"first_on": first_on, "last_on": min(after - timedelta(days=1), last_on)})
        first_on = after
    return months
