"""Reading and writing incidents and their falls, many at a time."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.incidents import causes
from broadcast.incidents.causes import Evidence
from broadcast.incidents.grouping import Group, Kind
from broadcast.incidents.lifecycle import Absence, Course, Entry, Key, Open, recovered_at
from broadcast.incidents.model import Incident, IncidentFall
from broadcast.incidents.places import Places
from broadcast.telemetry.presence_rows import as_json

log = structlog.get_logger()

OPEN = Gauge("broadcast_incidents_open", "Incidents that are not over", ["kind", "cause"])
OPENED = Counter("broadcast_incidents_opened", "Incidents noticed", ["kind"])


class Fall(msgspec.Struct):
    """A row of `incident_falls`."""

    device_id: int
    fell_at: datetime
    incident_id: int
    cluster_id: int
    noticed_at: datetime
    returned_at: datetime | None
    evidence: Evidence

    @property
    def key(self) -> Key:
        """Its identity."""
        return Key(self.device_id, self.fell_at)


class Stored(NamedTuple):
    """Open incidents as they are in the database."""

    incidents: Mapping[int, Incident]
    falls: Mapping[Key, Fall]
    open: Sequence[Open]


async def load(session: AsyncSession) -> Stored:
    """All open incidents with their falls."""
    is_open = Incident.closed_at.is_(None)
    statement = sa.select(Incident).where(is_open).order_by(Incident.id)
    incidents = {row.id: row for row in await session.scalars(statement)}
    columns = [IncidentFall.__table__.c[name] for name in Fall.__struct_fields__]
    found = await session.execute(
        sa.select(*columns)
        .join(Incident, Incident.id == IncidentFall.incident_id)
        .where(is_open)
        .order_by(IncidentFall.fell_at, IncidentFall.device_id)
    )
    falls = [Fall(*row) for row in found]
    of: dict[int, list[Fall]] = {id_: [] for id_ in incidents}
    for fall in falls:
        of[fall.incident_id].append(fall)
    open_ = [
        Open(
            id_,
            _group(incident, of[id_]),
            incident.noticed_at,
            [Absence(f.device_id, f.fell_at, f.noticed_at, f.returned_at) for f in of[id_]],
        )
        for id_, incident in incidents.items()
    ]
    return Stored(incidents, {fall.key: fall for fall in falls}, open_)


def _group(incident: Incident, falls: Sequence[Fall]) -> Group:
    if incident.kind is Kind.DEVICE:
        return Group(Kind.DEVICE, str(falls[0].device_id))
    return Group(incident.kind, incident.code, incident.within)


async def store(
    session: AsyncSession, stored: Stored, course: Course, places: Places, now: datetime
) -> None:
    """Write what became of the incidents, and say it in the log."""
    evidence = await _evidence(session, stored, course)
    incidents = []
    for entry in course.open:
        incident = stored.incidents[entry.id] if entry.id is not None else _new(session, now)
        known = [evidence[absence.key] for absence in entry.absences]
        _describe(incident, entry, known, places)
        incidents.append(incident)
    for id_, at in course.closed.items():
        stored.incidents[id_].closed_at = at
    await session.flush()
    for id_, by in course.superseded.items():
        old = stored.incidents[id_]
        old.superseded, old.closed_at, old.down_count = True, now, 0
        old.superseded_by = by
    await _store_falls(session, stored, course, evidence, incidents, places)
    _tell(stored, course, incidents)


def _new(session: AsyncSession, now: datetime) -> Incident:
    incident = Incident(noticed_at=now)
    session.add(incident)
    return incident


def _describe(incident: Incident, entry: Entry, known: Sequence[Evidence], places: Places) -> None:
    """Set the columns that follow from the falls; what stays the same is not written."""
    group, absences = entry.group, entry.absences
    devices = {absence.device_id for absence in absences}
    at = [places.devices[device_id] for device_id in devices if device_id in places.devices]
    named = group.kind, places.code(group), group.within
    if incident.id is None or (incident.kind, incident.code, incident.within) != named:
        incident.kind, incident.code, incident.within = named
        incident.name = places.name(group)
    incident.cause = causes.likely(group, known)
    incident.opened_at = min(absence.fell_at for absence in absences)
    incident.recovered_at = recovered_at(absence.returned_at for absence in absences)
    incident.devices_count = len(devices)
    incident.down_count = sum(absence.returned_at is None for absence in absences)
    incident.villages_count = len({village for place in at for village in place.villages})
    incident.communes_count = len({place.commune for place in at} - {None})


# --- falls -------------------------------------------------------------------------------------

_PUT = sa.text("""
    INSERT INTO incident_falls (device_id, fell_at, incident_id, cluster_id, noticed_at,
                                returned_at, evidence)
    SELECT device_id, fell_at, incident_id, cluster_id, noticed_at, returned_at, evidence
    FROM json_to_recordset(CAST(:rows AS json)) AS n (
        device_id integer, fell_at timestamptz, incident_id integer, cluster_id integer,
        noticed_at timestamptz, returned_at timestamptz, evidence text
    )
    ORDER BY returned_at NULLS LAST, device_id
    ON CONFLICT (device_id, fell_at) DO UPDATE
    SET incident_id = excluded.incident_id, returned_at = excluded.returned_at,
        evidence = excluded.evidence
