"""What changed → ledger and signed documents → broker, turn by turn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config, db, dispatch
from broadcast.areas.model import Area, Level
from broadcast.areas.topology import touch
from broadcast.bulletins.model import RevisionState
from broadcast.devices.model import Device, Installation
from broadcast.errors import Unavailable
from broadcast.plays.model import Play, PlayState
from broadcast.programmes.keys import Keys
from broadcast.programmes.model import Document, ProgrammeRevision, PublishedContent
from broadcast.schedules import occurrences
from broadcast.schedules.model import Occurrence, Schedule, ScheduleState
from broadcast.stations.model import (
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Plant,
    PlantState,
    PlantStatus,
    Station,
)
from broadcast.wire.documents import Config, Programme
from broadcast.wire.envelope import SigningKey, Verifier
from broadcast.wire.fields import OnPreempt
from tests.bulletins import make

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""08:00 on a Monday in the province."""
PREFIX = "ttn/v1"
KEYS = Keys(SigningKey.generate("programme"), SigningKey.generate("alert"))


class Broker:
    """Keeps what is retained, as a broker does; can be away, and can forget."""

    def __init__(self) -> None:
        self.connected = True
        self.connection = 1
        self.retained: dict[str, bytes] = {}
        self.publishes: list[str] = []
        self.away = False
        self.echo: Callable[[str, bytes], None]

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self.away:
            raise Unavailable("broker away")
        assert retain, "a verb must never be published by the dispatcher"
        self.publishes.append(topic.removeprefix(f"{PREFIX}/"))
        self.echo(topic, payload)
        if payload:
            self.retained[topic.removeprefix(f"{PREFIX}/")] = payload
        else:
            self.retained.pop(topic.removeprefix(f"{PREFIX}/"), None)

    def document(self, topic: str) -> Any:
        return Verifier(KEYS.public()).document(self.retained[topic])


class World:
    """A province with one commune, two villages and a cluster with a device in each."""

    def __init__(self, engine: AsyncEngine, content_dir: Path) -> None:
        self.engine = engine
        self.broker = Broker()
        self.settings = config.Settings(
            postgres=config.Postgres(dsn=SecretStr("postgresql://unused")), content_dir=content_dir
        )
        self.content_dir = content_dir
        self.now = NOW
        self.restart()

    def restart(self) -> None:
        """A new leader, that knows nothing of the old one."""
        self.dispatcher = dispatch.Dispatcher(
            self.engine,
            self.broker,
            self.settings,
            KEYS,  # type: ignore[arg-type]
        )
        self.broker.echo = self.dispatcher.saw
        for topic, payload in self.broker.retained.items():
            self.dispatcher.saw(f"{PREFIX}/{topic}", payload)

    async def turn(self, *, after: timedelta = timedelta(seconds=1)) -> None:
        self.now += after
        await self.dispatcher.turn(self.now)

    async def build(self) -> None:
        async with db.transaction(self.engine) as session:
            for code, level, parent in (
                ("51", Level.PROVINCE, None),
                ("21001", Level.COMMUNE, "51"),
                ("V1", Level.VILLAGE, "21001"),
                ("V2", Level.VILLAGE, "21001"),
            ):
                session.add(
                    Area(code=code, level=level, kind=level.value, name=code, parent_code=parent,
                         valid_from=datetime(2020, 1, 1).date(), valid_to=None)  # noqa: DTZ001
                )  # fmt: skip
            began = datetime(2020, 1, 1).date()  # noqa: DTZ001
            station = Station(code="S", name="S", commune_code="21001", valid_from=began)
            plant = Plant(code="P", name="P")
            session.add_all([station, plant])
            await session.flush()
            session.add(
                PlantState(plant_id=plant.id, valid_from=began, station_id=station.id,
                           technologies=["it"], status=PlantStatus.OPERATING)
            )  # fmt: skip
            for village in ("V1", "V2"):
                cluster = Cluster(code=f"C-{village}", name=village, plant_id=plant.id,
                                  evidence=Evidence.TELEMETRY, installed_on=began)  # fmt: skip
                device = Device(code=f"D-{village}", codecs=["opus"], enrolled_at=NOW)
                session.add_all([cluster, device])
                await session.flush()
                session.add_all([
                    ClusterVillage(cluster_id=cluster.id, village_code=village,
                                   valid_from=began, grade=Grade.PRIMARY),
                    Installation(device_id=device.id, cluster_id=cluster.id,
                                 installed_at=NOW - timedelta(days=1)),
                ])  # fmt: skip
            await touch(session)

    async def bulletin(self, body: bytes = b"sound") -> UUID:
        async with db.transaction(self.engine) as session:
            bulletin = await make.bulletin(session, area_code="21001", title="Thông báo")
            sound = make.prepared(self.content_dir, opus=body * 20_000)
            await make.revision(session, bulletin, sound, RevisionState.APPROVED)
            return bulletin.id

    async def schedule(
        self, bulletin_id: UUID, target: dict[str, str], hours: float = 2, rrule: str | None = None
    ) -> UUID:
        async with db.transaction(self.engine) as session:
            schedule = Schedule(
                id=uuid4(), bulletin_id=bulletin_id, bulletin_revision=1, title="Thông báo",
                starts_at=self.now.replace(microsecond=0) + timedelta(hours=hours), rrule=rrule,
                targets=[target], targets_on=self.now.date(), priority=64,
                late_limit_seconds=300, on_preempt=OnPreempt.RESUME, volume=None,
                state=ScheduleState.ACTIVE, created_by="Lan", created_at=self.now,
                changed_at=self.now,
            )  # fmt: skip
            session.add(schedule)
            await session.flush()
            await occurrences.materialise(
                session, self.now, self.settings.rules.horizon, [schedule.id]
            )
            return schedule.id

    async def plays(self) -> list[tuple[PlayState, str]]:
        async with db.transaction(self.engine) as session:
            rows = await session.scalars(sa.select(Play).order_by(Play.cluster_id))
            return [(play.state, play.reason) for play in rows]


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


