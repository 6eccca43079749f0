"""Which devices fell together, and what they have in common.

Pure. A *fall* is one absence of one device; two with less than `calm` between them are one. The
rule, in the order in which it works:

1. **Candidates.** For every group (power feed, village, commune, operator within a commune,
   operator, province) the window with most falls. It is a candidate when the window holds enough
   devices and enough of those of the group that were up.
2. **Nothing wider than needed.** A candidate stands only if, without any one smaller candidate,
   the rest of it fell as well: an operator's outage in a province is the operator's, because the
   rest of the province did not fall; a commune of which one feed fell is the feed's. Of two with
   the same devices the one further up in `_RANKS` counts as smaller.
3. **Most first.** Of those that stand, the one that explains most falls; of equals, the narrowest.
   Its falls and devices are taken out, and 1–3 begin again with what is left.
4. **Later falls** join an incident of one of their groups while half of its devices are down.
5. **The rest** are incidents of a single device, once it is offline and not only silent.

The outcome depends on the set of falls only, not on the order in which they became known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What the devices of an incident have in common."""

    POWER_FEED = "power_feed"
    VILLAGE = "village"
    COMMUNE = "commune"
    OPERATOR = "operator"
    PROVINCE = "province"
    DEVICE = "device"


class Group(NamedTuple):
    """Devices that may fall together."""

    kind: Kind
    code: str
    within: str = ""
    """Commune, for an operator there; empty for the operator in the whole province."""

    @property
    def rank(self) -> int:
        """Lowest is preferred among groups that explain the same."""
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
so many devices falls within minutes that is one event, also when half of them did not fall."""


_WIDE = {Kind.COMMUNE, Kind.OPERATOR, Kind.PROVINCE}


class Fall(NamedTuple):
    """One absence of one device."""

    fell_at: datetime
    device_id: int
    returned_at: datetime | None = None
    offline: bool = False
    """Away for longer than `offline_after`: an incident also when it is the only one."""

    def lasts(self, at: datetime) -> bool:
        """Tell whether the device was down at a moment."""
        return self.fell_at <= at and (self.returned_at is None or self.returned_at > at)


class Limits(NamedTuple):
    """When devices count as fallen together.

    Attributes:
        window: Heartbeats come once a minute and last wills later still, so devices that lost
            their power in the same second are last heard of within more than a minute.
        devices: Fewer fell by coincidence.
        share: Part of the group's devices that were up.
        calm: A device that falls again after a shorter return never was back; an incident in
            which nobody was down for so long is over; and for so long after it was noticed,
            what an incident is may still change.
        hold: Between the first fall of a group and its incident: devices that fell in the same
            second are last heard of over a whole interval of heartbeats.
    """

    window: timedelta
    devices: int
    share: float
    calm: timedelta
    hold: timedelta


@dataclass(slots=True)
class Incident:
    """Falls with one likely cause."""

    group: Group
    falls: list[Fall]
    id: int | None = None
    """Of an incident that was decided earlier and no longer changes its group."""

    @property
    def opened_at(self) -> datetime:
        """When the first of its devices was last heard of."""
        return min(fall.fell_at for fall in self.falls)

    def takes(self, fall: Fall, calm: timedelta) -> bool:
        """Tell whether it was still going on when a device fell: half of its devices were down."""
        at = fall.fell_at
        so_far = [each for each in self.falls if each.fell_at <= at]
        down = [
            each for each in so_far if each.returned_at is None or each.returned_at + calm > at
        ]
        return 0 < len(so_far) <= 2 * len(down)


def decide(
    falls: Iterable[Fall],
    standing: Iterable[Incident],
    groups: Mapping[int, Sequence[Group]],
    limits: Limits,
) -> list[Incident]:
    """Sort falls into incidents.

    Args:
        falls: Those that are not part of a standing incident.
        standing: Incidents that keep their group and their falls.
        groups: Of every device in use, also of those that are up.
        limits: When devices count as fallen together.

    Returns:
        Standing incidents, with what joined them, and new ones. Falls that are no incident (not
        yet) are in none.
    """
    board = _Board(sorted(set(falls)), standing, groups, limits)
    founded = []
    while (burst := board.best()) is not None:
        founded.append(burst)
        board.take(burst.falls)
    incidents = [Incident(each.group, list(each.falls), each.id) for each in standing]
    for burst in sorted(founded, key=lambda burst: (burst.falls[0], burst.group)):
        same = (each for each in incidents if each.group == burst.group)
        known = next((each for each in same if each.takes(burst.falls[0], limits.calm)), None)
        if known is None:
            incidents.append(Incident(burst.group, list(burst.falls)))
        else:
            known.falls += burst.falls
    _sort_in(board.left(), incidents, groups, limits)
    return incidents


def _sort_in(
    falls: Iterable[Fall],
    incidents: list[Incident],
    groups: Mapping[int, Sequence[Group]],
    limits: Limits,
) -> None:
    by_group: dict[Group, list[Incident]] = defaultdict(list)
    for incident in incidents:
        by_group[incident.group].append(incident)
    for fall in falls:
        own = sorted(groups.get(fall.device_id, ()), key=lambda group: group.rank)
        open_ = (incident for group in own for incident in by_group.get(group, ()))
        joined = next((each for each in open_ if each.takes(fall, limits.calm)), None)
        if joined is not None:
            joined.falls.append(fall)
        elif fall.offline:
            incidents.append(Incident(Group(Kind.DEVICE, str(fall.device_id)), [fall]))


class _Burst(NamedTuple):
    """Falls of one group within one window."""

    group: Group
    falls: list[Fall]
    up_count: int
    """Devices of the group that were up when it began."""


@dataclass(slots=True)
class _Board:
    """Falls that wait to be explained, by group."""

    falls: list[Fall]
    standing: Iterable[Incident]
    groups: Mapping[int, Sequence[Group]]
    limits: Limits
    waiting: dict[Group, list[Fall]] = field(default_factory=lambda: defaultdict(list))
    explained: dict[Group, list[Fall]] = field(default_factory=lambda: defaultdict(list))
    devices: dict[Group, list[int]] = field(default_factory=lambda: defaultdict(list))
    taken: set[Fall] = field(default_factory=set)
    candidates: dict[Group, _Burst] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._enter(self.falls, self.waiting)
        self._enter((fall for each in self.standing for fall in each.falls), self.explained)
        big = {g for g, falls in self.waiting.items() if len(falls) >= self.limits.devices}
        if big:
            for device_id, own in self.groups.items():
                for group in own:
                    if group in big:
                        self.devices[group].append(device_id)
        for group in big:
            self._consider(group)

    def _enter(self, falls: Iterable[Fall], lists: dict[Group, list[Fall]]) -> None:
        for fall in falls:
            for group in self.groups.get(fall.device_id, ()):
                lists[group].append(fall)

    def left(self) -> list[Fall]:
        """Falls that no group explains, oldest first."""
        return [fall for fall in self.falls if fall not in self.taken]

    def take(self, falls: Sequence[Fall]) -> None:
        """Set falls aside: they are explained."""
        self.taken.update(falls)
        touched = {group for fall in falls for group in self.groups[fall.device_id]}
        self._enter(falls, self.explained)
        for group in touched:
            self.waiting[group] = [f for f in self.waiting[group] if f not in self.taken]
            self._consider(group)

    def best(self) -> _Burst | None:
        """The candidate that stands and explains most; None when nothing is left."""
        order = sorted(
            self.candidates.values(),
            key=lambda each: (-len(each.falls), each.group.rank, each.group),
        )
        return next((burst for burst in order if self._stands(burst)), None)

    def _share(self, group: Group) -> float:
        wide = group.kind in _WIDE and not group.within
        return min(WIDE_SHARE, self.limits.share) if wide else self.limits.share

    def _consider(self, group: Group) -> None:
        self.candidates.pop(group, None)
        falls = self._most_within_window(self.waiting[group])
        if len(falls) < self.limits.devices:
            return
        up_count = len(self.devices[group]) - len(self._not_up(group, falls))
        if len(falls) >= self._share(group) * up_count:
            self.candidates[group] = _Burst(group, falls, up_count)

    def _most_within_window(self, falls: list[Fall]) -> list[Fall]:
        first = best = most = 0
        for last, fall in enumerate(falls):
            while fall.fell_at - falls[first].fell_at > self.limits.window:
                first += 1
            if last - first + 1 > most:
                best, most = first, last - first + 1
        return falls[best : best + most]

    def _not_up(self, group: Group, falls: Sequence[Fall]) -> set[int]:
        """Devices of a group that could not fall with these: down before, or explained."""
        start = falls[0].fell_at
        end = start + self.limits.window
        away = {
            fall.device_id
            for fall in self.explained[group]
            if fall.fell_at <= end and (fall.returned_at is None or fall.returned_at > start)
        }
        for fall in self.waiting[group]:
            if fall.fell_at >= start:
                break
            if fall.lasts(start):
                away.add(fall.device_id)
        return away - {fall.device_id for fall in falls}

    def _stands(self, burst: _Burst) -> bool:
        """Tell whether the rest of it fell too, whichever smaller candidate is left out."""
        size = burst.up_count, burst.group.rank
        smaller = {
            each.group
            for each in self.candidates.values()
            if (each.up_count, each.group.rank) < size
        }
        if not smaller:
            return True
        fallen = {fall.device_id for fall in burst.falls}
        away = self._not_up(burst.group, burst.falls)
        up, fell = Counter[Group](), Counter[Group]()
        for device_id in self.devices[burst.group]:
            if device_id in away:
                continue
            for group in self.groups[device_id]:
                if group in smaller:
                    up[group] += 1
                    fell[group] += device_id in fallen
        share = self._share(burst.group)
        for group, up_count in up.items():
            rest = len(burst.falls) - fell[group]
            if not fell[group]:
                continue
            if rest < share * (burst.up_count - up_count):
                return False
        return True


def claims(
    decided: Sequence[Incident], young: Mapping[int, tuple[Group, frozenset[int]]]
) -> tuple[list[int | None], dict[int, int | None]]:
    """Which of the incidents decided earlier each new one goes on with.

    Args:
        decided: By `decide`.
        young: Incidents whose falls were decided anew: id → their group and devices before.

    Returns:
        For each of `decided` the id it keeps, None for a new one; and what became of the others:
        id → place in `decided` of the incident that took most of their devices, None when those
        are no incident any more.
    """
    kept: list[int | None] = [incident.id for incident in decided]
    home = {
        fall.device_id: place for place, incident in enumerate(decided) for fall in incident.falls
    }
    heirs: dict[int, int | None] = {}
    overlaps = []
    for id_, (group, devices) in young.items():
        shared = Counter(home[device_id] for device_id in devices if device_id in home)
        heirs[id_] = min(shared, key=lambda place: (-shared[place], place), default=None)
        overlaps += [
            (decided[place].group != group, -count, id_, place) for place, count in shared.items()
        ]
    for _, _, id_, place in sorted(overlaps):
        if id_ in heirs and kept[place] is None:
            kept[place] = id_
            del heirs[id_]
    return kept, heirs
