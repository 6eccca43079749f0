"""Changes that would bring an indicator to its target, the fewest first. Pure.

What a change costs in money is not on record, so the cheapest set is the one of fewest changes; of
equal ones that of the lighter kind (`Step`). For a commune the changes that reach the most of its
villages are taken first: never worse than the best set by more than a factor of ln(villages)
(Chvátal 1979), and exact where no two clusters share a village.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from broadcast.indicators.conversion import NOT_YET, left_out
from broadcast.indicators.province import Plant, Station
from broadcast.indicators.reach import IN_OPERATION, Assessment, Reach, is_neighbour
from broadcast.indicators.results import Cause, Gap, Member, Reason, Result
from broadcast.stations.model import Grade, PlantStatus


class Step(StrEnum):
    """Kind of a change; the lighter ones first."""

    RECORD = "record"
    """Complete the register."""
    PUBLISH = "publish"
    """Publish essential information, or name the sections that hold it."""
    BROADCAST = "broadcast"
    """Schedule something: nobody broadcasts there."""
    ATTEST = "attest"
    """Go and listen, and attest with a photo or a recording."""
    REPAIR = "repair"
    CONNECT = "connect"
    """A device on a cluster that has none, so that it follows its own commune."""
    OPERATE = "operate"
    """Put a station or a plant into operation."""
    EXTEND = "extend"
    """A cluster covers a part of a village; cover the rest."""
    REACH = "reach"
    """A cluster for a village that has none."""
    CONVERT = "convert"
    """A plant to IT-telecom."""
    FOUND = "found"
    """A station for a commune that has none."""


_WEIGHT = {step: weight for weight, step in enumerate(Step)}

_STEPS = {
    Cause.NO_DEVICE: Step.CONNECT,
    Cause.OFFLINE: Step.REPAIR,
    Cause.SPEAKER_FAULT: Step.REPAIR,
    Cause.NO_COMPLETED_PLAY: Step.REPAIR,
    Cause.NO_BROADCAST: Step.BROADCAST,
    Cause.NOTHING_EXPECTED: Step.REPAIR,
    Cause.NOT_ATTESTED: Step.ATTEST,
    Cause.ATTESTATION_EXPIRED: Step.ATTEST,
}

_UNCERTAIN = frozenset({Cause.NO_COMPLETED_PLAY, Cause.NOTHING_EXPECTED})
"""Causes that say that a cluster is silent and not what is broken."""


class RegisterEntry(StrEnum):
    """What is to be changed."""

    CLUSTER = "cluster"
    VILLAGE = "village"
    PLANT = "plant"
    STATION = "station"
    COMMUNE = "commune"
    PORTAL = "portal"
    """Of a commune, by whose code it goes: which of several is for the commune to say."""


class Change(NamedTuple):
    """One thing to do."""

    step: Step
    subject: RegisterEntry
    code: str
    villages: tuple[str, ...]
    """Codes of the villages that are reached by it, or that the plant serves."""
    causes: tuple[Cause, ...] = ()
    is_certain: bool = True
    """The evidence says what is wrong; else somebody has to look first."""


class Plan(NamedTuple):
    """The changes after which a unit counts."""

    unit: Member
    changes: tuple[Change, ...]
    """None: what is missing cannot be told."""


class Needs(NamedTuple):
    """What would bring an indicator to its aim."""

    aim: Fraction
    """The year's target; all units, where the plan names none."""
    is_target: bool
    missing: int
    """Units more that have to count."""
    plans: Sequence[Plan]
    """The easiest units, as many as are missing."""
    unclear: Sequence[Member]
    """Units for which nothing in the record says what to do."""

    @property
    def changes(self) -> list[tuple[Change, tuple[Member, ...]]]:
        """What to do and for which units, by the villages that one change reaches."""
        merged: dict[Change, tuple[set[str], list[Member]]] = {}
        for plan in self.plans:
            for change in plan.changes:
                villages, units = merged.setdefault(change._replace(villages=()), (set(), []))
                villages.update(change.villages)
                units.append(plan.unit)
        every = [
            (change._replace(villages=tuple(sorted(villages))), tuple(units))
            for change, (villages, units) in merged.items()
        ]
        return sorted(every, key=lambda each: _rank(each[0]))


def _rank(change: Change) -> tuple[int, int, str]:
    return -len(change.villages), _WEIGHT[change.step], change.code


