"""A key is changed while loudspeakers are away for days: real broker, simulated fleet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import NoReturn

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.config import Mqtt
from broadcast.delivery import desired, dispatcher
from broadcast.delivery.mirror import mirrored
from broadcast.delivery.retained import RetainedCleanup
from broadcast.devices.model import Device, Installation
from broadcast.ingest import pipeline, worker
from broadcast.keys import changes, report
from broadcast.keys.file_store import FileStore
from broadcast.keys.keyring import Keyring, first_keys
from broadcast.keys.states import State
from broadcast.kit import clock, db
from broadcast.mqtt.link import Link
from broadcast.programmes.model import Document
from broadcast.telemetry.model import DevicePresence, Refusal
from broadcast.wire.documents import PublicKey
from broadcast.wire.envelope import kid_of
from device_sim import clock as device_clock
from device_sim.commons import Commons
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolled, Fleet
from device_sim.link import Access
from device_sim.player import reconnect_seconds
from device_sim.timekeeping import Now
from device_sim.unit import Unit
from tests import province
from tests.delivery.world import World

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

NAMES = [f"q{n}" for n in range(900) if reconnect_seconds(f"q{n}", 1) < 0.4][:6]
AWAY, PRESENT = NAMES[:2], NAMES[2:]
VILLAGES = [f"V{number}" for number in range(1, len(NAMES) + 1)]


class Time:
    """The one time of server and devices; it may be set on by days."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = timedelta(0)
        monkeypatch.setattr(clock, "now", self.now)
        monkeypatch.setattr(device_clock, "look", lambda: Now(self.now(), monotonic()))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Drill(World):
    """A commune whose loudspeakers are simulated boxes, and what its server says of them."""

    fleet: Fleet

    async def build(self) -> None:
        hung = clock.now() - timedelta(days=1)
        async with db.transaction(self.engine) as session:
            await province.commune(session, "21001", dict(zip(VILLAGES, NAMES, strict=True)), hung)
            await session.execute(sa.update(Device).values(code=sa.func.substr(Device.code, 3)))
            await session.execute(sa.update(Installation).values(installed_at=hung))

    async def until(
        self, what: str, holds: Callable[[AsyncSession], Awaitable[bool]], seconds: float = 60
    ) -> None:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    async with db.transaction(self.engine) as session:
                        if await holds(session):
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{what}: {await self.describe()}") from None

    async def describe(self) -> object:
        async with db.transaction(self.engine) as session:
            refused = await session.execute(sa.select(Refusal.topic, Refusal.reason))
            return [(await report.report(session)).model_dump(), refused.all()]

    async def hold_all(self, session: AsyncSession, names: list[str]) -> bool:
        """These say that they hold every document for them as it is now."""
        newest = {
            f"{scope}/{kind}": revision
            for scope, kind, revision in await session.execute(
                sa.select(Document.scope, Document.kind, Document.revision)
            )
        }
        rows = await session.execute(
            sa.select(Device.code, DevicePresence.held).join(
                DevicePresence, DevicePresence.device_id == Device.id
            )
        )
        held: dict[str, dict[str, int]] = {row.code: row.held for row in rows}
        shared = {"area/21001/programme"} & newest.keys()
        return bool(shared) and all(
            held.get(name, {}).get(key) == newest.get(key)
            for name in names
            for key in {f"device/{name}/config", *shared}
        )

    async def signed_by(self, session: AsyncSession) -> dict[str, str | None]:
        rows = await session.execute(sa.select(Document.scope, Document.kind, Document.token))
        return {f"{scope}/{kind}": kid_of(token) for scope, kind, token in rows}

    async def states(self) -> dict[str, State]:
        async with db.transaction(self.engine) as session:
            return {key.kid: key.state for key in (await report.report(session)).keys}

    async def refusals(self) -> list[tuple[str, str]]:
        async with db.transaction(self.engine) as session:
            rows = await session.execute(sa.select(Refusal.topic, Refusal.reason))
            return [(topic, reason) for topic, reason in rows]

    def unit(self, name: str) -> Unit:
        return next(unit for unit in self.fleet.units if unit.identity.device_id == name)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    for module, name, seconds in (
        (desired, "TIME_TO_REPORT", timedelta(seconds=2)),
        (desired, "REFRESH_EVERY", timedelta(seconds=0.5)),
        (desired, "SAME_AGAIN_AFTER", timedelta(seconds=3)),
        (pipeline, "KEYS_SECONDS", 0.3),
    ):
        monkeypatch.setattr(module, name, seconds)
    return Time(monkeypatch)


