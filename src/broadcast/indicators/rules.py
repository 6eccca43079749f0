"""Indicators 1.1 and 1.2 of plan 148/KH-UBND in all their variants, with the lists behind them.

Rule 1: an error in the register never improves a figure. A unit whose record is incomplete stays
in the denominator, is not in the numerator, and is listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from broadcast.indicators.definitions import Definition, OperatingRule, definitions, operating_rule
from broadcast.indicators.observed import Baseline, Plant, Province, Station
from broadcast.indicators.reach import Gap, Operation, Reach, operation, reach, strongest, weakest
from broadcast.indicators.results import Exclusion, Member, Reason, Result, Results
from broadcast.stations.model import Evidence, Grade, PlantStatus, StationStatus

NOT_YET = frozenset({StationStatus.PLANNED, StationStatus.INSTALLING})
IN_OPERATION = frozenset({StationStatus.OPERATING, StationStatus.DEGRADED})


def evaluate(province: Province, rule: OperatingRule | None = None) -> Results:
    """Every variant of every indicator, by the definitions in force on the day.

    Args:
        province: What is known of the day.
        rule: When a cluster operates; the one whose window the evidence was gathered for.
    """
    counted = _Counted(province, rule or operating_rule(province.as_of))
    results: Results = {}
    for definition in definitions(province.as_of):
        members, excluded = _COUNTS[definition.code, definition.variant](counted, definition)
        results.setdefault(definition.code, {})[definition.variant] = Result(
            definition=definition,
            members=sorted(members, key=lambda member: member.code),
            excluded=sorted(excluded, key=lambda unit: unit.code),
            target=definition.targets.get(province.as_of.year),
        )
    return results


class _Tally(NamedTuple):
    """The villages of a commune, those it may own included."""

    known: int
    reached: int
    by_telemetry: int
    unplaced: int
    unreached: tuple[str, ...]
    """Their codes."""

    @classmethod
    def of(cls, judged: Sequence[Reach]) -> _Tally:
        missed = [one for one in judged if one.gap is not None]
        return cls(
            len(judged),
            len(judged) - len(missed),
            sum(one.evidence is Evidence.TELEMETRY for one in judged),
            sum(one.gap is Gap.UNPLACED for one in missed),
            tuple(one.village.code for one in missed),
        )


class _Counted:
    """What several variants look at, found once."""

    def __init__(self, province: Province, rule: OperatingRule) -> None:
        self.province = province
        self.operations: Mapping[int, Operation] = {
            cluster.id: operation(cluster, rule, province.at)
            for cluster in province.clusters.values()
        }
        self.reaches = reach(province, self.operations)
        self.reaches_of: dict[str, list[Reach]] = defaultdict(list)
        for judged in self.reaches:
            for code in (
                [judged.village.commune] if judged.village.commune else judged.village.candidates
            ):
                self.reaches_of[code].append(judged)
        self.plants_of: dict[int, list[Plant]] = defaultdict(list)
        for plant in province.plants.values():
            if plant.status is not PlantStatus.DECOMMISSIONED:
                self.plants_of[plant.station_id].append(plant)
        self.stations_of: dict[str, list[Station]] = defaultdict(list)
        for station in province.stations.values():
            if station.exists and station.commune is not None:
                self.stations_of[station.commune].append(station)
        self._proofs_of: dict[int, list[Evidence]] = defaultdict(list)
        for cluster in province.clusters.values():
            self._proofs_of[cluster.plant_id].append(self.operations[cluster.id].evidence)
        self._villages_of: dict[int, set[str]] = defaultdict(set)
        for service in province.services:
            if service.grade is Grade.PRIMARY:
                plant_id = province.clusters[service.cluster_id].plant_id
                self._villages_of[plant_id].add(service.village)

        self.tallies = {code: _Tally.of(judged) for code, judged in self.reaches_of.items()}

    def proof(self, plant: Plant) -> Evidence:
        """Best evidence among the plant's clusters that it sounds."""
        return strongest(self._proofs_of[plant.id])

    def converted_share(self, plants: Iterable[Plant]) -> Fraction | None:
        """Villages served by converted plants ÷ villages served by any of the plants."""
        served: set[str] = set()
        converted: set[str] = set()
        for plant in plants:
            served |= self._villages_of[plant.id]
            if plant.converted:
                converted |= self._villages_of[plant.id]
        return Fraction(len(converted), len(served)) if served else None

    def conversion(self, plants: Sequence[Plant]) -> tuple[Reason | None, Evidence]:
        """Whether every one of these plants is converted, and how well that is proven."""
        if not plants:
            return Reason.NO_PLANT, Evidence.NONE
        converted = [plant for plant in plants if plant.converted]
        if len(converted) == len(plants):
            return None, weakest(self.proof(plant) for plant in plants)
        if converted:
            return Reason.PARTLY, Evidence.NONE
        if all(plant.carries_it for plant in plants):
            return Reason.NOT_OPERATING, Evidence.NONE
        return Reason.NOT_CONVERTED, Evidence.NONE

    def replaced(self, plant: Plant) -> Evidence | None:
        """Evidence of the plant that stands for a decommissioned one in its commune, if any."""
        commune = self.province.stations[plant.station_id].commune
        successors = [
            successor
            for station in self.stations_of.get(commune or "", ())
            for successor in self.plants_of[station.id]
            if successor.converted
        ]
        return strongest(map(self.proof, successors)) if successors else None


