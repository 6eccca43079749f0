"""Clusters, villages and units judged from plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.indicators.definitions import (
    DEFINITIONS,
    OPERATING_RULES,
    PLAN,
    definitions,
    operating_rule,
)
from broadcast.indicators.figures import evaluate, figures
from broadcast.indicators.province import (
    Baseline,
    Cluster,
    Commune,
    Plant,
    Province,
    Service,
    Station,
    Village,
)
from broadcast.indicators.reach import operation
from broadcast.indicators.results import DATA_ERRORS, Cause, Gap, Member, Reason, Result, Results
from broadcast.indicators.texts import REASONS, percent, proven, sentence
from broadcast.stations.model import Evidence, Grade, PlantStatus, StationStatus, Technology

AT = datetime(2025, 11, 30, 17, tzinfo=UTC)
RULE = OPERATING_RULES[0]
IT, FM = frozenset({Technology.IT}), frozenset({Technology.FM})

SOUNDING = Cluster(
    id=1, code="c1", plant_id=1, telemetry=True, device=True,
    expected_minutes=1000, online_minutes=800, completed=True, broadcast_days=0,
    fault_since=None, attested_at=None,
)  # fmt: skip
WORD = Cluster(
    id=1, code="c1", plant_id=1, telemetry=False, device=False,
    expected_minutes=0, online_minutes=0, completed=False, broadcast_days=0,
    fault_since=None, attested_at=AT,
)  # fmt: skip
SILENT = WORD._replace(attested_at=None)


@pytest.mark.parametrize(
    ("cluster", "causes"),
    [
        (SOUNDING, ()),
        (SOUNDING._replace(online_minutes=799), (Cause.OFFLINE,)),
        (SOUNDING._replace(expected_minutes=0, online_minutes=0), (Cause.NOTHING_EXPECTED,)),
        (SOUNDING._replace(broadcast_days=6), ()),
        (SOUNDING._replace(broadcast_days=7), (Cause.NO_COMPLETED_PLAY,)),
        (SOUNDING._replace(completed=False, broadcast_days=1), (Cause.NO_COMPLETED_PLAY,)),
        (SOUNDING._replace(completed=False), (Cause.NO_BROADCAST,)),
        (SOUNDING._replace(fault_since=AT - timedelta(hours=72)), ()),
        (
            SOUNDING._replace(fault_since=AT - timedelta(hours=72, seconds=1)),
            (Cause.SPEAKER_FAULT,),
        ),
        (
            SOUNDING._replace(online_minutes=0, completed=False, fault_since=AT - timedelta(9)),
            (Cause.OFFLINE, Cause.NO_BROADCAST, Cause.SPEAKER_FAULT),
        ),
        (SOUNDING._replace(online_minutes=0, attested_at=AT), (Cause.OFFLINE,)),
        (WORD, ()),
        (WORD._replace(attested_at=AT - timedelta(days=30)), ()),
        (
            WORD._replace(attested_at=AT - timedelta(days=30, seconds=1)),
            (Cause.ATTESTATION_EXPIRED,),
        ),
        (SILENT, (Cause.NOT_ATTESTED,)),
        (SILENT._replace(telemetry=True), (Cause.NO_DEVICE,)),
        (WORD._replace(telemetry=True), ()),
        (SILENT._replace(device=True), (Cause.NOT_ATTESTED,)),
    ],
)
def test_a_cluster_operates_or_has_causes_why_not(
    cluster: Cluster, causes: tuple[Cause, ...]
) -> None:
    judged = operation(cluster, RULE, AT)
    assert judged.causes == causes
    by = Evidence.TELEMETRY if cluster.telemetry and cluster.device else Evidence.ATTESTED
    assert judged.evidence is (Evidence.NONE if causes else by)


def _station(number: int, commune: str | None, **changes: object) -> Station:
    station = Station(
        id=number, code=f"S{number}", name=f"Đài {number}", exists=True,
        status=StationStatus.OPERATING, commune=commune,
    )  # fmt: skip
    return replace(station, **changes)  # type: ignore[arg-type]


def _plant(
    number: int,
    station_id: int,
    technologies: frozenset[Technology] = IT,
    status: PlantStatus = PlantStatus.OPERATING,
) -> Plant:
    return Plant(
        id=number, code=f"P{number}", station_id=station_id,
        technologies=technologies, status=status,
    )  # fmt: skip


def _province(
    *,
    communes: str = "A",
    villages: tuple[Village, ...] = (),
    clusters: tuple[Cluster, ...] = (),
    services: tuple[Service, ...] = (),
    stations: tuple[Station, ...] = (),
    plants: tuple[Plant, ...] = (),
    baseline: tuple[Baseline, ...] = (),
    as_of: date = date(2025, 11, 30),
) -> Province:
    return Province(
        as_of=as_of,
        at=AT,
        scope="51",
        communes=[Commune(code=code, name=code) for code in communes],
        villages=villages,
        clusters={cluster.id: cluster for cluster in clusters},
        services=services,
        stations={station.id: station for station in stations},
        station_ids=[station.id for station in stations],
        plants={plant.id: plant for plant in plants},
        baseline=baseline,
    )


def _village(code: str, commune: str | None = "A", **changes: object) -> Village:
    return replace(Village(code=code, name=code, commune=commune), **changes)  # type: ignore[arg-type]


def _serves(village: str, cluster_id: int = 1, grade: Grade = Grade.PRIMARY) -> Service:
    return Service(cluster_id=cluster_id, village=village, grade=grade)


def _reasons(result: Result) -> dict[str, str | None]:
    return {member.code: member.reason for member in result.members}


@pytest.mark.parametrize(
    ("clusters", "grades", "gap"),
    [
        ((), (), Gap.NO_CLUSTER),
        ((SOUNDING,), (Grade.PRIMARY,), None),
        ((SOUNDING,), (Grade.PARTIAL,), Gap.PARTIAL),
        ((WORD,), (Grade.PRIMARY,), None),
        ((WORD._replace(plant_id=2),), (Grade.PRIMARY,), Gap.NEIGHBOUR),
        ((SOUNDING._replace(plant_id=2),), (Grade.PRIMARY,), None),
        ((WORD._replace(plant_id=3),), (Grade.PRIMARY,), None),
        ((SILENT, SOUNDING._replace(id=2)), (Grade.PRIMARY, Grade.PARTIAL), Gap.PARTIAL),
        ((SILENT, SOUNDING._replace(id=2)), (Grade.PRIMARY, Grade.PRIMARY), None),
        ((SILENT,), (Grade.PRIMARY,), Gap.CLUSTER_DOWN),
        ((SILENT,), (Grade.PARTIAL,), Gap.CLUSTER_DOWN),
    ],
)
def test_a_village_is_reached_by_an_operating_primary_cluster_of_its_own_commune(
    clusters: tuple[Cluster, ...], grades: tuple[Grade, ...], gap: Gap | None
) -> None:
    results = evaluate(
        _province(
            communes="AB",
            villages=(_village("v"),),
            clusters=clusters,
            services=tuple(_serves("v", c.id, g) for c, g in zip(clusters, grades, strict=True)),
            stations=(_station(1, "A"), _station(2, "B"), _station(3, None)),
            plants=(_plant(1, 1), _plant(2, 2), _plant(3, 3)),
        )
    )
    assert _reasons(results["1.1"]["THON"]) == {"v": gap}
    assert results["1.1"]["TH"].members[0].counted == (gap is None)


def test_a_village_whose_clusters_are_down_says_what_is_wrong_with_them() -> None:
    results = evaluate(
        _province(
            villages=(_village("v"),),
            clusters=(SILENT, SOUNDING._replace(id=2, online_minutes=0)),
            services=(_serves("v", 1), _serves("v", 2, Grade.PARTIAL)),
        )
    )
    (member,) = results["1.1"]["THON"].members
    assert member.causes == (Cause.NOT_ATTESTED, Cause.OFFLINE)


def test_a_commune_with_no_village_on_record_is_a_data_error_and_not_all_reached() -> None:
    results = evaluate(_province(villages=(_village("v", excluded="CV 1"),)))
    for variant in ("TH", "NG67", "NG80"):
        result = results["1.1"][variant]
        assert result.value == 0
        assert [(m.code, m.reason) for m in result.data_errors] == [("A", Reason.NO_VILLAGE)]


def test_villages_without_a_commune_count_as_unreached_wherever_they_may_lie() -> None:
    villages = (
        *(_village(f"v{n}") for n in range(4)),
        _village("x", None, candidates=("A", "B")),
    )
    results = evaluate(
        _province(
            communes="AB",
            villages=villages,
            clusters=(SOUNDING,),
            services=tuple(_serves(village.code) for village in villages),
        )
    )["1.1"]
    assert _reasons(results["TH"]) == {
        "A": Reason.VILLAGES_UNPLACED,
        "B": Reason.VILLAGES_UNPLACED,
    }
    assert _reasons(results["NG80"]) == {"A": None, "B": Reason.VILLAGES_UNPLACED}
    assert results["NG80"].members[0].share == Fraction(4, 5)
    assert results["THON"].value == Fraction(4, 5)
    assert [member.code for member in results["THON"].data_errors] == ["x"]


@pytest.mark.parametrize(
    ("reached", "counted"), [(0, ""), (3, ""), (4, "NG67"), (5, "NG67 NG80"), (6, "NG67 NG80 TH")]
)
def test_shares_of_villages_are_exact_fractions(reached: int, counted: str) -> None:
    villages = tuple(_village(f"v{n}") for n in range(6))
    results = evaluate(
        _province(
            villages=villages,
            clusters=(SOUNDING,),
            services=tuple(_serves(village.code) for village in villages[:reached]),
        )
    )["1.1"]
    for variant in ("NG67", "NG80", "TH"):
        assert (results[variant].value == 1) == (variant in counted.split()), variant


def test_a_share_reached_only_with_attestations_is_attested() -> None:
    villages = (_village("v1"), _village("v2"), _village("v3"))
    results = evaluate(
        _province(
            villages=villages,
            clusters=(SOUNDING, WORD._replace(id=2)),
            services=(_serves("v1", 1), _serves("v2", 1), _serves("v3", 2)),
        )
    )["1.1"]
    assert results["NG67"].members[0].evidence is Evidence.TELEMETRY
    assert results["NG80"].members[0].evidence is Evidence.ATTESTED
    assert results["TH"].members[0].evidence is Evidence.ATTESTED


@pytest.mark.parametrize(
    ("stations", "reason"),
    [
        ((), Reason.NO_STATION),
        ((_station(1, "A"),), None),
        ((_station(1, "A", status=StationStatus.DEGRADED),), None),
        ((_station(1, "A", status=StationStatus.TRIAL),), Reason.STATION_NOT_OPERATING),
        ((_station(1, "A", status=None),), Reason.NO_STATUS),
        ((_station(1, "A", exists=False),), Reason.NO_STATION),
        ((_station(1, "B"),), Reason.NO_STATION),
        ((_station(1, None),), Reason.NO_STATION),
        ((_station(1, "A", status=StationStatus.OUT_OF_SERVICE), _station(2, "A")), None),
    ],
)
def test_a_commune_is_reported_by_its_station_in_operation(
    stations: tuple[Station, ...], reason: Reason | None
) -> None:
    result = evaluate(_province(stations=stations))["1.1"]["BC"]
    assert _reasons(result) == {"A": reason}


OLD, NEW = _plant(1, 1, FM), _plant(2, 1)
MIXED = _plant(3, 1, IT | FM)
BROKEN = _plant(4, 1, status=PlantStatus.OUT_OF_SERVICE)
GONE = _plant(5, 1, FM, PlantStatus.DECOMMISSIONED)


@pytest.mark.parametrize(
    ("plants", "reason"),
    [
        ((), Reason.NO_PLANT),
        ((NEW,), None),
        ((MIXED,), None),
        ((NEW, MIXED), None),
        ((NEW, GONE), None),
        ((NEW, OLD), Reason.PARTLY),
        ((NEW, BROKEN), Reason.PARTLY),
        ((OLD,), Reason.NOT_CONVERTED),
        ((OLD, BROKEN), Reason.NOT_CONVERTED),
        ((BROKEN,), Reason.NOT_OPERATING),
        ((GONE,), Reason.NO_PLANT),
    ],
)
def test_a_station_is_converted_when_every_plant_is(
    plants: tuple[Plant, ...], reason: Reason | None
) -> None:
    results = evaluate(_province(stations=(_station(1, "A"),), plants=plants))["1.2"]
    assert _reasons(results["BC"]) == {"S1": reason}
    assert _reasons(results["XA"]) == {"A": reason}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (StationStatus.PLANNED, Reason.NOT_YET),
        (StationStatus.INSTALLING, Reason.NOT_YET),
        (StationStatus.DECOMMISSIONED, Reason.DECOMMISSIONED),
    ],
)
def test_stations_that_are_not_there_leave_the_denominator_with_the_reason(
    status: StationStatus, reason: Reason
) -> None:
    results = evaluate(_province(stations=(_station(1, "A", status=status),), plants=(NEW,)))
    assert results["1.2"]["BC"].members == []
    assert results["1.2"]["BC"].value is None
    assert [(u.code, u.reason) for u in results["1.2"]["BC"].excluded] == [("S1", reason)]
    assert _reasons(results["1.2"]["XA"]) == {"A": Reason.NO_STATION}


def test_a_merged_commune_with_one_old_plant_left_is_partly_converted() -> None:
    results = evaluate(
        _province(
            villages=tuple(_village(f"v{n}") for n in range(3)),
            clusters=(SOUNDING, WORD._replace(id=2, plant_id=2)),
            services=(_serves("v0", 1), _serves("v1", 1), _serves("v1", 2), _serves("v2", 2)),
            stations=(_station(1, "A"), _station(2, "A")),
            plants=(_plant(1, 1), _plant(2, 2, FM)),
        )
    )["1.2"]
    assert _reasons(results["XA"]) == {"A": Reason.PARTLY}
    assert results["XA"].partly[0].share == Fraction(2, 3)
    assert _reasons(results["BC"]) == {"S1": None, "S2": Reason.NOT_CONVERTED}


@pytest.mark.parametrize(
    ("plants", "original", "reason"),
    [
        ((OLD,), (1,), Reason.NOT_CONVERTED),
        ((OLD, NEW), (1,), Reason.NOT_CONVERTED),
        ((OLD, NEW), (1, 2), Reason.PARTLY),
        ((MIXED,), (3,), None),
        ((GONE,), (5,), Reason.NOT_REPLACED),
        ((GONE, NEW), (5,), None),
        ((GONE, BROKEN), (5,), Reason.NOT_REPLACED),
        ((GONE, OLD, NEW), (5, 1), Reason.NOT_CONVERTED),
        ((GONE, _plant(6, 2)), (5,), None),
        ((GONE, _plant(6, 3)), (5,), Reason.NOT_REPLACED),
        ((), (), Reason.NO_PLANT),
    ],
)
def test_a_station_of_the_baseline_is_converted_by_what_became_of_its_own_plants(
    plants: tuple[Plant, ...], original: tuple[int, ...], reason: Reason | None
) -> None:
    result = evaluate(
        _province(
            communes="AB",
            stations=(_station(1, "A", exists=False), _station(2, "A"), _station(3, "B")),
            plants=tuple(
                replace(plant, station_id=2) if plant.converted and plant.id == 2 else plant
                for plant in plants
            ),
            baseline=(Baseline(station_id=1, plant_ids=original),),
        )
    )["1.2"]["GOC"]
    assert _reasons(result) == {"S1": reason}


def test_conversion_is_proven_by_the_least_proven_plant() -> None:
    stations, plants = (_station(1, "A"),), (_plant(1, 1), _plant(2, 1))
    by_word = WORD._replace(id=2, plant_id=2)
    for clusters, evidence in [
        ((SOUNDING, SOUNDING._replace(id=2, plant_id=2)), Evidence.TELEMETRY),
        ((SOUNDING, by_word), Evidence.ATTESTED),
        ((SOUNDING,), Evidence.NONE),
    ]:
        result = evaluate(_province(stations=stations, plants=plants, clusters=clusters))
        assert result["1.2"]["BC"].members[0].evidence is evidence
        assert result["1.2"]["XA"].members[0].evidence is evidence


def test_a_replacement_does_not_prove_the_plants_that_were_kept() -> None:
    result = evaluate(
        _province(
            stations=(_station(1, "A"),),
            plants=(MIXED, GONE, replace(NEW, id=1)),
            clusters=(SOUNDING,),
            baseline=(Baseline(station_id=1, plant_ids=(3, 5)),),
        )
    )["1.2"]["GOC"]
    (member,) = result.numerator
    assert member.evidence is Evidence.NONE


@pytest.mark.parametrize(
    ("year", "first", "second"),
    [
        (2023, None, None),
        (2024, Fraction(98, 100), Fraction(40, 100)),
        (2025, 1, 1),
        (2026, None, None),
    ],
)
def test_targets_are_those_of_the_plan_for_the_year(
    year: int, first: Fraction | None, second: Fraction | None
) -> None:
    results = evaluate(_province(as_of=date(year, 11, 30)))
    for variant in ("BC", "TH", "NG67", "NG80"):
        assert results["1.1"][variant].target == first
    for variant in ("BC", "GOC", "XA"):
        assert results["1.2"][variant].target == second
    assert results["1.1"]["THON"].target is None
    assert results["1.3"]["TX"].target == (1 if year in {2024, 2025} else None)
    assert results["1.3"]["CO"].target == (Fraction(85, 100) if year == 2024 else None)


def test_a_day_is_judged_by_the_definition_in_force_on_it() -> None:
    stricter = replace(RULE, version=2, valid_from=date(2026, 1, 1), online_share=Fraction(9, 10))
    rules = (stricter, RULE)
    assert operating_rule(date(2025, 12, 31), rules) is RULE
    assert operating_rule(date(2026, 1, 1), rules) is stricter
    assert operating_rule(date(2020, 1, 1), rules) is RULE
    newer = replace(DEFINITIONS[0], version=2, valid_from=date(2026, 1, 1))
    known = (*DEFINITIONS, newer)
    assert [d.version for d in definitions(date(2026, 5, 1), known)] == [2, *[1] * 9]
    assert definitions(PLAN, known) == list(DEFINITIONS)


def test_every_reason_can_be_read() -> None:
    assert set(REASONS) == {*Reason, *Gap, *Cause}
    assert {*Reason, *Gap} > DATA_ERRORS


def _result(*members: tuple[bool, Evidence]) -> Result:
    return Result(
        definition=DEFINITIONS[0],
        members=[
            Member(
                code=str(number), name="", evidence=evidence,
                reason=None if counted else Reason.NO_STATION,
            )
            for number, (counted, evidence) in enumerate(members)
        ],
        excluded=(),
        target=Fraction(98, 100),
    )  # fmt: skip


def test_a_figure_reads_as_the_province_writes_it() -> None:
    members = [(True, Evidence.TELEMETRY)] * 712
    members += [(True, Evidence.ATTESTED)] * 201 + [(True, Evidence.NONE)] * 47
    members += [(False, Evidence.NONE)] * 40
    assert sentence(_result(*members)) == (
        "96,0 % (thiết bị tự báo 71,2 %, xác nhận 20,1 %, chưa chứng minh 4,7 %)"
    )
    assert sentence(_result()) == "– (không có gì để đếm)"
    assert _result().gap is None


def test_a_target_is_not_reached_by_rounding() -> None:
    members = [(True, Evidence.TELEMETRY)] * 9799 + [(False, Evidence.NONE)] * 201
    result = _result(*members)
    assert percent(result.value) == "97,9 %"
    assert result.gap == Fraction(1, 10_000)


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from(Evidence)).map(
            lambda pair: (pair[0], pair[1] if pair[0] else Evidence.NONE)
        ),
        min_size=1,
    )
)
def test_the_printed_parts_add_up_to_the_printed_value(
    members: list[tuple[bool, Evidence]],
) -> None:
    result = _result(*members)

    def tenths(text: str) -> int:
        return int(text.removesuffix(" %").replace(",", ""))

    assert sum(map(tenths, proven(result).values())) == tenths(percent(result.value))
    assert sum(result.proven(by) or 0 for by in Evidence) == result.value


COMMUNES = "ABC"


@st.composite
def provinces(draw: st.DrawFn) -> Province:
    """Small provinces of any shape, also with holes in their records."""
    commune = st.sampled_from(COMMUNES)
    stations = tuple(
        _station(
            number,
            draw(st.none() | commune),
            exists=draw(st.booleans()),
            status=draw(st.none() | st.sampled_from(StationStatus)),
        )
        for number in range(1, draw(st.integers(1, 5)))
    )
    plants = tuple(
        _plant(
            number,
            draw(st.sampled_from(stations)).id,
            frozenset(draw(st.sets(st.sampled_from(Technology), min_size=1))),
            draw(st.sampled_from(PlantStatus)),
        )
        for number in range(1, draw(st.integers(1, 6)) if stations else 1)
    )
    villages = tuple(
        _village(
            f"v{number}",
            draw(commune),
            excluded=draw(st.none() | st.just("CV 1")),
        )
        for number in range(draw(st.integers(0, 6)))
    )
    clusters = tuple(
        draw(st.sampled_from([SOUNDING, WORD, SILENT]))._replace(
            id=number, plant_id=draw(st.integers(1, 6))
        )
        for number in range(1, draw(st.integers(1, 8)))
    )
    services = draw(
        st.lists(
            st.builds(
                Service,
                cluster_id=st.sampled_from([c.id for c in clusters]),
                village=st.sampled_from([v.code for v in villages]),
                grade=st.sampled_from(Grade),
            ),
            max_size=10,
            unique_by=lambda service: (service.cluster_id, service.village),
        )
        if clusters and villages
        else st.just([])
    )
    baseline = tuple(
        Baseline(
            station_id=station.id,
            plant_ids=tuple(plant.id for plant in plants if draw(st.booleans())),
        )
        for station in stations
        if draw(st.booleans())
    )
    return _province(
        communes=COMMUNES, villages=villages, clusters=clusters, services=tuple(services),
        stations=stations, plants=plants, baseline=baseline,
    )  # fmt: skip


def _all(results: Results) -> list[Result]:
    return [result for variants in results.values() for result in variants.values()]


@given(provinces())
def test_any_province_has_consistent_figures(province: Province) -> None:
    results = evaluate(province)
    for result in _all(results):
        codes = [member.code for member in result.members]
        assert codes == sorted(set(codes))
        assert not {unit.code for unit in result.excluded} & set(codes)
        for member in result.members:
            assert member.counted or member.evidence is Evidence.NONE
            assert member.reason is None or member.reason in REASONS
        assert result.value is None or 0 <= result.value <= 1
    for code, variant in [("1.1", "BC"), ("1.1", "TH"), ("1.1", "NG67"), ("1.2", "XA")]:
        assert [member.code for member in results[code][variant].members] == list(COMMUNES)
    reached = [
        {member.code for member in results["1.1"][variant].numerator}
        for variant in ("TH", "NG80", "NG67")
    ]
    assert reached[0] <= reached[1] <= reached[2]
    assert figures(results)["1.1"]["THON"]["denominator"] == sum(
        village.excluded is None for village in province.villages
    )


@given(provinces(), st.data())
def test_losing_a_record_or_evidence_never_improves_a_figure(
    province: Province, data: st.DataObject
) -> None:
    """The register may become poorer, a cluster silent, a village new: no numerator grows."""
    clusters, stations = dict(province.clusters), dict(province.stations)
    villages = [*province.villages, _village("new", data.draw(st.sampled_from(COMMUNES)))]
    for cluster in province.clusters.values():
        if data.draw(st.booleans()):
            clusters[cluster.id] = SILENT._replace(id=cluster.id, plant_id=cluster.plant_id)
    for station in province.stations.values():
        if data.draw(st.booleans()) and station.status not in {
            StationStatus.PLANNED, StationStatus.INSTALLING, StationStatus.DECOMMISSIONED,
        }:  # fmt: skip
            stations[station.id] = replace(station, status=None)
    before = evaluate(province)
    after = evaluate(replace(province, villages=villages, clusters=clusters, stations=stations))
    for old, new in zip(_all(before), _all(after), strict=True):
        assert {m.code for m in new.numerator} <= {m.code for m in old.numerator}
        assert {m.code for m in new.members} >= {m.code for m in old.members}


@given(provinces(), st.data())
def test_every_figure_follows_from_the_register_and_from_which_clusters_operate(
    province: Province, data: st.DataObject
) -> None:
    """What `figures.judge` counts once stays right while minutes and plays go on."""
    clusters = dict(province.clusters)
    for id_, cluster in province.clusters.items():
        other = data.draw(st.sampled_from([SOUNDING, WORD, SILENT]))._replace(
            online_minutes=data.draw(st.integers(700, 1000)),
            broadcast_days=data.draw(st.integers(0, 8)),
            id=id_, plant_id=cluster.plant_id,
        )  # fmt: skip
        judged = [operation(each, RULE, province.at) for each in (cluster, other)]
        if judged[0] == judged[1]:
            clusters[id_] = other
    assert evaluate(replace(province, clusters=clusters)) == evaluate(province)
