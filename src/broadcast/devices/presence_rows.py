"""Reading and writing the latest state of devices, many at a time."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.presence import Flip, Presence, State

FLIPS = Counter("broadcast_presence_flips", "Changes of presence", ["presence", "cause"])


class Known(NamedTuple):
    """What the database holds of a device."""

    state: State
    clock_wrong: bool
    held: dict[str, int] | None
    """None: just what the device says now."""


class Row(NamedTuple):
    """What is to be stored of a device; None leaves a column as it is."""

    device_id: int
    state: State
    clock_wrong: bool
    held: str | None
    heartbeat: str | None


_LOCK = sa.text("""
    SELECT p.device_id, p.presence, p.since, p.session, p.seq, p.gone, p.last_seen_at,
           p.silent_after, p.clock_wrong,
           CASE WHEN n.held IS NULL OR p.held = n.held::jsonb THEN NULL ELSE p.held::text END
    FROM unnest(CAST(:ids AS integer[]), CAST(:held AS text[])) AS n (device_id, held)
    JOIN device_presence AS p ON p.device_id = n.device_id
    ORDER BY p.device_id
    FOR UPDATE OF p
""")


async def lock(session: AsyncSession, held: Mapping[int, str | None]) -> dict[int, Known]:
    """Rows of devices, locked in the order of their ids: two writers never wait crosswise.

    Args:
        session: Transaction of the caller.
        held: Device → `held` as it says now, JSON; None when it did not say.
    """
    rows = await session.execute(_LOCK, {"ids": list(held), "held": list(held.values())})
    return {
        row[0]: Known(
            State(Presence(row[1]), *row[2:8]),
            row[8],
            None if row[9] is None else msgspec.json.decode(row[9]),
        )
        for row in rows
    }


_NEW_ROWS = """
    unnest(CAST(:ids AS integer[]), CAST(:presence AS text[]), CAST(:since AS timestamptz[]),
           CAST(:session AS bigint[]), CAST(:seq AS bigint[]), CAST(:gone AS boolean[]),
           CAST(:last_seen_at AS timestamptz[]), CAST(:silent_after AS timestamptz[]),
           CAST(:clock_wrong AS boolean[]), CAST(:held AS text[]), CAST(:heartbeat AS text[]))
    AS n (device_id, presence, since, session, seq, gone, last_seen_at, silent_after,
          clock_wrong, held, heartbeat)
"""

_UPDATE = sa.text(f"""
    UPDATE device_presence AS p
    SET presence = n.presence, since = n.since, session = n.session, seq = n.seq, gone = n.gone,
        last_seen_at = n.last_seen_at, silent_after = n.silent_after,
        clock_wrong = n.clock_wrong, held = COALESCE(n.held::jsonb, p.held),
        heartbeat = COALESCE(n.heartbeat::jsonb, p.heartbeat)
    FROM {_NEW_ROWS}
    WHERE p.device_id = n.device_id
""")  # noqa: S608 — a constant of this module

_INSERT = sa.text(f"""
    INSERT INTO device_presence (device_id, presence, since, session, seq, gone, last_seen_at,
                                 silent_after, clock_wrong, held, heartbeat)
    SELECT device_id, presence, since, session, seq, gone, last_seen_at, silent_after,
           clock_wrong, COALESCE(held, '{{}}')::jsonb, heartbeat::jsonb
    FROM {_NEW_ROWS}
    ORDER BY device_id
    ON CONFLICT DO NOTHING
""")  # noqa: S608 — a constant of this module


async def update(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Rewrite rows that `lock` has returned."""
    if rows:
        await session.execute(_UPDATE, _columns(rows))


async def insert(session: AsyncSession, rows: Sequence[Row]) -> None:
    """First rows of devices. Where another process was faster, its row stands."""
    if rows:
        await session.execute(_INSERT, _columns(rows))


def _columns(rows: Sequence[Row]) -> dict[str, list[object]]:
    states = [row.state for row in rows]
    return {
        "ids": [row.device_id for row in rows],
        "presence": [state.presence.value for state in states],
        "since": [state.since for state in states],
        "session": [state.session for state in states],
        "seq": [state.seq for state in states],
        "gone": [state.gone for state in states],
        "last_seen_at": [state.last_seen_at for state in states],
        "silent_after": [state.silent_after for state in states],
        "clock_wrong": [row.clock_wrong for row in rows],
        "held": [row.held for row in rows],
        "heartbeat": [row.heartbeat for row in rows],
    }


_FLIPS = sa.text("""
    INSERT INTO presence_changes (device_id, presence, happened_at, recorded_at, cause)
    SELECT device_id, presence, happened_at, :recorded_at, cause
    FROM unnest(CAST(:ids AS integer[]), CAST(:presence AS text[]),
                CAST(:happened_at AS timestamptz[]), CAST(:cause AS text[]))
        WITH ORDINALITY AS n (device_id, presence, happened_at, cause, place)
    ORDER BY place
""")


async def keep_flips(
    session: AsyncSession, flips: Iterable[tuple[int, Flip]], recorded_at: datetime
) -> None:
    """Append flips of devices, each device's in the order in which they happened."""
    flips = list(flips)
    if not flips:
        return
    await session.execute(
        _FLIPS,
        {
            "ids": [device_id for device_id, _ in flips],
            "presence": [flip.presence.value for _, flip in flips],
            "happened_at": [flip.happened_at for _, flip in flips],
            "cause": [flip.cause for _, flip in flips],
            "recorded_at": recorded_at,
        },
    )
    for (presence, cause), count in Tally((f.presence.value, f.cause) for _, f in flips).items():
        FLIPS.labels(presence, cause).inc(count)
