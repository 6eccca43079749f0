"""Time passing without a word: devices fall silent, then offline.

`ingest` says in `listening_spans` when it heard all that was said; the sweep judges by that time
only, so it does not matter which process runs it or who of us was away.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.config import Rules
from broadcast.devices import presence_rows
from broadcast.devices.heartbeats import patience
from broadcast.devices.presence import Flip, Listening, Presence, State, overdue

_DUE = sa.text("""
    SELECT device_id, presence, since, session, seq, gone, last_seen_at, silent_after
    FROM device_presence
    WHERE (presence = 'online' AND silent_after <= :until)
       OR (presence = 'silent' AND last_seen_at <= :until - CAST(:offline AS interval))
    ORDER BY device_id
    FOR UPDATE SKIP LOCKED
""")

_TURN = sa.text("""
    UPDATE device_presence AS p
    SET presence = n.presence, since = n.since
    FROM unnest(CAST(:ids AS integer[]), CAST(:presence AS text[]), CAST(:since AS timestamptz[]))
        AS n (device_id, presence, since)
    WHERE p.device_id = n.device_id
""")


_NEWEST = sa.text("""
    SELECT DISTINCT ON (worker) worker, workers, started_at, until
    FROM listening_spans
    ORDER BY worker, id DESC
""")


async def listening(session: AsyncSession) -> Listening | None:
    """The newest span in which the server heard everything; None when there is none.

    With several workers: what their newest spans have in common. A worker that is not there, or
    was started when there were more or fewer of them, leaves nothing in common.
    """
    rows = (await session.execute(_NEWEST)).all()
    if not rows:
        return None
    workers = max(rows, key=lambda row: row.until).workers
    sharing = [row for row in rows if row.workers == workers and row.worker <= workers]
    started_at = max(row.started_at for row in sharing)
    until = min(row.until for row in sharing)
    if len(sharing) < workers or until < started_at:
        return None
    return Listening(started_at, until)


def heard(since: str, until: str) -> str:
    """Query of the spans (`spans`, multiranges) in which the server heard everything.

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
    """Store that a worker heard everything in this span, up to its end so far."""
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
    """Flip the presence of devices that have been silent for too long.

    Returns:
        How many flips were written.
    """
    span = await listening(session)
    if span is None:
        return 0
    wait = patience(rules)
    parameters = {"until": span.until, "offline": wait.offline}
    states: dict[int, State] = {}
    flips: list[tuple[int, Flip]] = []
    for device_id, presence, *rest in await session.execute(_DUE, parameters):
        state, found = overdue(State(Presence(presence), *rest), span, wait)
        if found:
            states[device_id] = state
            flips.extend((device_id, flip) for flip in found)
    if states:
        await session.execute(
            _TURN,
            {
                "ids": list(states),
                "presence": [state.presence.value for state in states.values()],
                "since": [state.since for state in states.values()],
            },
        )
        await presence_rows.keep_flips(session, flips, now)
    return len(flips)