async def test_every_device_gets_the_config_that_names_what_it_follows(world: World) -> None:
    await world.turn()
    document = world.broker.document("device/D-V1/state/config")
    assert isinstance(document, Config)
    assert document.areas == ["V1", "21001", "51"]
    assert [key.kid for key in document.keys] == [key.kid for key in KEYS]
    assert [(q.from_, q.until) for q in document.quiet_hours] == [("22:00", "05:00")]


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
    async with db.transaction(world.engine) as session:
        schedule = await session.get_one(Schedule, schedule_id)
        schedule.state = ScheduleState.WITHDRAWN
        await occurrences.cancel_coming(session, schedule, world.now, occurrences.WITHDRAWN)
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
                "INSERT INTO schedule_exceptions VALUES (:schedule, :at, :to, 'Lan', :now)"
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
    world.broker.connection += 1
    await world.turn()
    assert world.broker.retained == {}
    await world.turn(after=timedelta(seconds=6))
    assert world.broker.retained == held


async def test_a_restored_database_overtakes_what_the_broker_holds(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"})
    await world.turn()
    lost = world.broker.document("area/21001/state/programme")
    ahead = KEYS.programme.sign(
        Programme(scope=lost.scope, revision=lost.revision + 10**9, issued_at=lost.issued_at,
                  not_after=lost.not_after, items=[])
    )  # fmt: skip
    world.broker.retained["area/21001/state/programme"] = ahead
    world.restart()
    await world.turn()
    await world.turn(after=timedelta(seconds=6))
    await world.turn()
    healed = world.broker.document("area/21001/state/programme")
    assert healed.revision > lost.revision + 10**9
    assert healed.items == lost.items


async def test_a_programme_is_issued_again_daily_and_stays_valid_for_seven_days(
    world: World,
) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"}, hours=24 * 6)
    await world.turn()
    revisions = set()
    for _ in range(8 * 4):
        await world.turn(after=timedelta(hours=3))
        programme = world.broker.document("area/21001/state/programme")
        revisions.add(programme.revision)
        assert programme.not_after >= world.now + timedelta(days=6, hours=20)
    assert 4 <= len(revisions) <= 5


async def test_a_recurring_schedule_rolls_into_the_document_day_by_day(world: World) -> None:
    await world.schedule(await world.bulletin(), {"area": "21001"}, rrule="FREQ=DAILY")
    await world.turn()
    assert len(world.broker.document("area/21001/state/programme").items) == 7
    for _ in range(8 * 3):
        await world.turn(after=timedelta(hours=3))
    items = world.broker.document("area/21001/state/programme").items
    coming = [item for item in items if item.ends_by > world.now]
    assert len(coming) == 7
    assert max(item.starts_at for item in coming) > NOW + timedelta(days=9)


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
    assert sum(topic.startswith("content/") for topic in world.broker.retained) == 8


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
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step may be the last of a leader; the next leader finishes the work."""
    await world.schedule(await world.bulletin(), {"area": "21001"})
    names = [step.name for step in world.dispatcher.steps]
    for name in names:
        world.restart()
        stop = next(step for step in world.dispatcher.steps if step.name == name)

        async def die(_: datetime) -> None:
            raise KeyboardInterrupt

        index = world.dispatcher.steps.index(stop)
        world.dispatcher.steps[index] = stop._replace(work=die)
        with pytest.raises(KeyboardInterrupt):
            await world.turn()
    world.restart()
    await world.turn()
    assert len(world.broker.document("area/21001/state/programme").items) == 1
    assert await world.plays() == [(PlayState.PLANNED, "")] * 2
