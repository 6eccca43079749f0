"""An alert comes while somebody speaks, or over a relay: who sounds, and the ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.live.model import LiveSession
from broadcast.live.packing import FRAME_MS
from broadcast.live.studio import Speech
from broadcast.plays.model import Play
from broadcast.schedules import occurrences
from broadcast.schedules.model import Occurrence
from broadcast.streams.model import StreamCodec, StreamSource
from tests import province
from tests.alerts.test_devices import SECONDS
from tests.alerts.world import AlertWorld
from tests.callers import LAN as LAN_ID
from tests.live.world import CODE, Air, LiveWorld

RADIO = "https://radio.example/vov1.mp3"


@pytest.fixture
async def live(engine: AsyncEngine, tmp_path: Path) -> LiveWorld:
    world = LiveWorld(engine, tmp_path)
    await world.build()
    await world.turn()
    return world


def alerts_of(live: LiveWorld) -> AlertWorld:
    """The same world, with what people do with alerts."""
    world = AlertWorld.__new__(AlertWorld)
    world.__dict__ = live.__dict__
    return world


async def ledger(world: LiveWorld, occurrence_id: UUID) -> tuple[str, float]:
    """State and seconds of the play of the box's cluster."""
    async with db.transaction(world.engine) as session:
        row = await session.execute(
            sa.select(Play.state, Play.played_seconds)
            .join(Device, Device.id == Play.device_id)
            .where(Play.occurrence_id == occurrence_id, Device.code == CODE)
        )
        state, seconds = row.one()
    return state.value, round(seconds, 1)


async def spoken(air: Air, speech: Speech, seconds: float, *, first: int) -> None:
    """Somebody speaks on, and the server notes that the microphone is there, as it does."""
    while seconds > 0:
        some = min(seconds, 10.0)
        async with db.transaction(air.world.engine) as session:
            await session.execute(
                sa.update(LiveSession)
                .where(LiveSession.id == speech.live_id)
                .values(heard_at=air.world.now)
            )
        await air.go_on()
        await air.speak(speech, some, first=first)
        first += round(some * 1000 / FRAME_MS)
        seconds -= some


def sounds(air: Air) -> list[tuple[str, int]]:
    """What sounded, and for how long."""
    return [
        (
            each.occurrence_id,
            round(((each.ended_at or air.harness.now) - each.started_at).total_seconds()),
        )
        for each in air.box.sounds
    ]


async def test_an_alert_silences_who_speaks_and_the_voice_comes_back_after_it(
    live: LiveWorld,
) -> None:
    air = Air(live)
    await air.go_on()
    live_id, speech = await live.begun()
    await air.go_on(1)
    # Frames are numbered by the clock of the process, and the world has its own.
    speech._pace.number = lambda frame, elapsed_ms: frame  # type: ignore[method-assign]
    await spoken(air, speech, 20, first=0)
    alert_id = await alerts_of(live).issued()
    await spoken(air, speech, 30, first=500)
    assert (await ledger(live, live_id))[0] == "playing"
    assert (await ledger(live, alert_id))[0] == "playing"
    assert [session.session_id for session in live.document().sessions] == [str(live_id)]
    await spoken(air, speech, 60, first=1250)
    await live.end(live_id, speech.seconds)
    await air.last(speech)
    await air.go_on(6)
    await air.go_on(1)
    before, alarm, after = sounds(air)
    assert [each[0] for each in (before, alarm, after)] == [
        str(live_id), str(alert_id), str(live_id),
    ]  # fmt: skip
    assert alarm[1] == pytest.approx(SECONDS, abs=1)
    # 110 s were spoken, of which the alert covered its own length; nobody heard those.
    assert 110 - before[1] - after[1] == pytest.approx(SECONDS, abs=2)
    assert await ledger(live, alert_id) == ("played", SECONDS)
    state, seconds = await ledger(live, live_id)
    assert state == "partial"
    assert seconds == pytest.approx(before[1] + after[1], abs=2)


async def relayed(world: LiveWorld) -> UUID:
    """The occurrence of a relay of ten minutes that begins in one."""
    fallback_id = await world.bulletin()
    async with db.transaction(world.engine) as session:
        source = StreamSource(
            name="VOV1", area_code="21001", urls=[RADIO], codec=StreamCodec.MP3,
            fallback_bulletin_id=fallback_id, entered_by=LAN_ID, entered_at=world.now,
        )  # fmt: skip
        session.add(source)
        await session.flush()
        schedule = province.schedule(
            fallback_id, world.now + timedelta(minutes=1), world.now,
            targets=[{"area": "21001"}], relay_source_id=source.id, relay_seconds=600,
        )  # fmt: skip
        session.add(schedule)
        await session.flush()
        await occurrences.materialise(
            session, world.now, world.settings.rules.horizon, [schedule.id]
        )
        found = await session.scalars(
            sa.select(Occurrence.id).where(Occurrence.schedule_id == schedule.id)
        )
        return found.one()


async def test_an_alert_over_a_relay_sounds_at_once_and_the_radio_comes_back_to_its_end(
    live: LiveWorld,
) -> None:
    air = Air(live)
    air.harness.set_streams(air.box, (RADIO,))
    relay_id = await relayed(live)
    await air.go_on(120)
    assert (await ledger(live, relay_id))[0] == "playing"
    alert_id = await alerts_of(live).issued()
    await air.go_on(SECONDS + 5)
    await air.go_on(600)
    before, alarm, after = sounds(air)
    assert [each[0] for each in (before, alarm, after)] == [
        str(relay_id), str(alert_id), str(relay_id),
    ]  # fmt: skip
    assert [each[1] for each in (before, alarm, after)] == pytest.approx(
        [60, SECONDS, 600 - 60 - SECONDS], abs=1
    )
    assert [each.sha256 is None for each in air.box.sounds] == [True, False, True]
    assert await ledger(live, alert_id) == ("played", SECONDS)
    state, seconds = await ledger(live, relay_id)
    assert state == "partial"  # less than 95 % of it
    assert seconds == pytest.approx(600 - SECONDS, abs=1)
