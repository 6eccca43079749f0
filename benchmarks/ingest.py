"""A burst of heartbeats, from the broker's queue to committed rows, against a bare subscriber.

30,000 heartbeats of 10,000 enrolled devices wait at Mosquitto in the persistent session of a
subscriber that is connected and asleep (SIGSTOP): what piles up in three minutes. Then it wakes.
Ours (`broadcast serve --role ingest`, its own process) is done when the last heartbeat is
committed and every one is counted; presence and online minutes are checked at the end. The bare
one is paho's loop counting to the same number, from the same broker, in turns with ours. Both
start with nothing to set up, and no publisher runs beside them. Figures are medians.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import IO

import asyncpg

from benchmarks.harness import publisher
from benchmarks.harness.system import Cpu, System, check_minutes, until_committed
from benchmarks.result import Result
from broadcast import clock

DEVICES = 10_000
ROUNDS = 3
"""Heartbeats of each device in a run."""
RUNS = 3
MESSAGES = DEVICES * ROUNDS


def run() -> list[Result]:
    """Messages per second."""
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        return asyncio.run(_measure(system))


async def _measure(system: System) -> list[Result]:
    base = clock.now() - (RUNS * ROUNDS + 3) * timedelta(minutes=1)
    connection = await system.prepare(DEVICES)
    system.start_ingest()
    await system.hear(connection, DEVICES, base)
    command = [sys.executable, "-m", "benchmarks.harness.bare"]
    command += [str(system.broker.port), "bare/v1/device/+/event/+", str(MESSAGES)]
    ours: list[float] = []
    theirs: list[float] = []
    used: list[Cpu] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=publisher.ROOT) as bare:
        try:
            assert bare.stdout is not None
            assert bare.stdout.readline() == "ready\n"
            for run in range(RUNS):
                rounds = range(2 + run * ROUNDS, 2 + (run + 1) * ROUNDS)
                with system.held_back(bare.pid):
                    publisher.publish(system.broker.port, "bare/v1", DEVICES, rounds, base)
                theirs.append(_drained(bare.stdout, time.monotonic()))
                with system.held_back(system.ingest.pid):
                    publisher.publish(system.broker.port, "ttn/v1", DEVICES, rounds, base)
                    before = system.cpu()
                began = time.monotonic()
                ended = await until_committed(
                    connection, DEVICES * (rounds.stop - 1), DEVICES, rounds.stop - 1
                )
                used.append(system.cpu() - before)
                ours.append(ended - began)
        finally:
            bare.terminate()
    await check_minutes(connection, DEVICES, range(1, 2 + RUNS * ROUNDS), base)
    await connection.close()
    _tell(ours, theirs, used)
    return [
        Result(
            "ingest_burst", MESSAGES / median(ours), MESSAGES / median(theirs), "msg/s", "≥ 0.6"
        )
    ]


def _drained(output: IO[str], began: float) -> float:
    return float(output.readline()) - began


def _tell(ours: list[float], theirs: list[float], used: list[Cpu]) -> None:
    for name, seconds in (("ours", ours), ("bare", theirs)):
        print(f"  {name}: " + ", ".join(f"{MESSAGES / s:,.0f}" for s in seconds) + " msg/s")
    for name in ("ours", "postgres", "broker"):
        each = median(getattr(cpu, name) for cpu in used) / MESSAGES
        print(f"  CPU of {name}: {each * 1e6:.1f} µs a message")
