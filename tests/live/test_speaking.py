"""Live speech from a microphone to the journal of a simulated box, and back into the ledger."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import av
import pytest

from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.model import Rendition, Revision
from broadcast.kit import db
from broadcast.kit.errors import BroadcastError, Conflict, Forbidden, InvalidInput
from broadcast.live import mp3, queries, recording, steps
from broadcast.live.ending import end_due
from broadcast.live.state import LiveEnd, LiveState
from broadcast.live.studio import Speech
from broadcast.regulations.model import RegulationRow
from broadcast.schedules.model import Occurrence
from tests.callers import caller
from tests.live.world import CODE, HUNG, LAN, Air, LiveWorld


async def test_what_is_said_is_heard_recorded_and_in_the_ledger(world: LiveWorld) -> None:
    air = Air(world)
    await air.go_on()
    live_id, speech = await world.begun()
    await air.go_on(1)
    [session] = world.document().sessions
    assert (session.session_id, session.priority, session.key) == (
        str(live_id),
        223,
        speech.public,
    )
    # Frames are numbered by the clock of the process, and the world has its own.
    speech._pace.number = lambda frame, _elapsed: frame  # type: ignore[method-assign]
    await air.speak(speech, 20)
    assert await world.plays(live_id) == {CODE: "playing"}
    assert (await world.shown(live_id)).listening_count == 1
    await world.end(live_id, speech.seconds)
    await air.last(speech)
    await air.go_on(6)
    await air.go_on(1)
    assert await world.plays(live_id) == {CODE: "played"}
    assert world.document().sessions == []
    shown = await world.shown(live_id)
    assert (shown.state, shown.end_reason) == (LiveState.ENDED, LiveEnd.STOPPED)
    await recording.keep_due(world.engine, world.content_dir, world.now)
    async with db.transaction(world.engine) as session:
        kept = await session.get_one(Rendition, (live_id, 1, "opus"))
        revision = await session.get_one(Revision, (live_id, 1))
    assert (kept.seconds, revision.seconds) == (20.0, 20.0)
    assert content_path(world.content_dir, kept.sha256).exists()
    assert not recording.frames_path(world.content_dir, live_id).exists()


async def test_who_hears_half_of_it_has_heard_a_part(world: LiveWorld) -> None:
    air = Air(world)
    await air.go_on()
    live_id, speech = await world.begun()
    speech._pace.number = lambda frame, _elapsed: frame  # type: ignore[method-assign]
    air.harness.disconnect(air.box)
    await air.go_on(1)
    await air.speak(speech, 20)
    air.harness.connect(air.box)
    await air.speak(speech, 20, first=500)
    await world.end(live_id, speech.seconds)
    await air.last(speech)
    await air.go_on(6)
    assert await world.plays(live_id) == {CODE: "partial gaps"}


async def test_a_session_without_its_microphone_ends_by_itself(world: LiveWorld) -> None:
    air = Air(world)
    await air.go_on()
    live_id, _ = await world.begun()
    await air.go_on(15)
    await end_due(world.engine, world.now)
    assert (await world.row(live_id)).ended_at is None
    await air.go_on(6)
    await end_due(world.engine, world.now)
    await air.go_on(5)
    await air.go_on(1)
    assert (await world.row(live_id)).end_reason is LiveEnd.ABANDONED
    assert world.document().sessions == []


async def test_a_page_that_is_loaded_again_after_a_restart_speaks_by_another_key(
    world: LiveWorld,
) -> None:
    air = Air(world)
    await air.go_on()
    live_id, first = await world.begun()
    await air.go_on(1)
    second = Speech(live_id, world.content_dir)
    second._pace.number = lambda frame, _elapsed: frame  # type: ignore[method-assign]
    await world.begin(live_id, second)
    await air.go_on(1)
    assert world.document().sessions[0].key == second.public != first.public
    await air.speak(second, 5)
    assert await world.plays(live_id) == {CODE: "playing"}
    second.close()


async def test_who_may_not_speak_where_and_when(world: LiveWorld) -> None:
    elsewhere = caller("Hùng", Role.COMMUNE_APPROVER, "21002")
    writer = caller("Hùng", Role.PROVINCE_EDITOR)
    without_factor = HUNG._replace(second_factor_until=None)
    for who in (elsewhere, writer, without_factor):
        with pytest.raises(Forbidden):
            await world.prepared(who)
    with pytest.raises(Forbidden):
        await world.prepared(HUNG, **{"class": "emergency"})
    with pytest.raises(InvalidInput, match="15"):
        await world.prepared(LAN, **{"class": "emergency", "most_minutes": 16})
    live_id = await world.prepared(HUNG)
    with pytest.raises(Forbidden):
        await world.begin(live_id, Speech(live_id, world.content_dir), LAN)
    world.now += timedelta(minutes=10)
    with pytest.raises(Conflict):
        await world.begin(live_id, Speech(live_id, world.content_dir))


async def test_quiet_hours_refuse_it_but_for_an_emergency(world: LiveWorld) -> None:
    world.now = world.now.replace(hour=16, minute=30)  # 23:30
    with pytest.raises(Conflict, match="iờ yên tĩnh"):
        await world.prepared()
    live_id, _ = await world.begun(LAN, **{"class": "emergency"})
    await world.turn()
    [session] = world.document().sessions
    assert (session.session_id, session.class_, session.priority) == (
        str(live_id),
        "emergency",
        224,
    )


async def regulate(world: LiveWorld, *windows: tuple[str, str], clusters: tuple[str, ...]) -> None:
    """Silent hours of the commune's Quy chế, for some clusters."""
    async with db.transaction(world.engine) as session:
        session.add(
            RegulationRow(
                area_code="21001", number="12/QC-UBND", signed_on=world.now.date(),
                valid_from=world.now.date() - timedelta(days=1), entered_by=LAN.account_id,
                entered_at=world.now, clusters=[*clusters],
                silent=[{"from": begins, "until": until} for begins, until in windows],
            )
        )  # fmt: skip
        await touch(session)


