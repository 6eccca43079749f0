"""One leader at a time, and the documents it keeps at a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from broadcast import config
from broadcast.config import Mqtt
from broadcast.delivery import dispatcher as dispatch
from broadcast.delivery import repair
from broadcast.embedded.broker import Broker
from broadcast.kit import clock, db, roles
from broadcast.kit.errors import Unavailable
from broadcast.kit.locks import Lock
from broadcast.kit.tasks import until_one_ends
from broadcast.mqtt import link as link_module
from broadcast.mqtt.link import Link
from broadcast.wire.documents import Programme
from broadcast.wire.envelope import Verifier
from tests.delivery.world import KEYS, PINNED, PREFIX, World
from tests.keys.memory import keyring

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(link_module, "LONGEST_RETRY", 0.2)
    monkeypatch.setattr(roles, "TRY_SECONDS", 0.05)
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.05)


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> World:
    world = World(engine, tmp_path)
    world.now = clock.now()
    await world.build()
    return world


@asynccontextmanager
async def dispatcher(dsn: str, mqtt: Mqtt, folder: Path, name: str) -> AsyncIterator[None]:
    """A process that dispatches when it may; it must not die."""
    server_settings = {"application_name": name}
    engine = create_async_engine(
        db.async_url(dsn), connect_args={"server_settings": server_settings}
    )
    settings = config.Settings(
        postgres=config.Postgres(dsn=SecretStr(dsn)), mqtt=mqtt, content_dir=folder
    )
    task = asyncio.create_task(dispatch.run(engine, settings, await keyring(*KEYS)))
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await engine.dispose()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  nobody signals it
            await asyncio.sleep(0.02)


async def leaders(engine: AsyncEngine) -> dict[str, int]:
    """Process names that hold the lock, with their backends."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            sa.text(
                "SELECT a.application_name, a.pid FROM pg_locks AS l "
                "JOIN pg_stat_activity AS a USING (pid) "
                "WHERE l.locktype = 'advisory' AND l.classid = :lock AND l.granted "
                "AND a.datname = current_database()"
            ),
            {"lock": int(Lock.ROLE)},
        )
        return dict(rows.all())


async def a_leader(engine: AsyncEngine, *, other_than: int = 0) -> int:
    """Backend of the one leader."""
    async with asyncio.timeout(60):
        while True:
            found = await leaders(engine)
            assert len(found) <= 1
            for backend in found.values():
                if backend != other_than:
                    return backend
            await asyncio.sleep(0.02)


async def test_one_of_two_leads_until_its_connection_breaks(
    world: World, postgres_dsn: str, mqtt: Mqtt, tmp_path: Path
) -> None:
    async with (
        dispatcher(postgres_dsn, mqtt, tmp_path, "one"),
        dispatcher(postgres_dsn, mqtt, tmp_path, "two"),
    ):
        for _ in range(3):
            backend = await a_leader(world.engine)
            async with world.engine.begin() as connection:
                await connection.execute(sa.text(f"SELECT pg_terminate_backend({backend})"))
            await a_leader(world.engine, other_than=backend)
    assert await leaders(world.engine) == {}


async def test_a_single_process_leads_again_when_the_backend_of_its_lock_was_killed(
    world: World, postgres_dsn: str, mqtt: Mqtt, tmp_path: Path
) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    async with dispatcher(postgres_dsn, mqtt, tmp_path, "alone"):
        backend = await a_leader(world.engine)
        for _ in range(3):
            async with world.engine.begin() as connection:
                await connection.execute(sa.text(f"SELECT pg_terminate_backend({backend})"))
            backend = await a_leader(world.engine, other_than=backend)
        async with listening(mqtt, "area/21001/state/programme", "after") as device:
            await until(lambda: device.holds(1))


async def test_a_leader_that_is_stopped_hands_over_at_once(
    world: World, postgres_dsn: str, mqtt: Mqtt, tmp_path: Path
) -> None:
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await first.enter_async_context(dispatcher(postgres_dsn, mqtt, tmp_path, "first"))
        backend = await a_leader(world.engine)
        await second.enter_async_context(dispatcher(postgres_dsn, mqtt, tmp_path, "second"))
        await first.aclose()
        await a_leader(world.engine, other_than=backend)


class Device:
    """Somebody who listens to one document."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.programme: Programme | None = None
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            for message in await self.link.receive():
                document = Verifier(PINNED).document(message.payload)
                assert isinstance(document, Programme)
                self.programme = document
                message.ack()

    def holds(self, count: int) -> bool:
        if self.task.done():
            self.task.result()
        return self.programme is not None and len(self.programme.items) == count


@asynccontextmanager
async def listening(mqtt: Mqtt, topic: str, name: str = "device") -> AsyncIterator[Device]:
    async with Link(mqtt, client_id=name, subscriptions=[(f"{PREFIX}/{topic}", 1)]) as link:
        device = Device(link)
        try:
            yield device
        finally:
            device.task.cancel()
            await asyncio.wait([device.task])


async def test_a_change_that_is_committed_reaches_a_device_within_a_moment(
    world: World, postgres_dsn: str, mqtt: Mqtt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By NOTIFY: the poll alone would take a minute here, and the broker retains nothing."""
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 60)
    monkeypatch.setattr(repair, "QUIET", timedelta(0))
    async with (
        dispatcher(postgres_dsn, mqtt, tmp_path, "one"),
        listening(mqtt, "area/21001/state/programme") as device,
    ):
        await a_leader(world.engine)
        schedule_id = await world.schedule(await world.bulletin(), {"area": "21001"})
        await until(lambda: device.holds(1))
        await world.withdraw(schedule_id)
        await until(lambda: device.holds(0))


@pytest.mark.broker
async def test_a_broker_that_comes_back_with_nothing_gets_everything_again(
    world: World, postgres_dsn: str, broker: Broker, mqtt: Mqtt, tmp_path: Path
) -> None:
    topic = "area/21001/state/programme"
    async with dispatcher(postgres_dsn, mqtt, tmp_path, "one"):
        async with listening(mqtt, topic) as device:
            await world.schedule(await world.bulletin(), {"area": "21001"})
            await until(lambda: device.holds(1))
        broker.kill()
        for stored in (tmp_path / "broker").glob("*.db*"):
            stored.unlink()
        broker.start()
        async with listening(mqtt, topic, "newcomer") as device:
            await until(lambda: device.holds(1))
        async with listening(mqtt, "content/+/0", "content") as device:
            device.task.cancel()
            message = (await device.link.receive())[0]
            assert message.payload == (b"sound" * 20_000)[: 16 * 1024]


async def test_without_a_broker_the_ledger_is_kept_and_nothing_dies(
    world: World, postgres_dsn: str, broker: Broker, mqtt: Mqtt, tmp_path: Path
) -> None:
    broker.stop()
    async with dispatcher(postgres_dsn, mqtt, tmp_path, "one"):
        await world.schedule(await world.bulletin(), {"area": "21001"})
        async with asyncio.timeout(60):
            while len(await world.plays()) < 2:  # noqa: ASYNC110  nobody signals it
                await asyncio.sleep(0.05)
        broker.start()
        async with listening(mqtt, "area/21001/state/programme") as device:
            await until(lambda: device.holds(1))


async def test_an_error_ends_all_that_runs_beside_it() -> None:
    ended = []

    async def endless(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def failing() -> None:
        await asyncio.sleep(0)
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        await until_one_ends(endless("a"), failing(), endless("b"))
    assert sorted(ended) == ["a", "b"]
