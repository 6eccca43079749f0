"""A burst of heartbeats until the last is a committed row, against a bare subscriber.

Ours is `broadcast serve --role ingest`, a process of its own over durable PostgreSQL. A run is
over when the last heartbeat is committed and every one is counted; at the end presence and online
minutes are checked too. The bare one is paho's loop that counts to the same number, over the same
broker, in turns with ours. Two ways for a burst to come, 100,000 heartbeats of 10,000 devices:

* `ingest_burst`: published as fast as Mosquitto takes them while the subscriber works;
* `ingest_drain`: waiting at Mosquitto in the session of a subscriber that is connected and asleep
  (SIGSTOP), ten minutes' worth; the clock starts when it wakes, with nobody publishing.

Messages per second, of the run of three whose ratio is the median. `ingest_burst_cpu` is what our
process and the bare one compute for a message, which depends less on what else the machine does.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks.harness.bare import Bare
from benchmarks.harness.publisher import Publisher
from benchmarks.harness.system import Cpu, System, check_minutes, cpu_seconds, until_committed
from benchmarks.result import Result, median_pair
from broadcast.kit import clock

DEVICES = 10_000
ROUNDS = 10
"""Heartbeats of each device in a run."""
RUNS = 3
MESSAGES = DEVICES * ROUNDS

OURS, BARE = "ttn/v1", "bare/v1"
"""Prefixes of the topics, so that each hears its own only."""


def run() -> list[Result]:
    """Messages per second."""
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        return asyncio.run(_measure(system))


async def _measure(system: System) -> list[Result]:
    base = clock.now() - timedelta(minutes=2 * RUNS * ROUNDS + 3)
    connection = await system.prepare(DEVICES)
    system.start_ingest()
    await system.hear(connection, DEVICES, base)
    port = system.broker.port
    results = []
    first = 2
    with Bare(port, f"{BARE}/device/+/event/+", MESSAGES) as bare:
        for name, way in (("ingest_burst", _burst), ("ingest_drain", _drain)):
            ours: list[float] = []
            theirs: list[float] = []
            used: list[Cpu] = []
            spent: list[float] = []
            for _ in range(RUNS):
                rounds = range(first, first + ROUNDS)
                first += ROUNDS
                with Publisher(port, BARE, DEVICES, rounds, base) as publisher:
                    idle = cpu_seconds(bare.pid)
                    began = way(system, publisher, bare.pid)
                    theirs.append(bare.counted() - began)
                    spent.append(cpu_seconds(bare.pid) - idle)
                with Publisher(port, OURS, DEVICES, rounds, base) as publisher:
                    before = system.cpu()
                    began = way(system, publisher, system.ingest.pid)
                    last = rounds.stop - 1
                    ended = await until_committed(connection, DEVICES * last, DEVICES, last)
                    used.append(system.cpu() - before)
                    ours.append(ended - began)
            _tell(name, ours, theirs, used)
            mine, bares = median_pair(ours, theirs)
            results.append(Result(name, MESSAGES / mine, MESSAGES / bares, "msg/s", "≥ 0.6"))
            if way is _burst:
                each = [median(cpu.ours for cpu in used), median(spent)]
                mine, bares = (seconds / MESSAGES * 1e6 for seconds in each)
                results.append(Result(f"{name}_cpu", mine, bares, "µs"))
    await check_minutes(connection, DEVICES, range(1, first), base)
    await connection.close()
    return results


def _burst(system: System, publisher: Publisher, pid: int) -> float:
    return publisher.send()


def _drain(system: System, publisher: Publisher, pid: int) -> float:
    with system.held_back(pid):
        publisher.send()
        publisher.wait()
    return time.monotonic()


def _tell(name: str, ours: list[float], theirs: list[float], used: list[Cpu]) -> None:
    for whose, seconds in (("ours", ours), ("bare", theirs)):
        rates = ", ".join(f"{MESSAGES / each:,.0f}" for each in seconds)
        print(f"  {name}, {whose}: {rates} msg/s")
    parts = (
        f"{whose} {median(getattr(cpu, whose) for cpu in used) / MESSAGES * 1e6:.1f}"
        for whose in ("ours", "postgres", "broker")
    )
    print(f"  {name}, CPU a message: {', '.join(parts)} µs")
