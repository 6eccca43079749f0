"""The journals of devices: every record is stored exactly once, and confirmed only without gaps.

A device frees what is confirmed, so a confirmation must never reach past a record that is still
to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.plays.records import comes_before_it_happens
from broadcast.plays.settling import settle_plays
from broadcast.plays.silence import Key
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.heartbeats import clock_is_wrong
from broadcast.telemetry.readiness import parse_id
from broadcast.wire.codec import encode
from broadcast.wire.events import Ended, Lost, Playback, Record, Skipped, Started

log = structlog.get_logger()

RECORDS = Counter("broadcast_journal_records", "Journal records that came", ["outcome"])
UNPLANNED = Counter(
    "broadcast_journal_records_unplanned", "Records of occurrences that no play was planned for"
)

NAMES: dict[type[Record], str] = {
    Started: "started",
    Ended: "ended",
    Skipped: "skipped",
    Lost: "lost",
}

RecordKey = tuple[int, str, int]
"""Device, journal, sequence number."""


class Confirmed(NamedTuple):
    """All records of a journal up to `upto_seq` are stored."""

    device_code: str
    journal_id: str
    upto_seq: int


class Conflict(NamedTuple):
    """A record that differs from the one stored under the same key."""

    device_code: str
    journal_id: str
    seq: int
    body: bytes


class Outcome(NamedTuple):
    """The confirmations and dead letters to send and keep once a batch is committed."""

    confirmed: list[Confirmed]
    conflicts: list[Conflict]


async def record(
    session: AsyncSession,
    arrivals: Sequence[Arrival[Playback]],
    received_at: datetime,
    settle_after: timedelta,
) -> Outcome:
    """Store the records of a batch and settle the plays that they belong to.

    The first record under a key is kept; a different one is a conflict, never an overwrite.
    Records of occurrences that this server does not know are kept too.
    """
    codes = {arrival.device_id: arrival.device_code for arrival in arrivals}
    records: dict[RecordKey, Record] = {}
    others: list[tuple[RecordKey, bytes]] = []
    for arrival in arrivals:
        for item in arrival.message.records:
            key = (arrival.device_id, arrival.message.journal_id, item.seq)
            first = records.setdefault(key, item)
            if first is not item and first != item:
                others.append((key, encode(item)))
    clusters = await _insert(session, records, received_at)
    repeated = [(key, encode(item)) for key, item in records.items() if key not in clusters]
    conflicts = [
        Conflict(codes[key[0]], key[1], key[2], body)
        for key, body in await _differing(session, [*repeated, *others])
    ]
    RECORDS.labels("stored").inc(len(clusters))
    RECORDS.labels("repeated").inc(len(repeated))
    RECORDS.labels("conflicting").inc(len(conflicts))
    planned = await _settle(session, records, clusters, received_at, settle_after)
    await clock_is_wrong(
        session,
        {key[0] for key in planned if _is_mistimed(records[key], received_at)},
        received_at,
    )
    confirmed = [
        Confirmed(codes[device_id], journal_id, upto_seq)
        for device_id, journal_id, upto_seq in await _confirm(session, arrivals)
    ]
    return Outcome(confirmed, conflicts)


_INSERT = sa.text("""
    INSERT INTO journal_records (device_id, journal_id, seq, occurrence_id, cluster_id, event, at,
                                 received_at, body)
    SELECT n.device_id, n.journal_id, n.seq, n.occurrence_id,
           (SELECT i.cluster_id FROM installations AS i
            WHERE i.device_id = n.device_id
              AND i.installed_at <= COALESCE(o.starts_at, LEAST(n.at, :received_at))
              AND (i.removed_at IS NULL
                   OR i.removed_at > COALESCE(o.starts_at, LEAST(n.at, :received_at)))
            ORDER BY i.installed_at DESC LIMIT 1),
           n.event, n.at, :received_at, n.body::jsonb
    FROM unnest(CAST(:ids AS integer[]), CAST(:journals AS text[]), CAST(:seqs AS bigint[]),
                CAST(:occurrences AS text[]), CAST(:events AS text[]),
                CAST(:at AS timestamptz[]), CAST(:bodies AS text[]), CAST(:planned AS uuid[]))
        AS n (device_id, journal_id, seq, occurrence_id, event, at, body, planned)
    LEFT JOIN LATERAL (SELECT starts_at FROM occurrences WHERE id = n.planned LIMIT 1) AS o ON TRUE
    ORDER BY n.device_id, n.journal_id, n.seq
    ON CONFLICT DO NOTHING
    RETURNING device_id, journal_id, seq, cluster_id
""")
"""A record belongs to the cluster on which the device was installed at the planned start, whatever
its clock says; to none, if it was on none then: another device reports for that cluster.
`LIMIT` keeps it a look-up by key: with statistics of an empty table a join reads all of it."""


async def _insert(
    session: AsyncSession, records: Mapping[RecordKey, Record], received_at: datetime
) -> dict[RecordKey, int | None]:
    """Insert new records.

    Returns:
        The cluster of each record inserted.
    """
    rows = await session.execute(
        _INSERT,
        {
            **_ids(records),
            "occurrences": [item.occurrence_id for item in records.values()],
            "events": [NAMES[type(item)] for item in records.values()],
            "at": [
                received_at if isinstance(item, Lost) else item.at for item in records.values()
            ],
            "bodies": [encode(item).decode() for item in records.values()],
            "planned": [parse_id(item.occurrence_id) for item in records.values()],
            "received_at": received_at,
        },
    )
    return {(row.device_id, row.journal_id, row.seq): row.cluster_id for row in rows}


def _ids(keys: Iterable[RecordKey]) -> dict[str, list[object]]:
    keys = list(keys)
    return {
        "ids": [device_id for device_id, _, _ in keys],
        "journals": [journal_id for _, journal_id, _ in keys],
        "seqs": [seq for _, _, seq in keys],
    }


_DIFFERING = sa.text("""
    SELECT n.place
    FROM unnest(CAST(:ids AS integer[]), CAST(:journals AS text[]), CAST(:seqs AS bigint[]),
                CAST(:bodies AS text[]))
        WITH ORDINALITY AS n (device_id, journal_id, seq, body, place)
    JOIN journal_records AS j USING (device_id, journal_id, seq)
    WHERE j.body <> n.body::jsonb
