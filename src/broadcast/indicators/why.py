"""Why a unit counts or does not: a chain of sentences from the unit to its clusters. Pure.

What lies behind a cluster (its days, plays and their evidence) is `operation.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import NamedTuple

from broadcast.indicators.definitions import OperatingRule
from broadcast.indicators.province import Cluster, Plant, Station
from broadcast.indicators.reach import IN_OPERATION, Assessment, Reach
from broadcast.indicators.results import Cause, Member, Result
from broadcast.indicators.texts import (
    EVIDENCE,
    PLANT_STATUSES,
    REASONS,
    STATION_STATUSES,
    TECHNOLOGIES,
    evidence_words,
    percent,
)
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.portals.updating import Verdict
from broadcast.stations.model import Grade


class Level(StrEnum):
    """What a sentence speaks of."""

    UNIT = "unit"
    """The unit that counts or does not."""
    VILLAGE = "village"
    STATION = "station"
    PORTAL = "portal"
    PLANT = "plant"
    CLUSTER = "cluster"


class Sentence(NamedTuple):
    """One link of the chain; what explains it follows it, one level deeper."""

    level: Level
    depth: int
    code: str
    name: str
    text: str
    is_well: bool
    """Nothing to be done here."""


def why(assessment: Assessment, result: Result, code: str) -> list[Sentence]:
    """Explain a unit of a result.

    Raises:
        NotFound: It is not among the units that are counted.
    """
    member = next((each for each in result.members if each.code == code), None)
    if member is None:
        left_out = next((each for each in result.excluded if each.code == code), None)
        if left_out is None:
            raise NotFound(
                f"Đơn vị “{code}” không có trong danh sách đếm của chỉ tiêu này ngày đó."
            )
        text = f"không đếm: {REASONS[left_out.reason]}"
        if left_out.document:
            text += f" ({left_out.document})"
        return [Sentence(Level.UNIT, 0, code, left_out.name, text, is_well=True)]
    head = Sentence(
        Level.UNIT, 0, code, member.name, _verdict(assessment, result, member), member.counted
    )
    return [head, *_below(assessment, result, member)]


def _verdict(assessment: Assessment, result: Result, member: Member) -> str:
    if member.reason is None:
        words = evidence_words(result.definition.code)
        said = f"được tính ({words[member.evidence]})"
    else:
        said = f"không được tính vì {REASONS[member.reason]}"
    share = result.definition.village_share
    tally = assessment.tallies.get(member.code)
    if share is not None and tally is not None:
        said += (
            f"; {tally.reached} trên {tally.known} thôn nghe được, "
            f"cần ít nhất {ceil(share * tally.known)}"
        )
    if result.definition.variant == "TX" and member.share is not None:
        found = assessment.province.portals[member.code]
        said += (
            f"; {found.counted} tin thiết yếu trong {found.rule.days} ngày, "
            f"cần ít nhất {found.rule.items}"
        )
    return said


def _below(assessment: Assessment, result: Result, member: Member) -> Iterator[Sentence]:
    code, variant = result.definition.code, result.definition.variant
    if code == "1.3":
        yield from _portals(assessment.province.portals.get(member.code))
        return
    if code == "1.1" and variant != "BC":
        yield from _villages(assessment, member, 0 if variant == "THON" else 1)
        return
    if code == "1.1" or variant == "XA":
        stations: Sequence[Station] = assessment.stations_of.get(member.code, [])
    else:
        every = assessment.province.stations.values()
        stations = [station for station in every if station.code == member.code]
    baseline = {
        entry.station_id: [assessment.province.plants[id_] for id_ in entry.plant_ids]
        for entry in assessment.province.baseline
    }
    for station in stations:
        plants = assessment.plants_of[station.id]
        if variant == "GOC":
            plants = baseline.get(station.id, plants)
        yield from _station(station, plants, is_listed=code == "1.1" or variant == "XA")


def _villages(assessment: Assessment, member: Member, depth: int) -> Iterator[Sentence]:
    """The villages of a commune, those not reached first; or the one that the unit is."""
    judged = [
        each
        for each in assessment.reaches
        if member.code == each.village.code
        or member.code in ([each.village.commune] if each.village.commune
                           else each.village.candidates)
    ]  # fmt: skip
    for each in sorted(judged, key=lambda one: (one.reached, one.village.code)):
        if depth:
            yield Sentence(
                Level.VILLAGE, depth, each.village.code, each.village.name,
                _of_village(each), each.reached,
            )  # fmt: skip
        yield from _clusters(assessment, each, depth + 1)


def _of_village(judged: Reach) -> str:
    if judged.gap is None:
        return f"nghe được ({EVIDENCE[judged.evidence]})"
    return f"chưa nghe được: {REASONS[judged.gap]}"


def _clusters(assessment: Assessment, judged: Reach, depth: int) -> Iterator[Sentence]:
    for service in assessment.province.services:
        if service.village != judged.village.code:
            continue
        cluster = assessment.province.clusters[service.cluster_id]
        operation = assessment.operations[cluster.id]
        said = "; ".join(cause_text(cause, cluster, assessment.rule) for cause in operation.causes)
        text = (
            f"không hoạt động: {said}" if said else f"hoạt động ({EVIDENCE[operation.evidence]})"
        )
        if service.grade is Grade.PARTIAL:
            text += "; chỉ phủ một phần thôn"
        yield Sentence(Level.CLUSTER, depth, cluster.code, "", text, not operation.causes)


def cause_text(cause: Cause, cluster: Cluster, rule: OperatingRule) -> str:
    """A cause with the numbers that it rests on."""
    if cause is Cause.OFFLINE:
        share = percent(cluster.online_share)
        return (
            f"trực tuyến {share} giờ phát của {rule.window_days} ngày, "
            f"cần ít nhất {percent(rule.online_share)}"
        )
    if cause is Cause.NO_COMPLETED_PLAY:
        return f"không phát trọn bản tin nào trong {cluster.broadcast_days} ngày có lịch gần nhất"
    if cause is Cause.NO_BROADCAST:
        return f"không có lịch phát nào trong {rule.window_days} ngày"
    if cause is Cause.SPEAKER_FAULT and cluster.fault_since is not None:
        return f"loa hỏng từ {_local_day(cluster.fault_since)}, quá {_hours(rule.speaker_fault)}"
    if cause is Cause.ATTESTATION_EXPIRED and cluster.attested_at is not None:
        return (
            f"xác nhận gần nhất ngày {_local_day(cluster.attested_at)}, "
            f"quá {rule.attestation.days} ngày"
        )
    return REASONS[cause]


def _station(station: Station, plants: Iterable[Plant], *, is_listed: bool) -> Iterator[Sentence]:
    depth = 1
    if is_listed:
        status = STATION_STATUSES.get(station.status, "chưa khai báo trạng thái")
        yield Sentence(
            Level.STATION, depth, station.code, station.name, status,
            station.status in IN_OPERATION,
        )  # fmt: skip
        depth += 1
    for plant in plants:
        techniques = ", ".join(TECHNOLOGIES[each] for each in sorted(plant.technologies))
        text = f"{techniques}; {PLANT_STATUSES[plant.status]}"
        yield Sentence(Level.PLANT, depth, plant.code, "", text, plant.converted)


def _portals(verdict: Verdict | None) -> Iterator[Sentence]:
    for each in verdict.portals if verdict else ():
        text = (
            f"{each.by_tag + each.by_person} tin thiết yếu, trong đó {each.by_person} do người "
            f"xác nhận; {each.others} tin khác"
        )
        if not each.is_read:
            text += "; những ngày này chưa lần nào đọc được"
        yield Sentence(Level.PORTAL, 1, str(each.id), each.name, text, each.is_read)


def _local_day(at: datetime) -> str:
    return f"{at.astimezone(LOCAL):%d/%m/%Y}"


def _hours(span: timedelta) -> str:
    return f"{span // timedelta(hours=1)} giờ"
