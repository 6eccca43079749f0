"""Indicator 1.2: is the station converted to IT-telecom.

Rule 1 holds as in `reach.py`: a unit whose record is incomplete stays in the denominator, is not
in the numerator, and is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction

from broadcast.indicators.definitions import Definition
from broadcast.indicators.province import Baseline, Plant, Station
from broadcast.indicators.reach import Assessment, strongest, weakest
from broadcast.indicators.results import Counting, Exclusion, Member, Reason
from broadcast.stations.model import Evidence, PlantStatus, StationStatus

NOT_YET = frozenset({StationStatus.PLANNED, StationStatus.INSTALLING})


def conversion(assessment: Assessment, plants: Sequence[Plant]) -> tuple[Reason | None, Evidence]:
    """Judge whether every one of these plants is converted, and how well that is proven."""
    if not plants:
        return Reason.NO_PLANT, Evidence.NONE
    converted = [plant for plant in plants if plant.converted]
    if len(converted) == len(plants):
        return None, weakest(map(assessment.proof, plants))
    if converted:
        return Reason.PARTLY, Evidence.NONE
    if all(plant.carries_it for plant in plants):
        return Reason.NOT_OPERATING, Evidence.NONE
    return Reason.NOT_CONVERTED, Evidence.NONE


def _converted_share(assessment: Assessment, plants: Iterable[Plant]) -> Fraction | None:
    """Villages served by converted plants ÷ villages served by any of the plants."""
    served: set[str] = set()
    converted: set[str] = set()
    for plant in plants:
        served |= assessment.villages_of[plant.id]
        if plant.converted:
            converted |= assessment.villages_of[plant.id]
    return Fraction(len(converted), len(served)) if served else None


def _replaced(assessment: Assessment, plant: Plant) -> Evidence | None:
    """Evidence of the plant that stands for a decommissioned one in its commune, if any."""
    commune = assessment.province.stations[plant.station_id].commune
    successors = [
        successor
        for station in assessment.stations_of.get(commune or "", ())
        for successor in assessment.plants_of[station.id]
        if successor.converted
    ]
    return strongest(map(assessment.proof, successors)) if successors else None


def _stations_converted(assessment: Assessment, definition: Definition) -> Counting:
    del definition
    members, excluded = [], []
    for station_id in assessment.province.station_ids:
        station = assessment.province.stations[station_id]
        if not station.exists:
            continue
        reason = left_out(station)
        if reason is not None:
            excluded.append(
                Exclusion(code=station.code, name=station.name, reason=reason, document=None)
            )
            continue
        members.append(_station(assessment, station))
    return members, excluded


def left_out(station: Station) -> Reason | None:
    """Why a station is not counted at all; None when it is."""
    if station.status in NOT_YET:
        return Reason.NOT_YET
    return Reason.DECOMMISSIONED if station.status is StationStatus.DECOMMISSIONED else None


def _station(assessment: Assessment, station: Station) -> Member:
    plants = assessment.plants_of[station.id]
    reason, evidence = conversion(assessment, plants)
    if station.status is None:
        reason = Reason.NO_STATUS
    elif station.commune is None:
        reason = Reason.COMMUNE_DIVIDED
    return Member(
        code=station.code,
        name=station.name,
        reason=reason,
        evidence=Evidence.NONE if reason else evidence,
        share=_converted_share(assessment, plants),
    )


def _baseline_converted(assessment: Assessment, definition: Definition) -> Counting:
    del definition
    return [_baseline(assessment, entry) for entry in assessment.province.baseline], []


def _baseline(assessment: Assessment, entry: Baseline) -> Member:
    station = assessment.province.stations[entry.station_id]
    plants = [assessment.province.plants[plant_id] for plant_id in entry.plant_ids]
    kept = [plant for plant in plants if plant.status is not PlantStatus.DECOMMISSIONED]
    gone = [plant for plant in plants if plant.status is PlantStatus.DECOMMISSIONED]
    reason, evidence = conversion(assessment, kept)
    if gone and reason in {None, Reason.NO_PLANT}:
        replacements = [_replaced(assessment, plant) for plant in gone]
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
        share=_converted_share(assessment, kept),
    )


def _communes_converted(assessment: Assessment, definition: Definition) -> Counting:
    del definition
    members = []
    for commune in assessment.province.communes:
        stations = [
            station
            for station in assessment.stations_of.get(commune.code, ())
            if left_out(station) is None
        ]
        plants = [plant for station in stations for plant in assessment.plants_of[station.id]]
        reason, evidence = conversion(assessment, plants)
        if not stations:
            reason = Reason.NO_STATION
        elif any(station.status is None for station in stations):
            reason = Reason.NO_STATUS
        elif any(not assessment.plants_of[station.id] for station in stations):
            reason = Reason.NO_PLANT
        members.append(
            Member(
                code=commune.code,
                name=commune.name,
                reason=reason,
                evidence=Evidence.NONE if reason else evidence,
                share=_converted_share(assessment, plants),
            )
        )
    return members, []


COUNTS: Mapping[str, Callable[[Assessment, Definition], Counting]] = {
    "BC": _stations_converted,
    "GOC": _baseline_converted,
    "XA": _communes_converted,
}
"""By variant."""
