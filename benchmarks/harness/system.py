"""PostgreSQL, Mosquitto and our ingest, each a process of its own, as in production.

PostgreSQL with its durable settings, Mosquitto with the window and queue of
deploy/mosquitto.conf; 10,000 enrolled devices, every one with a config, and the documents of
their areas.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

import asyncpg
import psutil

from benchmarks.harness import heartbeats, publisher
from benchmarks.result import Skipped
from broadcast.embedded.broker import Broker, mosquitto
from broadcast.embedded.child import Child
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import clock, db

PATIENCE = 60.0
"""Seconds in which what was sent must be committed; more means that something was lost."""

LOOK_SECONDS = 0.01
"""How often the last row is looked for: an index look-up that costs 0.2 ms."""


@dataclass(frozen=True)
class Cpu:
    """Seconds of CPU that each has used."""

    ours: float
    postgres: float
    broker: float

    def __sub__(self, before: Cpu) -> Cpu:
        return Cpu(
            self.ours - before.ours,
            self.postgres - before.postgres,
            self.broker - before.broker,
        )


class System:
    """One machine's worth of it, in one folder; a context manager that leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        if mosquitto() is None:
            raise Skipped("mosquitto is not on PATH; apt install mosquitto")
        folder = folder.resolve()
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.broker = Broker(folder / "broker", kind="mosquitto", autosave_seconds=60)
        self.ingest = Child("broadcast", folder / "ingest.log")
        self._folder = folder
        self._environment = dict(os.environ)

    def __enter__(self) -> System:
        try:
            self.postgres.start()
            self.broker.start()
        except BaseException:
            self._stop()
            raise
        os.environ.update(
            {
                "BROADCAST_POSTGRES__DSN": self.postgres.dsn,
                "BROADCAST_MQTT__HOST": self.broker.host,
                "BROADCAST_MQTT__PORT": str(self.broker.port),
                "BROADCAST_KEYS__DIR": str(self._folder / "keys"),
                "BROADCAST_KEYS__PASSPHRASE_FILE": str(self._folder / "keys.passphrase"),
            }
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        for child in (self.ingest, self.broker, self.postgres):
            child.stop()
        os.environ.clear()
        os.environ.update(self._environment)

    async def prepare(self, devices: int, *, commit_times: bool = False) -> asyncpg.Connection:
        """Migrate, enrol devices, and return a connection to look with.

        Args:
            devices: How many.
            commit_times: Have PostgreSQL remember when each transaction was committed.
        """
        await db.migrate(self.postgres.dsn)
        connection = await asyncpg.connect(self.postgres.dsn)
        if commit_times:
            await connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            await connection.close()
            self.postgres.restart()
            connection = await asyncpg.connect(self.postgres.dsn)
        await enrol(connection, devices, clock.now())
        return connection

    async def connect(self) -> asyncpg.Connection:
        """Another connection to look with."""
        return await asyncpg.connect(self.postgres.dsn)

    def start_ingest(self) -> None:
        """Start it; whether it takes messages yet, only `hear` tells."""
        command = [sys.executable, "-m", "broadcast", "serve", "--role", "ingest"]
        self.ingest.start(command, lambda: self.ingest.alive)

    async def hear(self, connection: asyncpg.Connection, devices: int, base: datetime) -> None:
        """Have every device known: its first heartbeat (`seq` 1), sent until it is committed."""
        await self.until_subscribed(connection, base)
        publisher.publish(self.broker.port, "ttn/v1", devices, range(1, 2), base)
        await until_committed(connection, devices, devices, 1)
        await connection.execute("VACUUM ANALYZE")

    async def until_subscribed(self, connection: asyncpg.Connection, at: datetime) -> None:
        """Send the first heartbeat of the first device until it is committed.

        Before the ingest has subscribed nobody keeps what is published.
        """
        deadline = time.monotonic() + PATIENCE
        while not await committed(connection, 1, 1):
            self.ingest.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"ingest takes nothing\n{self.ingest.log_tail()}")
            publisher.publish(self.broker.port, "ttn/v1", 1, range(1, 2), at)
            await asyncio.sleep(0.2)

    @contextmanager
    def held_back(self, pid: int) -> Iterator[None]:
        """Have a subscriber sleep, its connection standing; it goes on at the end of the block."""
        family = _family(pid)
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                process.resume()

    def cpu(self) -> Cpu:
        """CPU seconds of each process with its children, so far."""
        return Cpu(
            cpu_seconds(self.ingest.pid),
            cpu_seconds(self.postgres.pid),
            cpu_seconds(self.broker.pid),
        )


def allow_connections(count: int) -> None:
    """Let this process, and those it will start, hold so many connections.

    Raises:
        Skipped: The system permits fewer.
    """
    wanted = count + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Skipped(f"{hard} open files are permitted (ulimit -Hn), {wanted} are needed")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """Of a process and its children, those that have ended included."""
    total = 0.0
    for process in _family(pid):
        times = process.cpu_times()
        total += times.user + times.system
    ended = psutil.Process(pid).cpu_times()
    return total + ended.children_user + ended.children_system