""")
"""A device that is back comes before one that is down: it may be the same one, fallen again."""

_DROP = sa.text("""
    DELETE FROM incident_falls AS f
    USING unnest(CAST(:ids AS integer[]), CAST(:at AS timestamptz[])) AS n (device_id, fell_at)
    WHERE f.device_id = n.device_id AND f.fell_at = n.fell_at
""")


async def _store_falls(
    session: AsyncSession,
    stored: Stored,
    course: Course,
    evidence: Mapping[Key, Evidence],
    incidents: Sequence[Incident],
    places: Places,
) -> None:
    changed = []
    for entry, incident in zip(course.open, incidents, strict=True):
        for absence in entry.absences:
            before = stored.falls.get(absence.key)
            row = Fall(
                *absence.key,
                incident.id,
                before.cluster_id if before else places.devices[absence.device_id].cluster_id,
                absence.noticed_at,
                absence.returned_at,
                evidence[absence.key],
            )
            if row != before:
                changed.append(row)
    if course.dropped:
        ids, at = zip(*sorted(course.dropped), strict=True)
        await session.execute(_DROP, {"ids": list(ids), "at": list(at)})
    if changed:
        await session.execute(_PUT, {"rows": as_json(changed)})


# --- evidence ----------------------------------------------------------------------------------

_SAID = sa.text("""
    SELECT n.device_id, n.fell_at,
           EXISTS (
               SELECT FROM faults AS f
               WHERE f.device_id = n.device_id AND f.kind = 'power_lost'
                 AND (f.closed_at IS NULL OR f.closed_at >= n.fell_at)
                 AND f.opened_at <= COALESCE(n.returned_at, 'infinity')
           ),
           CASE WHEN p.last_seen_at <= n.fell_at THEN p.mains END,
           (SELECT b.reason FROM boots AS b
            WHERE b.device_id = n.device_id AND b.received_at > n.fell_at
            ORDER BY b.received_at LIMIT 1)
    FROM json_to_recordset(CAST(:rows AS json))
        AS n (device_id integer, fell_at timestamptz, returned_at timestamptz)
    JOIN device_presence AS p ON p.device_id = n.device_id
""")


class _Asked(msgspec.Struct):
    """A row of the statement above."""

    device_id: int
    fell_at: datetime
    returned_at: datetime | None


async def _evidence(session: AsyncSession, stored: Stored, course: Course) -> dict[Key, Evidence]:
    """What each fall is known to be; asked when it is new and when the device has returned.

    What was seen of the power when a device fell stands, whatever it says later.
    """
    known = {key: fall.evidence for key, fall in stored.falls.items()}
    asked = []
    for entry in course.open:
        for each in entry.absences:
            before = stored.falls.get(each.key)
            if before is None or (before.returned_at is None and each.returned_at is not None):
                known.setdefault(each.key, Evidence.NONE)
                asked.append(_Asked(*each.key, each.returned_at))
    if not asked:
        return known
    for device_id, fell_at, power_lost, on_mains, reason in await session.execute(
        _SAID, {"rows": as_json(asked)}
    ):
        key = Key(device_id, fell_at)
        if known[key] is not Evidence.POWER:
            known[key] = causes.of_fall(
                power_lost=power_lost, on_mains=on_mains, boot_reason=reason
            )
    return known


# --- telling -----------------------------------------------------------------------------------


def _tell(stored: Stored, course: Course, incidents: Collection[Incident]) -> None:
    for incident in incidents:
        if incident.id not in stored.incidents:
            OPENED.labels(incident.kind.value).inc()
            log.info("incidents.incident.opened", **_said(incident))
    for id_, at in course.closed.items():
        log.info("incidents.incident.closed", closed_at=str(at), **_said(stored.incidents[id_]))
    for id_, by in course.superseded.items():
        log.info("incidents.incident.superseded", incident_id=id_, by=by)


def _said(incident: Incident) -> dict[str, object]:
    return {
        "incident_id": incident.id,
        "kind": incident.kind.value,
        "code": incident.code,
        "cause": incident.cause.value,
        "devices": incident.devices_count,
        "opened_at": str(incident.opened_at),
    }


async def measure(session: AsyncSession) -> None:
    """Say in the metrics what is open."""
    columns = sa.select(Incident.kind, Incident.cause).where(Incident.closed_at.is_(None))
    open_ = Tally((kind.value, cause.value) for kind, cause in await session.execute(columns))
    OPEN.clear()
    for (kind, cause), count in open_.items():
        OPEN.labels(kind, cause).set(count)
