"""Reading and writing incidents and their losses of contact, in bulk."""

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
from broadcast.incidents.lifecycle import (
    IncidentChanges,
    IncidentUpdate,
    LossKey,
    OpenIncident,
    TrackedLoss,
    recovered_at,
)
from broadcast.incidents.model import Incident, IncidentLoss, IncidentStep, StepKind
from broadcast.incidents.places import Places
from broadcast.telemetry.presence_rows import as_json

log = structlog.get_logger()

OPEN = Gauge("broadcast_incidents_open", "Incidents that are not over", ["kind", "cause"])
OPENED = Counter("broadcast_incidents_opened", "Incidents noticed", ["kind"])


class LossRow(msgspec.Struct):
    """A row of `incident_falls`."""

    device_id: int
    fell_at: datetime
    incident_id: int
    cluster_id: int
    noticed_at: datetime
    returned_at: datetime | None
    evidence: Evidence

    @property
    def key(self) -> LossKey:
        """Its identity."""
        return LossKey(self.device_id, self.fell_at)


class Stored(NamedTuple):
    """Open incidents as they are in the database."""

    incidents: Mapping[int, Incident]
    losses: Mapping[LossKey, LossRow]
    open: Sequence[OpenIncident]


async def load(session: AsyncSession) -> Stored:
    """Load all open incidents with their losses, and hold them to the end of the transaction.

    What a person does meanwhile waits, or was done before and is seen here: neither overwrites
    the other (docs/decisions/0059-work-on-incidents.md).
    """
    is_open = Incident.closed_at.is_(None)
    statement = sa.select(Incident).where(is_open).order_by(Incident.id).with_for_update()
    incidents = {row.id: row for row in await session.scalars(statement)}
    columns = [IncidentLoss.__table__.c[name] for name in LossRow.__struct_fields__]
    found = await session.execute(
        sa.select(*columns)
        .join(Incident, Incident.id == IncidentLoss.incident_id)
        .where(is_open)
        .order_by(IncidentLoss.fell_at, IncidentLoss.device_id)
    )
    losses = [LossRow(**row) for row in found.mappings()]
    of: dict[int, list[LossRow]] = {id_: [] for id_ in incidents}
    for loss in losses:
        of[loss.incident_id].append(loss)
    open_ = [
        OpenIncident(
            id=id_,
            group=_group(incident, of[id_]),
            noticed_at=incident.noticed_at,
            losses=[
                TrackedLoss(
                    device_id=loss.device_id,
                    fell_at=loss.fell_at,
                    noticed_at=loss.noticed_at,
                    returned_at=loss.returned_at,
                )
                for loss in of[id_]
            ],
        )
        for id_, incident in incidents.items()
    ]
    return Stored(incidents, {loss.key: loss for loss in losses}, open_)


def _group(incident: Incident, losses: Sequence[LossRow]) -> Group:
    if incident.kind is Kind.DEVICE:
        return Group(Kind.DEVICE, str(losses[0].device_id))
    return Group(incident.kind, incident.code, incident.within)


async def store(
    session: AsyncSession, stored: Stored, changes: IncidentChanges, places: Places, now: datetime
) -> None:
    """Write the changes, and log them."""
    evidence = await _evidence(session, stored, changes)
    incidents = []
    for update in changes.open:
        incident = stored.incidents[update.id] if update.id is not None else _new(session, now)
        known = [evidence[loss.key] for loss in update.losses]
        _describe(incident, update, known, places)
        if update.id is not None:
            _reopen(session, incident, _lost_since(stored, update), now)
        incidents.append(incident)
    for id_, at in changes.closed.items():
        stored.incidents[id_].closed_at = at
    await session.flush()
    for id_, by in changes.superseded.items():
        old = stored.incidents[id_]
        old.superseded, old.closed_at, old.down_count = True, now, 0
        old.superseded_by = by
        if by is not None:
            _hand_over(session, old, stored.incidents[by], now)
    await _store_losses(session, stored, changes, evidence, incidents, places)
    _log_changes(stored, changes, incidents)


def _lost_since(stored: Stored, update: IncidentUpdate) -> int:
    """Devices that an incident has lost since it was stored: new ones, and those lost again."""
    count = 0
    for loss in update.losses:
        before = stored.losses.get(loss.key)
        if before is None or before.incident_id != update.id:
            count += loss.returned_at is None
        else:
            count += before.returned_at is not None and loss.returned_at is None
    return count


def _reopen(session: AsyncSession, incident: Incident, lost_count: int, now: datetime) -> None:
    """More devices are lost: what was decided before was not about them."""
    if not lost_count:
        return
    incident.version += 1
    if incident.closed_by_hand_at is not None:
        incident.closed_by_hand_at = None
        session.add(
            IncidentStep(
                incident_id=incident.id, kind=StepKind.REOPENED, at=now, devices_count=lost_count
            )
        )  # fmt: skip


def _hand_over(session: AsyncSession, old: Incident, new: Incident, now: datetime) -> None:
    """Who saw to an incident sees to the one that took it over, unless somebody does."""
    if old.assignee_id is not None and new.assignee_id is None:
        new.assignee_id = old.assignee_id
        new.version += 1
        session.add(
            IncidentStep(
                incident_id=new.id, kind=StepKind.ASSIGNED, at=now, assignee_id=old.assignee_id
            )
        )  # fmt: skip


