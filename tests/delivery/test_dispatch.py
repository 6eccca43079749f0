"""What changed → ledger and signed documents → broker, turn by turn."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.areas.model import Area, AreaLineage, Level, Part
from broadcast.areas.topology import touch
from broadcast.auth.permissions import Role
from broadcast.delivery import fast_path, outbox
from broadcast.delivery.mirror import BrokerMirror
from broadcast.devices import installations
from broadcast.devices.enrolment import retire
from broadcast.devices.model import Device, Installation
from broadcast.incidents.model import Incident
from broadcast.indicators.rollup import KEPT_DAYS
from broadcast.keys import changes
from broadcast.kit import db, failures
from broadcast.kit.clock import LOCAL
from broadcast.plays.model import Play, PlayState
from broadcast.programmes.model import (
    DirtyScope,
    Document,
    ProgrammeRevision,
    PublishedContent,
)
from broadcast.restore.acceptance import accept
from broadcast.schedules import cancellation, occurrences
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.stations.clusters import find_cluster
from broadcast.stations.model import Cluster
from broadcast.telemetry.model import DevicePresence, ListeningSpan
from broadcast.telemetry.presence import Presence
from broadcast.wire.documents import Config, Programme
from broadcast.wire.envelope import SigningKey, Verifier
from tests.callers import caller
from tests.delivery.world import KEYS, NOW, PINNED, World
from tests.keys.memory import MemoryStore


@pytest.fixture
async def world(engine: AsyncEngine, tmp_path: Path) -> World:
    world = World(engine, tmp_path)
    await world.build()
    return world


async def test_a_schedule_becomes_a_signed_document_with_its_audio_before_it(
    world: World,
) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    programme = world.broker.document("area/21001/state/programme")
    assert isinstance(programme, Programme)
    assert programme.scope == "area/21001"
    [item] = programme.items
    assert item.starts_at == NOW + timedelta(hours=2)
    opus = item.audio[0]
    assert (opus.codec, opus.bytes) == ("opus", 100_000)
    blocks = [world.broker.retained[f"content/{opus.sha256}/{n}"] for n in range(7)]
    assert b"".join(blocks) == b"sound" * 20_000
    order = world.broker.publishes
    assert order.index(f"content/{opus.sha256}/6") < order.index("area/21001/state/programme")
    assert await world.plays() == [(PlayState.PLANNED, "")] * 2


async def test_a_programme_of_23_daily_items_is_read_by_devices_and_by_its_author(
    world: World,
) -> None:
    """Above 129,536 bytes the JOSE library signs what it refuses to read."""
    bulletin_id = await world.bulletin()
    for number in range(30):
        await world.schedule(
            bulletin_id, {"area": "21001"}, hours=2 + number / 10, rrule="FREQ=DAILY"
        )
    await world.turn()
    topic = "area/21001/state/programme"
    assert len(world.broker.retained[topic]) > 129_536
    assert len(world.broker.document(topic).items) == 30 * 8
    await world.withdraw(await world.schedule(bulletin_id, {"area": "21001"}))
    await world.schedule(bulletin_id, {"area": "21001"}, hours=1)
    await world.turn()
    assert len(world.broker.document(topic).items) == 30 * 8 + 1


async def test_every_device_gets_the_config_that_names_what_it_follows(world: World) -> None:
    await world.turn()
    document = world.broker.document("device/D-V1/state/config")
    assert isinstance(document, Config)
    assert document.areas == ["V1", "21001", "51"]
    assert [key.kid for key in document.keys] == [key.kid for key in KEYS]
    assert [(q.from_, q.until) for q in document.quiet_hours] == [("22:00", "05:00")]
    async with db.transaction(world.engine) as session:
        installed_at = await session.scalar(
            sa.select(Installation.installed_at)
            .join(Device, Device.id == Installation.device_id)
            .where(Device.code == "D-V1")
        )
    assert document.not_before == installed_at


async def test_nothing_new_is_published_twice(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    count = len(world.broker.publishes)
    for _ in range(3):
        await world.turn()
    world.restart()
    await world.turn()
    assert len(world.broker.publishes) == count


async def test_withdrawing_a_schedule_empties_the_document_and_cancels_the_plays(
    world: World,
) -> None:
    schedule_id = await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    first = world.broker.document("area/21001/state/programme")
    await world.withdraw(schedule_id)
    await world.turn()
    second = world.broker.document("area/21001/state/programme")
    assert second.items == []
    assert second.revision > first.revision
    assert await world.plays() == [(PlayState.CANCELLED, "withdrawn")] * 2


async def test_withdrawing_the_revision_takes_it_off_the_air(world: World) -> None:
    bulletin_id = await world.bulletin()
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()
    async with db.transaction(world.engine) as session:
        await session.execute(sa.text("UPDATE bulletin_revisions SET state = 'withdrawn'"))
    await world.turn()
    assert world.broker.document("area/21001/state/programme").items == []
    assert await world.plays() == [(PlayState.CANCELLED, "withdrawn")] * 2


async def test_moving_an_occurrence_keeps_its_id_and_moves_its_plays(world: World) -> None:
    schedule_id = await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    [before] = world.broker.document("area/21001/state/programme").items
    async with db.transaction(world.engine) as session:
        schedule = await session.get_one(Schedule, schedule_id)
        occurrence = (await session.scalars(sa.select(Occurrence))).one()
        await session.execute(
            sa.text(
                "INSERT INTO schedule_exceptions VALUES (:schedule, :at, :to, 1000001, :now)"
            ),
            {"schedule": schedule.id, "at": occurrence.recurrence_at,
             "to": occurrence.starts_at + timedelta(minutes=30), "now": world.now},
        )  # fmt: skip
        await occurrences.materialise(session, world.now, world.settings.rules.horizon)
    await world.turn()
    [after] = world.broker.document("area/21001/state/programme").items
    assert after.occurrence_id == before.occurrence_id
    assert after.starts_at == before.starts_at + timedelta(minutes=30)
    async with db.transaction(world.engine) as session:
        starts = set(await session.scalars(sa.select(Play.starts_at)))
    assert starts == {after.starts_at}


async def test_a_single_cluster_gets_its_own_document_and_a_swap_hands_it_on(
    world: World,
) -> None:
    await world.schedule(await world.bulletin(), {"cluster": "C-V1"})
    await world.turn()
    assert len(world.broker.document("device/D-V1/state/programme").items) == 1
    async with db.transaction(world.engine) as session:
        new = Device(code="D-NEW", codecs=["mp3"], enrolled_at=world.now)
        session.add(new)
        await session.flush()
        cluster_id = await session.scalar(sa.select(Cluster.id).where(Cluster.code == "C-V1"))
        await session.execute(
            sa.update(Installation)
            .where(Installation.cluster_id == cluster_id)
            .values(removed_at=world.now)
        )
        session.add(Installation(device_id=new.id, cluster_id=cluster_id, installed_at=world.now))
        await touch(session)
    await world.turn()
    assert world.broker.document("device/D-V1/state/programme").items == []
    assert len(world.broker.document("device/D-NEW/state/programme").items) == 1
    assert world.broker.document("device/D-V1/state/config").areas == []
    assert world.broker.document("device/D-NEW/state/config").areas == ["V1", "21001", "51"]


async def test_what_was_not_confirmed_is_published_when_the_broker_is_back(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    world.broker.away = True
    await world.turn()
    assert world.broker.retained == {}
    world.broker.away = False
    await world.turn()
    assert len(world.broker.document("area/21001/state/programme").items) == 1


async def test_a_broker_that_forgot_is_told_again(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    await world.turn(after=timedelta(seconds=6))
    held = dict(world.broker.retained)
    world.broker.retained.clear()
    world.broker.reconnect()
    await world.turn()
    assert world.broker.retained == {}
    await world.turn(after=timedelta(seconds=6))
    assert world.broker.retained == held


async def test_a_programme_is_issued_again_daily_and_always_holds_for_seven_days(
    world: World,
) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"}, hours=24 * 6)
    await world.turn()
    revisions = set()
    for _ in range(5 * 8):
        await world.turn(after=timedelta(hours=3))
        programme = world.broker.programme("area/21001")
        revisions.add(programme.revision)
        assert programme.not_after >= world.now + timedelta(days=7)
    assert len(revisions) == 1 + 5


async def test_at_every_moment_a_device_holds_all_of_the_next_seven_days(world: World) -> None:
    """And is sent a programme once a day, however many items there are."""
    await world.schedule(
        await world.bulletin(), {"area": "21001"}, rrule="FREQ=DAILY;BYHOUR=10,12,14,16,18"
    )
    await world.turn()
    revisions = set()
    starts = [NOW + timedelta(hours=h, days=d) for d in range(30) for h in (2, 4, 6, 8, 10)]
    for minutes in range(0, 9 * 24 * 60, 110):
        items = {item.starts_at for item in world.broker.programme("area/21001").items}
        coming = {at for at in starts if world.now < at < world.now + timedelta(days=7)}
        assert coming <= items, minutes
        revisions.add(world.broker.programme("area/21001").revision)
        await world.turn(after=timedelta(minutes=110))
    assert len(revisions) == 1 + 9


async def test_an_empty_programme_is_left_to_lapse(world: World) -> None:
    schedule_id = await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    await world.withdraw(schedule_id)
    await world.turn()
    empty = world.broker.retained["area/21001/state/programme"]
    for _ in range(10):
        await world.turn(after=timedelta(days=1))
    assert world.broker.retained["area/21001/state/programme"] == empty
    async with db.transaction(world.engine) as session:
        assert not list(await session.scalars(sa.select(DirtyScope)))


async def test_audio_leaves_the_broker_a_day_after_its_last_item(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    assert any(topic.startswith("content/") for topic in world.broker.retained)
    await world.turn(after=timedelta(hours=25))
    assert any(topic.startswith("content/") for topic in world.broker.retained)
    await world.turn(after=timedelta(hours=3))
    assert not any(topic.startswith("content/") for topic in world.broker.retained)
    async with db.transaction(world.engine) as session:
        assert await session.scalar(
            sa.select(sa.func.count()).where(PublishedContent.removed_at.is_not(None))
        )


async def test_audio_that_returns_to_a_programme_returns_to_the_broker(world: World) -> None:
    bulletin_id = await world.bulletin()
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()
    await world.turn(after=timedelta(hours=30))
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()
    assert list(world.broker.files().values()) == [b"sound" * 20_000]


async def test_missing_audio_holds_up_no_other_document(world: World) -> None:
    await world.schedule(await world.bulletin(b"gone!"), {"area": "V1"})
    await world.schedule(await world.bulletin(b"there"), {"area": "V2"})
    for path in world.content_dir.rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"gone!"):
            path.unlink()
    await world.turn()
    assert len(world.broker.document("area/V1/state/programme").items) == 1
    [item] = world.broker.document("area/V2/state/programme").items
    assert f"content/{item.audio[0].sha256}/0" in world.broker.retained


async def test_the_ledger_remembers_which_revisions_carried_an_occurrence(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    async with db.transaction(world.engine) as session:
        occurrence = (await session.scalars(sa.select(Occurrence))).one()
        [row] = await session.scalars(
            sa.select(ProgrammeRevision).where(
                ProgrammeRevision.occurrence_ids.contains([occurrence.id])
            )
        )
        document = await session.get_one(Document, ("area/21001", "programme"))
    assert row.revision == document.revision == document.published_revision
    assert row.published_at is not None


async def test_killed_between_any_two_steps_it_ends_in_the_same_documents(
    world: World,
) -> None:
    """Every step may be the last of a leader; the next leader finishes the work."""
    await world.schedule(await world.bulletin(), {"area": "21001"})
    names = [step.name for step in world.dispatcher.steps]
    for name in names:
        world.restart()
        stop = next(step for step in world.dispatcher.steps if step.name == name)

        async def die(_: datetime) -> None:
            raise KeyboardInterrupt

        stop.work = die
        with pytest.raises(KeyboardInterrupt):
            await world.turn()
    world.restart()
    await world.turn()
    assert len(world.broker.document("area/21001/state/programme").items) == 1
    assert await world.plays() == [(PlayState.PLANNED, "")] * 2


# --- what is told to whom ------------------------------------------------------------------------


async def test_a_merger_at_midnight_hands_the_items_to_the_villages(world: World) -> None:
    """21001 goes into 21099 with a village that never heard of it."""
    await world.schedule(await world.bulletin(), {"area": "21001"}, rrule="FREQ=DAILY")
    await world.turn()
    midnight = NOW + timedelta(hours=16)
    merged_on = midnight.astimezone(LOCAL).date()
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.update(Area)
            .where(Area.code.in_(["21001", "V1", "V2"]))
            .values(valid_to=merged_on - timedelta(days=1))
        )
        for code, parent in (("21099", "51"), ("V1", "21099"), ("V2", "21099"), ("V3", "21099")):
            level = Level.COMMUNE if parent == "51" else Level.VILLAGE
            session.add(
                Area(code=code, level=level, kind=level.value, name=code, parent_code=parent,
                     valid_from=merged_on, valid_to=None)
            )  # fmt: skip
        session.add(
            AreaLineage(old_code="21001", new_code="21099", effective_on=merged_on,
                        part=Part.WHOLE, legal_act="NQ")
        )  # fmt: skip
        await touch(session)
    await world.turn()
    # Known before: today's occurrence stays where it is, those after midnight go to the villages.
    [today] = world.broker.programme("area/21001").items
    for village in ("V1", "V2"):
        assert len(world.broker.programme(f"area/{village}").items) == 7
    assert "area/21099/state/programme" not in world.broker.retained
    assert world.broker.document("device/D-V1/state/config").areas == ["V1", "21001", "51"]
    await world.turn(after=timedelta(hours=16))
    assert world.broker.document("device/D-V1/state/config").areas == ["V1", "21099", "51"]
    async with db.transaction(world.engine) as session:
        states = set(await session.scalars(sa.select(Play.state)))
        per_occurrence = sa.select(sa.func.count(Play.cluster_id)).group_by(Play.occurrence_id)
        counts = set(await session.scalars(per_occurrence))
    assert counts == {2}
    assert PlayState.CANCELLED not in states
    assert today.starts_at == NOW + timedelta(hours=2)


async def test_a_retired_device_is_told_to_follow_nothing(world: World) -> None:
    await world.turn()
    async with db.transaction(world.engine) as session:
        device = (await session.scalars(sa.select(Device).where(Device.code == "D-V1"))).one()
        await retire(session, device, world.now)
    await world.turn()
    assert world.broker.document("device/D-V1/state/config").areas == []
    assert world.broker.document("device/D-V2/state/config").areas == ["V2", "21001", "51"]


async def test_another_key_signs_everything_anew(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    before = dict(world.broker.retained)
    async with db.transaction(world.engine) as session:
        [new] = await changes.rotate(session, world.store, ["programme"], world.now)
        await changes.activate(session, world.store, new.kid, world.now, without_waiting=True)
    await world.turn()
    await world.turn()
    signed = {topic for topic in before if not topic.startswith("content/")}
    assert {topic.split("/")[0] for topic in signed} == {"area", "device"}
    for topic in signed:
        # Devices that were never heard were given the old one.
        verifier = Verifier([new.public()] if topic.startswith("area/") else PINNED)
        document = verifier.document(world.broker.retained[topic])
        if isinstance(document, Config):
            assert new.kid in {key.kid for key in document.keys}


async def test_a_machine_with_strange_keys_signs_nothing_and_takes_nothing_away(
    world: World,
) -> None:
    await world.schedule(await world.bulletin(), {"area": "V1"})
    await world.turn()
    before, ours = dict(world.broker.retained), world.store
    world.store = MemoryStore(*map(SigningKey.generate, ("programme", "alert")))
    world.restart()
    await world.schedule(await world.bulletin(b"later"), {"area": "V2"})
    world.broker.publishes.clear()
    await world.turn(after=timedelta(hours=2))
    await world.turn(after=timedelta(seconds=10))
    documents = {topic: token for topic, token in before.items() if "/state/" in topic}
    assert {k: v for k, v in world.broker.retained.items() if "/state/" in k} == documents
    assert not [topic for topic in world.broker.publishes if "/state/" in topic]
    world.store = ours  # restored
    world.restart()
    await world.turn()
    assert len(world.broker.programme("area/V2").items) == 1


async def test_what_a_key_signed_that_an_older_database_does_not_know_is_newer(
    world: World,
) -> None:
    await world.schedule(await world.bulletin(), {"area": "V1"})
    await world.turn()
    since = world.store.create("programme")
    held = world.broker.programme("area/V1")
    newer = structs.replace(held, revision=held.revision + 5_000_000)
    token = world.broker.retained["area/V1/state/programme"] = since.sign(newer)
    world.restart()
    world.broker.reconnect()
    for _ in range(4):
        await world.turn(after=timedelta(seconds=3))
    assert world.dispatcher.restores.comparing, "a person decides"
    assert world.broker.retained["area/V1/state/programme"] == token


async def test_only_the_codecs_that_a_device_needs_are_at_the_broker(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    assert list(world.broker.files().values()) == [b"sound" * 20_000]
    async with db.transaction(world.engine) as session:
        session.add(Device(code="D-OLD", codecs=["mp3"], enrolled_at=world.now))
        session.add(Device(code="D-NEW", codecs=["mp3", "opus"], enrolled_at=world.now))
        await touch(session)
    await world.turn()
    assert sorted(world.broker.files().values()) == [b"mp3", b"sound" * 20_000]


# --- the order of things -------------------------------------------------------------------------


async def test_the_first_block_is_published_last_and_removed_first(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    blocks = [t.split("/")[2] for t in world.broker.publishes if t.startswith("content/")]
    assert blocks == ["1", "2", "3", "4", "5", "6", "0"]
    world.broker.publishes.clear()
    await world.turn(after=timedelta(days=2))
    blocks = [t.split("/")[2] for t in world.broker.publishes if t.startswith("content/")]
    assert blocks == ["0", "1", "2", "3", "4", "5", "6"]


async def test_a_withdrawal_overtakes_the_audio_of_others(world: World) -> None:
    first = await world.schedule(await world.bulletin(), {"area": "V1"})
    await world.turn()
    await world.schedule(await world.bulletin(b"long!"), {"area": "V2"})
    await world.withdraw(first)
    world.broker.refuse = lambda topic: topic.startswith("content/")
    await world.turn()
    assert world.broker.programme("area/V1").items == []
    assert "area/V2/state/programme" not in world.broker.retained
    world.broker.refuse = lambda _: False
    await world.turn()
    assert len(world.broker.programme("area/V2").items) == 1


async def test_audio_is_published_some_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "BYTES_PER_TURN", 100_000)
    for number in range(3):
        await world.schedule(
            await world.bulletin(f"song{number}".encode()), {"area": "V1"}, number + 2
        )
    more = [await world.dispatcher.turn(world.now) for _ in range(4)]
    assert more == [True, True, False, False]
    assert len(world.broker.files()) == 3
    assert len(world.broker.programme("area/V1").items) == 3


async def test_withdrawn_audio_leaves_at_once_and_cancelled_audio_after_a_day(
    world: World,
) -> None:
    withdrawn, cancelled = await world.bulletin(b"wrong"), await world.bulletin(b"right")
    await world.schedule(withdrawn, {"area": "V1"})
    schedule_id = await world.schedule(cancelled, {"area": "V2"})
    await world.turn()
    assert len(world.broker.files()) == 2
    async with db.transaction(world.engine) as session:
        await session.execute(
            sa.text("UPDATE bulletin_revisions SET state = 'withdrawn' WHERE bulletin_id = :id"),
            {"id": withdrawn},
        )
    await world.withdraw(schedule_id)
    await world.turn()
    await world.turn()
    assert list(world.broker.files().values()) == [b"right" * 20_000]
    await world.turn(after=timedelta(hours=23))
    assert len(world.broker.files()) == 1
    await world.turn(after=timedelta(hours=2))
    assert world.broker.files() == {}


async def test_a_file_that_is_not_what_its_name_says_is_never_published(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    for path in world.content_dir.rglob("*"):
        if path.is_file():
            path.write_bytes(b"x" + path.read_bytes()[1:])
    await world.turn()
    assert world.broker.files() == {}
    assert len(world.broker.programme("area/21001").items) == 1


async def test_one_document_that_is_not_confirmed_holds_up_no_other(world: World) -> None:
    for village in ("V1", "V2"):
        await world.schedule(await world.bulletin(), {"area": village})
    world.broker.refuse = lambda topic: topic == "area/V1/state/programme"
    await world.turn()
    assert len(world.broker.programme("area/V2").items) == 1
    async with db.transaction(world.engine) as session:
        confirmed = await session.get_one(Document, ("area/V2", "programme"))
        waiting = await session.get_one(Document, ("area/V1", "programme"))
    assert confirmed.published_revision == confirmed.revision
    assert waiting.published_revision == 0
    count = len(world.broker.publishes)
    world.broker.refuse = lambda _: False
    await world.turn()
    assert world.broker.publishes[count:] == ["area/V1/state/programme"]


async def test_a_step_that_fails_stops_no_other_and_is_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})

    async def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(cancellation, "cancel_unapproved", fail)
        for _ in range(3):
            await world.turn()
    assert len(world.broker.programme("area/21001").items) == 1
    told = [line["event"] for line in logs if line["event"].startswith("dispatch.step")]
    assert told == ["dispatch.step.failed"]
    with structlog.testing.capture_logs() as logs:
        await world.turn()
    assert [line["step"] for line in logs] == ["unapproved"]


# --- what broker and database lost --------------------------------------------------------------


async def settled(world: World) -> None:
    """Long enough for the broker to have told what it retains."""
    for _ in range(4):
        await world.turn()


async def test_a_broker_that_lost_some_of_it_is_told_that(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await settled(world)
    held = dict(world.broker.retained)
    first = next(topic for topic in held if topic.endswith("/0"))
    for gone in ({first}, {"area/21001/state/programme"}, {"device/D-V1/state/config", first}):
        for topic in gone:
            del world.broker.retained[topic]
        world.broker.publishes.clear()
        world.broker.reconnect()
        await settled(world)
        assert world.broker.retained == held
        files = {topic for topic in held if topic.startswith(first.rpartition("/")[0])}
        assert set(world.broker.publishes) == (gone | files if first in gone else gone)


async def test_a_broker_that_lost_nothing_is_told_nothing(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await settled(world)
    world.broker.publishes.clear()
    world.broker.reconnect()
    await settled(world)
    world.restart()
    await settled(world)
    assert world.broker.publishes == []


async def test_a_forged_document_is_overwritten_and_pushes_no_revision(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await settled(world)
    topic = "area/21001/state/programme"
    ours = world.broker.retained[topic]
    lost = world.broker.programme("area/21001")
    stranger = SigningKey.generate("programme")
    for forged in (
        stranger.sign(structs.replace(lost, revision=2**53 - 1)),
        b"not even a token",
    ):
        world.broker.retained[topic] = forged
        world.broker.reconnect()
        await settled(world)
        assert world.broker.retained[topic] == ours


async def test_what_the_broker_has_newer_is_taken_back_once_a_person_says_so(
    world: World,
) -> None:
    await settled(world)
    foreign = Programme(
        scope="area/V9", revision=world.now.year * 10**12, issued_at=NOW,
        not_after=NOW + timedelta(days=8), items=[],
    )  # fmt: skip
    config = structs.replace(world.broker.document("device/D-V1/state/config"), scope="device/D-9")
    world.broker.retained["area/V9/state/programme"] = KEYS[0].sign(foreign)
    world.broker.retained["device/D-9/state/config"] = KEYS[0].sign(config)
    world.broker.reconnect()
    await settled(world)
    assert world.broker.programme("area/V9") == foreign
    async with db.transaction(world.engine) as session:
        await accept(
            session, world.settings, {}, rest_as_proposed=True, seen=None,
            caller=caller("Mai", Role.PROVINCE_ADMIN), now=world.now,
        )  # fmt: skip
    await settled(world)
    assert world.broker.programme("area/V9").revision == foreign.revision + 1
    assert world.broker.retained["device/D-9/state/config"] == KEYS[0].sign(config)
    world.broker.reconnect()
    await settled(world)
    assert not world.dispatcher.restores.comparing


async def test_after_a_standstill_every_miss_is_in_the_ledger(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"}, rrule="FREQ=DAILY")
    await world.turn()
    world.now += timedelta(days=12)
    world.restart()
    await world.turn()
    async with db.transaction(world.engine) as session:
        starts = sorted(set(await session.scalars(sa.select(Play.starts_at))))
    assert starts == [NOW + timedelta(hours=2, days=day) for day in range(20)]


# --- any order of things -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_in_whatever_order_ends_in_the_same_documents(
    world: World, seed: int
) -> None:
    """Compared with the documents of a leader that starts with none, on the same schedules."""
    chance = random.Random(seed)
    bulletins = [await world.bulletin(f"song{n}".encode()) for n in range(2)]
    scopes = [
        {"area": "51"},
        {"area": "21001"},
        {"area": "V1"},
        {"area": "V2"},
        {"cluster": "C-V1"},
    ]
    made = []
    for _ in range(25):
        world.broker.away = chance.random() < 0.3
        match chance.randrange(8):
            case 0 | 1 | 2:
                rule = chance.choice([None, "FREQ=DAILY", "FREQ=DAILY;COUNT=3"])
                target, hours = chance.choice(scopes), chance.uniform(0.1, 60)
                made.append(await world.schedule(chance.choice(bulletins), target, hours, rule))
            case 3 if made:
                await world.withdraw(chance.choice(made))
            case 4 if made:
                await world.move_some(chance.choice(made), timedelta(hours=chance.uniform(-5, 50)))
            case 5:
                world.restart()
            case 6:
                world.broker.retained.clear()
                world.broker.reconnect()
            case _:
                async with db.transaction(world.engine) as session:
                    await touch(session)
        for _ in range(chance.randrange(3)):
            await world.turn(after=timedelta(minutes=chance.uniform(0, 300)))
    world.broker.away = False
    await settled(world)
    items, files = world.items(), world.broker.files()
    async with db.transaction(world.engine) as session:
        await session.execute(sa.text("TRUNCATE documents, published_content"))
        await session.execute(sa.update(Occurrence).values(dirty=True))
    world.broker.retained.clear()
    world.restart()
    await settled(world)
    assert items == world.items()
    assert any(items.values())
    assert set(files) >= set(world.broker.files())


async def test_what_fell_silent_is_an_incident_after_the_same_turn(world: World) -> None:
    async with db.transaction(world.engine) as session:
        for device in await session.scalars(sa.select(Device)):
            session.add(
                DevicePresence(
                    device_id=device.id, presence=Presence.ONLINE, since=NOW, session=1, seq=1,
                    last_seen_at=NOW, silent_after=NOW + timedelta(seconds=150), held={},
                )
            )  # fmt: skip
        session.add(ListeningSpan(started_at=NOW, until=NOW + timedelta(minutes=11)))
    await world.turn(after=timedelta(minutes=11))
    async with db.transaction(world.engine) as session:
        codes = await session.scalars(sa.select(Incident.code).order_by(Incident.code))
        assert list(codes) == ["D-V1", "D-V2"]


async def test_past_days_are_rolled_up_and_kept_up_to_date(
    world: World,
) -> None:
    counted = sa.text("SELECT count(folded_at) FROM folded_days")
    marked = sa.text("SELECT count(*) FROM evidence_marks")
    for _ in range(3):
        await world.turn()
    async with world.engine.connect() as connection:
        hung_on = await connection.scalar(sa.text("SELECT min(installed_at) FROM installations"))
        days = (world.now.astimezone(LOCAL).date() - hung_on.astimezone(LOCAL).date()).days
        assert await connection.scalar(counted) == min(days, KEPT_DAYS) > 0
    yesterday = world.now.astimezone(LOCAL).date() - timedelta(days=1)
    async with db.transaction(world.engine) as session:
        await db.ensure_day(session, yesterday)
    async with world.engine.begin() as connection:
        await connection.execute(
            sa.text(
                "INSERT INTO online_minutes (device_id, day, minutes)"
                " SELECT id, :day, repeat('1', 1440)::bit(1440) FROM devices"
            ),
            {"day": yesterday},
        )
        assert await connection.scalar(marked) == 2
    await world.turn()
    async with world.engine.connect() as connection:
        assert await connection.scalar(marked) == 0


async def test_a_correction_of_the_past_settles_its_plays_again(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "V1"}, hours=1)
    await world.turn()
    await world.turn(after=timedelta(hours=3))
    [(state, reason)] = await world.plays()
    assert (state, reason) == (PlayState.MISSED, "server_away")
    async with db.transaction(world.engine) as session:
        cluster = await find_cluster(session, "C-V1")
        assert cluster is not None
        await installations.remove(session, cluster, NOW)
    await world.turn(after=timedelta(seconds=6))
    assert await world.plays() == [(PlayState.MISSED, "no_device")]


async def test_a_change_of_known_audio_is_at_the_broker_before_any_step(world: World) -> None:
    """Withdrawals and bulletins whose audio is there wait for no round of the steps."""
    bulletin_id = await world.bulletin()
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()
    later = await world.schedule(bulletin_id, {"area": "21001"}, hours=4)
    world.dispatcher.steps.clear()
    await world.turn()
    assert [item.starts_at for item in world.items()["area/21001"]] == [
        NOW + timedelta(hours=2), NOW + timedelta(hours=4, seconds=1)
    ]  # fmt: skip
    assert await world.plays() == [(PlayState.PLANNED, "")] * 4
    await world.withdraw(later)
    await world.turn()
    assert len(world.items()["area/21001"]) == 1
    assert (PlayState.CANCELLED, "withdrawn") in await world.plays()


async def test_a_change_of_new_audio_is_issued_at_once_and_waits_for_its_audio(
    world: World,
) -> None:
    await world.schedule(await world.bulletin(b"first"), {"area": "21001"})
    await world.turn()
    steps = list(world.dispatcher.steps)
    world.dispatcher.steps.clear()
    await world.schedule(await world.bulletin(b"other"), {"area": "21001"}, hours=4)
    await world.turn()
    assert len(world.items()["area/21001"]) == 1, "published before its audio"
    world.dispatcher.steps.extend(steps)
    await world.turn()
    assert len(world.items()["area/21001"]) == 2


def small_changes() -> dict[str, float]:
    return {
        sample.labels["outcome"]: sample.value
        for family in fast_path.CHANGES.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }


async def counted(world: World) -> dict[str, float]:
    """What a turn adds to the counter of small changes."""
    before = small_changes()
    await world.turn()
    return {k: v - before[k] for k, v in small_changes().items() if v != before[k]}


async def test_every_small_change_is_counted_by_how_it_went(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps do what the fast path cannot, so that only the counter tells."""
    bulletin_id = await world.bulletin()
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()
    await world.schedule(bulletin_id, {"area": "21001"}, hours=3)
    assert await counted(world) == {"published": 1}
    await world.schedule(await world.bulletin(b"other"), {"area": "21001"}, hours=4)
    assert await counted(world) == {"audio": 1}
    assert await counted(world) == {}

    async with db.transaction(world.engine) as session:
        await failures.record(session, "settle", "a play", ValueError("spoilt"), world.now)
    await world.schedule(bulletin_id, {"area": "21001"}, hours=5)
    assert await counted(world) == {"set_aside": 1}
    async with db.transaction(world.engine) as session:
        await failures.forget(session, "settle", ["a play"])

    async def fail(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(fast_path.content, "are_there", fail)
    await world.schedule(bulletin_id, {"area": "21001"}, hours=6)
    assert await counted(world) == {"failed": 1}
    assert len(world.items()["area/21001"]) == 5


async def test_audio_that_is_about_to_be_removed_stays_for_what_needs_it_again(
    world: World,
) -> None:
    bulletin_id = await world.bulletin()
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()
    async with db.transaction(world.engine) as session:
        soon = world.now + timedelta(seconds=2)
        await session.execute(sa.update(PublishedContent).values(wanted_until=soon))
    await world.schedule(bulletin_id, {"area": "21001"}, hours=30)
    await world.turn()
    await world.turn(after=timedelta(seconds=5))
    assert len(world.broker.files()) == 1


async def test_targets_are_resolved_anew_after_the_topology_was_touched(world: World) -> None:
    """What they were resolved against is kept between transactions."""
    bulletin_id = await world.bulletin()
    await world.schedule(bulletin_id, {"area": "21001"})
    await world.turn()
    async with db.transaction(world.engine) as session:
        gone = sa.update(Cluster).where(Cluster.code == "C-V2")
        await session.execute(gone.values(removed_on=NOW.astimezone(LOCAL).date()))
        await touch(session)
    await world.schedule(bulletin_id, {"area": "21001"}, hours=4)
    await world.turn()
    async with db.transaction(world.engine) as session:
        planned = sa.select(Play.cluster_id).where(Play.state == PlayState.PLANNED)
        clusters = set(await session.scalars(planned))
        left = await session.scalar(sa.select(Cluster.id).where(Cluster.code == "C-V1"))
    assert clusters == {left}


def somebody_publishes(world: World, topic: str, payload: bytes) -> None:
    """Whoever knows the broker's password writes where only we do; we hear it as devices do."""
    world.broker.retained[topic] = payload
    if not payload:
        del world.broker.retained[topic]
    world.dispatcher.repair.note(world.broker.message(topic, payload, retain=False))


@pytest.mark.parametrize("junk", [b"junk", b"", b"e30.e30.e30"])
async def test_what_somebody_else_writes_over_a_document_is_mended_at_once(
    world: World, junk: bytes
) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    topic = "area/21001/state/programme"
    for _ in range(4):
        await world.turn()
    right = world.broker.retained[topic]
    world.broker.publishes.clear()
    for _ in range(3):
        somebody_publishes(world, topic, junk)
        for _ in range(6):
            await world.turn()
        assert world.broker.retained[topic] == right
    assert world.broker.publishes == [topic] * 3, "and nothing else"


async def test_what_lies_where_documents_do_and_is_none_of_ours_is_removed(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    for _ in range(4):
        await world.turn()
    right = dict(world.broker.retained)
    stranger = SigningKey.generate("programme").sign(world.broker.programme("area/21001"))
    somebody_publishes(world, "area/99999/state/programme", stranger)
    somebody_publishes(world, "device/D-V1/state/noise", b"x")
    for _ in range(6):
        await world.turn()
    assert world.broker.retained == right
    # Left while we were away: told after the next connect.
    world.broker.retained["area/nowhere/state/alerts"] = b"x"
    world.broker.reconnect()
    for _ in range(6):
        await world.turn()
    assert world.broker.retained == right


async def test_what_we_publish_ourselves_is_no_reason_to_compare(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        await world.turn()
    compared = []
    repair = BrokerMirror.repair

    async def counted(*arguments: Any) -> Any:
        compared.append(world.now)
        return await repair(*arguments)

    monkeypatch.setattr(BrokerMirror, "repair", counted)
    for topic, payload in world.broker.retained.items():
        world.dispatcher.repair.note(world.broker.message(topic, payload, retain=False))
    for _ in range(6):
        await world.turn()
    assert compared == []
    somebody_publishes(world, "device/D-V1/state/config", b"junk")
    for _ in range(6):
        await world.turn()
    assert len(compared) == 1


@pytest.mark.parametrize(
    "step", ["occurrences", "documents", "publish", "settle", "corrections", "commands", "rollup"]
)
async def test_a_step_that_failed_as_a_whole_works_again(world: World, step: str) -> None:
    async with db.transaction(world.engine) as session:
        for _ in range(3):
            await failures.record(session, step, "", ValueError("a bug"), world.now)
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    assert len(world.items()["area/21001"]) == 1
    async with db.transaction(world.engine) as session:
        assert step not in await failures.steps(session)
