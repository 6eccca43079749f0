"""Whether a cluster operates, and whether a village is reached."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.observed import Cluster, Province, Service, Village
from broadcast.stations.model import Evidence, Grade


class Cause(StrEnum):
    """Why a cluster does not operate."""

    NOTHING_EXPECTED = "nothing_expected"
    OFFLINE = "offline"
    NO_BROADCAST = "no_broadcast"
    NO_COMPLETED_PLAY = "no_completed_play"
    SPEAKER_FAULT = "speaker_fault"
    NO_DEVICE = "no_device"
    NOT_ATTESTED = "not_attested"
    ATTESTATION_EXPIRED = "attestation_expired"


@dataclass(frozen=True, slots=True)
class Operation:
    """A cluster's judgement: by which evidence it operates, or every cause why not."""

    evidence: Evidence
    causes: tuple[Cause, ...] = ()

    @property
    def operating(self) -> bool:
        """The cluster counts."""
        return not self.causes


def operation(cluster: Cluster, rule: OperatingRule, at: datetime) -> Operation:
    """Judge a cluster at an instant by what was known of it then.

    Args:
        cluster: Its evidence over the rule's window up to `at`.
        rule: The definition in force.
        at: The instant asked about.
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
    """What one of several clusters proves for all."""
    best = Evidence.NONE
    for proof in proofs:
        if proof is Evidence.TELEMETRY:
            return proof
        if proof is Evidence.ATTESTED:
            best = proof
    return best


def weakest(proofs: Iterable[Evidence]) -> Evidence:
    """What is proven of every one of several."""
    return min(proofs, key=_STRENGTH.index, default=Evidence.NONE)


class Gap(StrEnum):
    """Why a village is not reached."""

    NO_CLUSTER = "no_cluster"
    CLUSTER_DOWN = "cluster_down"
    PARTIAL = "partial"
    """An operating cluster covers a part of it."""
    NEIGHBOUR = "neighbour"
    """An operating cluster covers it, with another commune's programme."""
    UNPLACED = "unplaced"
    """It is not on record in which commune it lies."""


class Reach(NamedTuple):
    """Whether sound of its own commune reaches a village."""

    village: Village
    evidence: Evidence
    """How well the reach is proven; `none` when there is a gap."""
    gap: Gap | None
    causes: tuple[Cause, ...]
    """With `cluster_down`: what is wrong with its clusters."""

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
        elif _is_neighbour(province, service.cluster_id, village):
            gap = Gap.NEIGHBOUR
        else:
            own.append(outcome.evidence)
    if own:
        return Reach(village, strongest(own), None, ())
    if gap is not None:
        return Reach(village, Evidence.NONE, gap, ())
    gap = Gap.CLUSTER_DOWN if down else Gap.NO_CLUSTER
    return Reach(village, Evidence.NONE, gap, tuple(sorted(down)))


def _is_neighbour(province: Province, cluster_id: int, village: Village) -> bool:
    """Tell whether the cluster carries another commune's programme to the village.

    A device follows its village's commune, whichever plant it is booked under. A cluster without
    one hangs on its plant, and sounds what that plant's station broadcasts.
    """
    cluster = province.clusters[cluster_id]
    if cluster.reports:
        return False
    plant = province.plants.get(cluster.plant_id)
    if plant is None:
        return False
    return province.stations[plant.station_id].commune not in {None, village.commune}
