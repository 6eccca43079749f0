"""The process as it is put together, and how it ends."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import httpx2 as httpx
import paho.mqtt.publish
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.auth.permissions import Role
from broadcast.config import Mqtt
from broadcast.demo.world import _free_port
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import clock, db
from broadcast.web.server import bind
from broadcast.wire.codec import encode
from broadcast.wire.events import Clock, Heartbeat
from tests import waiting
from tests.conftest import frozen
from tests.devices.fleet import enrol
from tests.waiting import HANG_SECONDS


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_header() -> None:
    with (
        bind("127.0.0.1", _free_port(), "BROADCAST_WEB__PORT") as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.fixture
def environment(postgres_dsn: str, mqtt: Mqtt, tmp_path: Path) -> dict[str, str]:
    """What a process needs to run, on ports that are free."""
    keys = config.Keys(dir=tmp_path / "keys", passphrase_file=tmp_path / "passphrase")
    return {
        "BROADCAST_POSTGRES__DSN": postgres_dsn,
        "BROADCAST_MQTT__HOST": mqtt.host,
        "BROADCAST_MQTT__PORT": str(mqtt.port),
        "BROADCAST_WEB__PORT": str(_free_port()),
        "BROADCAST_METRICS__PORT": str(_free_port()),
        "BROADCAST_KEYS__DIR": str(keys.dir),
        "BROADCAST_KEYS__PASSPHRASE_FILE": str(keys.passphrase_file),
        "BROADCAST_CONTENT_DIR": str(tmp_path / "content"),
        "BROADCAST_UPKEEP__DISK_FREE_BYTES": "1",
    }


@contextmanager
def serving(
    environment: Mapping[str, str], *options: str, stdout: IO[str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that serves, killed at the end of the block unless it has ended."""
    command = [sys.executable, "-m", "broadcast", "serve", *options]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=stdout) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    waiting.until(lambda: process.poll() is not None or condition())
    assert process.poll() is None


def answers(url: str, headers: Mapping[str, str] | None = None) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url, headers=headers, timeout=HANG_SECONDS).status_code == 200
    return False


async def a_token(dsn: str) -> dict[str, str]:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        made = await create_with_token(session, "Tâm", Role.PROVINCE_MONITOR, clock.now())
    await engine.dispose()
    return {"Authorization": f"Bearer {made}"}


def metric(base: str, line: str) -> bool:
    with suppress(httpx.HTTPError):
        return line in httpx.get(f"{base}/metrics", timeout=HANG_SECONDS).text.splitlines()
    return False


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> int:
    """Exit code of a process that is told to end."""
    process.send_signal(number)
    return process.wait(HANG_SECONDS)


@pytest.mark.parametrize("requests", [0, 12])
def test_a_process_ends_in_time_though_the_database_hangs(
    environment: dict[str, str], postgres: EmbeddedPostgres, requests: int
) -> None:
    base = f"http://127.0.0.1:{environment['BROADCAST_WEB__PORT']}"
    watched = f"http://127.0.0.1:{environment['BROADCAST_METRICS__PORT']}"
    stations = f"{base}/api/v1/stations"
    bearer = asyncio.run(a_token(environment["BROADCAST_POSTGRES__DSN"]))
    with serving(environment) as process, ThreadPoolExecutor() as asking:
        until(lambda: answers(f"{base}/readyz"), process)
        until(lambda: metric(watched, "broadcast_dispatch_leader 1.0"), process)
        # Connections that are idle have to be closed, those that are not to be cancelled.
        assert all(asking.map(answers, [stations] * 50, [bearer] * 50))
        with frozen(postgres):
            for _ in range(requests):
                asking.submit(answers, stations, bearer)
            time.sleep(1)
            assert end(process, signal.SIGTERM) == 0


BROKEN = """
import asyncio
from broadcast import app, config

async def role(role, *_):
    if role is config.Role.INGEST:
        raise ValueError("broken")
    while True:  # as a database that does not answer the cancel
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

app.GRACE_SECONDS = 0.5
app._role = role
asyncio.run(app.serve(config.Settings(), [config.Role.INGEST, config.Role.DISPATCH]))
"""