async def lead(engine: AsyncEngine, settings: config.Settings) -> NoReturn:
    """The leader, without its scheduler: that reads the clock of the machine."""
    prefix = settings.mqtt.prefix
    async with Link(
        settings.mqtt,
        subscriptions=mirrored(prefix),
        client_id=settings.mqtt.session("dispatch"),
    ) as link:
        leader = dispatcher.Dispatcher(engine, link, settings, Keyring(FileStore(settings.keys)))
        cleanup = RetainedCleanup(engine, link, prefix)
        receiving = asyncio.create_task(dispatcher._receive(link, cleanup, leader.repair))
        try:
            while True:
                while await leader.turn(clock.now()):
                    pass
                await leader.pins.run(clock.now())
                await asyncio.sleep(0.1)
        finally:
            receiving.cancel()


@asynccontextmanager
async def running(
    engine: AsyncEngine, settings: config.Settings
) -> AsyncIterator[list[asyncio.Task[NoReturn]]]:
    tasks = [
        asyncio.create_task(lead(engine, settings)),
        asyncio.create_task(worker.run(engine, settings, Keyring(FileStore(settings.keys)))),
    ]
    try:
        yield tasks
    finally:
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def drill(
    engine: AsyncEngine, mqtt: Mqtt, folder: Path
) -> AsyncIterator[tuple[Drill, config.Settings]]:
    """A server with its fleet, all of which hold a programme."""
    settings = config.Settings(
        mqtt=mqtt,
        content_dir=folder / "content",
        keys=config.Keys(dir=folder / "keys", passphrase_file=folder / "passphrase"),
        rules=config.Rules(quiet_hours=(), heartbeat_seconds=5),
    )
    world = Drill(engine, settings.content_dir)
    async with db.transaction(engine) as session:
        await db.ensure_partitions(session, clock.now().date() - timedelta(days=1))
        await db.ensure_partitions(session, clock.now().date() + timedelta(days=3))
    await world.build()
    public: list[PublicKey] = await first_keys(engine, settings.keys, clock.now())
    world.fleet = Fleet(Commons(Access((mqtt.host, mqtt.port), mqtt.prefix), Faults(NONE)))
    for name in NAMES:
        world.fleet.add(tuple(public), Enrolled(device_id=name))
    stop = asyncio.Event()
    async with running(engine, settings):
        powered = asyncio.create_task(world.fleet.run(stop))
        world.now = clock.now()
        await world.schedule(
            await world.bulletin(), {"area": "21001"}, hours=48, rrule="FREQ=DAILY"
        )
        await world.until("all hold all", lambda session: world.hold_all(session, NAMES))
        yield world, settings
        stop.set()
        await powered
        world.fleet.shut_down()


