"""The leading one of two servers is killed half a second before a start: it sounds once, in time.

Two whole servers on one PostgreSQL and one broker, each a process of its own, and simulated
devices. Judged by the ledger, which only a leader settles, and by the journals of the devices,
whose times are those of their own clocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.config import Role, Settings
from broadcast.demo.api import Api
from broadcast.demo.seed import seed
from broadcast.demo.world import World, _free_port
from broadcast.embedded.broker import mosquitto
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db
from broadcast.kit.roles import RoleState
from broadcast.plays.model import JournalRecord, Play, PlayState
from broadcast.schedules.model import Occurrence
from broadcast.telemetry.model import Readiness
from chaos.run import RULES
from chaos.stored import configured
from tests.waiting import HANG_SECONDS

pytestmark = pytest.mark.servers

DEVICES = 3
SERVERS = "one", "two"
AHEAD = timedelta(seconds=25)
"""Between the request and the start: devices fetch the sound meanwhile."""
BEFORE_START = timedelta(seconds=0.5)
LATEST = timedelta(seconds=2)
ATTEMPTS = 4
"""A machine that does much else may let the moment pass, or fetch for longer."""
TEXT = "Mời bà con đến nhà văn hóa thôn họp."


class Two:
    """Two servers of one world, and what their database says."""

    def __init__(self, world: World, engine: AsyncEngine, ports: dict[str, int]) -> None:
        self.world = world
        self._engine = engine
        self._ports = ports

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    def start(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """As systemd does."""
        monkeypatch.setenv("BROADCAST_WEB__PORT", str(self._ports[name]))
        self.world.spawn(name, list(Role), 1 + SERVERS.index(name))

    async def answer(self) -> bool:
        """Both say that they are ready."""
        for name in SERVERS:
            self.world.process(name).check()
        async with httpx.AsyncClient() as client:
            with suppress(httpx.HTTPError):
                answers = [await client.get(f"{self.url(name)}/readyz") for name in SERVERS]
                return all(each.status_code == httpx.codes.OK for each in answers)
        return False

    async def leader(self) -> str | None:
        """The server that dispatches: it reports its process."""
        pids = await self._ask(sa.select(RoleState.pid).where(RoleState.name == "dispatch"))
        named = (name for name in SERVERS if self.world.process(name).pid in pids)
        return next(named, None)

    async def online(self) -> bool:
        async with db.transaction(self._engine) as session:
            return await configured(session) == DEVICES

    async def ready(self, schedule_id: str) -> bool:
        """All devices have told that they hold the sound."""
        told = sa.select(Readiness).where(
            Readiness.occurrence_id.in_(_of(schedule_id)), Readiness.state == "ready"
        )
        return len(await self._ask(told)) == DEVICES

    async def plays(self, schedule_id: str) -> list[Play]:
        return await self._ask(sa.select(Play).where(Play.occurrence_id.in_(_of(schedule_id))))

    async def settled(self, schedule_id: str) -> bool:
        return all(play.settled_at for play in await self.plays(schedule_id))

    async def journal(self, schedule_id: str) -> list[JournalRecord]:
        [occurrence] = await self._ask(_of(schedule_id))
        return await self._ask(
            sa.select(JournalRecord)
            .where(JournalRecord.occurrence_id == str(occurrence))
            .order_by(JournalRecord.device_id, JournalRecord.seq)
        )

    async def _ask(self, statement: sa.Select[Any]) -> list[Any]:
        async with db.transaction(self._engine) as session:
            return list(await session.scalars(statement))


def _of(schedule_id: str) -> sa.Select[Any]:
    return sa.select(Occurrence.id).where(Occurrence.schedule_id == UUID(schedule_id))


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(2 * HANG_SECONDS):
        while not await ask():  # noqa: ASYNC110  nobody signals it
            await asyncio.sleep(0.05)


async def strike(
    two: Two, api: Api, bulletin: dict[str, Any], area: str
) -> tuple[str, str] | None:
    """Kill the leader just before a start; None when the moment passed before all was ready.

    Returns:
        The leader, and the schedule.
    """
    starts_at = (clock.now() + AHEAD).replace(microsecond=0)
    made = await api.schedule(bulletin, [{"area": area}], starts_at, late_limit_seconds=60)
    ready = False
    while not ready and clock.now() < starts_at - BEFORE_START:
        await asyncio.sleep(0.05)
        ready = await two.ready(made["id"])
    leader = await two.leader()
    await asyncio.sleep((starts_at - BEFORE_START - clock.now()).total_seconds())
    if not ready or leader is None or clock.now() >= starts_at:
        return None
    two.world.process(leader).kill()
    return leader, str(made["id"])


@pytest.mark.skipif(mosquitto() is None, reason="the broker in Python forgets what it confirmed")
@pytest.mark.timeout(600)
async def test_the_leading_server_is_killed_before_a_start_and_it_sounds_once_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with World(tmp_path, "mosquitto") as world:
        for name, value in world.environment(RULES).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("BROADCAST_INGEST__WORKERS", str(len(SERVERS)))
        settings = Settings()
        await db.migrate(world.postgres.dsn)
        engine = db.create_engine(settings.postgres, "test")
        seeded = await seed(engine, settings, DEVICES, clock.now())
        public = await first_keys(engine, settings.keys, clock.now())
        two = Two(world, engine, {name: _free_port() for name in SERVERS})
        for name in SERVERS:
            two.start(name, monkeypatch)
        await until(two.answer)
        world.start_fleet(seeded.devices, public, "none", seed=1)
        await until(two.online)
        async with Api(two.url(SERVERS[0]), seeded.broadcaster, seeded.approver) as api:
            bulletin = await api.approved_bulletin(TEXT, TEXT, seeded.commune)
            struck = None
            for _ in range(ATTEMPTS):
                struck = struck or await strike(two, api, bulletin, seeded.province)
        assert struck is not None, "no start was met"
        killed, schedule_id = struck
        [survivor] = {*SERVERS} - {killed}

        async def taken_over() -> bool:
            return await two.leader() == survivor

        await until(taken_over)
        two.start(killed, monkeypatch)
        await until(lambda: two.settled(schedule_id))
        plays, journal = await two.plays(schedule_id), await two.journal(schedule_id)
        leader = await two.leader()
        await engine.dispose()
    assert leader == survivor, "who settled it"
    told = [(play.state, play.reason, play.fresh_starts) for play in plays]
    assert told == [(PlayState.PLAYED, "", 1)] * DEVICES
    assert [record.event for record in journal] == ["started", "ended"] * DEVICES
    for record in journal[::2]:
        late = record.at - plays[0].starts_at
        assert timedelta(0) <= late <= LATEST, "by the device's own clock"
