"""The place of every row: the one table that says who may read it.

`sessions.py` adds these conditions to every statement of a request whose caller reads in a part of
the province, `policies.py` makes PostgreSQL's row-level security of them. They are written on
tables, not on entities, so that they do not limit one another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from broadcast.alerts.cap.model import CapMessage
from broadcast.alerts.model import Alert, AlertTemplate, Drill
from broadcast.areas.model import VillageContact
from broadcast.areas.scope import Scope
from broadcast.audit.model import AuditEntry
from broadcast.bulletins.model import (
    ApprovalRule,
    ApprovalStep,
    Bulletin,
    LexiconEntry,
    Rendition,
    Revision,
    RevisionState,
)
from broadcast.bulletins.version_model import Mix, MixSound, VersionMatch, VersionRequest
from broadcast.calendars.model import CalendarDay
from broadcast.commands.model import Command, CommandResult
from broadcast.devices.model import Device, Installation
from broadcast.earshot.model import EarshotPair
from broadcast.enrolment.model import (
    Certificate,
    Claim,
    Password,
    RenewalRequest,
)
from broadcast.grid.model import AirDrop, AirItem, AirSession
from broadcast.inbox.model import InboxItem, OrderChoice
from broadcast.incidents.model import Incident, IncidentLoss, IncidentStep
from broadcast.indicators.model import (
    ClusterDay,
    Restatement,
    VillageExclusion,
)
from broadcast.kit.db import Base
from broadcast.live.model import LiveSession
from broadcast.plays.model import Correction, Journal, JournalRecord, Play, PlayChange
from broadcast.portals.model import Portal, PortalCheck, PortalItem
from broadcast.regulations.model import RegulationRow
from broadcast.schedules.model import Occurrence, Schedule, ScheduleException, ScheduleState
from broadcast.stations.model import (
    Attestation,
    BaselineStation,
    Cluster,
    ClusterVillage,
    Outage,
    Plant,
    PlantState,
    Station,
    StationState,
)
from broadcast.streams.model import StreamCheck, StreamSource
from broadcast.telemetry.model import (
    Boot,
    DeadLetterRow,
    DevicePresence,
    Fault,
    FaultEnd,
    HealthHour,
    Heartbeat,
    OnlineMinutes,
    PresenceChange,
    Readiness,
    Receipt,
    Refusal,
)

Condition = sa.ColumnElement[bool]
Ids = sa.Select[Any]


class Bounds(NamedTuple):
    """A scope on a day, in SQL."""

    codes: sa.ColumnElement[Any]
    """Array of the codes of its units."""
    heard: sa.ColumnElement[Any]
    """The same with the units above it."""
    documents: sa.ColumnElement[Any]
    """Array of the documents of these units."""
    on: sa.ColumnElement[Any]
    stock: sa.ColumnElement[bool]
    """Devices that were never installed are seen."""

    @staticmethod
    def of(scope: Scope, on: date) -> Bounds:
        """The bounds of a scope that is a part of the province."""
        assert scope.codes is not None
        heard = sorted(scope.codes | scope.above)
        return Bounds(
            codes=_texts(sorted(scope.codes)),
            heard=_texts(heard),
            documents=_texts([f"area/{code}" for code in heard]),
            on=sa.literal(on),
            stock=sa.true() if scope.stock else sa.false(),
        )


class Places:
    """Statements for what lies within some bounds."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    def own(self, column: Any) -> Condition:
        """A column names a unit of the scope."""
        return column == sa.any_(self._bounds.codes)  # type: ignore[no-any-return]

    def heard(self, column: Any) -> Condition:
        """A column names a unit of the scope, or one above it."""
        return column == sa.any_(self._bounds.heard)  # type: ignore[no-any-return]

    def any_own(self, column: Any) -> Condition:
        """A column lists units, and one of them is of the scope."""
        return column.op("&&")(self._bounds.codes)  # type: ignore[no-any-return]

    @cached_property
    def clusters(self) -> Ids:
        """Clusters that serve a village of the scope, or did so to the last."""
        t = ClusterVillage.__table__.c
        return sa.select(t.cluster_id).where(
            self.own(t.village_code), sa.or_(t.valid_to.is_(None), t.valid_to >= self._bounds.on)
        )

    @cached_property
    def devices(self) -> Ids:
        """Devices on these clusters, or last there; with `stock`, those never installed."""
        t = Installation.__table__
        later = t.alias()
        is_last = ~sa.exists().where(
            later.c.device_id == t.c.device_id, later.c.installed_at > t.c.installed_at
        )
        found = sa.select(t.c.device_id).where(t.c.cluster_id.in_(self.clusters), is_last)
        if isinstance(self._bounds.stock, sa.False_):
            return found
        box = Device.__table__
        nowhere = ~sa.exists().where(t.c.device_id == box.c.id)
        stock = sa.select(box.c.id).where(self._bounds.stock, nowhere)
        return sa.select(sa.union_all(found, stock).subquery())

    @cached_property
    def stations(self) -> Ids:
        """Stations of the scope, and of the units that it lies in."""
        t = Station.__table__.c
        return sa.select(t.id).where(self.heard(t.commune_code))

    @cached_property
    def portals(self) -> Ids:
        """Portals of communes of the scope, and of the units that it lies in."""
        t = Portal.__table__.c
        return sa.select(t.id).where(self.heard(t.area_code))

    @cached_property
    def plants(self) -> Ids:
        """Plants of these stations, and those that carry sound to these clusters."""
        state, cluster = PlantState.__table__.c, Cluster.__table__.c
        of_stations = sa.select(state.plant_id).where(state.station_id.in_(self.stations))
        of_clusters = sa.select(cluster.plant_id).where(cluster.id.in_(self.clusters))
        return sa.select(sa.union(of_stations, of_clusters).subquery())

    @cached_property
    def own_bulletins(self) -> Ids:
        """Bulletins of stations of the scope."""
        t = Bulletin.__table__.c
        return sa.select(t.id).where(self.own(t.area_code))

    @cached_property
    def heard_schedules(self) -> Ids:
        """Schedules, and their bulletins, with a target where the scope hears it."""
        table, cluster = Schedule.__table__, Cluster.__table__.c
        target = (
            sa.func.jsonb_array_elements(table.c.targets)
            .table_valued(sa.column("value", JSONB))
            .render_derived()
        )
        codes = sa.select(cluster.code).where(cluster.id.in_(self.clusters))
        return (
            sa.select(table.c.id, table.c.bulletin_id)
            .select_from(table.join(target, sa.true()))
            .where(
                table.c.state != ScheduleState.PROPOSED,  # of its own station only
                sa.or_(
                    self.heard(target.c.value.op("->>")("area")),
                    target.c.value.op("->>")("cluster").in_(codes),
                ),
            )
        )

    def schedules(self, id_: Any, bulletin_id: Any) -> Condition:
        """Schedules that the scope hears, and those of its own bulletins."""
        heard = self.heard_schedules.subquery()
        return sa.or_(id_.in_(sa.select(heard.c.id)), bulletin_id.in_(self.own_bulletins))

    @cached_property
    def sent(self) -> Ids:
        """Bulletins in the inboxes of the scope."""
        t = InboxItem.__table__.c
        return sa.select(t.bulletin_id).where(self.own(t.commune_code))

    @cached_property
    def translated(self) -> Ids:
        """Originals of versions that stations of the scope read, and versions of its own."""
        version = Bulletin.__table__.alias("version")
        originals = sa.select(version.c.version_of.label("id")).where(
            self.own(version.c.area_code), version.c.version_of.is_not(None)
        )
        versions = sa.select(version.c.id).where(version.c.version_of.in_(self.own_bulletins))
        return sa.select(sa.union(originals, versions).subquery())

    @cached_property
    def sources(self) -> Ids:
        """Stream sources that may be relayed in the scope or in a part of it."""
        t = StreamSource.__table__.c
        return sa.select(t.id, t.fallback_bulletin_id).where(self.heard(t.area_code))

    @cached_property
    def approved(self) -> Ids:
        """Approved revisions of bulletins that the scope hears, was sent, translated or relays."""
        t = Revision.__table__.c
        heard = self.heard_schedules.subquery()
        return sa.select(t.bulletin_id, t.number).where(
            t.state == RevisionState.APPROVED,
            sa.or_(
                t.bulletin_id.in_(sa.select(heard.c.bulletin_id)),
                t.bulletin_id.in_(self.sent),
                t.bulletin_id.in_(self.translated),
                t.bulletin_id.in_(sa.select(self.sources.subquery().c.fallback_bulletin_id)),
            ),
        )

    def bulletins(self, id_: Any, area_code: Any) -> Condition:
        """Own bulletins, and those of others that were approved for the scope, or sent to it."""
        approved = self.approved.subquery()
        return sa.or_(
            self.own(area_code), id_.in_(sa.select(approved.c.bulletin_id)), id_.in_(self.sent)
        )

    def revisions(self, bulletin_id: Any, number: Any) -> Condition:
        """All revisions of own bulletins; of the others what was approved."""
        return sa.or_(
            bulletin_id.in_(self.own_bulletins),
            sa.tuple_(bulletin_id, number).in_(self.approved),
        )

    @cached_property
    def documents(self) -> Ids:
        """Documents of single devices of the scope."""
        t = Device.__table__.c
        return sa.select(("device/" + t.code).label("document")).where(t.id.in_(self.devices))

    def occurrences(self, scopes: Any, bulletin_id: Any) -> Condition:
        """Occurrences whose documents reach the scope, and those of its own bulletins."""
        devices = self.documents.scalar_subquery()
        return sa.or_(
            scopes.op("&&")(self._bounds.documents),
            scopes.op("&&")(sa.func.array(devices, type_=ARRAY(sa.Text))),
            bulletin_id.in_(self.own_bulletins),
        )

    @cached_property
    def incidents(self) -> Ids:
        """Incidents in which a cluster of the scope lost contact."""
        t = IncidentLoss.__table__.c
        return sa.select(t.incident_id).where(t.cluster_id.in_(self.clusters))


