"""What would help, why, and by commune: rules over small provinces."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given

from broadcast.indicators.comparison import Order, compare
from broadcast.indicators.figures import evaluate, results_of
from broadcast.indicators.needs import Needs, RegisterEntry, Step, needs
from broadcast.indicators.province import Province
from broadcast.indicators.reach import Assessment
from broadcast.indicators.texts import STEPS, SUBJECTS
from broadcast.indicators.why import Level, why
from broadcast.kit.errors import NotFound
from broadcast.stations.model import PlantStatus, Technology
from tests.indicators.test_indicator_rules import (
    RULE,
    SILENT,
    SOUNDING,
    _plant,
    _province,
    _serves,
    _station,
    _village,
    provinces,
)


def needed(province: Province, code: str, variant: str) -> Needs:
    assessment = Assessment(province, RULE)
    return needs(assessment, results_of(assessment)[code][variant])


def done(province: Province, found: Needs) -> Province:
    """The province after every change of these."""
    clusters, services = dict(province.clusters), list(province.services)
    plants = dict(province.plants)
    by_code = {cluster.code: cluster for cluster in clusters.values()}
    for change, _ in found.changes:
        if change.subject is RegisterEntry.CLUSTER:
            old = by_code[change.code]
            clusters[old.id] = SOUNDING._replace(id=old.id, code=old.code, plant_id=old.plant_id)
        elif change.subject is RegisterEntry.VILLAGE and change.step is not Step.RECORD:
            id_ = 100 + len(clusters)
            clusters[id_] = SOUNDING._replace(id=id_, code=f"new-{id_}", plant_id=0)
            services.append(_serves(change.code, id_))
        elif change.subject is RegisterEntry.PLANT:
            old_plant = next(each for each in plants.values() if each.code == change.code)
            plants[old_plant.id] = replace(
                old_plant,
                technologies=old_plant.technologies | {Technology.IT},
                status=PlantStatus.OPERATING,
            )
    return replace(province, clusters=clusters, services=services, plants=plants)


def coded(province: Province) -> Province:
    """Each cluster with a code of its own."""
    named = {id_: each._replace(code=f"C{id_}") for id_, each in province.clusters.items()}
    return replace(province, clusters=named)


@pytest.mark.parametrize("variant", ["TH", "NG67", "NG80", "THON"])
@given(drawn=provinces())
def test_after_the_changes_the_target_is_reached(drawn: Province, variant: str) -> None:
    """Where every village has a commune and is on record: then each gap has a change."""
    province = coded(drawn)
    found = needed(province, "1.1", variant)
    assert len(found.plans) + len(found.unclear) >= min(
        found.missing, len(found.plans) + len(found.unclear)
    )
    helped = {plan.unit.code for plan in found.plans
              if all(change.step is not Step.RECORD for change in plan.changes)}  # fmt: skip
    after = evaluate(done(province, found), RULE)["1.1"][variant]
    assert helped <= {member.code for member in after.numerator}
    if len(helped) == len(found.plans) == found.missing:
        assert len(after.numerator) >= found.aim * len(after.members)


@given(drawn=provinces())
def test_after_the_conversions_the_units_count(drawn: Province) -> None:
    province = coded(drawn)
    for variant in ("BC", "XA"):
        found = needed(province, "1.2", variant)
        helped = {
            plan.unit.code
            for plan in found.plans
            if all(change.subject is RegisterEntry.PLANT for change in plan.changes)
        }
        after = evaluate(done(province, found), RULE)["1.2"][variant]
        assert helped <= {member.code for member in after.numerator}


@given(drawn=provinces())
def test_every_unit_of_every_figure_is_explained(drawn: Province) -> None:
    province = coded(drawn)
    assessment = Assessment(province, RULE)
    for variants in results_of(assessment).values():
        for result in variants.values():
            for member in result.members:
                head, *rest = why(assessment, result, member.code)
                assert (head.level, head.code, head.is_well) == (
                    Level.UNIT, member.code, member.counted,
                )  # fmt: skip
                assert all(each.depth > 0 and each.text for each in rest)
            for unit in result.excluded:
                assert why(assessment, result, unit.code)[0].text.startswith("không đếm: ")


TWO_FOR_ONE = _province(
    communes="AB",
    villages=(_village("a1"), _village("a2"), _village("a3"), _village("b1", "B")),
    clusters=(
        SILENT._replace(id=1, code="C1"),
        SOUNDING._replace(id=2, code="C2"),
        SOUNDING._replace(id=3, code="C3", online_minutes=0),
    ),
    services=(_serves("a1", 1), _serves("a2", 1), _serves("a3", 2), _serves("b1", 3)),
    stations=(_station(1, "A"), _station(2, "B")),
    plants=(_plant(1, 1),),
)


def test_the_change_that_reaches_most_villages_comes_first() -> None:
    found = needed(TWO_FOR_ONE, "1.1", "TH")
    assert (found.missing, found.is_target, found.aim) == (2, True, Fraction(1))
    assert [(change.step, change.code, change.villages) for change, _ in found.changes] == [
        (Step.ATTEST, "C1", ("a1", "a2")),
        (Step.REPAIR, "C3", ("b1",)),
    ]


def test_only_as_many_units_are_helped_as_are_missing() -> None:
    found = needed(replace(TWO_FOR_ONE, as_of=TWO_FOR_ONE.as_of.replace(year=2024)), "1.1", "TH")
    assert found.missing == 2  # 98 % of two communes are two
    some = needed(TWO_FOR_ONE, "1.1", "NG67")
    assert [plan.unit.code for plan in some.plans] == ["A", "B"]


def test_a_cluster_that_is_silent_for_no_known_reason_is_said_so() -> None:
    mute = SOUNDING._replace(id=1, code="C1", completed=False, broadcast_days=7)
    province = _province(
        villages=(_village("a1"),), clusters=(mute,), services=(_serves("a1"),),
        stations=(_station(1, "A"),), plants=(_plant(1, 1),),
    )  # fmt: skip
    ((change, _),) = needed(province, "1.1", "TH").changes
    assert not change.is_certain


def test_a_chain_goes_from_the_commune_to_the_cluster_with_its_numbers() -> None:
    assessment = Assessment(TWO_FOR_ONE, RULE)
    chain = why(assessment, results_of(assessment)["1.1"]["TH"], "B")
    assert [(each.level, each.depth, each.code) for each in chain] == [
        (Level.UNIT, 0, "B"), (Level.VILLAGE, 1, "b1"), (Level.CLUSTER, 2, "C3"),
    ]  # fmt: skip
    assert chain[0].text == (
        "không được tính vì còn thôn chưa có cụm loa hoạt động; "
        "0 trên 1 thôn nghe được, cần ít nhất 1"
    )
    assert chain[2].text == (
        "không hoạt động: trực tuyến 0,0 % giờ phát của 30 ngày, cần ít nhất 80,0 %"
    )


def test_who_is_not_counted_there_is_not_explained() -> None:
    assessment = Assessment(TWO_FOR_ONE, RULE)
    with pytest.raises(NotFound, match="Z"):
        why(assessment, results_of(assessment)["1.1"]["TH"], "Z")


def test_communes_are_compared_by_what_is_reached_and_what_operates() -> None:
    assessment = Assessment(TWO_FOR_ONE, RULE)
    rows = compare(assessment, results_of(assessment), "1.1", Order.WORST)
    assert [(row.code, row.share, row.villages, row.villages_reached) for row in rows] == [
        ("B", Fraction(0), 1, 0), ("A", Fraction(1, 3), 3, 1),
    ]  # fmt: skip
    assert [(row.clusters, row.clusters_operating) for row in rows] == [(1, 0), (2, 1)]
    assert rows[1].parts["THON"][:2] == (1, 3)
    assert rows[1].parts["TH"][:2] == (0, 1)
    for order, first in [(Order.BEST, "A"), (Order.NAME, "A"), (Order.CLUSTERS_DOWN, "A")]:
        assert compare(assessment, results_of(assessment), "1.1", order)[0].code == first


def test_every_step_can_be_read() -> None:
    assert set(STEPS) == set(Step)
    assert set(SUBJECTS) == set(RegisterEntry)