def needs(assessment: Assessment, result: Result) -> Needs:
    """Find what would bring a result to its target, or to all units where there is none."""
    aim = result.target if result.target is not None else Fraction(1)
    missing = max(0, ceil(aim * len(result.members)) - len(result.numerator))
    plan = _PLANNERS[result.definition.code](assessment, result)
    plans, unclear = [], []
    for member in result.members:
        if member.counted:
            continue
        changes = tuple(plan(member))
        if changes:
            plans.append(Plan(member, changes))
        else:
            unclear.append(member)
    plans.sort(key=_effort)
    return Needs(aim, result.target is not None, missing, plans[:missing], unclear)


def _effort(plan: Plan) -> tuple[int, int, int, str]:
    weight = sum(_WEIGHT[change.step] for change in plan.changes)
    gained = sum(len(change.villages) for change in plan.changes)
    return len(plan.changes), weight, -gained, plan.unit.code


Planner = Callable[[Member], Iterable[Change]]

# --- 1.1 -----------------------------------------------------------------------------------------


def _reaching(assessment: Assessment, result: Result) -> Planner:
    if result.definition.variant == "BC":
        return lambda member: _station(assessment, member)
    options = _Options(assessment)
    share = result.definition.village_share
    if share is None:
        return lambda member: options.cheapest([options.reaches[member.code]], 1)
    return lambda member: options.commune(member, share)


def _station(assessment: Assessment, member: Member) -> Iterable[Change]:
    stations = assessment.stations_of.get(member.code, [])
    if not stations:
        yield Change(Step.FOUND, RegisterEntry.COMMUNE, member.code, ())
    elif member.reason == Reason.NO_STATUS:
        yield Change(Step.RECORD, RegisterEntry.STATION, stations[0].code, ())
    else:
        idle = [each for each in stations if each.status not in IN_OPERATION]
        yield Change(
            Step.OPERATE, RegisterEntry.STATION, idle[0].code, _served(assessment, idle[0])
        )


def _served(assessment: Assessment, station: Station) -> tuple[str, ...]:
    plants = assessment.plants_of[station.id]
    return tuple(sorted(set().union(*(assessment.villages_of[plant.id] for plant in plants))))


class _Options:
    """Ways to reach each village that is not reached."""

    def __init__(self, assessment: Assessment) -> None:
        self._assessment = assessment
        self.reaches: Mapping[str, Reach] = {
            judged.village.code: judged for judged in assessment.reaches
        }
        self._missed: defaultdict[str, list[Reach]] = defaultdict(list)
        for judged in assessment.reaches:
            if not judged.reached:
                village = judged.village
                for code in [village.commune] if village.commune else village.candidates:
                    self._missed[code].append(judged)
        self._serving: defaultdict[str, list[int]] = defaultdict(list)
        for service in assessment.province.services:
            if service.grade is Grade.PRIMARY:
                self._serving[service.village].append(service.cluster_id)

    def commune(self, member: Member, share: Fraction) -> Sequence[Change]:
        """Changes by which enough villages of a commune are reached."""
        tally = self._assessment.tallies.get(member.code)
        if tally is None:
            return [Change(Step.RECORD, RegisterEntry.COMMUNE, member.code, ())]
        enough = ceil(share * tally.known) - tally.reached
        return self.cheapest(self._missed[member.code], enough)

    def cheapest(self, missed: Sequence[Reach], enough: int) -> list[Change]:
        """Fewest changes that reach so many of these villages; the greatest gain first."""
        covers: dict[Change, set[str]] = {}
        for judged in missed:
            for change in self._ways(judged):
                covers.setdefault(change, set()).add(judged.village.code)
        chosen: list[Change] = []
        reached: set[str] = set()
        while len(reached) < enough and covers:
            gains = {change: villages - reached for change, villages in covers.items()}
            best = min(gains, key=lambda change: (
                -len(gains[change]), _WEIGHT[change.step], change.code
            ))  # fmt: skip
            if not gains[best]:
                return []
            chosen.append(best._replace(villages=tuple(sorted(gains[best]))))
            reached |= gains[best]
            del covers[best]
        return chosen if len(reached) >= enough else []

    def _ways(self, judged: Reach) -> Iterable[Change]:
        """Single changes each of which reaches a village."""
        code = judged.village.code
        if judged.gap is Gap.UNPLACED:
            yield Change(Step.RECORD, RegisterEntry.VILLAGE, code, (), (), is_certain=False)
            return
        if judged.gap is Gap.PARTIAL:
            yield Change(Step.EXTEND, RegisterEntry.VILLAGE, code, ())
        has_cluster = False
        for cluster_id in self._serving[code]:
            cluster = self._assessment.province.clusters[cluster_id]
            if is_neighbour(self._assessment.province, cluster_id, judged.village):
                yield Change(Step.CONNECT, RegisterEntry.CLUSTER, cluster.code, ())
            elif causes := self._assessment.operations[cluster_id].causes:
                step = max((_STEPS[cause] for cause in causes), key=_WEIGHT.__getitem__)
                certain = not _UNCERTAIN.issuperset(causes)
                yield Change(
                    step, RegisterEntry.CLUSTER, cluster.code, (), causes, is_certain=certain
                )
            has_cluster = True
        if not has_cluster and judged.gap is not Gap.PARTIAL:
            yield Change(Step.REACH, RegisterEntry.VILLAGE, code, ())