async def test_a_key_is_changed_while_loudspeakers_are_away_for_days(
    engine: AsyncEngine, mqtt: Mqtt, tmp_path: Path, time: Time
) -> None:
    async with drill(engine, mqtt, tmp_path) as (world, settings):
        [old] = await signers(world, "programme")
        for name in AWAY:
            world.unit(name).power_off()
        store = FileStore(settings.keys)
        async with db.transaction(engine) as session:
            [new] = await changes.rotate(session, store, ["programme"], clock.now())
        await world.until(
            "the new key is pinned", lambda session: pinned(session, PRESENT, new.kid)
        )

        time.ahead = timedelta(days=3)
        await world.until("all go on", lambda session: world.hold_all(session, PRESENT))
        assert (await world.states())[old] is State.SIGNING, "two have not pinned the new one"

        for name in AWAY:
            world.unit(name).power_on()
        await world.until("the new key signs", lambda session: all_signed(world, session, new.kid))
        await world.until("all hold all", lambda session: world.hold_all(session, NAMES))
        assert await world.refusals() == []

        async with db.transaction(engine) as session:
            await changes.retire(session, store, old, clock.now())
        await world.until("the old key is gone", lambda session: only(session, NAMES, new.kid))
        await world.until("all hold all", lambda session: world.hold_all(session, NAMES))
        assert await world.refusals() == []
        assert world.fleet.shut_down()["documents_refused"] == 0


async def test_a_stolen_key_is_replaced_at_once_and_whoever_was_away_is_called_back(
    engine: AsyncEngine, mqtt: Mqtt, tmp_path: Path, time: Time
) -> None:
    async with drill(engine, mqtt, tmp_path) as (world, settings):
        [old] = await signers(world, "programme")
        for name in AWAY:
            world.unit(name).power_off()
        store = FileStore(settings.keys)
        async with db.transaction(engine) as session:
            [new] = await changes.rotate(session, store, ["programme"], clock.now())
        await world.until(
            "the new key is pinned", lambda session: pinned(session, PRESENT, new.kid)
        )
        async with db.transaction(engine) as session:
            waiting = await changes.activate(
                session, store, new.kid, clock.now(), without_waiting=True
            )
            await changes.retire(session, store, old, clock.now())
        assert waiting == len(AWAY)
        time.ahead = timedelta(days=3)
        await world.until("the others go on", lambda session: only(session, PRESENT, new.kid))
        async with db.transaction(engine) as session:
            signed = await world.signed_by(session)
        assert {signed[f"device/{name}/config"] for name in AWAY} == {old}
        assert {signed[f"device/{name}/config"] for name in PRESENT} == {new.kid}

        for name in AWAY:
            world.unit(name).power_on()
        await world.until("all hold all", lambda session: world.hold_all(session, NAMES))
        await world.until("all forget the old key", lambda session: only(session, NAMES, new.kid))
        await world.until("all hold all", lambda session: world.hold_all(session, NAMES))


async def signers(world: Drill, use: str) -> list[str]:
    async with db.transaction(world.engine) as session:
        found = await report.report(session)
    return [key.kid for key in found.keys if key.use == use and key.state is State.SIGNING]


async def pinned(session: AsyncSession, names: list[str], kid: str) -> bool:
    lacking = {each.device: each.lacks for each in (await report.report(session)).lacking}
    return all(kid not in lacking.get(name, []) for name in names)


async def only(session: AsyncSession, names: list[str], kid: str) -> bool:
    """These name one programme key, and nobody else needs another."""
    found = await report.report(session)
    named = [key for key in found.keys if key.use == "programme" and key.kid != kid]
    devices = {each.device for each in found.lacking}
    old = sa.text("""
        SELECT count(*) FROM device_presence AS p
        JOIN devices AS d ON d.id = p.device_id
        JOIN LATERAL (
            SELECT kids FROM config_keys AS k
            WHERE k.scope = 'device/' || d.code
              AND k.revision <= CAST(p.held ->> ('device/' || d.code || '/config') AS bigint)
            ORDER BY k.revision DESC LIMIT 1
        ) AS k ON true
        WHERE d.code = ANY(:names) AND k.kids && CAST(:old AS text[])
    """)
    with_old = await session.scalar(old, {"names": names, "old": [key.kid for key in named]})
    return not devices & set(names) and with_old == 0


async def all_signed(world: Drill, session: AsyncSession, kid: str) -> bool:
    return set((await world.signed_by(session)).values()) == {kid}
