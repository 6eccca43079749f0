"""A province with something of every kind in each of its places.

Every thing is called after its place by a marker (`zza`, …), so that a leak is seen in an answer
whatever its shape. Areas and villages have none: their names are public.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts.model import Alert, AlertEvent, AlertTemplate, Drill
from broadcast.alerts.state import AlertKind, AlertState
from broadcast.areas.model import AreaLineage, Level, Part, RegisteredVillage, VillageContact
from broadcast.areas.topology import touch
from broadcast.auth.model import Grant
from broadcast.auth.permissions import Role
from broadcast.bulletins.model import (
    ApprovalStep,
    Bulletin,
    LexiconEntry,
    Rendition,
    Revision,
    RevisionState,
    SourceKind,
)
from broadcast.bulletins.version_model import VersionRequest
from broadcast.calendars.days import Kind as DayKind
from broadcast.calendars.model import CalendarDay
from broadcast.commands.model import Command
from broadcast.commands.state import CommandKind
from broadcast.earshot.model import EarshotPair
from broadcast.grid.model import AirSession
from broadcast.inbox.model import InboxItem
from broadcast.incidents import causes
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident, IncidentLoss, IncidentStep, StepKind
from broadcast.indicators.model import VillageExclusion
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.live.model import LiveSession
from broadcast.plays.model import Play, PlayState
from broadcast.portals.model import CheckOutcome, Portal, PortalCheck, PortalItem, PortalKind
from broadcast.regulations.model import RegulationRow
from broadcast.schedules.starts import occurrence_id
from broadcast.stations.model import (
    Attestation,
    BaselineStation,
    Evidence,
    Outage,
    OutageKind,
    Plant,
    PlantState,
    PlantStatus,
    Station,
    StationState,
    StationStatus,
)
from broadcast.streams.model import StreamCheck, StreamSource
from broadcast.telemetry.model import (
    DevicePresence,
    Fault,
    HealthHour,
    Heartbeat,
    PresenceChange,
    Refusal,
)
from broadcast.telemetry.presence import Presence
from broadcast.wire.fields import AlertMode, BulletinClass, Codec
from tests import province as rows
from tests.callers import LAN, TAM

PROVINCE = rows.PROVINCE
LONG_AGO = rows.SINCE
BASELINE_DAY = date(2021, 1, 1)

NONE = UUID(int=0)


@dataclass
class Place:
    """A commune with its things; `marker` is in the names of all of them."""

    marker: str
    commune: str
    village: str
    grant: int = 0
    """One of the dissolved commune, wherever it is asked about."""
    outage: int = 0
    calendar_day: int = 0
    source: int = 0
    portal: int = 0
    portal_item: int = 0
    regulation: int = 0
    attestation: int = 0
    incident: int = 0
    command: str = ""
    bulletin: UUID = NONE
    draft: UUID = NONE
    schedule: UUID = NONE
    occurrence: UUID = NONE
    alert: UUID = NONE
    template: UUID = NONE
    drill: UUID = NONE
    live: UUID = NONE
    item: UUID = NONE
    """In the inbox."""
    version_request: UUID = NONE
    """To read its bulletin in another language."""
    air_session: UUID = NONE
    """Of the programme grid."""

    def __getattr__(self, kind: str) -> str:
        letters = {"station": "S", "plant": "P", "cluster": "K", "quiet": "Q", "device": "D"}
        if kind not in letters:
            raise AttributeError(kind)
        return f"{letters[kind]}-{self.marker}"


@dataclass
class World:
    """Own: `a`; foreign: `b`; dissolved into `n`, together with another one: `c`."""

    a: Place
    b: Place
    c: Place
    n: Place
    top: Place
    """Content of the province itself."""

    @property
    def communes(self) -> list[Place]:
        return [self.a, self.b, self.c, self.n]


Say = Callable[..., Any]


async def build(session: AsyncSession, now: datetime) -> World:
    """Store the province as it is three days after a merger."""
    today = now.astimezone(LOCAL).date()
    merged_on = today - timedelta(days=3)
    before = merged_on - timedelta(days=1)
    world = World(
        a=Place("zza", "20001", "V-1"),
        b=Place("zzb", "20002", "V-2"),
        c=Place("zzc", "20003", "V-3"),
        n=Place("zzn", "20004", "V-4"),
        top=Place("zzp", PROVINCE, ""),
    )
    await db.ensure_partitions(session, today)
    add = rows.area
    session.add_all([
        add(PROVINCE, Level.PROVINCE),
        add("20001", Level.COMMUNE, PROVINCE),
        add("20002", Level.COMMUNE, PROVINCE),
        add("20003", Level.COMMUNE, PROVINCE, valid_to=before),
        add("20005", Level.COMMUNE, PROVINCE, valid_to=before),
        add("20004", Level.COMMUNE, PROVINCE, valid_from=merged_on),
        add("V-1", Level.VILLAGE, "20001"),
        add("V-2", Level.VILLAGE, "20002"),
        add("V-3", Level.VILLAGE, "20003", valid_to=before),
        add("V-3", Level.VILLAGE, "20004", valid_from=merged_on),
        add("V-4", Level.VILLAGE, "20005", valid_to=before),
        add("V-4", Level.VILLAGE, "20004", valid_from=merged_on),
        *(
            AreaLineage(
                old_code=old, new_code="20004", effective_on=merged_on,
                part=Part.WHOLE, legal_act="NQ 1",
            )
            for old in ("20003", "20005")
        ),
        *(
            RegisteredVillage(
                code=code, valid_from=LONG_AGO, kind="thôn", name=code, commune_code=commune,
                valid_to=None,
            )
            for code, commune in (
                ("V-1", "20001"), ("V-2", "20002"), ("V-3", "20003"), ("V-4", "20005")
            )
        ),
    ])  # fmt: skip
    for place in world.communes:
        ended = before if place is world.c else None
        await _register(session, place, now, ended, merged_on if place is world.n else LONG_AGO)
        await _content(session, place, now, {"area": place.commune})
    await _content(session, world.top, now, {"area": PROVINCE})
    session.add(
        Outage(
            kind=OutageKind.POWER_CUT, cluster_id=None, area_code=PROVINCE,
            starts_at=now, ends_at=now + timedelta(hours=1), document="zzp", declared_by=LAN,
        )
    )  # fmt: skip
    held = Grant(
        account_id=LAN, role=Role.COMMUNE_APPROVER, area_code="20003", valid_from=LONG_AGO,
        valid_until=None, granted_by=None, granted_at=now - timedelta(days=90), revoked_at=None,
    )  # fmt: skip
    session.add(held)
    await touch(session)
    await session.flush()
    for place in (*world.communes, world.top):
        place.grant = held.id
    return world


async def _register(
    session: AsyncSession, place: Place, now: datetime, ended: date | None, since: date
) -> None:
    marker, hour = place.marker, timedelta(hours=1)
    station = Station(
        code=place.station, name=marker, commune_code=place.commune,
        valid_from=since, valid_to=ended,
    )  # fmt: skip
    plant = Plant(code=place.plant, name=marker)
    session.add_all([station, plant])
    await session.flush()
    cluster = rows.cluster(place.cluster, plant, name=marker)
    quiet = rows.cluster(place.quiet, plant, name=marker, evidence=Evidence.ATTESTED)
    device = rows.device(place.device, now - 30 * hour)
    session.add_all([
        StationState(station_id=station.id, valid_from=since, status=StationStatus.OPERATING,
                     cause=marker, document=marker),
        PlantState(plant_id=plant.id, valid_from=since, station_id=station.id,
                   technologies=["it"], status=PlantStatus.OPERATING, document=marker),
        BaselineStation(station_id=station.id, listed_on=max(since, BASELINE_DAY),
                        technologies=["fm"], document=marker),
        cluster, quiet, device,
    ])  # fmt: skip
    await session.flush()
    session.add_all([
        rows.service(cluster, place.village),
        rows.service(quiet, place.village),
        rows.installation(device, cluster, now - 30 * hour),
        EarshotPair(cluster_id=min(cluster.id, quiet.id), other_id=max(cluster.id, quiet.id),
                    heard=True, note=marker, set_by=LAN, set_at=now),
    ])  # fmt: skip
    session.add(
        VillageContact(
            village_code=place.village, name=marker, phone="0900 000 000", changed_by=LAN,
            changed_at=now,
        )
    )  # fmt: skip
    outage = Outage(
        kind=OutageKind.MAINTENANCE, cluster_id=cluster.id, area_code=None, starts_at=now,
        ends_at=now + hour, document=marker, declared_by=LAN,
    )  # fmt: skip
    marked = CalendarDay(
        kind=DayKind.OWN, name=marker, area_code=place.commune, first_on=since, last_on=since,
        clusters=[], document=marker, entered_by=LAN, entered_at=now,
    )  # fmt: skip
    regulation = RegulationRow(
        area_code=place.commune, number=marker, signed_on=since, valid_from=since,
        minutes_per_day=90, entered_by=LAN, entered_at=now, withdrawn_by=LAN, withdrawn_at=now,
    )  # fmt: skip
    attestation = Attestation(
        cluster_id=quiet.id,
        attested_at=now - hour,
        attested_by="Lan",
        reference=marker,
        note=marker,
    )
    incident = Incident(
        kind=Kind.VILLAGE, code=place.village, within="", name=marker, cause=causes.Cause.POWER,
        opened_at=now - hour, noticed_at=now - hour, recovered_at=None, closed_at=None,
        devices_count=1, down_count=1, villages_count=1, communes_count=1,
    )  # fmt: skip
    place.command = f"command-{marker}"
    session.add_all([
        outage, marked, regulation, attestation, incident,
        Command(command_id=place.command, device_id=device.id, kind=CommandKind.REBOOT,
                volume=None, ordered_by=LAN, ordered_at=now - hour,
                not_after=now - hour + timedelta(minutes=5), published_at=None),
        DevicePresence(device_id=device.id, presence=Presence.ONLINE, since=now - hour, session=1,
                       seq=1, last_seen_at=now, silent_after=now + hour, held={}, mains=None,
                       operator=None),
        PresenceChange(device_id=device.id, presence=Presence.ONLINE, happened_at=now - hour,
                       recorded_at=now - hour, cause=marker),
        Fault(device_id=device.id, kind="line_open", opened_at=now - hour, closed_at=None,
              detail=marker),
        Refusal(device_id=device.id, topic="t", reason="expired", detail=marker, sent_at=now,
                received_at=now),
        Heartbeat(received_on=now.astimezone(LOCAL).date(), device_id=device.id, session=1, seq=1,
                  sent_at=now, received_at=now, body={"firmware": marker}),
        HealthHour(device_id=device.id, hour=now.replace(minute=0, second=0, microsecond=0) - hour,
                   beats=1, minutes=1, sessions=1, playing_beats=0, untrusted_beats=0,
                   unpowered_beats=0, journal_pending_max=0, line="ok"),
        VillageExclusion(village_code=place.village, valid_from=LONG_AGO, valid_to=None,
                         document=marker, declared_by=LAN),
    ])  # fmt: skip
    await session.flush()
    session.add(
        IncidentLoss(
            device_id=device.id, fell_at=now - hour, incident_id=incident.id,
            cluster_id=cluster.id, noticed_at=now - hour, returned_at=None,
            evidence=causes.Evidence.POWER,
        )
    )  # fmt: skip
    session.add(
        IncidentStep(
            incident_id=incident.id, kind=StepKind.NOTED, at=now, actor_id=LAN, note=marker
        )
    )  # fmt: skip
    place.outage, place.attestation, place.incident = outage.id, attestation.id, incident.id
    place.calendar_day, place.regulation = marked.id, regulation.id
    place.__dict__["cluster_id"] = cluster.id
    await session.flush()


async def _content(
    session: AsyncSession, place: Place, now: datetime, target: dict[str, str]
) -> None:
    marker = place.marker
    place.bulletin, place.draft = uuid4(), uuid4()
    for id_, title, state in (
        (place.bulletin, marker, RevisionState.APPROVED),
        (place.draft, f"{marker}-draft", RevisionState.DRAFT),
    ):
        session.add(
            Bulletin(
                id=id_, title=title, class_=BulletinClass.NORMAL, area_code=place.commune,
                language="vi", created_by=LAN, created_at=now,
            )
        )  # fmt: skip
        await session.flush()
        session.add(
            Revision(
                bulletin_id=id_, number=1, state=state, source_kind=SourceKind.TEXT, text=title,
                spoken=title, preparation_id=None, seconds=60.0, loudness_lufs=-16.0,
                true_peak_dbtp=-1.0, facts={}, created_at=now,
                created_by=TAM if state is RevisionState.APPROVED else LAN,
            )
        )  # fmt: skip
        await session.flush()
        session.add_all([
            Rendition(bulletin_id=id_, revision=1, codec=Codec.OPUS,
                      sha256=id_.hex * 2, size_bytes=1, seconds=60.0),
            ApprovalStep(bulletin_id=id_, revision=1, state=state, actor=LAN, at=now,
                         note=title),
        ])  # fmt: skip
    portal = Portal(
        area_code=place.commune, name=marker, url="https://xa.example/", kind=PortalKind.FEED,
        source_url=f"https://xa.example/{marker}", item_class="", date_class="", tags=[],
        folded_tags=[], valid_from=LONG_AGO, ended_on=None, entered_by=LAN, entered_at=now,
        source_since=now,
    )  # fmt: skip
    session.add(portal)
    await session.flush()
    item = PortalItem(
        portal_id=portal.id, key=marker, url="https://xa.example/1", title=marker, tags=[],
        folded_tags=[], published_at=now, seen_at=now, is_old=False, is_essential=None,
        decided_by=None, decided_at=None,
    )  # fmt: skip
    check = PortalCheck(
        portal_id=portal.id, checked_at=now, outcome=CheckOutcome.UNREACHABLE, detail=marker,
        listed=0, added=0, etag="", modified="",
    )  # fmt: skip
    session.add_all([item, check])
    await session.flush()
    place.portal, place.portal_item = portal.id, item.id
    if "cluster_id" in place.__dict__:
        source = StreamSource(
            name=marker, area_code=place.commune, urls=["http://127.0.0.1/none"], codec=None,
            fallback_bulletin_id=place.bulletin, last_day=None, ended_at=None,
            entered_by=LAN, entered_at=now,
        )  # fmt: skip
        session.add(source)
        await session.flush()
        session.add(
            StreamCheck(
                source_id=source.id, checked_at=now, answers=False, since=now - timedelta(hours=2),
                answered_at=None, url=None, codec=None, detail=marker,
            )
        )  # fmt: skip
        place.source = source.id
    starts_at = (now + timedelta(days=2)).replace(second=0, microsecond=0)
    for copy in (0, 1):
        relayed = {"relay_source_id": place.source, "relay_seconds": 600} if copy else {}
        schedule = rows.schedule(
            place.bulletin, starts_at, now, title=marker, targets=[target],
            **relayed if place.source else {},
        )  # fmt: skip
        session.add(schedule)
        await session.flush()
        occurrence = rows.occurrence(
            schedule, starts_at, id=occurrence_id(schedule.id, starts_at),
            **relayed if place.source else {},
        )  # fmt: skip
        session.add(occurrence)
        await session.flush()
        if "cluster_id" in place.__dict__:
            session.add(
                Play(
                    occurrence_id=occurrence.id, cluster_id=place.__dict__["cluster_id"],
                    month=starts_at.astimezone(LOCAL).date().replace(day=1), starts_at=starts_at,
                    ends_by=occurrence.ends_by, state=PlayState.PLANNED, device_id=None,
                    started_at=None, ended_at=None, start_error_ms=None, settled_at=None,
                )
            )  # fmt: skip
        if copy == 0:
            place.schedule, place.occurrence = schedule.id, occurrence.id
    place.alert, place.template, place.drill = uuid4(), uuid4(), uuid4()
    session.add_all([
        Drill(
            id=place.drill, title=marker, mode=AlertMode.EXERCISE, area_code=place.commune,
            starts_at=now, ends_at=now + timedelta(hours=1), reserve_on=None, note=marker,
            created_by=LAN, created_at=now, cancelled_at=None,
        ),
        AlertTemplate(
            id=place.template, title=marker, event=AlertEvent.FLOOD, area_code=place.commune,
            texts={"vi": marker}, languages=["vi"], tone=True, repeats=2, valid_minutes=60,
            bulletin_id=place.bulletin, created_by=LAN, created_at=now, withdrawn_at=None,
        ),
        Alert(
            id=place.alert, kind=AlertKind.ALERT, mode=AlertMode.ACTUAL, drill_id=None,
            event=AlertEvent.FLOOD, headline=marker, texts={"vi": marker},
            area_code=place.commune, targets=[target],
            targets_on=now.astimezone(LOCAL).date() if place.marker != "zzc" else LONG_AGO,
            bulletin_id=place.bulletin, bulletin_revision=1, is_drill=False, tone=True, repeats=2,
            priority=255, volume=None, starts_at=None, valid_minutes=60,
            state=AlertState.PROPOSED, created_by=LAN, created_at=now, proposed_by=LAN,
            proposed_at=now,
        ),
    ])  # fmt: skip
    place.air_session = uuid4()
    session.add(
        AirSession(
            id=place.air_session, area_code=place.commune, name=marker, starts_at=now,
            rrule="FREQ=DAILY", seconds=600, may_overrun=False, targets=[target],
            targets_on=LONG_AGO, created_by=LAN, created_at=now, changed_at=now, ended_at=None,
        )
    )  # fmt: skip
    place.live = uuid4()
    session.add(
        LiveSession(
            id=place.live, title=marker, class_=BulletinClass.PRIORITY, area_code=place.commune,
            targets=[target],
            targets_on=now.astimezone(LOCAL).date() if place.marker != "zzc" else LONG_AGO,
            volume=None, most_minutes=15, created_by=LAN, created_at=now, begun_at=now,
            ends_by=now + timedelta(minutes=15), heard_at=now, ended_at=None, ended_by=None,
            end_reason=None, kept_at=None, occurrence_id=place.occurrence,
        )
    )  # fmt: skip
    if place.commune != PROVINCE:
        place.item = uuid4()
        session.add(
            InboxItem(
                id=place.item, bulletin_id=place.bulletin, commune_code=place.commune,
                meant_on=now.date(), useful_until=now + timedelta(days=5), sent_by=LAN,
                sent_at=now, answer=None,
            )
        )  # fmt: skip
    version = Bulletin(
        id=uuid4(), title=f"Bản Hrê {marker}", class_=BulletinClass.NORMAL, language="hre",
        area_code=place.commune, version_of=place.bulletin, created_by=LAN, created_at=now,
    )  # fmt: skip
    session.add(version)
    await session.flush()
    place.version_request = uuid4()
    session.add(
        VersionRequest(
            id=place.version_request, version_id=version.id, original_revision=1, reader_id=LAN,
            due_at=now + timedelta(days=3), note="", asked_by=LAN, asked_at=now,
            cancelled_at=None,
        )
    )  # fmt: skip
    session.add(
        LexiconEntry(
            area_code=place.commune, written=f"từ{marker}", spoken=marker, changed_by=LAN,
            changed_at=now,
        )
    )  # fmt: skip
    await session.flush()