Counting = tuple[list[Member], list[Exclusion]]


# --- 1.1: does the system reach the villages -----------------------------------------------------


def _communes_with_station(counted: _Counted, definition: Definition) -> Counting:
    del definition
    members = []
    for commune in counted.province.communes:
        stations = counted.stations_of.get(commune.code, [])
        operating = [station for station in stations if station.status in IN_OPERATION]
        reason = None
        if not stations:
            reason = Reason.NO_STATION
        elif not operating:
            unknown = all(station.status is None for station in stations)
            reason = Reason.NO_STATUS if unknown else Reason.STATION_NOT_OPERATING
        evidence = strongest(
            counted.proof(plant)
            for station in operating
            for plant in counted.plants_of[station.id]
        )
        members.append(
            Member(code=commune.code, name=commune.name, reason=reason, evidence=evidence)
        )
    return members, []


def _communes_reached(counted: _Counted, definition: Definition) -> Counting:
    wanted = definition.village_share
    assert wanted is not None, definition
    members = []
    for commune in counted.province.communes:
        villages = counted.tallies.get(commune.code, _NO_VILLAGE)
        reason, evidence = None, Evidence.NONE
        if not villages.known:
            reason = Reason.NO_VILLAGE
        elif _suffice(villages.reached, villages.known, wanted):
            by_telemetry = _suffice(villages.by_telemetry, villages.known, wanted)
            evidence = Evidence.TELEMETRY if by_telemetry else Evidence.ATTESTED
        else:
            placed = villages.known - villages.unplaced
            suffices = _suffice(villages.reached, placed, wanted)
            reason = Reason.VILLAGES_UNPLACED if suffices else Reason.VILLAGES_UNREACHED
        share = Fraction(villages.reached, villages.known) if villages.known else None
        members.append(
            Member(
                code=commune.code, name=commune.name, reason=reason, evidence=evidence,
                share=share, causes=villages.unreached,
            )
        )  # fmt: skip
    return members, _without_homes(counted.province)


_NO_VILLAGE = _Tally.of(())


def _suffice(part: int, whole: int, share: Fraction) -> bool:
    return part * share.denominator >= whole * share.numerator


def _villages_reached(counted: _Counted, definition: Definition) -> Counting:
    del definition
    members = [
        Member(village.code, village.name, gap, evidence, None, causes)
        for village, evidence, gap, causes in counted.reaches
    ]
    return members, _without_homes(counted.province)


