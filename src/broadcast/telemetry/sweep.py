"""The sweep: devices that have sent nothing for too long become silent, then offline.

`ingest` notes in `listening_spans` when it received everything that was sent; the sweep judges by
that time only, so it does not matter which process runs it or which one was away.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.kit import failures
from broadcast.telemetry import presence_rows
from broadcast.telemetry.heartbeats import presence_thresholds
from broadcast.telemetry.presence import (
    CLOCK_SET,
    Listening,
    PresenceTransition,
    State,
    after_silence,
    clamped,
    lies_ahead,
)

_DUE = sa.text("""
    SELECT device_id, presence, since, session, seq, gone, last_seen_at, silent_after
    FROM device_presence
    WHERE (presence = 'online' AND silent_after <= :until)
       OR (presence = 'silent' AND last_seen_at <= :until - CAST(:offline AS interval))
       OR last_seen_at > :ahead OR since > :ahead
    ORDER BY device_id
    FOR UPDATE SKIP LOCKED
""")

_UPDATE = sa.text("""
    UPDATE device_presence AS p
    SET presence = n.presence, since = n.since, last_seen_at = n.last_seen_at,
        silent_after = n.silent_after
    FROM unnest(CAST(:ids AS integer[]), CAST(:presence AS text[]), CAST(:since AS timestamptz[]),
                CAST(:seen AS timestamptz[]), CAST(:silent AS timestamptz[]))
        AS n (device_id, presence, since, last_seen_at, silent_after)
    WHERE p.device_id = n.device_id
""")


_NEWEST = sa.text("""
    SELECT span.workers, span.started_at, span.until
    FROM (SELECT workers FROM listening_spans ORDER BY id DESC LIMIT 1) AS newest
    CROSS JOIN generate_series(1, newest.workers) AS sharing (worker)
    CROSS JOIN LATERAL (
        SELECT workers, started_at, until FROM listening_spans
        WHERE worker = sharing.worker ORDER BY id DESC LIMIT 1
    ) AS span
""")


async def listening(session: AsyncSession) -> Listening | None:
    """The newest span in which the server received everything; None when there is none.

    With several workers: what the last spans that they began have in common. A worker that is not
    there, or was started when there were more or fewer of them, leaves nothing in common.
    """
    rows = (await session.execute(_NEWEST)).all()
    started_at = max((row.started_at for row in rows), default=None)
    until = min((row.until for row in rows), default=None)
    complete = all(row.workers == len(rows) for row in rows)
    if started_at is None or until is None or until < started_at or not complete:
        return None
    return Listening(started_at, until)


async def most_workers(session: AsyncSession) -> int:
    """The most workers that ever shared the work."""
    most = await session.scalar(sa.text("SELECT max(workers) FROM listening_spans"))
    return most or 1


async def listened_until(session: AsyncSession) -> datetime | None:
    """Moment up to which every worker has received everything; None when one never has."""
    rows = (await session.execute(_NEWEST)).all()
    complete = all(row.workers == len(rows) for row in rows)
    return min((row.until for row in rows), default=None) if complete else None


def complete_spans(since: str, until: str) -> str:
    """Query of the spans (`spans`, multiranges) in which the server received everything.

    One row for each number of workers that shared the work: what the spans of all of them have in
    common.

    Args:
        since: SQL of the instant from which on.
        until: SQL of the instant up to which.
    """
    return f"""
        SELECT range_intersect_agg(spans) AS spans
        FROM (
            SELECT workers, range_agg(tstzrange(started_at, until, '[]')) AS spans
            FROM listening_spans
            WHERE started_at <= {until} AND until >= {since}
            GROUP BY workers, worker
        ) AS each_worker
        GROUP BY workers
        HAVING count(*) = workers
    """  # noqa: S608 — constants of the statements that contain it


_LISTENED = sa.text("""
    INSERT INTO listening_spans (worker, workers, started_at, until)
    VALUES (:worker, :workers, :started_at, :until)
    ON CONFLICT (worker, started_at)
        DO UPDATE SET until = GREATEST(listening_spans.until, excluded.until)
""")


async def keep_listening(
    session: AsyncSession, span: Listening, worker: int = 1, workers: int = 1
) -> None:
    """Store that a worker received everything in this span, up to its end so far."""
    await session.execute(
        _LISTENED,
        {
            "worker": worker,
            "workers": workers,
            "started_at": span.started_at,
            "until": span.until,
        },
    )


async def sweep(session: AsyncSession, now: datetime, rules: Rules) -> int:
    """Change the presence of devices that have been silent for too long.

    Returns:
        Number of transitions written.
    """
    span = await listening(session)
    if span is None or lies_ahead(span, now):
        return 0
    thresholds = presence_thresholds(rules)
    parameters = {"until": span.until, "offline": thresholds.offline, "ahead": now + CLOCK_SET}
    states: dict[int, State] = {}
    transitions: list[tuple[int, PresenceTransition]] = []
    for row in await session.execute(_DUE, parameters):
        device_id = row.device_id
        try:
            before = presence_rows.state_of(row)
            state, found = after_silence(clamped(before, now, thresholds), span, thresholds)
        except Exception as error:  # noqa: BLE001 — this device alone is at fault
            await failures.record(session, "presence", str(device_id), error, now)
            continue
        if state != before:
            states[device_id] = state
            transitions.extend((device_id, transition) for transition in found)
    if states:
        await session.execute(
            _UPDATE,
            {
                "ids": list(states),
                "presence": [state.presence.value for state in states.values()],
                "since": [state.since for state in states.values()],
                "seen": [state.last_seen_at for state in states.values()],
                "silent": [state.silent_after for state in states.values()],
            },
        )
        await presence_rows.keep_transitions(session, transitions, now)
    return len(transitions)
