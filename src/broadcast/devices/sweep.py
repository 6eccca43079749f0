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
from broadcast.devices.model import ListeningSpan
from broadcast.devices.presence import (
    CLOCK_SET,
    Flip,
    Listening,
    Presence,
    State,
    believed,
    lies_ahead,
    overdue,
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

_TURN = sa.text("""
    UPDATE device_presence AS p
    SET presence = n.presence, since = n.since, last_seen_at = n.last_seen_at,
        silent_after = n.silent_after
    FROM unnest(CAST(:ids AS integer[]), CAST(:presence AS text[]), CAST(:since AS timestamptz[]),
                CAST(:seen AS timestamptz[]), CAST(:silent AS timestamptz[]))
        AS n (device_id, presence, since, last_seen_at, silent_after)
    WHERE p.device_id = n.device_id
""")


async def listening(session: AsyncSession) -> Listening | None:
    """The last span in which the server heard everything; None before the first.

    The last one to be begun, whatever the clock was then: a device's dates are of no earlier one.
    """
    latest = sa.select(ListeningSpan).order_by(ListeningSpan.id.desc()).limit(1)
    span = await session.scalar(latest)
    return None if span is None else Listening(span.started_at, span.until)


_LISTENED = sa.text("""
    INSERT INTO listening_spans (started_at, until) VALUES (:started_at, :until)
    ON CONFLICT (started_at)
        DO UPDATE SET until = GREATEST(listening_spans.until, excluded.until)
""")


async def keep_listening(session: AsyncSession, span: Listening) -> None:
    """Store that the server heard everything in this span, up to its end so far."""
    await session.execute(_LISTENED, {"started_at": span.started_at, "until": span.until})


async def sweep(session: AsyncSession, now: datetime, rules: Rules) -> int:
    """Flip the presence of devices that have been silent for too long.

    Returns:
        How many flips were written.
    """
    span = await listening(session)
    if span is None or lies_ahead(span, now):
        return 0
    wait = patience(rules)
    parameters = {"until": span.until, "offline": wait.offline, "ahead": now + CLOCK_SET}
    states: dict[int, State] = {}
    flips: list[tuple[int, Flip]] = []
    for device_id, presence, *rest in await session.execute(_DUE, parameters):
        held = State(Presence(presence), *rest)
        state, found = overdue(believed(held, now, wait), span, wait)
        if state != held:
            states[device_id] = state
            flips.extend((device_id, flip) for flip in found)
    if states:
        await session.execute(
            _TURN,
            {
                "ids": list(states),
                "presence": [state.presence.value for state in states.values()],
                "since": [state.since for state in states.values()],
                "seen": [state.last_seen_at for state in states.values()],
                "silent": [state.silent_after for state in states.values()],
            },
        )
        await presence_rows.keep_flips(session, flips, now)
    return len(flips)