def _without_homes(province: Province) -> list[Exclusion]:
    return [
        Exclusion(
            code=village.code, name=village.name,
            reason=Reason.NO_HOMES, document=village.excluded,
        )
        for village in province.villages
        if village.excluded is not None
    ]  # fmt: skip


# --- 1.2: is the station converted to IT-telecom -------------------------------------------------


def _stations_converted(counted: _Counted, definition: Definition) -> Counting:
    del definition
    members, excluded = [], []
    for station_id in counted.province.station_ids:
        station = counted.province.stations[station_id]
        if not station.exists:
            continue
        left_out = _left_out(station)
        if left_out is not None:
            excluded.append(
                Exclusion(code=station.code, name=station.name, reason=left_out, document=None)
            )
            continue
        members.append(_station(counted, station))
    return members, excluded


def _left_out(station: Station) -> Reason | None:
    if station.status in NOT_YET:
        return Reason.NOT_YET
    return Reason.DECOMMISSIONED if station.status is StationStatus.DECOMMISSIONED else None


def _station(counted: _Counted, station: Station) -> Member:
    plants = counted.plants_of[station.id]
    reason, evidence = counted.conversion(plants)
    if station.status is None:
        reason = Reason.NO_STATUS
    elif station.commune is None:
        reason = Reason.COMMUNE_DIVIDED
    return Member(
        code=station.code,
        name=station.name,
        reason=reason,
        evidence=Evidence.NONE if reason else evidence,
        share=counted.converted_share(plants),
    )


def _baseline_converted(counted: _Counted, definition: Definition) -> Counting:
    del definition
    return [_baseline(counted, entry) for entry in counted.province.baseline], []


def _baseline(counted: _Counted, entry: Baseline) -> Member:
    station = counted.province.stations[entry.station_id]
    plants = [counted.province.plants[plant_id] for plant_id in entry.plant_ids]
    kept = [plant for plant in plants if plant.status is not PlantStatus.DECOMMISSIONED]
    gone = [plant for plant in plants if plant.status is PlantStatus.DECOMMISSIONED]
    reason, evidence = counted.conversion(kept)
    if gone and reason in {None, Reason.NO_PLANT}:
        replacements = [counted.replaced(plant) for plant in gone]
        proofs = [proof for proof in replacements if proof is not None]
        if len(proofs) < len(gone):
            reason, evidence = Reason.NOT_REPLACED, Evidence.NONE
        else:
            reason, evidence = None, weakest([*proofs, *([evidence] if kept else [])])
    return Member(
        code=station.code,
        name=station.name,
        reason=reason,
        evidence=evidence,
        share=counted.converted_share(kept),
    )


def _communes_converted(counted: _Counted, definition: Definition) -> Counting:
    del definition
    members = []
    for commune in counted.province.communes:
        stations = [
            station
            for station in counted.stations_of.get(commune.code, ())
            if _left_out(station) is None
        ]
        plants = [plant for station in stations for plant in counted.plants_of[station.id]]
        reason, evidence = counted.conversion(plants)
        if not stations:
            reason = Reason.NO_STATION
        elif any(station.status is None for station in stations):
            reason = Reason.NO_STATUS
        elif any(not counted.plants_of[station.id] for station in stations):
            reason = Reason.NO_PLANT
        members.append(
            Member(
                code=commune.code,
                name=commune.name,
                reason=reason,
                evidence=Evidence.NONE if reason else evidence,
                share=counted.converted_share(plants),
            )
        )
    return members, []


_COUNTS: Mapping[tuple[str, str], Callable[[_Counted, Definition], Counting]] = {
    ("1.1", "BC"): _communes_with_station,
    ("1.1", "TH"): _communes_reached,
    ("1.1", "NG67"): _communes_reached,
    ("1.1", "NG80"): _communes_reached,
    ("1.1", "THON"): _villages_reached,
    ("1.2", "BC"): _stations_converted,
    ("1.2", "GOC"): _baseline_converted,
    ("1.2", "XA"): _communes_converted,
}