""")


async def _differing(
    session: AsyncSession, candidates: Sequence[tuple[RecordKey, bytes]]
) -> list[tuple[RecordKey, bytes]]:
    """Find the records that differ from the one stored under the same key."""
    if not candidates:
        return []
    bodies = [body.decode() for _, body in candidates]
    ids = _ids(key for key, _ in candidates)
    rows = await session.execute(_DIFFERING, {**ids, "bodies": bodies})
    return [candidates[place - 1] for place in sorted(rows.scalars())]


async def _settle(
    session: AsyncSession,
    records: Mapping[RecordKey, Record],
    clusters: Mapping[RecordKey, int | None],
    now: datetime,
    settle_after: timedelta,
) -> list[RecordKey]:
    """Settle the plays that new records belong to.

    Returns:
        The records that belong to a play.
    """
    plays: set[Key] = set()
    ids: dict[str, UUID | None] = {}
    for key, cluster_id in clusters.items():
        text = records[key].occurrence_id
        occurrence_id = ids.setdefault(text, parse_id(text))
        if occurrence_id is not None and cluster_id is not None:
            plays.add((occurrence_id, cluster_id))
    found: set[Key] = set()
    if plays:
        await session.execute(
            _HOLD, {"ids": sorted({occurrence_id for occurrence_id, _ in plays})}
        )
        found = await settle_plays(session, plays, now, settle_after, "report")
    planned = [
        key
        for key, cluster_id in clusters.items()
        if (ids[records[key].occurrence_id], cluster_id) in found
    ]
    unplanned = sum(not isinstance(records[key], Lost) for key in clusters) - len(planned)
    if unplanned:
        UNPLANNED.inc(unplanned)
        log.warning("plays.records.unplanned", count=unplanned)
    return planned


_HOLD = sa.text("""
    SELECT FROM occurrences
    WHERE id = ANY (CAST(:ids AS uuid[])) AND alert_mode IS NOT NULL AND dirty
    ORDER BY starts_at, id FOR SHARE
""")
"""Devices are told of an alert before its plays are derived. So who derives them finds these
records, or has been waited for, and these records find the plays."""


def _is_mistimed(record: Record, received_at: datetime) -> bool:
    if isinstance(record, Lost):
        return False
    reason = record.reason.value if isinstance(record, Ended | Skipped) else ""
    return comes_before_it_happens(NAMES[type(record)], reason, record.at, received_at)


_CONFIRM = sa.text("""
    WITH n AS (
        SELECT device_id, journal_id, max(oldest_seq) AS oldest_seq
        FROM unnest(CAST(:ids AS integer[]), CAST(:journals AS text[]),
                    CAST(:oldest AS bigint[])) AS n (device_id, journal_id, oldest_seq)
        GROUP BY device_id, journal_id
    ),
    base AS (
        SELECT n.device_id, n.journal_id,
               GREATEST(COALESCE(j.stored_upto, 0), COALESCE(n.oldest_seq, 1) - 1) AS upto
        FROM n LEFT JOIN journals AS j USING (device_id, journal_id)
    )
    INSERT INTO journals AS j (device_id, journal_id, stored_upto)
    SELECT b.device_id, b.journal_id, b.upto + (
        SELECT count(*) FROM (
            SELECT r.seq, row_number() OVER (ORDER BY r.seq) AS place
            FROM journal_records AS r
            WHERE r.device_id = b.device_id AND r.journal_id = b.journal_id AND r.seq > b.upto
            ORDER BY r.seq LIMIT 10000
        ) AS later
        WHERE later.seq = b.upto + later.place
    )
    FROM base AS b
    ORDER BY b.device_id, b.journal_id
    ON CONFLICT (device_id, journal_id)
        DO UPDATE SET stored_upto = GREATEST(j.stored_upto, excluded.stored_upto)
    RETURNING j.device_id, j.journal_id, j.stored_upto
""")
"""The n-th record after the confirmed ones has the n-th number as long as none is missing.
Records older than the oldest one a device keeps were confirmed before, perhaps by a server that
has been restored from a backup since."""


def _oldest(message: Playback) -> int | None:
    """Oldest record that the device keeps; none of those that it sends is older.

    A number beyond its own records would confirm some that never came, and it frees them.
    """
    if message.oldest_seq is None:
        return None
    return min(message.oldest_seq, *(record.seq for record in message.records))


async def _confirm(
    session: AsyncSession, arrivals: Sequence[Arrival[Playback]]
) -> list[RecordKey]:
    rows = await session.execute(
        _CONFIRM,
        {
            "ids": [arrival.device_id for arrival in arrivals],
            "journals": [arrival.message.journal_id for arrival in arrivals],
            "oldest": [_oldest(arrival.message) for arrival in arrivals],
        },
    )
    return [(row.device_id, row.journal_id, row.stored_upto) for row in rows]
