"""Our ingest against Node-RED, the usual way from MQTT to PostgreSQL, in the same run.

Node-RED subscribes with QoS 1, parses the JSON and stores the raw heartbeat over node-postgres
with a pool of ten connections, in two ways: a row per message, as an integrator builds it
(`ingest_against_nodered`), and 500 rows a statement (`ingest_against_nodered_batched`), which is
as much as can be asked of it. Either way it confirms to the broker before anything is stored, so
what is in its memory is lost when it dies, and it keeps neither presence nor online minutes. Ours
does both and confirms after commit.

20,000 heartbeats of 10,000 devices, published as fast as Mosquitto takes them, from the first byte
until the last row is committed; same broker, same durable PostgreSQL, in turns. Messages per
second, of the run of three whose ratio is the median. The packages come from package-lock.json by
`npm ci`, into var/.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from urllib.parse import parse_qs, urlsplit

import asyncpg

from benchmarks.harness.helper import ROOT
from benchmarks.harness.publisher import Publisher, publish
from benchmarks.harness.system import (
    LOOK_SECONDS,
    PATIENCE,
    System,
    cpu_seconds,
    until_committed,
)
from benchmarks.result import Result, Skipped, median_pair
from broadcast.embedded.child import Child
from broadcast.kit import clock

DEVICES = 10_000
ROUNDS = 2
RUNS = 3
MESSAGES = DEVICES * ROUNDS

SOURCE = Path(__file__).with_name("nodered")
INSTALLED = ROOT / "var" / "nodered"

WAYS = {"ingest_against_nodered": "row/v1", "ingest_against_nodered_batched": "batch/v1"}
"""Result → prefix of the topics that the flow stores in this way."""

TABLE = """
    CREATE TABLE nodered_heartbeats (
        device text, session bigint, seq bigint, sent_at timestamptz,
        received_at timestamptz DEFAULT now(), body jsonb,
        PRIMARY KEY (device, session, seq)
    )
"""


def run() -> list[Result]:
    """Messages per second."""
    command = _install()
    with tempfile.TemporaryDirectory() as folder, System(Path(folder)) as system:
        peer = Child("Node-RED", Path(folder) / "nodered.log")
        os.environ["BENCH_MQTT_PORT"] = str(system.broker.port)
        address = parse_qs(urlsplit(system.postgres.dsn).query)
        os.environ["BENCH_POSTGRES_HOST"] = address["host"][0]
        user_dir = Path(folder) / "nodered"
        user_dir.mkdir()
        try:
            return asyncio.run(_measure(system, peer, [*command, "--userDir", str(user_dir)]))
        finally:
            peer.stop()


def _install() -> list[str | Path]:
    """Packages as locked, unless they are there; returns how to start Node-RED."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise Skipped("npm is not on PATH; apt install npm")
    lock = (SOURCE / "package-lock.json").read_bytes()
    mark = INSTALLED / "node_modules" / "installed-lock.json"
    if not mark.exists() or mark.read_bytes() != lock:
        INSTALLED.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SOURCE / name, INSTALLED / name)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=INSTALLED,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            raise Skipped(f"npm could not install Node-RED: {done.stderr.strip()[:200]}")
        mark.write_bytes(lock)
    for name in ("settings.js", "flows.json"):
        shutil.copy(SOURCE / name, INSTALLED / name)
    red = INSTALLED / "node_modules" / "node-red" / "red.js"
    settings = INSTALLED / "settings.js"
    return [node, red, "--settings", settings, INSTALLED / "flows.json"]


async def _measure(system: System, peer: Child, command: list[str | Path]) -> list[Result]:
    base = clock.now() - timedelta(minutes=RUNS * ROUNDS + 3)
    connection = await system.prepare(DEVICES)
    await connection.execute(TABLE)
    system.start_ingest()
    await system.hear(connection, DEVICES, base)
    peer.start(command, lambda: peer.alive)
    for prefix in WAYS.values():
        await _hear(system, peer, connection, prefix, base)
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in WAYS}
    used: dict[str, list[float]] = {name: [] for name in ("ours", *WAYS)}
    for run in range(RUNS):
        rounds = range(2 + run * ROUNDS, 2 + (run + 1) * ROUNDS)
        last = rounds.stop - 1
        for name, prefix in WAYS.items():
            await connection.execute("TRUNCATE nodered_heartbeats")
            with Publisher(system.broker.port, prefix, DEVICES, rounds, base) as publisher:
                before = cpu_seconds(peer.pid)
                began = publisher.send()
                theirs[name].append(await _stored(connection, MESSAGES) - began)
                used[name].append(cpu_seconds(peer.pid) - before)
        with Publisher(system.broker.port, "ttn/v1", DEVICES, rounds, base) as publisher:
            before = cpu_seconds(system.ingest.pid)
            began = publisher.send()
            ended = await until_committed(connection, DEVICES * last, DEVICES, last)
            ours.append(ended - began)
            used["ours"].append(cpu_seconds(system.ingest.pid) - before)
    await connection.close()
    for name, seconds in {"ours": ours, **theirs}.items():
        rates = ", ".join(f"{MESSAGES / each:,.0f}" for each in seconds)
        each = median(used[name]) / MESSAGES * 1e6
        print(f"  {name}: {rates} msg/s; CPU of its process {each:.0f} µs a message")
    pairs = {name: median_pair(ours, seconds) for name, seconds in theirs.items()}
    return [
        Result(name, MESSAGES / mine, MESSAGES / peers, "msg/s", "≥ 1")
        for name, (mine, peers) in pairs.items()
    ]


async def _hear(
    system: System, peer: Child, connection: asyncpg.Connection, prefix: str, base: datetime
) -> None:
    """Publish until a flow stores something, then have it store a round to warm up."""
    deadline = time.monotonic() + PATIENCE
    await connection.execute("TRUNCATE nodered_heartbeats")
    while not await connection.fetchval("SELECT count(*) FROM nodered_heartbeats"):
        peer.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"Node-RED stores nothing\n{peer.log_tail()}")
        publish(system.broker.port, prefix, 1, range(1, 2), base)
        await asyncio.sleep(0.3)
    publish(system.broker.port, prefix, DEVICES, range(1, 2), base)
    await _stored(connection, DEVICES)


async def _stored(connection: asyncpg.Connection, count: int) -> float:
    """Time (monotonic) at which so many rows were visible."""
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = time.monotonic()
        found = await connection.fetchval("SELECT count(*) FROM nodered_heartbeats")
        if found == count:
            return seen
        if seen > deadline:
            raise TimeoutError(f"Node-RED has stored {found} of {count}")
        await asyncio.sleep(5 * LOOK_SECONDS)