def test_a_role_that_fails_ends_the_process_in_time_and_says_why(
    environment: dict[str, str],
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BROKEN],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert ended.returncode == 1
    assert "ValueError: broken" in ended.stdout


def test_a_process_ends_by_itself_when_all_is_well(
    environment: dict[str, str], tmp_path: Path
) -> None:
    base = f"http://127.0.0.1:{environment['BROADCAST_WEB__PORT']}"
    with (
        (tmp_path / "said").open("w") as said,
        serving(environment, stdout=said) as process,
    ):
        until(lambda: answers(f"{base}/readyz"), process)
        assert end(process, signal.SIGINT) == 0
    assert "app.process.abandoned" not in (tmp_path / "said").read_text()


def test_a_process_without_rest_can_be_watched(environment: dict[str, str]) -> None:
    base = f"http://127.0.0.1:{environment['BROADCAST_METRICS__PORT']}"
    environment["BROADCAST_INGEST__WORKERS"] = "2"
    environment["BROADCAST_INGEST__SHARING"] = "shards"
    with serving(environment, "--role", "ingest", "--worker", "2") as process:
        until(lambda: answers(f"{base}/healthz"), process)
        until(lambda: metric(base, "broadcast_mqtt_connected 1.0"), process)
        assert metric(base, "broadcast_ingest_workers 2.0")
        assert httpx.get(f"{base}/api/v1/stations").status_code == 404
        assert end(process, signal.SIGTERM) == 0


FILES = 1024
"""What a process may open by default; a unit of systemd allows it more."""


def test_idle_connections_starve_neither_rest_nor_ingest(environment: dict[str, str]) -> None:
    web = ("127.0.0.1", int(environment["BROADCAST_WEB__PORT"]))
    base = f"http://{web[0]}:{web[1]}"
    watched = f"http://127.0.0.1:{environment['BROADCAST_METRICS__PORT']}"
    dsn = environment["BROADCAST_POSTGRES__DSN"]
    bearer = asyncio.run(a_token(dsn))
    asyncio.run(enrolled(dsn, "QN-1"))
    with serving(environment) as process:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
        until(lambda: answers(f"{base}/readyz"), process)
        until(lambda: metric(watched, "broadcast_mqtt_connected 2.0"), process)
        with idle_connections(web, 1500):
            for seq in range(1, 6):
                beat(environment, "QN-1", seq)
                assert answers(f"{base}/api/v1/stations", bearer)
            until(lambda: asyncio.run(heartbeats(dsn)) == 5, process)


IDLE = """
import resource, socket, sys
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for number in range(int(sys.argv[3])):
    held.append(socket.create_connection((sys.argv[1], int(sys.argv[2]))))
    if number % 3 == 1:
        held[-1].send(b"GET / HTTP/1.1\\r\\nX")
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def idle_connections(address: tuple[str, int], number: int) -> Iterator[None]:
    """Connections that send nothing, or half a header, held by a process of their own."""
    command = [sys.executable, "-c", IDLE, address[0], str(address[1]), str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        try:
            yield
        finally:
            process.kill()


async def enrolled(dsn: str, code: str) -> None:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        await enrol(session, code)
    await engine.dispose()


async def heartbeats(dsn: str) -> int:
    engine = create_async_engine(db.async_url(dsn))
    async with db.transaction(engine) as session:
        stored = await session.scalar(sa.text("SELECT count(*) FROM heartbeats"))
    await engine.dispose()
    return int(stored or 0)


def beat(environment: Mapping[str, str], code: str, seq: int) -> None:
    said = Heartbeat(session=1, seq=seq, sent_at=clock.now(), clock=Clock(trusted=True))
    paho.mqtt.publish.single(
        f"{config.Mqtt().prefix}/device/{code}/event/heartbeat",
        encode(said),
        qos=1,
        hostname=environment["BROADCAST_MQTT__HOST"],
        port=int(environment["BROADCAST_MQTT__PORT"]),
    )