def _new(session: AsyncSession, now: datetime) -> Incident:
    incident = Incident(noticed_at=now)
    session.add(incident)
    return incident


def _describe(
    incident: Incident, update: IncidentUpdate, known: Sequence[Evidence], places: Places
) -> None:
    """Set the columns that follow from the losses; what stays the same is not written."""
    group, losses = update.group, update.losses
    devices = {loss.device_id for loss in losses}
    at = [places.devices[device_id] for device_id in devices if device_id in places.devices]
    named = group.kind, places.code(group), group.within
    if incident.id is None or (incident.kind, incident.code, incident.within) != named:
        incident.kind, incident.code, incident.within = named
        incident.name = places.name(group)
    incident.cause = causes.likely(group, known)
    incident.opened_at = min(loss.fell_at for loss in losses)
    incident.recovered_at = recovered_at(loss.returned_at for loss in losses)
    incident.devices_count = len(devices)
    incident.down_count = sum(loss.returned_at is None for loss in losses)
    incident.villages_count = len({village for place in at for village in place.villages})
    incident.communes_count = len({place.commune for place in at} - {None})


# --- losses ------------------------------------------------------------------------------------

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
"""A device that is back comes before one that is down: it may be the same one, lost again."""

_DROP = sa.text("""
    DELETE FROM incident_falls AS f
    USING unnest(CAST(:ids AS integer[]), CAST(:at AS timestamptz[])) AS n (device_id, fell_at)
    WHERE f.device_id = n.device_id AND f.fell_at = n.fell_at
""")


async def _store_losses(
    session: AsyncSession,
    stored: Stored,
    changes: IncidentChanges,
    evidence: Mapping[LossKey, Evidence],
    incidents: Sequence[Incident],
    places: Places,
) -> None:
    changed = []
    for update, incident in zip(changes.open, incidents, strict=True):
        for loss in update.losses:
            before = stored.losses.get(loss.key)
            row = LossRow(
                device_id=loss.device_id,
                fell_at=loss.fell_at,
                incident_id=incident.id,
                cluster_id=before.cluster_id
                if before
                else places.devices[loss.device_id].cluster_id,
                noticed_at=loss.noticed_at,
                returned_at=loss.returned_at,
                evidence=evidence[loss.key],
            )
            if row != before:
                changed.append(row)
    if changes.dropped:
        dropped = sorted(changes.dropped)
        parameters = {
            "ids": [key.device_id for key in dropped], "at": [key.fell_at for key in dropped]
        }  # fmt: skip
        await session.execute(_DROP, parameters)
    if changed:
        await session.execute(_PUT, {"rows": as_json(changed)})


# --- evidence ----------------------------------------------------------------------------------

_OBSERVED = sa.text("""
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


class _EvidenceRequest(msgspec.Struct):
    """A row of the statement above."""

    device_id: int
    fell_at: datetime
    returned_at: datetime | None


async def _evidence(
    session: AsyncSession, stored: Stored, changes: IncidentChanges
) -> dict[LossKey, Evidence]:
    """Evidence on each loss: read when it is new and when the device has returned.

    Evidence on the power when a device was lost is kept, whatever it reports later.
    """
    known = {key: loss.evidence for key, loss in stored.losses.items()}
    requests = []
    for update in changes.open:
        for each in update.losses:
            before = stored.losses.get(each.key)
            if before is None or (before.returned_at is None and each.returned_at is not None):
                known.setdefault(each.key, Evidence.NONE)
                requests.append(
                    _EvidenceRequest(
                        device_id=each.device_id,
                        fell_at=each.fell_at,
                        returned_at=each.returned_at,
                    )
                )
    if not requests:
        return known
    for device_id, fell_at, power_lost, on_mains, reason in await session.execute(
        _OBSERVED, {"rows": as_json(requests)}
    ):
        key = LossKey(device_id, fell_at)
        if known[key] is not Evidence.POWER:
            known[key] = causes.of_loss(
                power_lost=power_lost, on_mains=on_mains, boot_reason=reason
            )
    return known


# --- logs and metrics ----------------------------------------------------------------------------


def _log_changes(
    stored: Stored, changes: IncidentChanges, incidents: Collection[Incident]
) -> None:
    for incident in incidents:
        if incident.id not in stored.incidents:
            OPENED.labels(incident.kind.value).inc()
            log.info("incidents.incident.opened", **_log_fields(incident))
    for id_, at in changes.closed.items():
        log.info(
            "incidents.incident.closed", closed_at=str(at), **_log_fields(stored.incidents[id_])
        )
    for id_, by in changes.superseded.items():
        log.info("incidents.incident.superseded", incident_id=id_, by=by)


def _log_fields(incident: Incident) -> dict[str, object]:
    return {
        "incident_id": incident.id,
        "kind": incident.kind.value,
        "code": incident.code,
        "cause": incident.cause.value,
        "devices": incident.devices_count,
        "opened_at": str(incident.opened_at),
    }


async def measure(session: AsyncSession) -> None:
    """Set the metrics of open incidents."""
    columns = sa.select(Incident.kind, Incident.cause).where(Incident.closed_at.is_(None))
    open_ = Tally((kind.value, cause.value) for kind, cause in await session.execute(columns))
    OPEN.clear()
    for (kind, cause), count in open_.items():
        OPEN.labels(kind, cause).set(count)
