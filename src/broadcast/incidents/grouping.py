"""Correlated outages: devices that lost contact together, and what they have in common.

Pure. A *loss of contact* is one absence of one device; two with less than `calm` between them are
one. The rule, in the order in which it works:

1. **Candidates.** For every group (power feed, village, commune, operator within a commune,
   operator, province) the window with most losses. It is a candidate when the window holds enough
   devices and enough of those of the group that were up.
2. **Nothing wider than needed.** A candidate is valid only if, without any one smaller candidate,
   the rest of it was lost as well: an operator's outage in a province is the operator's, because
   the rest of the province was not lost; a commune that lost one feed is the feed's. Of two with
   the same devices the one further up in `_RANKS` counts as smaller.
3. **Most first.** Of the valid ones, the one that explains most losses; of equals, the narrowest.
   Its losses and devices are taken out, and 1–3 begin again with what is left.
4. **Later losses** join an incident of one of their groups while half of its devices are down.
5. **The rest** are incidents of a single device, once it is offline and not only silent.

The outcome depends on the set of losses only, not on the order in which they became known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """The property that the devices of an incident have in common."""

    POWER_FEED = "power_feed"
    VILLAGE = "village"
    COMMUNE = "commune"
    OPERATOR = "operator"
    PROVINCE = "province"
    DEVICE = "device"


class Group(NamedTuple):
    """Devices that may lose contact together."""

    kind: Kind
    code: str
    within: str = ""
    """Commune, for an operator there; empty for the operator in the whole province."""

    @property
    def rank(self) -> int:
        """Order of preference among groups that explain the same, the lowest first."""
        wide = self.kind is Kind.OPERATOR and not self.within
        return _RANKS.index((self.kind, wide))


_RANKS = [
    (Kind.DEVICE, False),
    (Kind.POWER_FEED, False),
    (Kind.VILLAGE, False),
    (Kind.COMMUNE, False),
    (Kind.OPERATOR, False),
    (Kind.OPERATOR, True),
    (Kind.PROVINCE, False),
]

WIDE_SHARE = 0.2
"""For a commune, for the province and for an operator in it, instead of `share`: when a fifth of
so many devices is lost within minutes that is one event, also when half of them was not."""


_WIDE = {Kind.COMMUNE, Kind.OPERATOR, Kind.PROVINCE}


class ContactLoss(NamedTuple):
    """One absence of one device."""

    fell_at: datetime
    device_id: int
    returned_at: datetime | None = None
    offline: bool = False
    """Away for longer than `offline_after`: an outage also when it is the only one."""

    def lasts(self, at: datetime) -> bool:
        """Tell whether the device was down at a moment."""
        return self.fell_at <= at and (self.returned_at is None or self.returned_at > at)


class Limits(NamedTuple):
    """Limits within which losses count as one outage.

    Attributes:
        window: Heartbeats come once a minute and last wills later still, so devices that lost
            their power in the same second are last heard of within more than a minute.
        devices: Fewer losses are a coincidence.
        share: Part of the group's devices that were up.
        calm: A device that is lost again after a shorter return never was back; an incident in
            which nobody was down for so long is over; and for so long after it was noticed,
            the group of an incident may still change.
        hold: Between the first loss of a group and its incident: devices that were lost in the
            same second are last heard of over a whole interval of heartbeats.
    """

    window: timedelta
    devices: int
    share: float
    calm: timedelta
    hold: timedelta


@dataclass(slots=True)
class CorrelatedOutage:
    """Losses of contact with one likely cause."""

    group: Group
    losses: list[ContactLoss]
    id: int | None = None
    """Of an incident that was decided earlier and no longer changes its group."""

    @property
    def opened_at(self) -> datetime:
        """Time at which the first of its devices was last heard of."""
        return min(loss.fell_at for loss in self.losses)

    def accepts(self, loss: ContactLoss, calm: timedelta) -> bool:
        """Tell whether it was still going on at a loss: half of its devices were down."""
        at = loss.fell_at
        so_far = [each for each in self.losses if each.fell_at <= at]
        down = [
            each for each in so_far if each.returned_at is None or each.returned_at + calm > at
        ]
        return 0 < len(so_far) <= 2 * len(down)


def decide(
    losses: Iterable[ContactLoss],
    settled: Iterable[CorrelatedOutage],
    groups: Mapping[int, Sequence[Group]],
    limits: Limits,
) -> list[CorrelatedOutage]:
    """Assign losses to outages.

    Args:
        losses: Those that are not part of a settled outage.
        settled: Outages that keep their group and their losses.
        groups: Of every device in use, also of those that are up.
        limits: Within which losses count as one outage.

    Returns:
        Settled outages, with the losses that joined them, and new ones. Losses that are no
        outage (yet) are in none.
    """
    correlation = _Correlation(sorted(set(losses)), settled, groups, limits)
    found = []
    while (burst := correlation.best()) is not None:
        found.append(burst)
        correlation.explain(burst.losses)
    incidents = [CorrelatedOutage(each.group, list(each.losses), each.id) for each in settled]
    for burst in sorted(found, key=lambda burst: (burst.losses[0], burst.group)):
        same = (each for each in incidents if each.group == burst.group)
        known = next((each for each in same if each.accepts(burst.losses[0], limits.calm)), None)
        if known is None:
            incidents.append(CorrelatedOutage(burst.group, list(burst.losses)))
        else:
            known.losses += burst.losses
    _assign_rest(correlation.remaining(), incidents, groups, limits)
    return incidents


def _assign_rest(
    losses: Iterable[ContactLoss],
    incidents: list[CorrelatedOutage],
    groups: Mapping[int, Sequence[Group]],
    limits: Limits,
) -> None:
    by_group: dict[Group, list[CorrelatedOutage]] = defaultdict(list)
    for incident in incidents:
        by_group[incident.group].append(incident)
    for loss in losses:
        own = sorted(groups.get(loss.device_id, ()), key=lambda group: group.rank)
        open_ = (incident for group in own for incident in by_group.get(group, ()))
        joined = next((each for each in open_ if each.accepts(loss, limits.calm)), None)
        if joined is not None:
            joined.losses.append(loss)
        elif loss.offline:
            incidents.append(CorrelatedOutage(Group(Kind.DEVICE, str(loss.device_id)), [loss]))


class _Burst(NamedTuple):
    """Losses of one group within one window."""

    group: Group
    losses: list[ContactLoss]
    up_count: int
    """Devices of the group that were up when it began."""


@dataclass(slots=True)
class _Correlation:
    """Losses by group: explained by an outage, or not yet."""

    losses: list[ContactLoss]
    settled: Iterable[CorrelatedOutage]
    groups: Mapping[int, Sequence[Group]]
    limits: Limits
    unexplained: dict[Group, list[ContactLoss]] = field(default_factory=lambda: defaultdict(list))
    explained: dict[Group, list[ContactLoss]] = field(default_factory=lambda: defaultdict(list))
    devices: dict[Group, list[int]] = field(default_factory=lambda: defaultdict(list))
    used: set[ContactLoss] = field(default_factory=set)
    candidates: dict[Group, _Burst] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._enter(self.losses, self.unexplained)
        self._enter((loss for each in self.settled for loss in each.losses), self.explained)
        big = {g for g, losses in self.unexplained.items() if len(losses) >= self.limits.devices}
        if big:
            for device_id, own in self.groups.items():
                for group in own:
                    if group in big:
                        self.devices[group].append(device_id)
        for group in big:
            self._consider(group)

    def _enter(self, losses: Iterable[ContactLoss], lists: dict[Group, list[ContactLoss]]) -> None:
        for loss in losses:
            for group in self.groups.get(loss.device_id, ()):
                lists[group].append(loss)

    def remaining(self) -> list[ContactLoss]:
        """Losses that no group explains, oldest first."""
        return [loss for loss in self.losses if loss not in self.used]

    def explain(self, losses: Sequence[ContactLoss]) -> None:
        """Record that these losses are explained."""
        self.used.update(losses)
        touched = {group for loss in losses for group in self.groups[loss.device_id]}
        self._enter(losses, self.explained)
        for group in touched:
            self.unexplained[group] = [f for f in self.unexplained[group] if f not in self.used]
            self._consider(group)

    def best(self) -> _Burst | None:
        """The valid candidate that explains most; None when there is none."""
        order = sorted(
            self.candidates.values(),
            key=lambda each: (-len(each.losses), each.group.rank, each.group),
        )
        return next((burst for burst in order if self._is_minimal(burst)), None)

    def _share(self, group: Group) -> float:
        wide = group.kind in _WIDE and not group.within
        return min(WIDE_SHARE, self.limits.share) if wide else self.limits.share

    def _consider(self, group: Group) -> None:
        self.candidates.pop(group, None)
        losses = self._most_within_window(self.unexplained[group])
        if len(losses) < self.limits.devices:
            return
        up_count = len(self.devices[group]) - len(self._not_up(group, losses))
        if len(losses) >= self._share(group) * up_count:
            self.candidates[group] = _Burst(group, losses, up_count)

    def _most_within_window(self, losses: list[ContactLoss]) -> list[ContactLoss]:
        first = best = most = 0
        for last, loss in enumerate(losses):
            while loss.fell_at - losses[first].fell_at > self.limits.window:
                first += 1
            if last - first + 1 > most:
                best, most = first, last - first + 1
        return losses[best : best + most]

    def _not_up(self, group: Group, losses: Sequence[ContactLoss]) -> set[int]:
        """Devices of a group that could not be lost with these: down before, or explained."""
        start = losses[0].fell_at
        end = start + self.limits.window
        away = {
            loss.device_id
            for loss in self.explained[group]
            if loss.fell_at <= end and (loss.returned_at is None or loss.returned_at > start)
        }
        for loss in self.unexplained[group]:
            if loss.fell_at >= start:
                break
            if loss.lasts(start):
                away.add(loss.device_id)
        return away - {loss.device_id for loss in losses}

    def _is_minimal(self, burst: _Burst) -> bool:
        """Tell whether the rest of it was lost too, whichever smaller candidate is left out."""
        size = burst.up_count, burst.group.rank
        smaller = {
            each.group
            for each in self.candidates.values()
            if (each.up_count, each.group.rank) < size
        }
        if not smaller:
            return True
        lost_devices = {loss.device_id for loss in burst.losses}
        away = self._not_up(burst.group, burst.losses)
        up, lost = Counter[Group](), Counter[Group]()
        for device_id in self.devices[burst.group]:
            if device_id in away:
                continue
            for group in self.groups[device_id]:
                if group in smaller:
                    up[group] += 1
                    lost[group] += device_id in lost_devices
        share = self._share(burst.group)
        for group, up_count in up.items():
            rest = len(burst.losses) - lost[group]
            if not lost[group]:
                continue
            if rest < share * (burst.up_count - up_count):
                return False
        return True


def assign_ids(
    decided: Sequence[CorrelatedOutage], changeable: Mapping[int, tuple[Group, frozenset[int]]]
) -> tuple[list[int | None], dict[int, int | None]]:
    """Match the outages decided now to incidents decided earlier.

    Args:
        decided: By `decide`.
        changeable: Incidents whose losses were decided again: id → their group and devices before.

    Returns:
        For each of `decided` the id it keeps, None for a new one; and what became of the others:
        id → position in `decided` of the outage that took most of their devices, None when those
        are in none any more.
    """
    kept: list[int | None] = [incident.id for incident in decided]
    position_of = {
        loss.device_id: position
        for position, incident in enumerate(decided)
        for loss in incident.losses
    }
    successors: dict[int, int | None] = {}
    overlaps = []
    for id_, (group, devices) in changeable.items():
        shared = Counter(
            position_of[device_id] for device_id in devices if device_id in position_of
        )
        successors[id_] = min(
            shared, key=lambda position: (-shared[position], position), default=None
        )
        overlaps += [
            (decided[position].group != group, -count, id_, position)
            for position, count in shared.items()
        ]
    for _, _, id_, position in sorted(overlaps):
        if id_ in successors and kept[position] is None:
            kept[position] = id_
            del successors[id_]
    return kept, successors
