"""Trees and lineages of invented provinces, in which every day brings other mergers."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.areas import checks
from broadcast.areas.model import Level, Part
from broadcast.areas.tree import DAY, Lineage, Step, Successor, Tree, Unit
from tests.areas.worlds import BEGIN, World, worlds


@given(worlds())
def test_the_invented_worlds_pass_the_checks(world: World) -> None:
    assert list(checks.findings(world.units, world.steps)) == []


@given(worlds())
def test_a_chain_ends_at_the_province(world: World) -> None:
    lineage = Lineage(world.units, world.steps)
    for day in world.days:
        tree = lineage.tree_on(day)
        for unit in tree:
            assert tree.chain(unit.code)[-1].code == "51"
            assert unit.code == "51" or unit in tree.under("51")


@given(worlds(), st.data())
def test_successors_exist_on_the_day(world: World, data: st.DataObject) -> None:
    lineage = Lineage(world.units, world.steps)
    since, on = sorted(data.draw(st.lists(st.sampled_from(world.days), min_size=2, max_size=2)))
    for unit in lineage.tree_on(since):
        for heir in lineage.successors(unit.code, since, on):
            assert heir.code in lineage.tree_on(on)


@given(worlds(), st.data())
def test_origins_are_the_inverse_of_successors(world: World, data: st.DataObject) -> None:
    lineage = Lineage(world.units, world.steps)
    since, on = sorted(data.draw(st.lists(st.sampled_from(world.days), min_size=2, max_size=2)))
    forward = {
        (unit.code, heir.code, heir.part)
        for unit in lineage.tree_on(since)
        for heir in lineage.successors(unit.code, since, on)
    }
    backward = {
        (origin.code, unit.code, origin.part)
        for unit in lineage.tree_on(on)
        for origin in lineage.origins(unit.code, on, since)
    }
    assert forward == backward


@given(worlds(), st.data())
def test_tracing_in_two_legs_finds_what_tracing_at_once_finds(
    world: World, data: st.DataObject
) -> None:
    lineage = Lineage(world.units, world.steps)
    days = data.draw(st.lists(st.sampled_from(world.days), min_size=3, max_size=3))
    first, middle, last = sorted(days)
    for unit in lineage.tree_on(first):
        at_once = {heir.code for heir in lineage.successors(unit.code, first, last)}
        in_legs = {
            heir.code
            for halfway in lineage.successors(unit.code, first, middle)
            for heir in lineage.successors(halfway.code, middle, last)
        }
        assert at_once == in_legs


@given(worlds(), st.data())
def test_a_unit_is_whole_in_at_most_one_successor(world: World, data: st.DataObject) -> None:
    lineage = Lineage(world.units, world.steps)
    on = data.draw(st.sampled_from(world.days))
    for unit in lineage.tree_on(BEGIN):
        heirs = lineage.successors(unit.code, BEGIN, on)
        if any(heir.part is Part.WHOLE for heir in heirs):
            assert len(heirs) == 1


@given(worlds(), st.data())
def test_what_has_ended_still_stands_in_the_province(world: World, data: st.DataObject) -> None:
    lineage = Lineage(world.units, world.steps)
    on = data.draw(st.sampled_from(world.days))
    for unit in lineage.tree_on(BEGIN):
        assert lineage.certain_chain(unit.code, on)[-1].code == "51"


def commune(code: str, valid_from: date, valid_to: date | None, name: str = "Xã") -> Unit:
    return Unit(code, Level.COMMUNE, "xã", name, "51", valid_from, valid_to)


MERGER = date(2025, 7, 1)


def test_a_lone_part_to_another_unit_is_not_the_whole() -> None:
    lineage = Lineage(
        [commune("00001", BEGIN, MERGER - DAY), commune("00002", BEGIN, None)],
        [Step("00001", "00002", MERGER, Part.PART, "NQ")],
    )
    assert lineage.successors("00001", BEGIN, MERGER) == [Successor("00002", Part.PART)]


def test_a_unit_that_gives_a_part_away_is_among_its_successors() -> None:
    lineage = Lineage(
        [commune("00001", BEGIN, None), commune("00002", BEGIN, None)],
        [Step("00001", "00002", MERGER, Part.PART, "NQ")],
    )
    assert lineage.successors("00001", BEGIN, MERGER) == [
        Successor("00001", Part.PART),
        Successor("00002", Part.PART),
    ]
    assert lineage.successors("00001", MERGER, MERGER) == [Successor("00001", Part.WHOLE)]


def test_a_new_name_without_lineage_row_is_the_same_unit() -> None:
    lineage = Lineage(
        [commune("00001", BEGIN, MERGER - DAY, "Xã A"), commune("00001", MERGER, None, "Xã B")], []
    )
    assert lineage.successors("00001", BEGIN, MERGER) == [Successor("00001", Part.WHOLE)]


def test_a_code_that_returns_after_a_gap_is_no_successor() -> None:
    lineage = Lineage(
        [commune("00001", BEGIN, MERGER - 2 * DAY), commune("00001", MERGER, None)], []
    )
    assert lineage.successors("00001", BEGIN, MERGER) == []
    assert lineage.origins("00001", MERGER, BEGIN) == []


@pytest.mark.parametrize(
    ("codes", "common"),
    [(["00001"], "00001"), (["00001", "00002"], "51"), (["00001", "99999"], None), ([], None)],
)
def test_the_common_unit_is_the_smallest_that_holds_all(
    codes: list[str], common: str | None
) -> None:
    province = Unit("51", Level.PROVINCE, "tỉnh", "Tỉnh", None, BEGIN, None)
    tree = Tree([province, commune("00001", BEGIN, None), commune("00002", BEGIN, None)])
    assert tree.common(codes) == common
