"""Live speech over the small province of the dispatcher, with the broker in memory."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from broadcast.auth.permissions import Role
from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.live import queries, steps
from broadcast.live.model import LiveSession
from broadcast.live.packing import FRAME_MS
from broadcast.live.schemas import LiveIn, LiveOut
from broadcast.live.state import LiveEnd
from broadcast.live.studio import LAST_TIMES, Speech
from broadcast.plays import reports
from broadcast.plays.model import Play
from broadcast.telemetry.arrival import Arrival
from broadcast.wire.codec import decode_event
from broadcast.wire.documents import Live
from broadcast.wire.events import Playback
from device_sim.box import Identity
from device_sim.harness import Device as Box
from device_sim.harness import Harness
from device_sim.journal import Flash
from tests.callers import caller
from tests.delivery.world import PINNED, World

LAN = caller("Lan", Role.DUTY_OFFICER)
HUNG = caller("Hùng", Role.PROVINCE_APPROVER)
CODE = "D-V1"

BODY: dict[str, Any] = {
    "title": "Chủ tịch xã nói chuyện với bà con",
    "targets": [{"area": "21001"}],
}


class LiveWorld(World):
    """What a speaker does, and one box that hears it."""

    async def prepared(self, who: Any = HUNG, **changes: Any) -> UUID:
        async with db.transaction(self.engine) as session:
            body = LiveIn.model_validate(BODY | changes)
            return (await steps.prepare(session, body, who, self.settings, self.now)).id

    async def begun(self, who: Any = HUNG, **changes: Any) -> tuple[UUID, Speech]:
        live_id = await self.prepared(who, **changes)
        speech = Speech(live_id, self.content_dir)
        await self.begin(live_id, speech, who)
        return live_id, speech

    async def begin(self, live_id: UUID, speech: Speech, who: Any = HUNG) -> None:
        async with db.transaction(self.engine) as session:
            live = await queries.get_session(session, live_id, lock=True)
            await steps.begin(session, live, speech.public, who, self.settings, self.now)

    async def end(self, live_id: UUID, seconds: float) -> None:
        async with db.transaction(self.engine) as session:
            live = await queries.get_session(session, live_id, lock=True)
            await steps.end(session, live, LiveEnd.STOPPED, HUNG.account_id, self.now, seconds)

    async def row(self, live_id: UUID) -> LiveSession:
        async with db.transaction(self.engine) as session:
            return await queries.get_session(session, live_id)

    async def shown(self, live_id: UUID) -> LiveOut:
        async with db.transaction(self.engine) as session:
            live = await queries.get_session(session, live_id)
            return await queries.detail(session, live, self.now)

    async def plays(self, live_id: UUID) -> dict[str, str]:
        """State and reason by device."""
        async with db.transaction(self.engine) as session:
            rows = await session.execute(
                sa.select(Device.code, Play.state, Play.reason)
                .join(Device, Device.id == Play.device_id)
                .where(Play.occurrence_id == live_id)
            )
            return {code: f"{state.value} {reason}".strip() for code, state, reason in rows}

    def document(self, scope: str = "area/21001") -> Live:
        document = self.broker.document(f"{scope}/live/sessions")
        assert isinstance(document, Live)
        return document


class Air:
    """A box at the broker of the world: what it is told, and what it says."""

    def __init__(self, world: LiveWorld) -> None:
        self.world = world
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

    async def go_on(self, seconds: float = 0) -> None:
        """What was published arrives; time passes; the server takes what the box says."""
        await self.world.turn(after=timedelta(0))
        for topic, payload in self.world.broker.retained.items():
            if self._published.get(topic) != payload:
                self._published[topic] = payload
                self.harness.publish(topic, payload, retain=True)
        await self._pass(seconds)

    async def speak(self, speech: Speech, seconds: float, *, first: int = 0) -> None:
        """Somebody speaks; the frames say nothing, and are numbered."""
        for number in range(first, first + round(seconds * 1000 / FRAME_MS)):
            moment = (number - first + 1) * FRAME_MS / 1000
            self.harness.at(moment, lambda number=number: self._say(speech, number))
        await self._pass(seconds)

    async def last(self, speech: Speech) -> None:
        packet = speech.last()
        speech.close()
        for _ in range(LAST_TIMES):
            self._send(speech, packet)

    def _say(self, speech: Speech, number: int) -> None:
        packet = speech.add(number, b"\x58" + number.to_bytes(4, "big"))
        if packet is not None:
            self._send(speech, packet)

    def _send(self, speech: Speech, packet: bytes) -> None:
        self.harness.publish(f"live/{speech.live_id}/sound", packet, retain=False)

    async def _pass(self, seconds: float) -> None:
        self.harness.advance(seconds)
        self.world.now += timedelta(seconds=seconds)
        async with db.transaction(self.world.engine) as session:
            device_id = await session.scalar(sa.select(Device.id).where(Device.code == CODE))
            arrivals = [Arrival(device_id, CODE, each) for each in self._told]
            await reports.record(session, arrivals, self.world.now, timedelta(minutes=15))
        self._told.clear()
