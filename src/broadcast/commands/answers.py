"""Answers of devices: refusals of documents and commands, and results of commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.online_minutes import happened_at
from broadcast.wire.events import CommandResult, Refusal

REFUSALS = Counter("broadcast_refusals", "Documents and commands that devices refused", ["reason"])
RESULTS = Counter("broadcast_command_results", "Results of commands", ["result"])

_REFUSALS = sa.text("""
    INSERT INTO refusals (device_id, topic, reason, detail, sent_at, received_at, command_id)
    SELECT device_id, topic, reason, detail, sent_at, :received_at, command_id
    FROM unnest(CAST(:ids AS integer[]), CAST(:topics AS text[]), CAST(:reasons AS text[]),
                CAST(:details AS text[]), CAST(:sent_at AS timestamptz[]),
                CAST(:commands AS text[]))
        AS n (device_id, topic, reason, detail, sent_at, command_id)
    ON CONFLICT DO NOTHING
""")


async def record_refusals(
    session: AsyncSession, arrivals: Sequence[Arrival[Refusal]], received_at: datetime
) -> None:
    """Keep what devices would not accept; a repetition of the same message once."""
    for arrival in arrivals:
        REFUSALS.labels(arrival.message.reason).inc()
    await session.execute(
        _REFUSALS,
        {
            "ids": [arrival.device_id for arrival in arrivals],
            "topics": [arrival.message.topic for arrival in arrivals],
            "reasons": [arrival.message.reason for arrival in arrivals],
            "details": [arrival.message.detail for arrival in arrivals],
            "sent_at": [arrival.message.sent_at for arrival in arrivals],
            "commands": [arrival.message.command_id for arrival in arrivals],
            "received_at": received_at,
        },
    )


_RESULTS = sa.text("""
    INSERT INTO command_results (device_id, command_id, result, detail, sent_at, received_at,
                                 kind, heard)
    SELECT device_id, command_id, result, detail, sent_at, :received_at, kind, heard
    FROM unnest(CAST(:ids AS integer[]), CAST(:commands AS text[]), CAST(:results AS text[]),
                CAST(:details AS text[]), CAST(:sent_at AS timestamptz[]),
                CAST(:kinds AS text[]), CAST(:heard AS text[]))
        AS n (device_id, command_id, result, detail, sent_at, kind, heard)
    ON CONFLICT DO NOTHING
""")


async def record_results(
    session: AsyncSession, arrivals: Sequence[Arrival[CommandResult]], received_at: datetime
) -> None:
    """Keep what came of commands; the first answer stands."""
    for arrival in arrivals:
        RESULTS.labels(arrival.message.result).inc()
    await session.execute(
        _RESULTS,
        {
            "ids": [arrival.device_id for arrival in arrivals],
            "commands": [arrival.message.command_id for arrival in arrivals],
            "results": [arrival.message.result for arrival in arrivals],
            "details": [arrival.message.detail for arrival in arrivals],
            "sent_at": [
                happened_at(arrival.message.sent_at, received_at, trusted=True)
                for arrival in arrivals
            ],
            "kinds": [arrival.message.kind or "" for arrival in arrivals],
            "heard": [arrival.message.heard or "" for arrival in arrivals],
            "received_at": received_at,
        },
    )
