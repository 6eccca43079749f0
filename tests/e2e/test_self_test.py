"""A technician orders a self-test over REST; the tone that was noted proves a play near it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.auth.permissions import Role
from broadcast.bulletins.model import RevisionState
from broadcast.commands.model import CommandResult
from broadcast.config import Mqtt, Rules, Settings
from broadcast.delivery import dispatcher
from broadcast.devices.model import Installation
from broadcast.ingest import worker
from broadcast.kit import clock, db
from broadcast.plays.model import Play
from broadcast.plays.settle import Grade, PlayState
from broadcast.telemetry.model import Boot, ListeningSpan
from device_sim.commons import Commons
from device_sim.faults import NONE, Faults
from device_sim.fleet import Enrolled, Fleet
from device_sim.link import Access
from tests.bulletins import make
from tests.delivery.world import KEYS, PINNED, World
from tests.device_sim.test_sound import encoded
from tests.keys.memory import keyring
from tests.stations.client import client_of
from tests.waiting import HANG_SECONDS

pytestmark = pytest.mark.servers

DEVICE = "D-V2"
SECONDS = 2.0


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        failed = task.done()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert not failed


async def until(
    engine: AsyncEngine, find: Callable[[Any], Awaitable[Any]], seconds: float = HANG_SECONDS
) -> Any:
    """What a question to the database answers, as soon as it answers anything."""
    async with asyncio.timeout(seconds):
        while True:
            async with db.transaction(engine) as session:
                if (found := await find(session)) is not None:
                    return found
            await asyncio.sleep(0.05)


async def bulletin(world: World) -> Any:
    """A short approved bulletin with real sound."""
    sound = make.prepared(world.content_dir, opus=encoded(SECONDS))
    renditions = tuple(replace(rendition, seconds=SECONDS) for rendition in sound.renditions)
    sound = replace(sound, seconds=SECONDS, renditions=renditions)
    async with db.transaction(world.engine) as session:
        made = await make.bulletin(session, area_code="21001", title="Thông báo")
        await make.revision(session, made, sound, RevisionState.APPROVED)
        return made.id


@pytest.mark.broker
async def test_a_self_test_proves_what_the_same_loudspeaker_played(
    engine: AsyncEngine, mqtt: Mqtt, tmp_path: Path
) -> None:
    world = World(engine, tmp_path / "content")
    await world.build()
    async with db.transaction(engine) as session:
        hung = clock.now() - timedelta(days=1)
        await session.execute(sa.update(Installation).values(installed_at=hung))
    rules = Rules(quiet_hours=())
    settings = Settings(mqtt=mqtt, content_dir=world.content_dir, rules=rules)
    truth = io.StringIO()
    fleet = Fleet(Commons(Access((mqtt.host, mqtt.port), mqtt.prefix), Faults(NONE), truth=truth))
    fleet.add(tuple(PINNED), Enrolled(device_id=DEVICE))
    ours = await keyring(*KEYS)
    async with running(worker.run(engine, settings, ours)):
        # What is sent before the first subscription at a new broker reaches nobody.
        await until(engine, lambda session: session.scalar(sa.select(ListeningSpan.started_at)))
        async with running(fleet.run(asyncio.Event())):
            await until(engine, lambda session: session.scalar(sa.select(Boot.device_id)))
            async with client_of(engine, Role.TECHNICIAN, settings) as client:
                answer = await client.post(
                    f"/devices/{DEVICE}/commands", json={"kind": "self_test"}
                )
            command_id = answer.json()["command_id"]
            # Nobody serves REST any more, and nobody has dispatched yet.
            async with running(dispatcher.run(engine, settings, ours)):
                await until(engine, lambda session: session.scalar(sa.select(CommandResult.kind)))
                world.now = clock.now()
                await world.schedule(await bulletin(world), {"area": "V2"}, hours=5 / 3600)
                played = await until(
                    engine,
                    lambda session: session.scalar(
                        sa.select(Play).where(Play.state == PlayState.PLAYED)
                    ),
                )
        fleet.shut_down()
    assert played.evidence == Grade.SELF_TEST
    async with client_of(engine, Role.PROVINCE_MONITOR) as client:
        told = (await client.get(f"/commands/{command_id}")).json()
    assert (told["state"], told["heard"]) == ("done", "amplifier")
    assert told["ordered_at"] <= told["published_at"] <= told["answered_at"]
    events = [json.loads(line)["event"] for line in truth.getvalue().splitlines()]
    assert events.count("test_tone") == 1