# --- 1.2 -----------------------------------------------------------------------------------------


def _converting(assessment: Assessment, result: Result) -> Planner:
    conversions = _Conversions(assessment)
    return {
        "XA": conversions.of_commune,
        "GOC": conversions.of_baseline,
        "BC": conversions.of_own_plants,
    }[result.definition.variant]


class _Conversions:
    """What is left to convert."""

    def __init__(self, assessment: Assessment) -> None:
        province = assessment.province
        self._assessment = assessment
        self._stations = {station.code: station for station in province.stations.values()}
        self._baseline = {
            entry.station_id: [province.plants[id_] for id_ in entry.plant_ids]
            for entry in province.baseline
        }

    def of_commune(self, member: Member) -> Iterable[Change]:
        """All plants of all stations of a commune."""
        known = self._assessment.stations_of.get(member.code, [])
        found = [station for station in known if left_out(station) is None]
        coming = [station for station in known if station.status in NOT_YET]
        if not found and coming:
            yield Change(Step.OPERATE, RegisterEntry.STATION, coming[0].code, ())
            found = coming[:1]
        elif not found:
            yield Change(Step.FOUND, RegisterEntry.COMMUNE, member.code, ())
        for station in found:
            yield from self._of(station, self._assessment.plants_of[station.id])

    def of_own_plants(self, member: Member) -> Iterable[Change]:
        """All plants of a station."""
        station = self._stations[member.code]
        return self._of(station, self._assessment.plants_of[station.id])

    def of_baseline(self, member: Member) -> Iterable[Change]:
        """The plants that a station had when the plan began."""
        station = self._stations[member.code]
        plants = self._baseline[station.id]
        kept = [plant for plant in plants if plant.status is not PlantStatus.DECOMMISSIONED]
        if member.reason == Reason.NOT_REPLACED:
            yield Change(Step.CONVERT, RegisterEntry.STATION, station.code, ())
        if kept or not plants:
            yield from self._of(station, kept)

    def _of(self, station: Station, plants: Sequence[Plant]) -> Iterable[Change]:
        if not plants or station.status is None or station.commune is None:
            yield Change(Step.RECORD, RegisterEntry.STATION, station.code, ())
        for plant in plants:
            if not plant.converted:
                step = Step.OPERATE if plant.carries_it else Step.CONVERT
                villages = tuple(sorted(self._assessment.villages_of[plant.id]))
                yield Change(step, RegisterEntry.PLANT, plant.code, villages)


# --- 1.3 -----------------------------------------------------------------------------------------


_PORTAL_STEPS = {
    Reason.NO_PORTAL: Step.RECORD,
    Reason.PORTAL_NOT_READ: Step.REPAIR,
    Reason.PORTAL_TOO_FEW: Step.PUBLISH,
}


def _updating(assessment: Assessment, result: Result) -> Planner:
    del assessment, result
    return _portal


def _portal(member: Member) -> Iterable[Change]:
    if member.reason is not None:
        step = _PORTAL_STEPS[Reason(member.reason)]
        yield Change(step, RegisterEntry.PORTAL, member.code, ())


_PLANNERS: Mapping[str, Callable[[Assessment, Result], Planner]] = {
    "1.1": _reaching,
    "1.2": _converting,
    "1.3": _updating,
}