BOTH: tuple[str, ...] = ()
"""No cluster named: all of the commune."""


async def test_the_hours_of_the_places_count_not_those_of_the_settings(world: LiveWorld) -> None:
    await regulate(world, ("22:00", "04:30"), ("11:30", "13:30"), clusters=BOTH)
    world.now = world.now.replace(hour=21, minute=45)  # 04:45
    live_id, _ = await world.begun(most_minutes=30)
    assert (await world.row(live_id)).ends_by == world.now + timedelta(minutes=30)
    world.now = world.now.replace(hour=5, minute=0) + timedelta(days=1)  # 12:00
    with pytest.raises(Conflict, match="đến 13:30"):
        await world.prepared()
    await world.prepared(LAN, **{"class": "emergency"})


async def test_it_goes_on_where_one_place_is_silent_until_all_are(world: LiveWorld) -> None:
    await regulate(world, ("08:00", "09:00"), clusters=("C-V1",))
    await regulate(world, ("08:15", "10:00"), clusters=("C-V2",))
    world.now = world.now.replace(hour=1, minute=5, second=0)  # 08:05
    live_id, _ = await world.begun(most_minutes=30)
    assert (await world.row(live_id)).ends_by == world.now + timedelta(minutes=10)
    async with db.transaction(world.engine) as session:
        occurrence = await session.get_one(Occurrence, live_id)
    assert occurrence.scopes == ["area/V2"]


async def test_where_no_quy_che_speaks_of_hours_those_of_the_settings_hold(
    world: LiveWorld,
) -> None:
    await regulate(world, ("12:00", "13:00"), clusters=("C-V1",))
    world.now = world.now.replace(hour=21, minute=45)  # 04:45
    live_id, _ = await world.begun()
    async with db.transaction(world.engine) as session:
        occurrence = await session.get_one(Occurrence, live_id)
    assert occurrence.scopes == ["area/V1"]


async def test_what_was_stopped_cannot_be_spoken_again(world: LiveWorld) -> None:
    live_id, speech = await world.begun()
    async with db.transaction(world.engine) as session:
        live = await queries.get_session(session, live_id, lock=True)
        await steps.stop(session, live, LAN, world.now)
    with pytest.raises(BroadcastError):
        await world.begin(live_id, speech)


async def test_a_recording_is_as_long_as_the_session_whatever_lacks_in_it(
    tmp_path: Path,
) -> None:
    live_id = uuid4()
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"  # type: ignore[attr-defined]
    encoder.options = {"frame_duration": "40"}
    encoder.open()
    frames = []
    for number in range(100):
        frame = av.AudioFrame(format="s16", layout="mono", samples=1920)
        frame.planes[0].update(bytes(3840))
        frame.sample_rate, frame.pts = 48_000, number * 1920
        frames += [bytes(each) for each in encoder.encode(frame)]  # type: ignore[attr-defined]
    with recording.open_frames(tmp_path, live_id) as file:
        for number, opus in enumerate(frames):
            if not 40 <= number < 60:
                file.write(recording.frame_bytes(number, opus))
        file.write(recording.frame_bytes(len(frames), frames[0])[:-1])  # cut off by a crash
    kept = recording.keep_recording(tmp_path, live_id)
    assert kept is not None
    assert kept.seconds == pytest.approx(len(frames) * 0.04)
    with av.open(str(content_path(tmp_path, kept.sha256))) as container:
        samples = sum(each.samples for each in container.decode(audio=0))
    assert samples / 48_000 == pytest.approx(kept.seconds, abs=0.1)
    made = await recording.keep_mp3(tmp_path, live_id, kept)
    assert made is not None
    with av.open(str(content_path(tmp_path, made.sha256))) as container:
        assert container.format.name == "mp3"
        samples = sum(each.samples for each in container.decode(audio=0))
    assert samples / 32_000 == pytest.approx(kept.seconds, abs=0.2)


async def test_what_is_no_sound_has_no_mp3_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.ogg").write_bytes(b"<html>" * 1000)
    assert not await mp3.make(tmp_path / "a.ogg", tmp_path / "a.mp3")
    assert not await asyncio.to_thread((tmp_path / "a.mp3").exists)