def resident_bytes(pid: int) -> int:
    """Memory of a process and its children."""
    return sum(process.memory_info().rss for process in _family(pid))


async def committed(connection: asyncpg.Connection, device: int, seq: int) -> bool:
    """Tell whether a heartbeat is visible to others."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM heartbeats AS h JOIN devices AS d ON d.id = h.device_id
            WHERE d.code = $1 AND h.session = $2 AND h.seq = $3
        )
        """,
        heartbeats.code(device),
        heartbeats.SESSION,
        seq,
    )
    return found


async def until_committed(
    connection: asyncpg.Connection, count: int, device: int, seq: int
) -> float:
    """Wait for the last heartbeat, then for all of them.

    Args:
        connection: To look with.
        count: How many heartbeats there must be in all.
        device: Whose heartbeat was sent last.
        seq: Its number.

    Returns:
        Time (monotonic) at which all were visible.

    Raises:
        TimeoutError: Some never came.
    """
    deadline = time.monotonic() + PATIENCE
    while not await committed(connection, device, seq):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_SECONDS)
    while True:
        seen = time.monotonic()
        found = await connection.fetchval("SELECT count(*) FROM heartbeats")
        if found == count:
            return seen
        if seen > deadline:
            raise TimeoutError(f"{found} of {count} heartbeats are committed")
        await asyncio.sleep(LOOK_SECONDS)


async def check_minutes(
    connection: asyncpg.Connection, devices: int, rounds: range, base: datetime
) -> None:
    """Raise `ValueError` unless presence and online minutes say what the heartbeats said."""
    expected = sum(
        len(
            {
                heartbeats.sent_at(device, seq, base).replace(second=0, microsecond=0)
                for seq in rounds
            }
        )
        for device in range(1, devices + 1)
    )
    minutes = await connection.fetchval("SELECT sum(bit_count(minutes)) FROM online_minutes")
    newest = await connection.fetchval(
        "SELECT count(*) FROM device_presence WHERE seq = $1", rounds.stop - 1
    )
    if minutes != expected or newest != devices:
        raise ValueError(
            f"{minutes} online minutes instead of {expected}, {newest} of {devices} states newest"
        )


async def confirmed_are_committed(
    connection: asyncpg.Connection, confirmed: Sequence[tuple[int, int]]
) -> None:
    """Wait until every heartbeat that the broker has confirmed to a fleet is committed.

    Args:
        connection: To look with.
        confirmed: For each device, from the first on: session, and how many of its heartbeats.

    Raises:
        TimeoutError: Some never came.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        missing = await connection.fetchval(
            """
            SELECT COALESCE(sum(n.confirmed - found.count), 0)::integer
            FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS n (code, session, confirmed)
            JOIN devices AS d USING (code)
            CROSS JOIN LATERAL (
                SELECT count(*) FROM heartbeats AS h
                WHERE h.device_id = d.id AND h.session = n.session AND h.seq <= n.confirmed
            ) AS found
            """,
            [heartbeats.code(device) for device in range(1, len(confirmed) + 1)],
            [session for session, _ in confirmed],
            [count for _, count in confirmed],
        )
        if not missing:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"{missing} confirmed heartbeats are not committed")
        await asyncio.sleep(0.5)


async def enrol(connection: asyncpg.Connection, devices: int, now: datetime) -> None:
    """Devices, their configs, and the documents of the areas that they follow.

    The tokens bear no true signature: nothing that reads them here checks it.
    """
    await connection.execute(
        """
        INSERT INTO devices (code, model, serial, codecs, volume, alert_volume, enrolled_at)
        SELECT code, 'TTX-200', code, '{opus,mp3}', 70, 100, $2 FROM unnest($1::text[]) AS n (code)
        """,
        [heartbeats.code(device) for device in range(1, devices + 1)],
        now,
    )
    scopes = {
        (f"area/{area}", kind): b"e30.e30.e30"
        for device in range(1, devices + 1)
        for area in heartbeats.areas(device)
        for kind in ("programme", "alerts")
    } | {
        (f"device/{heartbeats.code(device)}", "config"): _config(device)
        for device in range(1, devices + 1)
    }
    before = now - timedelta(hours=1)
    await connection.copy_records_to_table(
        "documents",
        records=[
            (scope, kind, heartbeats.REVISION, token, before, now + timedelta(days=8),
             heartbeats.REVISION, before)
            for (scope, kind), token in scopes.items()
        ],
        columns=[
            "scope", "kind", "revision", "token", "issued_at", "not_after",
            "published_revision", "published_at",
        ],
    )  # fmt: skip
    await connection.execute("VACUUM ANALYZE devices, documents")


def _config(device: int) -> bytes:
    body = json.dumps({"areas": heartbeats.areas(device)}).encode()
    return b"e30." + base64.urlsafe_b64encode(body).rstrip(b"=") + b".e30"
