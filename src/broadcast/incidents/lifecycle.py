"""How incidents go on: from what was open and who is down now to what is open now.

Pure. An incident is *young* for `calm` after it was noticed: while more falls become known, what
the devices have in common is decided anew, and an incident may grow into a wider one, which takes
the others over. Then it *stands*: it keeps its group and its falls, later ones may join it. It is
over when nobody was down for `calm`; that is final.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from broadcast.incidents.grouping import Fall, Group, Incident, Limits, claims, decide


class Absent(NamedTuple):
    """A device that is down now."""

    device_id: int
    fell_at: datetime
    offline: bool


class Key(NamedTuple):
    """What identifies a fall for ever."""

    device_id: int
    fell_at: datetime


@dataclass(slots=True)
class Absence:
    """A fall that is part of an incident."""

    device_id: int
    fell_at: datetime
    noticed_at: datetime
    returned_at: datetime | None = None

    @property
    def key(self) -> Key:
        """Its identity."""
        return Key(self.device_id, self.fell_at)


@dataclass(slots=True)
class Open:
    """An incident that is not over."""

    id: int
    group: Group
    noticed_at: datetime
    absences: list[Absence]

    def is_young(self, now: datetime, limits: Limits) -> bool:
        """Tell whether what it is may still change."""
        return self.noticed_at + limits.calm > now

    @property
    def recovered_at(self) -> datetime | None:
        """When the last of its devices returned; None while one is down."""
        return recovered_at(each.returned_at for each in self.absences)


class Entry(NamedTuple):
    """An incident as it is now."""

    id: int | None
    """None for a new one."""
    group: Group
    absences: list[Absence]


@dataclass(slots=True)
class Course:
    """What became of the incidents.

    Attributes:
        open: Incidents now.
        superseded: Id of an incident that is none of its own any more → id of the one that took
            it over, None when its devices are (not yet) part of any.
        closed: Ids of incidents that are over.
        dropped: Absences that are in no incident any more.
        held_until: When the first of the incidents may open that do not yet, because more of the
            same may become known; None when there is none. Of `known_until`.
    """

    open: list[Entry] = field(default_factory=list)
    superseded: dict[int, int | None] = field(default_factory=dict)
    closed: dict[int, datetime] = field(default_factory=dict)
    dropped: set[Key] = field(default_factory=set)
    held_until: datetime | None = None


def recovered_at(returns: Iterable[datetime | None]) -> datetime | None:
    """The last of these returns; None when one has not returned."""
    moments = list(returns)
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def advance(
    incidents: Sequence[Open],
    absent: Mapping[int, Absent],
    returned: Mapping[int, datetime],
    groups: Mapping[int, Sequence[Group]],
    limits: Limits,
    *,
    now: datetime,
    known_until: datetime,
    offline: timedelta,
) -> Course:
    """Go on from the incidents that were open.

    Args:
        incidents: That were open; their absences are brought up to date in place.
        absent: Devices that are down now, by id.
        returned: When devices that were down came back; also of those that are down again. Who
            is neither here nor absent is not in use any more, and counts as returned now.
        groups: Of every device in use.
        limits: When devices count as fallen together.
        now: Moment of this pass.
        known_until: Moment up to which every fall is known: silence is noticed late, and not at
            all while the server was away.
        offline: How long a device that returned must have been away to be an incident alone.
    """
    # Only what an earlier pass saw recovered is over: by then its returns are stored.
    recovered = {incident.id for incident in incidents if incident.recovered_at is not None}
    new = _follow(incidents, absent, returned, limits, now)
    patience = _Patience(absent, known_until, offline)
    course = Course()
    pool: list[Absence] = new
    standing: list[Incident] = []
    known: dict[Key, Absence] = {absence.key: absence for absence in new}
    young: dict[int, tuple[Group, frozenset[int]]] = {}
    for incident in incidents:
        known |= {absence.key: absence for absence in incident.absences}
        if incident.is_young(now, limits):
            pool = pool + incident.absences
            devices = frozenset(absence.device_id for absence in incident.absences)
            young[incident.id] = incident.group, devices
            continue
        over_at = incident.recovered_at if incident.id in recovered else None
        if over_at is not None and over_at + limits.calm <= known_until:
            course.closed[incident.id] = over_at
            continue
        late = [each for each in incident.absences if _may_leave(each, incident, now, limits)]
        pool = pool + late
        firm = [each for each in incident.absences if each not in late]
        falls = [patience.fall(each) for each in firm]
        standing.append(Incident(incident.group, falls, incident.id))
    decided = decide([patience.fall(each) for each in pool], standing, groups, limits)
    ids, heirs = claims(decided, young)
    course.superseded = {id_: None if at is None else ids[at] for id_, at in heirs.items()}
    for id_, one in zip(ids, decided, strict=True):
        held_until = one.opened_at + limits.hold
        if id_ is None and held_until > known_until and not any(f.offline for f in one.falls):
            course.held_until = min(held_until, course.held_until or held_until)
            continue
        absences = [known[Key(fall.device_id, fall.fell_at)] for fall in one.falls]
        course.open.append(Entry(id_, one.group, absences))
    placed = {absence.key for entry in course.open for absence in entry.absences}
    course.dropped = {absence.key for absence in pool} - placed - {each.key for each in new}
    return course


def _follow(
    incidents: Sequence[Open],
    absent: Mapping[int, Absent],
    returned: Mapping[int, datetime],
    limits: Limits,
    now: datetime,
) -> list[Absence]:
    """Mark who returned and who fell again at once; returns the new absences."""
    down = set()
    last: dict[int, Absence] = {}
    for incident in incidents:
        for absence in incident.absences:
            if absence.returned_at is None:
                absence.returned_at = _return(absence, absent, returned, limits, now)
            if absence.returned_at is None:
                down.add(absence.device_id)
                continue
            before = last.get(absence.device_id)
            if before is None or before.fell_at < absence.fell_at:
                last[absence.device_id] = absence
    new = []
    for device_id, (_, fell_at, _) in absent.items():
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
            new.append(Absence(device_id, fell_at, now))
    return new


def _return(
    absence: Absence,
    absent: Mapping[int, Absent],
    returned: Mapping[int, datetime],
    limits: Limits,
    now: datetime,
) -> datetime | None:
    back_at = returned.get(absence.device_id)
    again = absent.get(absence.device_id)
    if again is None:
        return back_at or now
    if back_at is None or not absence.fell_at < back_at < again.fell_at - limits.calm:
        return None
    return back_at


def _may_leave(absence: Absence, incident: Open, now: datetime, limits: Limits) -> bool:
    """Tell whether a fall joined a standing incident so late that it may still be another's."""
    stood_at = incident.noticed_at + limits.calm
    return absence.noticed_at >= stood_at and absence.noticed_at + limits.calm > now


@dataclass(frozen=True, slots=True)
class _Patience:
    """When a device that is down is an incident alone."""

    absent: Mapping[int, Absent]
    known_until: datetime
    offline: timedelta

    def fall(self, absence: Absence) -> Fall:
        if absence.returned_at is not None:
            long = absence.returned_at - absence.fell_at >= self.offline
        else:
            _, fell_at, long = self.absent[absence.device_id]
            if fell_at > absence.fell_at:  # it was back for a moment
                long = long or self.known_until - absence.fell_at >= self.offline
        return Fall(absence.fell_at, absence.device_id, absence.returned_at, long)
