"""Lifecycle of incidents: from the open ones and the devices that are down to their next state.

Pure. An incident is *changeable* for `calm` after it was noticed: while more losses of contact
become known, the group is decided again, and an incident may grow into a wider one, which takes
the others over. Then it is *settled*: it keeps its group and its losses, later ones may join it.
It is closed when nobody was down for `calm`; that is final.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from broadcast.incidents.grouping import (
    ContactLoss,
    CorrelatedOutage,
    Group,
    Limits,
    assign_ids,
    decide,
)


class DownDevice(NamedTuple):
    """A device that is down now."""

    device_id: int
    fell_at: datetime
    offline: bool


class LossKey(NamedTuple):
    """Identity of a loss of contact."""

    device_id: int
    fell_at: datetime


@dataclass(slots=True)
class TrackedLoss:
    """A loss of contact that is part of an incident."""

    device_id: int
    fell_at: datetime
    noticed_at: datetime
    returned_at: datetime | None = None

    @property
    def key(self) -> LossKey:
        """Its identity."""
        return LossKey(self.device_id, self.fell_at)


@dataclass(slots=True)
class OpenIncident:
    """An incident that is not over."""

    id: int
    group: Group
    noticed_at: datetime
    losses: list[TrackedLoss]

    def may_change(self, now: datetime, limits: Limits) -> bool:
        """Tell whether its group may still change."""
        return self.noticed_at + limits.calm > now

    @property
    def recovered_at(self) -> datetime | None:
        """Time at which the last of its devices returned; None while one is down."""
        return recovered_at(each.returned_at for each in self.losses)


class IncidentUpdate(NamedTuple):
    """The new state of an incident that is open."""

    id: int | None
    """None for a new one."""
    group: Group
    losses: list[TrackedLoss]


@dataclass(slots=True)
class IncidentChanges:
    """The outcome of a pass.

    Attributes:
        open: Incidents that are open now.
        superseded: Id of an incident that was taken over → id of the one that did, None when its
            devices are (not yet) part of any.
        closed: Ids of incidents that are closed → when the last device returned.
        dropped: Losses that are in no incident any more.
        held_until: Time of `known_until` at which the first of the incidents may open that are
            held back, because more of the same may become known; None when there is none.
    """

    open: list[IncidentUpdate] = field(default_factory=list)
    superseded: dict[int, int | None] = field(default_factory=dict)
    closed: dict[int, datetime] = field(default_factory=dict)
    dropped: set[LossKey] = field(default_factory=set)
    held_until: datetime | None = None


def recovered_at(returns: Iterable[datetime | None]) -> datetime | None:
    """The last of these returns; None when one has not returned."""
    moments = list(returns)
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def advance(
    incidents: Sequence[OpenIncident],
    down_devices: Mapping[int, DownDevice],
    returned: Mapping[int, datetime],
    groups: Mapping[int, Sequence[Group]],
    limits: Limits,
    *,
    now: datetime,
    known_until: datetime,
    offline: timedelta,
) -> IncidentChanges:
    """Work out the next state of the incidents.

    Args:
        incidents: That were open; their losses are updated in place.
        down_devices: Devices that are down now, by id.
        returned: When devices that were down came back; also of those that are down again. A
            device that is neither here nor down is not in use any more: it counts as returned.
        groups: Of every device in use.
        limits: Within which losses count as one outage.
        now: Moment of this pass.
        known_until: Moment up to which every loss is known: silence is noticed late, and not at
            all while the server was away.
        offline: How long a device that returned must have been away to be an incident alone.
    """
    # Only what an earlier pass saw recovered is over: by then its returns are stored.
    recovered = {incident.id for incident in incidents if incident.recovered_at is not None}
    new = _update_losses(incidents, down_devices, returned, limits, now)
    offline_rule = _OfflineRule(down_devices, known_until, offline)
    changes = IncidentChanges()
    pool: list[TrackedLoss] = new
    settled: list[CorrelatedOutage] = []
    known: dict[LossKey, TrackedLoss] = {loss.key: loss for loss in new}
    changeable: dict[int, tuple[Group, frozenset[int]]] = {}
    for incident in incidents:
        known |= {loss.key: loss for loss in incident.losses}
        if incident.may_change(now, limits):
            pool = pool + incident.losses
            devices = frozenset(loss.device_id for loss in incident.losses)
            changeable[incident.id] = incident.group, devices
            continue
        over_at = incident.recovered_at if incident.id in recovered else None
        if over_at is not None and over_at + limits.calm <= known_until:
            changes.closed[incident.id] = over_at
            continue
        late = [each for each in incident.losses if _may_leave(each, incident, now, limits)]
        pool = pool + late
        kept = [each for each in incident.losses if each not in late]
        contact_losses = [offline_rule.contact_loss(each) for each in kept]
        settled.append(CorrelatedOutage(incident.group, contact_losses, incident.id))
    decided = decide([offline_rule.contact_loss(each) for each in pool], settled, groups, limits)
    ids, successors = assign_ids(decided, changeable)
    changes.superseded = {id_: None if at is None else ids[at] for id_, at in successors.items()}
    for id_, one in zip(ids, decided, strict=True):
        held_until = one.opened_at + limits.hold
        if id_ is None and held_until > known_until and not any(f.offline for f in one.losses):
            changes.held_until = min(held_until, changes.held_until or held_until)
            continue
        losses = [
            known[LossKey(contact_loss.device_id, contact_loss.fell_at)]
            for contact_loss in one.losses
        ]
        changes.open.append(IncidentUpdate(id_, one.group, losses))
    placed = {loss.key for update in changes.open for loss in update.losses}
    changes.dropped = {loss.key for loss in pool} - placed - {each.key for each in new}
    return changes


def _update_losses(
    incidents: Sequence[OpenIncident],
    down_devices: Mapping[int, DownDevice],
    returned: Mapping[int, datetime],
    limits: Limits,
    now: datetime,
) -> list[TrackedLoss]:
    """Record the returns, and devices lost again at once; return the new losses."""
    down = set()
    last: dict[int, TrackedLoss] = {}
    for incident in incidents:
        for loss in incident.losses:
            if loss.returned_at is None:
                loss.returned_at = _return(loss, down_devices, returned, limits, now)
            if loss.returned_at is None:
                down.add(loss.device_id)
                continue
            before = last.get(loss.device_id)
            if before is None or before.fell_at < loss.fell_at:
                last[loss.device_id] = loss
    new = []
    for device_id, (_, fell_at, _) in down_devices.items():
        if device_id in down:
            continue
        before = last.get(device_id)
        if (
            before is not None
            and before.returned_at is not None
            and (fell_at <= before.returned_at + limits.calm)
        ):
            before.returned_at = None
        else:
            new.append(TrackedLoss(device_id, fell_at, now))
    return new


def _return(
    loss: TrackedLoss,
    down_devices: Mapping[int, DownDevice],
    returned: Mapping[int, datetime],
    limits: Limits,
    now: datetime,
) -> datetime | None:
    back_at = returned.get(loss.device_id)
    again = down_devices.get(loss.device_id)
    if again is None:
        return back_at or now
    if back_at is None or not loss.fell_at < back_at < again.fell_at - limits.calm:
        return None
    return back_at


def _may_leave(loss: TrackedLoss, incident: OpenIncident, now: datetime, limits: Limits) -> bool:
    """Tell whether a loss joined a settled incident so late that it may still be another's."""
    settled_at = incident.noticed_at + limits.calm
    return loss.noticed_at >= settled_at and loss.noticed_at + limits.calm > now


@dataclass(frozen=True, slots=True)
class _OfflineRule:
    """Decides when a device that is down is an incident alone."""

    down_devices: Mapping[int, DownDevice]
    known_until: datetime
    offline: timedelta

    def contact_loss(self, loss: TrackedLoss) -> ContactLoss:
        if loss.returned_at is not None:
            long = loss.returned_at - loss.fell_at >= self.offline
        else:
            _, fell_at, long = self.down_devices[loss.device_id]
            if fell_at > loss.fell_at:  # it was back for a moment
                long = long or self.known_until - loss.fell_at >= self.offline
        return ContactLoss(loss.fell_at, loss.device_id, loss.returned_at, long)