def _texts(values: list[str]) -> sa.ColumnElement[Any]:
    return sa.literal(values, ARRAY(sa.Text()))


def _by_cluster(model: Any) -> Callable[[Places], Condition]:
    return lambda places: model.cluster_id.in_(places.clusters)


def _by_device(model: Any) -> Callable[[Places], Condition]:
    return lambda places: model.device_id.in_(places.devices)


PLACED: Mapping[type[Base], Callable[[Places], Condition]] = {
    # the register
    Station: lambda places: Station.id.in_(places.stations),
    StationState: lambda places: StationState.station_id.in_(places.stations),
    BaselineStation: lambda places: BaselineStation.station_id.in_(places.stations),
    Plant: lambda places: Plant.id.in_(places.plants),
    PlantState: lambda places: PlantState.plant_id.in_(places.plants),
    Cluster: lambda places: Cluster.id.in_(places.clusters),
    ClusterVillage: _by_cluster(ClusterVillage),
    Installation: _by_cluster(Installation),
    Device: lambda places: Device.id.in_(places.devices),
    VillageExclusion: lambda places: places.own(VillageExclusion.village_code),
    # what people say of clusters
    Outage: lambda places: sa.or_(
        Outage.cluster_id.in_(places.clusters), places.heard(Outage.area_code)
    ),
    Attestation: _by_cluster(Attestation),
    EarshotPair: lambda places: sa.and_(
        EarshotPair.cluster_id.in_(places.clusters), EarshotPair.other_id.in_(places.clusters)
    ),
    # what communes publish
    Portal: lambda places: Portal.id.in_(places.portals),
    PortalCheck: lambda places: PortalCheck.portal_id.in_(places.portals),
    PortalItem: lambda places: PortalItem.portal_id.in_(places.portals),
    # what people mark in calendars
    CalendarDay: lambda places: places.heard(CalendarDay.area_code),
    # what may be relayed
    StreamSource: lambda places: places.heard(StreamSource.area_code),
    StreamCheck: lambda places: StreamCheck.source_id.in_(
        sa.select(places.sources.subquery().c.id)
    ),
    RegulationRow: lambda places: places.heard(RegulationRow.area_code),
    # what devices report, and what they are told
    DevicePresence: _by_device(DevicePresence),
    PresenceChange: _by_device(PresenceChange),
    Boot: _by_device(Boot),
    Heartbeat: _by_device(Heartbeat),
    OnlineMinutes: _by_device(OnlineMinutes),
    HealthHour: _by_device(HealthHour),
    Fault: _by_device(Fault),
    FaultEnd: _by_device(FaultEnd),
    Readiness: _by_device(Readiness),
    Receipt: _by_device(Receipt),
    Refusal: _by_device(Refusal),
    Command: _by_device(Command),
    CommandResult: _by_device(CommandResult),
    Journal: _by_device(Journal),
    DeadLetterRow: lambda places: sa.false(),
    Claim: _by_device(Claim),
    Certificate: _by_device(Certificate),
    Password: _by_device(Password),
    RenewalRequest: _by_device(RenewalRequest),
    CapMessage: lambda places: sa.false(),
    # plays and incidents
    Play: _by_cluster(Play),
    PlayChange: _by_cluster(PlayChange),
    Correction: _by_cluster(Correction),
    JournalRecord: _by_cluster(JournalRecord),
    Incident: lambda places: Incident.id.in_(places.incidents),
    IncidentLoss: _by_cluster(IncidentLoss),
    IncidentStep: lambda places: IncidentStep.incident_id.in_(places.incidents),
    ClusterDay: _by_cluster(ClusterDay),
    Restatement: lambda places: sa.false(),
    # the audit
    AuditEntry: lambda places: places.any_own(AuditEntry.areas),
    # content
    Bulletin: lambda places: places.bulletins(Bulletin.id, Bulletin.area_code),
    Revision: lambda places: places.revisions(Revision.bulletin_id, Revision.number),
    Rendition: lambda places: places.revisions(Rendition.bulletin_id, Rendition.revision),
    ApprovalStep: lambda places: places.revisions(ApprovalStep.bulletin_id, ApprovalStep.revision),
    ApprovalRule: lambda places: places.heard(ApprovalRule.area_code),
    LexiconEntry: lambda places: places.heard(LexiconEntry.area_code),
    VersionMatch: lambda places: places.revisions(VersionMatch.bulletin_id, VersionMatch.revision),
    VersionRequest: lambda places: sa.or_(
        VersionRequest.version_id.in_(places.own_bulletins),
        VersionRequest.version_id.in_(places.translated),
    ),
    Mix: lambda places: places.revisions(Mix.bulletin_id, Mix.revision),
    MixSound: lambda places: MixSound.mix_id.in_(
        sa.select(Mix.__table__.c.id).where(
            places.revisions(Mix.__table__.c.bulletin_id, Mix.__table__.c.revision)
        )
    ),
    Schedule: lambda places: places.schedules(Schedule.id, Schedule.bulletin_id),
    ScheduleException: lambda places: ScheduleException.schedule_id.in_(
        sa.select(Schedule.__table__.c.id).where(
            places.schedules(Schedule.__table__.c.id, Schedule.__table__.c.bulletin_id)
        )
    ),
    # emergencies
    Alert: lambda places: places.heard(Alert.area_code),
    AlertTemplate: lambda places: places.heard(AlertTemplate.area_code),
    Drill: lambda places: places.heard(Drill.area_code),
    LiveSession: lambda places: places.heard(LiveSession.area_code),
    VillageContact: lambda places: places.own(VillageContact.village_code),
    Occurrence: lambda places: places.occurrences(Occurrence.scopes, Occurrence.bulletin_id),
    AirSession: lambda places: places.heard(AirSession.area_code),
    AirItem: lambda places: AirItem.session_id.in_(
        sa.select(AirSession.__table__.c.id).where(places.heard(AirSession.__table__.c.area_code))
    ),
    AirDrop: lambda places: AirDrop.item_id.in_(
        sa.select(AirItem.__table__.c.id).where(
            AirItem.__table__.c.session_id.in_(
                sa.select(AirSession.__table__.c.id).where(
                    places.heard(AirSession.__table__.c.area_code)
                )
            )
        )
    ),
    InboxItem: lambda places: places.own(InboxItem.commune_code),
    OrderChoice: lambda places: OrderChoice.item_id.in_(
        sa.select(InboxItem.__table__.c.id).where(places.own(InboxItem.__table__.c.commune_code))
    ),
}
"""Condition of the rows that lie in a scope, of every table that has places."""

