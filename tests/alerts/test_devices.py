"""An alert from two people to the sound of a simulated box, and its journal back to the ledger."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from broadcast.alerts import board
from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.plays import reports
from broadcast.plays.model import PlayState
from broadcast.telemetry.arrival import Arrival
from broadcast.wire.codec import decode_event
from broadcast.wire.events import Playback
from device_sim.box import Identity
from device_sim.harness import Device as Box
from device_sim.harness import Harness
from device_sim.journal import Flash
from tests.alerts.world import HUNG, AlertWorld
from tests.delivery.world import PINNED

CODE = "D-V1"
SECONDS = 61.5
"""Of the sound of every alert here (`make.prepared`)."""


class Air:
    """A box at the broker of the world: what it is told, and what it says."""

    def __init__(self, world: AlertWorld) -> None:
        self._world = world
        self._told: list[Playback] = []
        self.harness = Harness(world.now, server=self)
        self.box = self.harness.add(Box(Identity(device_id=CODE, keys=tuple(PINNED)), Flash("j")))
        self._published: dict[str, bytes] = {}

    def heard(self, device_id: str, kind: str, payload: bytes) -> None:
        """As `Server`."""
        if kind == "playback":
            said = decode_event(kind, payload)
            assert isinstance(said, Playback)
            self._told.append(said)

    async def go_on(self, seconds: float) -> None:
        """What was published arrives; time passes; the server takes what the box says."""
        await self._world.turn(after=timedelta(0))
        for topic, payload in self._world.broker.retained.items():
            if self._published.get(topic) != payload:
                self._published[topic] = payload
                self.harness.publish(topic, payload, retain=True)
        self.harness.advance(seconds)
        self._world.now += timedelta(seconds=seconds)
        async with db.transaction(self._world.engine) as session:
            device_id = await session.scalar(sa.select(Device.id).where(Device.code == CODE))
            arrivals = [Arrival(device_id, CODE, each) for each in self._told]
            await reports.record(session, arrivals, self._world.now, timedelta(minutes=15))
        self._told.clear()

    async def states(self, alert_id: UUID) -> tuple[PlayState, board.Stage]:
        """The play of the box's cluster, and what the board says of its village."""
        async with db.transaction(self._world.engine) as session:
            found = await board.board(session, alert_id, HUNG)
            state = await session.scalar(
                sa.text(
                    "SELECT p.state FROM plays p JOIN installations i USING (cluster_id)"
                    " JOIN devices d ON d.id = i.device_id"
                    " WHERE p.occurrence_id = :alert AND d.code = :code"
                ),
                {"alert": alert_id, "code": CODE},
            )
        [village] = [each for each in found.villages if each.code == "V1"]
        return PlayState(state), village.stage


async def test_the_journal_of_an_alert_closes_its_play(world: AlertWorld) -> None:
    air = Air(world)
    alert_id = await world.issued()
    told_at = world.now
    await air.go_on(10)
    assert await air.states(alert_id) == (PlayState.PLAYING, board.Stage.STARTED)
    await air.go_on(SECONDS)
    assert await air.states(alert_id) == (PlayState.PLAYED, board.Stage.FINISHED)
    [sound] = air.box.sounds
    assert sound.started_at - told_at <= timedelta(seconds=1)


async def test_an_update_stops_the_alert_that_sounds_and_each_has_its_play(
    world: AlertWorld,
) -> None:
    air = Air(world)
    first = await world.issued()
    await air.go_on(20)
    update = await world.replaced(first)
    await air.go_on(5)
    assert (await air.states(first))[0] is PlayState.PLAYING
    await world.authorise(update)
    await air.go_on(10)
    assert (await air.states(update))[0] is PlayState.PLAYING
    await air.go_on(SECONDS)
    assert (await air.states(first))[0] is PlayState.PARTIAL
    assert await air.states(update) == (PlayState.PLAYED, board.Stage.FINISHED)
    assert [(each.occurrence_id, round(each.heard[1])) for each in air.box.sounds] == [
        (str(first), 25),
        (str(update), round(SECONDS)),
    ]
