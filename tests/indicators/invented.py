"""A small province with everything that can happen to it, drawn from a seed.

Twenty days around 2025-07-01: a district ends, communes unite, one is divided, one gets a new
code and one a new name; villages move; devices are swapped between poles; outages pass midnight;
faults reopen; heartbeats come late, twice and out of order.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, AreaLineage, Level, Part
from broadcast.bulletins.model import Bulletin, Revision, RevisionState, SourceKind
from broadcast.config import Rules
from broadcast.devices.model import Device, Installation
from broadcast.indicators.model import VillageExclusion
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.kit.text import folded
from broadcast.plays.model import JournalRecord, Play, PlayState
from broadcast.portals.model import (
    CheckOutcome,
    Portal,
    PortalCheck,
    PortalItem,
    PortalKind,
    UpdateRule,
)
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.stations.model import (
    Attestation,
    BaselineStation,
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Outage,
    OutageKind,
    Plant,
    PlantState,
    PlantStatus,
    Station,
    StationState,
    StationStatus,
    Technology,
)
from broadcast.telemetry import heartbeats
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.model import Fault
from broadcast.wire.events import Clock, Heartbeat
from broadcast.wire.fields import BulletinClass, OnPreempt
from tests.callers import LAN
from tests.devices.fleet import record_all

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
BEGIN, MERGER, END = date(2025, 6, 20), date(2025, 7, 1), date(2025, 7, 9)
PARTED = date(2025, 6, 25)
"""When a commune that goes on gave a part to another."""
LONG_AGO = date(2025, 6, 10)
NOW = datetime.combine(END, time(10, 17, 30), LOCAL)

PROVINCE, DISTRICT = "51", "522"
OLD_COMMUNES = ("21001", "21002", "21003", "21004", "21005")
NEW_COMMUNES = ("21002", "21003", "21034")
HEIRS = {
    "21001": ["21002"],
    "21002": ["21002"],
    "21003": ["21003"],
    "21004": ["21002", "21003"],
    "21005": ["21034"],
}


WRITTEN = ["https://xa.example/{}", "http://www.xa.example/{}/"]
"""The address of an item, as one portal or the other of a commune writes it."""

SECTIONS = ["Tin thiết yếu", "TIN THIET YEU", "Đời sống", "đời sống", "Thể thao"]


class Invention:
    """Rows drawn from a seed, written to a database."""

    def __init__(self, session: AsyncSession, seed: int, clusters: int = 8) -> None:
        self.session, self.random = session, Random(seed)
        self.villages: list[str] = []
        self.stations: list[Station] = []
        self.plants: list[int] = []
        self.clusters: list[Cluster] = []
        self.devices: list[int] = []
        self.installations: list[Installation] = []
        self._clusters = clusters

    async def write(self) -> None:
        """Draw and store everything."""
        for table, day in [("plays", BEGIN), ("plays", MERGER)]:
            await db.ensure_partition(self.session, table, day)
        day = BEGIN - DAY
        while day <= END + 2 * DAY:
            await db.ensure_day(self.session, day)
            day += DAY
        self._areas()
        await self._stations()
        await self._clusters_and_villages()
        await self._devices()
        self._outages()
        self._faults_and_attestations()
        await self._plays()
        await self.session.flush()
        await self._heartbeats()
        await self._portals()

    # --- drawing ---------------------------------------------------------------------------------

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def instant(self, first: date = BEGIN, last: date = END) -> datetime:
        """Some second of the days; often midnight, a full minute or within broadcast hours."""
        span = int((last - first + DAY).total_seconds())
        second = self.random.randrange(span)
        if self.chance(0.2):
            second -= second % 86400
        elif self.chance(0.4):
            second += 5 * 3600 + self.random.randrange(45 * 60) - second % 86400
        if self.chance(0.3):
            second -= second % 60
        return datetime.combine(first, time(), LOCAL) + timedelta(seconds=second)

    def day(self, first: date = BEGIN, last: date = END) -> date:
        return first + self.random.randrange((last - first).days + 1) * DAY

    # --- the register ----------------------------------------------------------------------------

    def _unit(
        self,
        code: str,
        level: Level,
        parent: str | None,
        since: date,
        until: date | None,
    ) -> None:
        self.session.add(
            Area(
                code=code, level=level, kind=level.value, name=f"{level.value} {code}",
                parent_code=parent, valid_from=since, valid_to=until,
            )
        )  # fmt: skip

    def _areas(self) -> None:
        eve = MERGER - DAY
        self._unit(PROVINCE, Level.PROVINCE, None, LONG_AGO, None)
        self._unit(DISTRICT, Level.DISTRICT, PROVINCE, LONG_AGO, eve)
        self._unit("523", Level.DISTRICT, PROVINCE, LONG_AGO, eve)
        for code in OLD_COMMUNES:
            self._unit(code, Level.COMMUNE, DISTRICT, LONG_AGO, eve)
        for code in NEW_COMMUNES:
            self._unit(code, Level.COMMUNE, PROVINCE, MERGER, None)
        for old, heirs in HEIRS.items():
            part = Part.WHOLE if len(heirs) == 1 else Part.PART
            for heir in heirs:
                self.session.add(
                    AreaLineage(
                        old_code=old, new_code=heir, effective_on=MERGER, part=part, legal_act="NQ"
                    )
                )
        self.session.add(
            AreaLineage(
                old_code="21003", new_code="21005", effective_on=PARTED, part=Part.PART,
                legal_act="NQ",
            )
        )  # fmt: skip
        for commune in (*OLD_COMMUNES, "523"):
            for number in range(self.random.randrange(4)):
                self._village(f"{commune}-{number}", commune)

    def _village(self, code: str, commune: str) -> None:
        """A village, perhaps moved before the merger; a divided commune's perhaps unplaced."""
        self.villages.append(code)
        since, eve = LONG_AGO, MERGER - DAY
        if commune != "523" and self.chance(0.25):
            moved_on = self.day(BEGIN + DAY, eve)
            self._unit(code, Level.VILLAGE, commune, since, moved_on - DAY)
            commune, since = self.random.choice(OLD_COMMUNES), moved_on
        self._unit(code, Level.VILLAGE, commune, since, eve)
        heirs = HEIRS.get(commune, ["21034"])
        if len(heirs) == 1:
            self._unit(code, Level.VILLAGE, heirs[0], MERGER, None)
        elif self.chance(0.5):
            placed_on = self.day(MERGER + DAY, END)
            self._unit(code, Level.VILLAGE, PROVINCE, MERGER, placed_on - DAY)
            self._unit(code, Level.VILLAGE, self.random.choice(heirs), placed_on, None)
        else:
            self._unit(code, Level.VILLAGE, self.random.choice(heirs), MERGER, None)
        if self.chance(0.2):
            since = self.day()
            self.session.add(
                VillageExclusion(
                    village_code=code, valid_from=since, document="CV", declared_by=LAN,
                    valid_to=since + 4 * DAY if self.chance(0.5) else None,
                )
            )  # fmt: skip

    async def _stations(self) -> None:
        for commune in OLD_COMMUNES:
            for number in range(self.random.choice([0, 1, 1, 1, 2])):
                until = MERGER - DAY if self.chance(0.4) else None
                self._station(f"S-{commune}-{number}", commune, LONG_AGO, until)
        for commune in NEW_COMMUNES:
            if self.chance(0.4):
                self._station(f"N-{commune}", commune, MERGER, None)
        await self.session.flush()
        for station in self.stations:
            for since in self._dates(station.valid_from, 0.85):
                status = self.random.choice([*StationStatus, *[StationStatus.OPERATING] * 6])
                self.session.add(
                    StationState(station_id=station.id, valid_from=since, status=status)
                )
        await self._plants()
        for station in self.stations:
            if station.valid_from == LONG_AGO and self.chance(0.8):
                self.session.add(
                    BaselineStation(
                        station_id=station.id, listed_on=self.day(BEGIN - 3 * DAY), technologies=[]
                    )
                )

    async def _plants(self) -> None:
        plants = [Plant(code=f"P{number}", name="") for number in range(len(self.stations) + 4)]
        self.session.add_all(plants)
        await self.session.flush()
        self.plants = [plant.id for plant in plants]
        for plant in self.plants if self.stations else []:
            for since in self._dates(LONG_AGO, 0.9):
                late = since != LONG_AGO
                some = self.random.sample([*Technology], self.random.choice([1, 1, 2]))
                technologies = [Technology.IT] if self.chance(0.6) else some
                ended = PlantStatus.DECOMMISSIONED if late else PlantStatus.OUT_OF_SERVICE
                self.session.add(
                    PlantState(
                        plant_id=plant, valid_from=since,
                        station_id=self.random.choice(self.stations).id,
                        technologies=[each.value for each in technologies],
                        status=self.random.choice(
                            [*PlantStatus, ended, ended, *[PlantStatus.OPERATING] * 5]
                        ),
                    )
                )  # fmt: skip

    def _station(self, code: str, commune: str, since: date, until: date | None) -> None:
        station = Station(
            code=code, name=code, commune_code=commune, valid_from=since, valid_to=until
        )
        self.session.add(station)
        self.stations.append(station)

    def _dates(self, first: date, known: float) -> list[date]:
        """Days on which a state begins; now and then none is on record before a late one."""
        dates = {self.day()} if self.chance(0.5) else set()
        return sorted({first, *dates} if self.chance(known) else dates)

    async def _clusters_and_villages(self) -> None:
        for number in range(self._clusters):
            evidence = Evidence.TELEMETRY if self.chance(0.7) else Evidence.ATTESTED
            self.clusters.append(
                Cluster(
                    code=f"C{number}", name="", plant_id=self.random.choice(self.plants),
                    evidence=evidence, horns_count=2, latitude=None, longitude=None, watts=None,
                    installed_on=self.day() if self.chance(0.2) else LONG_AGO,
                    removed_on=self.day() if self.chance(0.15) else None,
                )
            )  # fmt: skip
        self.session.add_all(self.clusters)
        await self.session.flush()
        for cluster in self.clusters:
            served = min(len(self.villages), self.random.choice([1, 1, 2, 3]))
            for village in self.random.sample(self.villages, served):
                changes = self.day() if self.chance(0.4) else None
                for since, until in [(LONG_AGO, changes), (changes, None)]:
                    if since is None or self.chance(0.1):
                        continue
                    grade = Grade.PRIMARY if self.chance(0.8) else Grade.PARTIAL
                    self.session.add(
                        ClusterVillage(
                            cluster_id=cluster.id, village_code=village, valid_from=since,
                            valid_to=until and until - DAY, grade=grade,
                        )
                    )  # fmt: skip

    # --- devices and what they say ---------------------------------------------------------------

    async def _devices(self) -> None:
        devices = [
            Device(
                code=f"d{number}", codecs=["opus"], retired_at=None,
                enrolled_at=datetime.combine(LONG_AGO, time(), LOCAL),
            )
            for number in range(len(self.clusters) + 2)
        ]  # fmt: skip
        self.session.add_all(devices)
        await self.session.flush()
        self.devices = [device.id for device in devices]
        spare = list(self.devices)
        hanging: dict[int, Installation] = {}
        moments = sorted(self.instant() for _ in range(len(self.clusters)))
        early = datetime.combine(BEGIN - 40 * DAY, time(9, 30, 10), LOCAL)
        hangings = [(early, cluster.id) for cluster in self.clusters if self.chance(0.8)]
        hangings += [(moment, self.random.choice(self.clusters).id) for moment in moments]
        for moment, cluster in hangings:
            if cluster in hanging:
                old = hanging.pop(cluster)
                old.removed_at = moment
                spare.append(old.device_id)
                if self.chance(0.2):
                    continue
            device = spare.pop(self.random.randrange(len(spare)))
            hung = Installation(
                device_id=device, cluster_id=cluster, installed_at=moment, removed_at=None
            )
            hanging[cluster] = hung
            self.installations.append(hung)
        self.session.add_all(self.installations)

    def _outages(self) -> None:
        places = [PROVINCE, DISTRICT, *OLD_COMMUNES, *NEW_COMMUNES, *self.villages]
        for _ in range(self.random.randrange(6, 16)):
            starts_at = self.instant()
            length = self.random.choice([600, 7_000, 40_000, 400_000])
            by_cluster = self.chance(0.4)
            self.session.add(
                Outage(
                    kind=self.random.choice([*OutageKind]),
                    cluster_id=self.random.choice(self.clusters).id if by_cluster else None,
                    area_code=None if by_cluster else self.random.choice(places),
                    starts_at=starts_at,
                    ends_at=starts_at + timedelta(seconds=self.random.randrange(1, length)),
                    declared_by=LAN,
                )
            )

    async def _portals(self) -> None:
        """Portals before and after the merger, what looks found, and what people said of it."""
        portals = []
        for commune, since in [*((code, LONG_AGO) for code in OLD_COMMUNES),
                               *((code, MERGER) for code in NEW_COMMUNES)]:  # fmt: skip
            for _ in range(self.random.choice([0, 1, 1, 2])):
                tags = self.random.sample(SECTIONS, self.random.randrange(3))
                ended_on = self.day(MERGER) if self.chance(0.2) else None
                portals.append(
                    Portal(
                        area_code=commune, name=f"Trang {commune}", url="https://xa.example/",
                        source_url="https://xa.example/tin.rss", kind=PortalKind.FEED,
                        item_class="", date_class="", tags=tags, folded_tags=[*map(folded, tags)],
                        valid_from=since, ended_on=ended_on, entered_by=LAN,
                        entered_at=NOW, source_since=NOW,
                    )
                )  # fmt: skip
        self.session.add_all(portals)
        if self.chance(0.5):
            self.session.add(
                UpdateRule(
                    valid_from=self.day(), items=self.random.randrange(1, 5), document="CV",
                    days=self.random.randrange(2, 12), decided_by=LAN, decided_at=NOW,
                )
            )  # fmt: skip
        await self.session.flush()
        for portal in portals:
            for at in {self.instant() for _ in range(self.random.randrange(4))}:
                self.session.add(
                    PortalCheck(
                        portal_id=portal.id, checked_at=at, detail="", listed=0, added=0, etag="",
                        modified="", outcome=self.random.choice([*CheckOutcome]),
                    )
                )  # fmt: skip
            for number in range(self.random.randrange(9)):
                seen_at = self.instant()
                tags = self.random.sample(SECTIONS, self.random.randrange(3))
                said = self.random.choice([None, None, True, False])
                is_dated = self.chance(0.7)
                self.session.add(
                    PortalItem(
                        portal_id=portal.id, key=str(number), title="", tags=tags,
                        url=self.random.choice(WRITTEN).format(number),
                        folded_tags=[*map(folded, tags)], seen_at=seen_at,
                        published_at=min(self.instant(), seen_at) if is_dated else None,
                        is_old=not is_dated and self.chance(0.3), is_essential=said,
                        decided_by=None if said is None else LAN,
                        decided_at=None if said is None else NOW,
                    )
                )  # fmt: skip
        await self.session.flush()

    def _faults_and_attestations(self) -> None:
        for device in self.devices:
            at = self.instant(BEGIN, BEGIN + 10 * DAY)
            while self.chance(0.6) and at < NOW:
                length = timedelta(hours=self.random.choice([1, 30, 60, 200]))
                closed_at = at + length if self.chance(0.6) else None
                self.session.add(
                    Fault(
                        device_id=device, opened_at=at, closed_at=closed_at,
                        kind=self.random.choice(["line_open", "line_short", "amplifier", "hot"]),
                    )
                )  # fmt: skip
                if closed_at is None:
                    break
                at = closed_at + timedelta(minutes=5)
        for cluster in self.clusters:
            for _ in range(self.random.choice([0, 0, 1, 3])):
                self.session.add(
                    Attestation(
                        cluster_id=cluster.id, attested_at=self.instant(),
                        attested_by="trưởng thôn", reference="ảnh",
                    )
                )  # fmt: skip

    async def _plays(self) -> None:
        schedule = await scheduled(self.session)
        number = 0
        day = BEGIN
        while day <= END:
            for hour in self.random.sample([5, 11, 17, 23], self.random.choice([0, 1, 2, 2])):
                minute = self.random.randrange(50 if hour == 23 else 0, 60)
                starts_at = datetime.combine(day, time(hour, minute), LOCAL)
                number += 1
                moved = timedelta(days=15) if self.chance(0.1) else timedelta()
                recurrence_at = starts_at - moved
                self.session.add(occurrence(schedule, UUID(int=number), recurrence_at, starts_at))
                for cluster in self.clusters:
                    if self.chance(0.7):
                        self._play(UUID(int=number), cluster.id, starts_at, recurrence_at)
            day += DAY

    def _play(
        self, occurrence: UUID, cluster: int, starts_at: datetime, recurrence_at: datetime
    ) -> None:
        """A ledger row as the journal of the device that hung there leads to it."""
        ended_at = starts_at + timedelta(minutes=4, seconds=self.random.randrange(60))
        state = self.random.choice([*PlayState, *[PlayState.PLAYED] * 2])
        hung = next(
            (
                each.device_id
                for each in self.installations
                if each.cluster_id == cluster
                and each.installed_at <= ended_at
                and (each.removed_at is None or ended_at < each.removed_at)
            ),
            None,
        )
        if hung is None and state in {PlayState.PLAYED, PlayState.PARTIAL, PlayState.PREEMPTED}:
            state = PlayState.MISSED
        ended = {PlayState.PLAYED: "completed", PlayState.PARTIAL: "power_cut",
                 PlayState.PREEMPTED: "preempted"}.get(state)  # fmt: skip
        self.session.add(
            Play(
                occurrence_id=occurrence,
                cluster_id=cluster,
                month=recurrence_at.date().replace(day=1),
                starts_at=starts_at,
                ends_by=starts_at + timedelta(minutes=10),
                state=state,
                device_id=hung if ended else None,
                started_at=starts_at if ended else None,
                ended_at=ended_at if ended else None,
                start_error_ms=None,
                settled_at=None,
            )
        )
        if ended:
            body: dict[str, Any] = {"reason": ended, "played_seconds": 240.0}
            self.session.add(
                JournalRecord(
                    device_id=hung, journal_id="j", seq=occurrence.int * 100 + cluster,
                    occurrence_id=str(occurrence), event="ended", at=ended_at,
                    received_at=ended_at + DAY, body=body,
                )
            )  # fmt: skip

    async def _heartbeats(self) -> None:
        """Most of the minutes around the broadcast hours; devices also live while in no place."""
        thresholds = heartbeats.presence_thresholds(Rules())
        windows = [(time(4, 50), 70), (time(23, 30), 55)]
        quality = {each: self.random.choice([1.0, 1.0, 0.95, 0.9, 0.7]) for each in self.devices}
        seq, day = 0, BEGIN
        while day <= END:
            beats = []
            for device in self.devices:
                alive = quality[device] if self.chance(0.9) else 0.1
                for start, minutes in windows:
                    for minute in range(minutes):
                        if not self.chance(alive):
                            continue
                        seq += 1
                        sent_at = datetime.combine(day, start, LOCAL) + timedelta(
                            minutes=minute, seconds=self.random.randrange(60)
                        )
                        message = Heartbeat(
                            session=1, seq=seq, sent_at=sent_at, clock=Clock(trusted=True)
                        )
                        beats.append(Arrival(device, f"d{device}", message))
            day += DAY
            self.random.shuffle(beats)
            received_at = datetime.combine(day, time(1), LOCAL) + self.random.random() * DAY
            for batch in (beats, self.random.sample(beats, len(beats) // 10)):
                await record_all(
                    self.session, [], batch, [], received_at, live=False, thresholds=thresholds
                )


async def scheduled(session: AsyncSession) -> Schedule:
    """A schedule of some approved bulletin."""
    bulletin = Bulletin(
        id=uuid4(), title="Tin", class_=BulletinClass.NORMAL, area_code=PROVINCE,
        created_by=LAN, created_at=NOW,
    )  # fmt: skip
    session.add(bulletin)
    await session.flush()
    session.add(
        Revision(
            bulletin_id=bulletin.id, number=1, state=RevisionState.APPROVED,
            source_kind=SourceKind.UPLOAD, text=None, seconds=240.0, loudness_lufs=-16.0,
            true_peak_dbtp=-2.0, facts={}, created_by=LAN, created_at=NOW,
        )
    )  # fmt: skip
    await session.flush()
    schedule = Schedule(
        id=uuid4(), bulletin_id=bulletin.id, bulletin_revision=1, starts_at=NOW, rrule=None,
        targets=[], targets_on=BEGIN, priority=1, late_limit_seconds=60,
        on_preempt=OnPreempt.DROP, volume=None, state=ScheduleState.ACTIVE, created_by=LAN,
        created_at=NOW, changed_at=NOW,
    )  # fmt: skip
    session.add(schedule)
    await session.flush()
    return schedule


def occurrence(
    schedule: Schedule, identity: UUID, recurrence_at: datetime, starts_at: datetime
) -> Occurrence:
    """One dated firing, moved when it does not start by its rule."""
    return Occurrence(
        id=identity, schedule_id=schedule.id, recurrence_at=recurrence_at, starts_at=starts_at,
        ends_by=starts_at + timedelta(minutes=10), bulletin_id=schedule.bulletin_id,
        bulletin_revision=1, class_=BulletinClass.NORMAL, priority=1, late_limit_seconds=60,
        on_preempt=OnPreempt.DROP, volume=None, title="Tin", state=OccurrenceState.PLANNED,
        cancel_reason=None, scopes=[], carried_scopes=[],
    )  # fmt: skip


async def invent(session: AsyncSession, seed: int) -> None:
    """Fill an empty database with the province of this seed."""
    await Invention(session, seed).write()
    await session.execute(sa.text("ANALYZE"))
