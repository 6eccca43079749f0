"""Indicator 1.1: which clusters operate, which villages they reach, and which communes count.

Rule 1: an error in the register never improves a figure. A unit whose record is incomplete stays
in the denominator, is not in the numerator, and is listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

from broadcast.indicators.definitions import Definition, OperatingRule
from broadcast.indicators.province import Cluster, Plant, Province, Service, Station, Village
from broadcast.indicators.results import Cause, Counting, Exclusion, Gap, Member, Reason
from broadcast.stations.model import Evidence, Grade, PlantStatus, StationStatus

IN_OPERATION = frozenset({StationStatus.OPERATING, StationStatus.DEGRADED})


@dataclass(frozen=True, slots=True)
class Operation:
    """A cluster's judgement: by which evidence it operates, or every cause why not."""

    evidence: Evidence
    causes: tuple[Cause, ...] = ()
    """None of them: the cluster operates."""


def operation(cluster: Cluster, rule: OperatingRule, at: datetime) -> Operation:
    """Judge a cluster at an instant by what was known of it then.

    Args:
        cluster: Its evidence over the rule's window up to `at`.
        rule: The definition in force.
        at: End of the window.
    """
    if not cluster.reports:
        cause = _attestation_cause(cluster, rule, at)
        return Operation(Evidence.NONE, (cause,)) if cause else _ATTESTED
    share = rule.online_share
    causes = []
    if not cluster.expected_minutes:
        causes.append(Cause.NOTHING_EXPECTED)
    elif cluster.online_minutes * share.denominator < cluster.expected_minutes * share.numerator:
        causes.append(Cause.OFFLINE)
    if not cluster.completed and not cluster.broadcast_days:
        causes.append(Cause.NO_BROADCAST)
    elif not cluster.completed or cluster.broadcast_days >= rule.play_within_days:
        causes.append(Cause.NO_COMPLETED_PLAY)
    if cluster.fault_since is not None and at - cluster.fault_since > rule.speaker_fault:
        causes.append(Cause.SPEAKER_FAULT)
    return Operation(Evidence.NONE, tuple(causes)) if causes else _SOUNDS


_ATTESTED, _SOUNDS = Operation(Evidence.ATTESTED), Operation(Evidence.TELEMETRY)


def _attestation_cause(cluster: Cluster, rule: OperatingRule, at: datetime) -> Cause | None:
    if cluster.attested_at is not None and at - cluster.attested_at <= rule.attestation:
        return None
    if cluster.telemetry:
        return Cause.NO_DEVICE
    return Cause.NOT_ATTESTED if cluster.attested_at is None else Cause.ATTESTATION_EXPIRED


_STRENGTH = (Evidence.NONE, Evidence.ATTESTED, Evidence.TELEMETRY)


def strongest(proofs: Iterable[Evidence]) -> Evidence:
    """The best of several proofs, where one is enough."""
    best = Evidence.NONE
    for proof in proofs:
        if proof is Evidence.TELEMETRY:
            return proof
        if proof is Evidence.ATTESTED:
            best = proof
    return best


def weakest(proofs: Iterable[Evidence]) -> Evidence:
    """The least of several proofs, where all are needed."""
    return min(proofs, key=_STRENGTH.index, default=Evidence.NONE)


class Reach(NamedTuple):
    """The judgement of a village: its own commune's sound reaches it, or why not."""

    village: Village
    evidence: Evidence
    """Proof of the reach; `none` when there is a gap."""
    gap: Gap | None
    causes: tuple[Cause, ...]
    """With `cluster_down`: the causes of its clusters."""

    @property
    def reached(self) -> bool:
        """An operating primary cluster of its own commune serves it."""
        return self.gap is None


def reach(province: Province, operations: Mapping[int, Operation]) -> list[Reach]:
    """Judge the villages that count; those excluded by a document are left out."""
    serving = defaultdict(list)
    for service in province.services:
        serving[service.village].append(service)
    return [
        _judge(province, village, serving.get(village.code, ()), operations)
        for village in province.villages
        if village.excluded is None
    ]


def _judge(
    province: Province,
    village: Village,
    services: Sequence[Service],
    operations: Mapping[int, Operation],
) -> Reach:
    if village.commune is None:
        return Reach(village, Evidence.NONE, Gap.UNPLACED, ())
    own: list[Evidence] = []
    down: set[Cause] = set()
    gap = None
    for service in services:
        outcome = operations[service.cluster_id]
        if outcome.causes:
            down.update(outcome.causes)
        elif service.grade is Grade.PARTIAL:
            gap = gap or Gap.PARTIAL
        elif is_neighbour(province, service.cluster_id, village):
            gap = Gap.NEIGHBOUR
        else:
            own.append(outcome.evidence)
    if own:
        return Reach(village, strongest(own), None, ())
    if gap is not None:
        return Reach(village, Evidence.NONE, gap, ())
    gap = Gap.CLUSTER_DOWN if down else Gap.NO_CLUSTER
    return Reach(village, Evidence.NONE, gap, tuple(sorted(down)))


def is_neighbour(province: Province, cluster_id: int, village: Village) -> bool:
    """Tell whether the cluster carries another commune's programme to the village.

    A device follows its village's commune, whichever plant it is booked under. A cluster without
    one depends on its plant, and sounds what that plant's station broadcasts.
    """
    cluster = province.clusters[cluster_id]
    if cluster.reports:
        return False
    plant = province.plants.get(cluster.plant_id)
    if plant is None:
        return False
    return province.stations[plant.station_id].commune not in {None, village.commune}


# --- 1.1: does the system reach the villages -----------------------------------------------------


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


