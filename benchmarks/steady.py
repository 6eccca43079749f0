"""Ten thousand connected devices that send 1,111 heartbeats a second, and how the cost grows.

1,000, then 3,000, then 10,000 devices, each with a connection of its own and a heartbeat every
nine seconds: ThingsBoard published 20 % of four cores for 1,111 messages a second into
PostgreSQL. Ours is `broadcast serve --role ingest` alone; PostgreSQL is durable.

* `steady_cpu`: share of one core that our process takes at 10,000 devices;
* `steady_memory`: its resident memory then;
* `steady_p99`: from a heartbeat's `sent_at` to the commit of its row. PostgreSQL notes the time of
  each commit (`track_commit_timestamp`) just before it writes the log to disk, so the longest of
  the durable commits that a probe makes meanwhile, twice a second, is added;
* `cost_per_device_10x`: CPU per device, ours and PostgreSQL's, at 10,000 devices against the same
  at 1,000: batches grow with the fleet, so it falls; above 1 something would grow faster;
* `sweep_per_device_10x`: one look for devices that have fallen silent, per device, likewise;
* `memory_per_device`: what each of 9,000 more devices costs our process.

Every heartbeat that the broker has confirmed must have been committed, else there is no result.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import NamedTuple

import asyncpg

from benchmarks.harness.fleet import Fleet
from benchmarks.harness.system import (
    Cpu,
    System,
    allow_connections,
    confirmed_are_committed,
    resident_bytes,
)
from benchmarks.result import Result
from broadcast import config
from broadcast.kit import clock, db
from broadcast.telemetry.sweep import sweep

INTERVAL = 9.0
STEPS = {1_000: 20.0, 3_000: 20.0, 10_000: 60.0}
"""Devices → seconds of measuring."""
MOST = max(STEPS)
SETTLE = 10.0
"""Seconds after the last connect: one heartbeat of each device, so that everyone is known."""


class Step(NamedTuple):
    """Figures measured with one number of devices."""

    cpu: Cpu
    seconds: float
    memory: int
    began: datetime
    ended: datetime
    sent: int
    flush: float
    swept: float


def run() -> list[Result]:
    """See the module's text."""
    allow_connections(MOST)
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        return asyncio.run(_measure(system))


async def _measure(system: System) -> list[Result]:
    connection = await system.prepare(MOST, commit_times=True)
    await connection.execute("CREATE TABLE probe (at timestamptz)")
    system.start_ingest()
    await system.until_subscribed(connection, clock.now() - timedelta(minutes=2))
    steps: dict[int, Step] = {}
    with Fleet(system.broker.port, INTERVAL) as fleet:
        for devices, seconds in STEPS.items():
            fleet.grow(devices)
            await asyncio.sleep(SETTLE)
            steps[devices] = step = await _step(system, connection, fleet, seconds)
            _tell(devices, step)
        report = fleet.report()
    await confirmed_are_committed(connection, report.confirmed)
    p99 = await _p99(connection, steps[MOST])
    await connection.close()
    small, large = steps[min(STEPS)], steps[MOST]
    grown = (large.memory - small.memory) / (MOST - min(STEPS))
    return [
        Result("steady_cpu", _share(large), 0.15, "of a core", "≤ 0.15 of a core"),
        Result("steady_memory", large.memory / 1e6, 300, "MB", "≤ 300 MB"),
        Result("steady_p99", p99, 1.0, "s", "≤ 1 s"),
        Result(
            "cost_per_device_10x",
            _cost(large) / MOST * 1e6,
            _cost(small) / min(STEPS) * 1e6,
            "µs/s",
            "≤ 1.2",
        ),
        Result(
            "sweep_per_device_10x",
            large.swept / MOST * 1e6,
            small.swept / min(STEPS) * 1e6,
            "µs",
            "≤ 1.2",
        ),
        Result("memory_per_device", grown / 1e3, 2.0, "kB", "≤ 2 kB"),
    ]


async def _step(
    system: System, connection: asyncpg.Connection, fleet: Fleet, seconds: float
) -> Step:
    swept = await _sweep()
    before, sent = system.cpu(), fleet.report().sent
    began, start = clock.now(), time.monotonic()
    flush = 0.0
    while time.monotonic() < start + seconds:
        at = time.perf_counter()
        await connection.execute("INSERT INTO probe VALUES (now())")
        flush = max(flush, time.perf_counter() - at)
        await asyncio.sleep(0.5)
    return Step(
        system.cpu() - before,
        time.monotonic() - start,
        resident_bytes(system.ingest.pid),
        began,
        clock.now(),
        fleet.report().sent - sent,
        flush,
        swept,
    )


async def _sweep() -> float:
    """Seconds of one sweep that finds nobody silent; median."""
    settings = config.Settings()
    engine = db.create_engine(settings.postgres)
    seconds = []
    try:
        for _ in range(21):
            async with db.transaction(engine) as session:
                began = time.perf_counter()
                await sweep(session, clock.now(), settings.rules)
                seconds.append(time.perf_counter() - began)
    finally:
        await engine.dispose()
    return median(seconds)


async def _p99(connection: asyncpg.Connection, step: Step) -> float:
    lag: float = await connection.fetchval(
        """
        SELECT percentile_cont(0.99) WITHIN GROUP (
            ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - sent_at)
        )
        FROM heartbeats WHERE sent_at BETWEEN $1 AND $2
        """,
        step.began,
        step.ended,
    )
    return lag + step.flush


def _share(step: Step) -> float:
    return step.cpu.ours / step.seconds


def _cost(step: Step) -> float:
    return (step.cpu.ours + step.cpu.postgres) / step.seconds


def _tell(devices: int, step: Step) -> None:
    each = step.cpu.ours / step.sent * 1e6
    print(
        f"  {devices:,} devices: {step.sent / step.seconds:,.0f} msg/s, "
        f"ours {_share(step):.1%} of a core ({each:.0f} µs a message), "
        f"PostgreSQL {step.cpu.postgres / step.seconds:.1%}, "
        f"broker {step.cpu.broker / step.seconds:.1%}, {step.memory / 1e6:.0f} MB"
    )
