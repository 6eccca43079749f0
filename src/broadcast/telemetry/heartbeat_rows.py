"""Statements of heartbeats, in bulk: raw rows, online minutes, and presence by the fast path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.fast_path import Step
from broadcast.telemetry.online_minutes import MINUTES, Reception, minute_of
from broadcast.telemetry.presence import PresenceThresholds
from broadcast.wire.codec import encode
from broadcast.wire.events import Heartbeat


def columns(beats: Sequence[Arrival[Heartbeat]]) -> dict[str, str]:
    """Parameters that the statements have in common: one text for each column.

    The bodies are made of those that came without.
    """
    return {
        "ids": db.array([beat.device_id for beat in beats]),
        "sessions": db.array([beat.message.session for beat in beats]),
        "seqs": db.array([beat.message.seq for beat in beats]),
        "sent_at": db.array([beat.message.sent_at.timestamp() for beat in beats]),
        "bodies": db.lines([beat.body or _body(beat.message) for beat in beats]),
    }


def _body(message: Heartbeat) -> bytes:
    """JSON without `held`, which receipts record."""
    return encode(msgspec.structs.replace(message, held={}))


_BEATS = sa.text("""
    WITH beat AS MATERIALIZED (
        SELECT device_id, session, seq, date '1970-01-01' + minute / 1440 AS day,
               minute % 1440 AS minute, old_seq, to_timestamp(seen) AS last_seen_at
        FROM unnest(
            CAST(CAST(:ids AS text) AS integer[]), CAST(CAST(:sessions AS text) AS bigint[]),
            CAST(CAST(:seqs AS text) AS bigint[]), CAST(CAST(:minutes AS text) AS integer[]),
            CAST(CAST(:old_seqs AS text) AS bigint[]), CAST(CAST(:seen AS text) AS float[])
        ) AS beat (device_id, session, seq, minute, old_seq, seen)
    ),
    online AS (
        INSERT INTO online_minutes AS m (device_id, day, minutes)
        SELECT device_id, day, bit_or(set_bit(0::bit(1440), minute, 1)) FROM beat
        GROUP BY device_id, day
        ORDER BY device_id, day
        ON CONFLICT (device_id, day) DO UPDATE SET minutes = m.minutes | excluded.minutes
        WHERE m.minutes & excluded.minutes <> excluded.minutes
    )
    UPDATE device_presence AS p
    SET seq = n.seq, last_seen_at = GREATEST(p.last_seen_at, n.last_seen_at),
        silent_after = GREATEST(p.last_seen_at, n.last_seen_at) + CAST(:silent AS interval)
    FROM beat AS n
    WHERE n.old_seq IS NOT NULL AND p.device_id = n.device_id AND p.session = n.session
      AND p.seq < n.seq AND p.held_seq <= n.old_seq AND p.presence = 'online' AND NOT p.gone
      AND NOT p.clock_wrong
    RETURNING p.device_id
""")
"""Minutes, and the state of devices that stay online."""

_RAW = sa.text("""
    INSERT INTO heartbeats (received_on, device_id, session, seq, sent_at, received_at, body)
    SELECT :received_on, device_id, session, seq, to_timestamp(sent_at), :received_at, body::json
    FROM unnest(
        CAST(CAST(:ids AS text) AS integer[]), CAST(CAST(:sessions AS text) AS bigint[]),
        CAST(CAST(:seqs AS text) AS bigint[]), CAST(CAST(:sent_at AS text) AS float[]),
        string_to_array(:bodies, chr(10))
    ) AS beat (device_id, session, seq, sent_at, body)
    ON CONFLICT DO NOTHING
""")


async def keep_raw(
    session: AsyncSession, parameters: Mapping[str, str], received_at: datetime
) -> None:
    """Store heartbeats as they came, for the hourly health and for technicians.

    Args:
        session: A transaction, of the batch or another.
        parameters: `columns` of the heartbeats.
        received_at: When the batch was taken from the broker.
    """
    await session.execute(
        _RAW,
        {
            **parameters,
            "received_on": received_at.astimezone(LOCAL).date(),
            "received_at": received_at,
        },
    )


async def advance(
    session: AsyncSession,
    beats: Sequence[Arrival[Heartbeat]],
    parameters: Mapping[str, str],
    steps: Mapping[int, Step],
    reception: Reception,
    thresholds: PresenceThresholds,
) -> set[int]:
    """Store the minutes, and the latest state of devices of which it is known what it was.

    Args:
        session: Transaction of the batch.
        beats: Heartbeats.
        parameters: `columns` of them.
        steps: Those that `FastPath.match` found in them.
        reception: When they were received.
        thresholds: Thresholds of presence.

    Returns:
        The devices whose state was as expected; that of the others is unchanged.
    """
    old_seqs: list[object] = [None] * len(beats)
    seen: list[object] = [None] * len(beats)
    for before, _, last_seen_at, place in steps.values():
        old_seqs[place] = before.seq
        seen[place] = last_seen_at.timestamp()
    rows = await session.execute(
        _BEATS,
        {
            "ids": parameters["ids"],
            "sessions": parameters["sessions"],
            "seqs": parameters["seqs"],
            "minutes": db.array(_minutes(beats, reception)),
            "old_seqs": db.array(old_seqs),
            "seen": db.array(seen),
            "silent": thresholds.silent,
        },
    )
    return set(rows.scalars())


def _minutes(beats: Iterable[Arrival[Heartbeat]], reception: Reception) -> Iterator[int]:
    """Minute in which each was sent, in minutes of local time since 1970-01-01 00:00."""
    known: dict[int, int] = {}
    for beat in beats:
        message = beat.message
        at = reception.happened_at(message.sent_at, trusted=message.clock.trusted)
        minute = int(at.timestamp()) // 60
        if minute not in known:
            day, of_day = minute_of(at, LOCAL)
            known[minute] = (day - date(1970, 1, 1)).days * MINUTES + of_day
        yield known[minute]