class Assessment:
    """A province with its clusters judged, and what follows from it for every variant.

    What counts is told by the register and by `operations` alone: minutes and plays change a
    figure only through these.

    Attributes:
        province: What is judged.
        rule: When a cluster operates.
        operations: By cluster.
    """

    def __init__(self, province: Province, rule: OperatingRule) -> None:
        self.province = province
        self.rule = rule
        self.operations: Mapping[int, Operation] = {
            cluster.id: operation(cluster, rule, province.at)
            for cluster in province.clusters.values()
        }

    @cached_property
    def reaches(self) -> list[Reach]:
        """Each village that counts."""
        return reach(self.province, self.operations)

    @cached_property
    def tallies(self) -> Mapping[str, _Tally]:
        """By commune, the villages included that may lie in it."""
        reaches_of: defaultdict[str, list[Reach]] = defaultdict(list)
        for judged in self.reaches:
            village = judged.village
            for code in [village.commune] if village.commune else village.candidates:
                reaches_of[code].append(judged)
        return {code: _Tally.of(judged) for code, judged in reaches_of.items()}

    @cached_property
    def plants_of(self) -> defaultdict[int, list[Plant]]:
        """Plants that are not decommissioned, by station."""
        plants_of: defaultdict[int, list[Plant]] = defaultdict(list)
        for plant in self.province.plants.values():
            if plant.status is not PlantStatus.DECOMMISSIONED:
                plants_of[plant.station_id].append(plant)
        return plants_of

    @cached_property
    def stations_of(self) -> defaultdict[str, list[Station]]:
        """Stations that exist, by commune."""
        stations_of: defaultdict[str, list[Station]] = defaultdict(list)
        for station in self.province.stations.values():
            if station.exists and station.commune is not None:
                stations_of[station.commune].append(station)
        return stations_of

    @cached_property
    def villages_of(self) -> defaultdict[int, set[str]]:
        """Villages that a plant's clusters serve as primary, by plant."""
        villages_of: defaultdict[int, set[str]] = defaultdict(set)
        for service in self.province.services:
            if service.grade is Grade.PRIMARY:
                plant_id = self.province.clusters[service.cluster_id].plant_id
                villages_of[plant_id].add(service.village)
        return villages_of

    @cached_property
    def _proofs_of(self) -> defaultdict[int, list[Evidence]]:
        proofs_of: defaultdict[int, list[Evidence]] = defaultdict(list)
        for cluster in self.province.clusters.values():
            proofs_of[cluster.plant_id].append(self.operations[cluster.id].evidence)
        return proofs_of

    def proof(self, plant: Plant) -> Evidence:
        """Best evidence among the plant's clusters that it sounds."""
        return strongest(self._proofs_of[plant.id])


def _communes_with_station(assessment: Assessment, definition: Definition) -> Counting:
    del definition
    members = []
    for commune in assessment.province.communes:
        stations = assessment.stations_of.get(commune.code, [])
        operating = [station for station in stations if station.status in IN_OPERATION]
        reason = None
        if not stations:
            reason = Reason.NO_STATION
        elif not operating:
            unknown = all(station.status is None for station in stations)
            reason = Reason.NO_STATUS if unknown else Reason.STATION_NOT_OPERATING
        evidence = strongest(
            assessment.proof(plant)
            for station in operating
            for plant in assessment.plants_of[station.id]
        )
        members.append(
            Member(code=commune.code, name=commune.name, reason=reason, evidence=evidence)
        )
    return members, []


def _communes_reached(assessment: Assessment, definition: Definition) -> Counting:
    required = definition.village_share
    assert required is not None, definition
    members = []
    for commune in assessment.province.communes:
        villages = assessment.tallies.get(commune.code, _NO_VILLAGE)
        reason, evidence = None, Evidence.NONE
        if not villages.known:
            reason = Reason.NO_VILLAGE
        elif _suffice(villages.reached, villages.known, required):
            by_telemetry = _suffice(villages.by_telemetry, villages.known, required)
            evidence = Evidence.TELEMETRY if by_telemetry else Evidence.ATTESTED
        else:
            placed = villages.known - villages.unplaced
            suffices = _suffice(villages.reached, placed, required)
            reason = Reason.VILLAGES_UNPLACED if suffices else Reason.VILLAGES_UNREACHED
        share = Fraction(villages.reached, villages.known) if villages.known else None
        members.append(
            Member(
                code=commune.code, name=commune.name, reason=reason, evidence=evidence,
                share=share, causes=villages.unreached,
            )
        )  # fmt: skip
    return members, _without_homes(assessment.province)


_NO_VILLAGE = _Tally.of(())


def _suffice(part: int, whole: int, share: Fraction) -> bool:
    return part * share.denominator >= whole * share.numerator


def _villages_reached(assessment: Assessment, definition: Definition) -> Counting:
    del definition
    members = [
        Member(village.code, village.name, gap, evidence, None, causes)
        for village, evidence, gap, causes in assessment.reaches
    ]
    return members, _without_homes(assessment.province)


def _without_homes(province: Province) -> list[Exclusion]:
    return [
        Exclusion(
            code=village.code, name=village.name,
            reason=Reason.NO_HOMES, document=village.excluded,
        )
        for village in province.villages
        if village.excluded is not None
    ]  # fmt: skip


COUNTS: Mapping[str, Callable[[Assessment, Definition], Counting]] = {
    "BC": _communes_with_station,
    "TH": _communes_reached,
    "NG67": _communes_reached,
    "NG80": _communes_reached,
    "THON": _villages_reached,
}
"""By variant."""