UNPLACED: Mapping[str, str] = {
    "broadcast.accounts": "credentials of accounts, for themselves and who has account_write",
    "broadcast.auth": "accounts, their grants, tokens and sessions; as their credentials",
    "broadcast.kit": "the server itself",
    "broadcast.keys": "signing keys of the whole installation",
    "broadcast.restore": "restores of the whole installation, for who has it all",
    "broadcast.programmes": "work of the dispatcher, which no route reads",
    "areas": "names and tree of all units are public knowledge",
    "area_lineage": "as the units",
    "boundaries": "as the units",
    "village_register": "as the units",
    "village_languages": "as the units",
    "topology": "one row that counts changes",
    "cap_feeds": "feeds of the whole province, for who reads it whole",
    "authority_orders": "how the whole province ranks its authorities: public, as the law",
    "portal_update_rules": "what counts as regularly updated in the whole province: public",
    "preparations": "read only through a revision, whose place decides",
    "idempotency_keys": "found by the caller's own account only",
    "bulletin_drafts": "found by the caller's own account only",
    "listening_spans": "the server itself",
    "health_progress": "the server itself",
    "lost_spans": "the server itself",
    "folded_days": "work of the roll-up: which days there are",
    "evidence_marks": "work of the roll-up",
    "register_state": "one row that counts changes",
    "revocation_lists": "public, so that a broker can refuse what they name",
    "audit_checkpoints": "signatures of the whole chain",
}
"""Tables, and packages with all of theirs, without places; why their rows may be read."""
