"""One process does a role, and /readyz of any process tells how it is."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2 as httpx
import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from broadcast import config
from broadcast.api import create_app
from broadcast.bulletins import prepare_worker
from broadcast.config import Mqtt
from broadcast.delivery import dispatcher
from broadcast.embedded.broker import Broker
from broadcast.ingest import pipeline, worker
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db, roles
from broadcast.mqtt import link
from tests.keys.memory import MemoryStore, keyring
from tests.web.routes import worked_out


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with shorter waits."""
    for module, name, seconds in (
        (roles, "TRY_SECONDS", 0.05), (roles, "HOLD_SECONDS", 0.2), (roles, "LOOK_SECONDS", 0.02),
        (roles, "RETAKE_SECONDS", 0.5), (link, "FIRST_RETRY", 0.05), (link, "LONGEST_RETRY", 0.2),
        (worker, "FIRST_RETRY", 0.05), (worker, "ECHOED_WITHIN", 2.0),
        (pipeline, "KEYS_SECONDS", 0.1),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture
async def keys() -> Keyring:
    return await keyring()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 — a database tells none
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(*work: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
        assert not [task for task in tasks if task.done()], "a role has ended"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


# --- one process a role -------------------------------------------------------------------------


async def test_a_second_process_waits_and_names_the_first(engine: AsyncEngine) -> None:
    async with roles.claimed(engine, "ingest-1"):
        async with db.transaction(engine) as session:
            await roles.say(session, "ingest-1", "")
        second = roles.Claim(engine, "ingest-1")
        with capture_logs() as said:
            waiting = asyncio.create_task(second.wait())

            async def said_so() -> bool:
                return any(line["event"] == "roles.role.standby" for line in said)

            await until(said_so)
        assert not waiting.done()
        (standby,) = [line for line in said if line["event"] == "roles.role.standby"]
        assert f"máy {socket.gethostname()}, tiến trình {os.getpid()}" in standby["detail"]
    await asyncio.wait_for(waiting, 60)
    await second.release()


async def test_a_role_is_kept_when_its_lock_is_lost_and_nobody_took_it(
    engine: AsyncEngine,
) -> None:
    async with roles.claimed(engine, "ingest-1") as claim, running(claim.hold()):
        for _ in range(3):
            await until(lambda: _kill_locks(engine))
        await until(lambda: _locks(engine))
        assert await _locks(engine) == 1


async def test_a_role_that_another_process_took_is_given_up(engine: AsyncEngine) -> None:
    async with roles.claimed(engine, "ingest-1") as claim:
        second = roles.Claim(engine, "ingest-1")
        waiting = asyncio.create_task(second.wait())
        await _kill_locks(engine)
        await asyncio.wait_for(waiting, 60)
        with pytest.raises(roles.TakenOver):
            await asyncio.wait_for(claim.hold(), 60)
        await second.release()


_HOLDERS = "FROM pg_locks WHERE locktype = 'advisory' AND granted"


async def _locks(engine: AsyncEngine) -> int:
    async with db.transaction(engine) as session:
        return await session.scalar(sa.text(f"SELECT count(*) {_HOLDERS}")) or 0


async def _kill_locks(engine: AsyncEngine) -> int:
    async with db.transaction(engine) as session:
        killed = await session.execute(sa.text(f"SELECT pg_terminate_backend(pid) {_HOLDERS}"))
        return len(killed.all())


# --- /readyz ------------------------------------------------------------------------------------


@pytest.fixture
async def ask(
    engine: AsyncEngine, postgres_dsn: str, tmp_path: Path
) -> AsyncIterator[Callable[[], Awaitable[tuple[int, str]]]]:
    """Status of /readyz, and what it says of the roles."""
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(postgres_dsn)),
        content_dir=tmp_path / "content",
        upkeep=config.Upkeep(disk_free_bytes=1),
    )
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, clock.today())
    transport = httpx.ASGITransport(worked_out(create_app(settings, engine)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def asking() -> tuple[int, str]:
            answer = await client.get("/readyz")
            details = {check["name"]: check["detail"] for check in answer.json()["checks"]}
            return answer.status_code, details.get("roles", "")

        yield asking


async def test_a_role_that_says_nothing_any_more_is_told(engine: AsyncEngine, ask: Any) -> None:
    async with db.transaction(engine) as session:
        await roles.say(session, "ingest-1", "")
    assert await ask() == (200, "")
    async with db.transaction(engine) as session:
        await session.execute(
            sa.update(roles.RoleState).values(at=clock.now() - timedelta(minutes=1))
        )
    status, said = await ask()
    assert status == 503
    assert "ingest-1" in said
    assert "systemctl" in said


async def test_whoever_prepares_says_so_and_when_he_stops(
    engine: AsyncEngine, tmp_path: Path, ask: Any
) -> None:
    settings = config.Settings(content_dir=tmp_path / "content")

    async def said() -> str | None:
        async with db.transaction(engine) as session:
            state = await session.get(roles.RoleState, "prepare")
            return None if state is None else state.trouble

    async with running(prepare_worker.run(engine, settings)):
        await until(lambda: _is(said, ""))
        assert await ask() == (200, "")
    await until(lambda: _is(said, roles.STOPPED))
    status, told = await ask()
    assert status == 503
    assert "prepare" in told


async def _is(asked: Callable[[], Awaitable[str | None]], wanted: str) -> bool:
    return await asked() == wanted


def nowhere() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("role", ["ingest", "dispatch"])
async def test_a_broker_that_is_down_at_the_start_is_told_and_so_is_its_return(
    engine: AsyncEngine, ask: Any, keys: Keyring, tmp_path: Path, role: str
) -> None:
    port = nowhere()
    settings = config.Settings(mqtt=Mqtt(host="127.0.0.1", port=port))
    run = worker.run if role == "ingest" else dispatcher.run
    async with running(run(engine, settings, keys)):

        async def told() -> bool:
            status, said = await ask()
            return status == 503 and "BROADCAST_MQTT__HOST" in said

        async def well() -> bool:
            return (await ask())[0] == 200

        await until(told)
        with Broker(tmp_path / "broker", kind="mosquitto", port=port):
            await until(well)
        await until(told)
    assert (await ask())[0] == 503, "nobody does the role any more"


@pytest.mark.parametrize("role", ["ingest", "dispatch"])
async def test_a_machine_with_strange_keys_is_told_and_works_once_they_are_restored(
    engine: AsyncEngine, ask: Any, keys: Keyring, tmp_path: Path, role: str
) -> None:
    await keys.refresh(engine, clock.now())
    store = MemoryStore()  # a rebuilt machine
    run = worker.run if role == "ingest" else dispatcher.run
    with Broker(tmp_path / "broker", kind="mosquitto") as broker, capture_logs() as said:
        settings = config.Settings(mqtt=Mqtt(host=broker.host, port=broker.port))
        async with running(run(engine, settings, Keyring(store))):

            async def told() -> bool:
                status, words = await ask()
                return status == 503 and "`broadcast keys adopt`" in words

            async def well() -> bool:
                return (await ask())[0] == 200

            await until(told)
            assert "keys.unusable" in {line["event"] for line in said}
            store.all = [keys.keys.programme, keys.keys.alert]
            await until(well)
    assert {key.kid for key in store.all} == {key.kid for key in keys.keys.named}


async def test_a_refused_login_is_told(
    engine: AsyncEngine, ask: Any, keys: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x05")  # CONNACK, not authorised
        with suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(refusing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = config.Settings(mqtt=Mqtt(host="127.0.0.1", port=port))
    async with server, running(worker.run(engine, settings, keys)):

        async def told() -> bool:
            status, said = await ask()
            return status == 503 and "BROADCAST_MQTT__USERNAME" in said

        await until(told)
        assert await told()


@pytest.mark.parametrize("grants", [True, False])
async def test_a_broker_that_lets_nothing_through_is_told(
    engine: AsyncEngine, ask: Any, keys: Keyring, grants: bool
) -> None:
    """The subscription is refused; or it is granted and nothing ever comes, as by Mosquitto."""

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x00")
        with suppress(OSError):
            while packet := await reader.read(4000):
                if packet[0] == 0x82 or b"$share" in packet:
                    at = packet.index(b"\x82")
                    codes = b"\x01\x01" if grants else b"\x80\x80"
                    writer.write(b"\x90\x04" + packet[at + 2 : at + 4] + codes)
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = config.Settings(mqtt=Mqtt(host="127.0.0.1", port=port))
    async with server, running(worker.run(engine, settings, keys)):

        async def told() -> bool:
            status, said = await ask()
            return status == 503 and "mosquitto-server.acl" in said

        await until(told)
        assert await told()


# --- a database that can take nothing more ------------------------------------------------------


@asynccontextmanager
async def no_connection_left(dsn: str) -> AsyncIterator[Exception]:
    """Everybody else has taken all connections of the server; yields what PostgreSQL says."""
    taken = []
    try:
        while True:
            try:
                taken.append(await asyncpg.connect(dsn))
            except asyncpg.TooManyConnectionsError as error:
                yield error
                return
    finally:
        for connection in taken:
            connection.terminate()


async def test_without_a_free_connection_the_roles_wait_and_go_on(
    engine: AsyncEngine, postgres_dsn: str, ask: Any, keys: Keyring, mqtt: Mqtt
) -> None:
    settings = config.Settings(mqtt=mqtt)
    theirs = db.create_engine(config.Postgres(dsn=SecretStr(postgres_dsn)))
    async with no_connection_left(postgres_dsn) as error:
        assert "max_connections" in db.explain(error)
        work = worker.run(theirs, settings, keys), dispatcher.run(theirs, settings, keys)
        tasks = [asyncio.create_task(each) for each in work]
        await asyncio.sleep(1)
        assert not [task for task in tasks if task.done()]

    async def at_work() -> bool:
        async with db.transaction(engine) as session:
            states = await roles.states(session)
        return [state.trouble for state in states] == ["", ""]

    await until(at_work)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await theirs.dispose()


async def test_a_server_without_connections_says_so_and_what_to_do(
    postgres_dsn: str, tmp_path: Path
) -> None:
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(postgres_dsn)), content_dir=tmp_path
    )
    fresh = db.create_engine(settings.postgres)
    transport = httpx.ASGITransport(worked_out(create_app(settings, fresh)))
    async with (
        no_connection_left(postgres_dsn),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        answer = await client.get("/readyz")
    await fresh.dispose()
    assert answer.status_code == 503
    assert "max_connections" in answer.text
