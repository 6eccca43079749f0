"""PostgreSQL hangs, then dies, while 10,000 devices go on: memory, and the backlog afterwards.

Six heartbeats of each of 10,000 devices (six minutes' worth) are published in a few seconds while
PostgreSQL is frozen (SIGSTOP of all its processes: connections stand and answer nothing) and then
killed. Nothing may be acknowledged meanwhile. When it is back every heartbeat must be committed,
once. Reported: how much the memory of our process grew at most, and how fast the backlog drained
beside the same number of heartbeats with PostgreSQL well, in the same run.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness.publisher import Publisher
from benchmarks.harness.system import System, check_minutes, resident_bytes, until_committed
from benchmarks.result import Result
from broadcast.kit import clock

DEVICES = 10_000
ROUNDS = 6
FROZEN_SECONDS = 8.0
LIMIT_BYTES = 50e6
"""Growth that is allowed: the broker's window and the next batch, several times over."""


class Outage(NamedTuple):
    """Outcome of one outage."""

    grown_bytes: float
    drained_per_second: float
    usual_per_second: float


def run() -> list[Result]:
    """Memory in MB, rates in messages per second."""
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        outage = asyncio.run(suffer(system, DEVICES, ROUNDS))
    return [
        Result("outage_memory_growth", outage.grown_bytes / 1e6, LIMIT_BYTES / 1e6, "MB", "≤ 1"),
        Result("outage_drain", outage.drained_per_second, outage.usual_per_second, "msg/s"),
    ]


async def suffer(system: System, devices: int, rounds: int) -> Outage:
    """Go through it.

    Raises:
        TimeoutError: A heartbeat was lost.
        ValueError: Presence or online minutes do not say what the heartbeats said.
    """
    base = clock.now() - timedelta(minutes=2 * rounds + 3)
    connection = await system.prepare(devices)
    system.start_ingest()
    await system.hear(connection, devices, base)
    first, second, end = 2, 2 + rounds, 2 + 2 * rounds
    with Publisher(system.broker.port, "ttn/v1", devices, range(first, second), base) as publisher:
        began = publisher.send()
        ended = await until_committed(connection, devices * (second - 1), devices, second - 1)
    usual = devices * rounds / (ended - began)
    await connection.close()

    before = resident_bytes(system.ingest.pid)
    most = before
    with (
        Publisher(system.broker.port, "ttn/v1", devices, range(second, end), base) as publisher,
        system.held_back(system.postgres.pid),
    ):
        publisher.send()
        until = time.monotonic() + FROZEN_SECONDS
        while time.monotonic() < until:
            most = max(most, resident_bytes(system.ingest.pid))
            await asyncio.sleep(0.1)
        publisher.wait()
    system.postgres.kill()
    most = max(most, resident_bytes(system.ingest.pid))
    system.postgres.start()
    began = time.monotonic()
    connection = await system.connect()
    ended = await until_committed(connection, devices * (end - 1), devices, end - 1)
    most = max(most, resident_bytes(system.ingest.pid))
    await check_minutes(connection, devices, range(1, end), base)
    await connection.close()
    return Outage(most - before, devices * rounds / (ended - began), usual)
