"""The official units of Quảng Ngãi and Kon Tum: counts, tracing, and a second source."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest

from broadcast.areas import checks
from broadcast.areas.imports import current_units
from broadcast.areas.model import Level, Part
from broadcast.areas.tree import Successor
from tests.areas import official

PLAN_148 = date(2024, 7, 9)
AFTER_1279 = date(2025, 1, 4)
AFTER_1677 = date(2025, 7, 1)


@pytest.mark.parametrize(
    ("on", "kinds", "districts"),
    [
        (PLAN_148, {"xã": 148, "phường": 17, "thị trấn": 8}, 13),
        (AFTER_1279, {"xã": 144, "phường": 17, "thị trấn": 9}, 13),
        (AFTER_1677, {"xã": 86, "phường": 9, "đặc khu": 1}, 0),
    ],
)
def test_quang_ngai_has_its_communes_of_the_day(
    on: date, kinds: dict[str, int], districts: int
) -> None:
    tree = official.lineage().tree_on(on)
    assert Counter(unit.kind for unit in tree.under("51", Level.COMMUNE)) == kinds
    assert len(tree.under("51", Level.DISTRICT)) == districts


@pytest.mark.parametrize(("on", "count"), [(PLAN_148, 173), (AFTER_1279, 170), (AFTER_1677, 96)])
def test_quang_ngai_has_173_then_170_then_96_communes(on: date, count: int) -> None:
    assert len(official.lineage().tree_on(on).under("51", Level.COMMUNE)) == count


def test_kon_tum_has_102_communes_until_it_joins_quang_ngai() -> None:
    lineage = official.lineage()
    assert len(lineage.tree_on(date(2025, 6, 30)).under("62", Level.COMMUNE)) == 102
    assert "62" not in lineage.tree_on(AFTER_1677)
    assert lineage.successors("62", PLAN_148, AFTER_1677) == [Successor("51", Part.WHOLE)]


@pytest.mark.parametrize(("province", "count"), [("51", 173), ("62", 102)])
def test_every_old_commune_can_be_traced_to_its_successors(province: str, count: int) -> None:
    lineage = official.lineage()
    now = lineage.tree_on(AFTER_1677)
    old = lineage.tree_on(PLAN_148).under(province, Level.COMMUNE)
    assert len(old) == count
    for unit in old:
        heirs = lineage.successors(unit.code, PLAN_148, AFTER_1677)
        assert heirs, unit
        for heir in heirs:
            assert now[heir.code].level is Level.COMMUNE
            origins = lineage.origins(heir.code, AFTER_1677, PLAN_148)
            assert Successor(unit.code, heir.part) in origins


def test_every_new_commune_comes_from_old_units() -> None:
    lineage = official.lineage()
    for unit in lineage.tree_on(AFTER_1677).under("51", Level.COMMUNE):
        assert lineage.origins(unit.code, AFTER_1677, PLAN_148), unit


def test_only_tra_bui_is_still_divided_in_the_end() -> None:
    lineage = official.lineage()
    divided = {
        unit.code: [heir.code for heir in heirs]
        for unit in lineage.tree_on(PLAN_148)
        if len(heirs := lineage.successors(unit.code, PLAN_148, AFTER_1677)) > 1
    }
    assert divided == {"21142": ["21136", "21157"]}


def test_a_commune_is_traced_through_two_acts() -> None:
    # 21286 was divided in 2025-01 between 21238 and 21283, which were united in 2025-07.
    lineage = official.lineage()
    assert lineage.successors("21286", PLAN_148, AFTER_1279) == [
        Successor("21238", Part.PART),
        Successor("21283", Part.PART),
    ]
    assert lineage.successors("21286", PLAN_148, AFTER_1677) == [Successor("21238", Part.WHOLE)]


def test_a_code_that_returns_names_another_unit() -> None:
    lineage = official.lineage()
    assert [unit.name for unit in lineage.history("21262")] == ["Xã Nghĩa An", "Xã An Phú"]
    origins = lineage.origins("21262", AFTER_1279, PLAN_148)
    assert origins == [Successor("21253", Part.WHOLE), Successor("21262", Part.WHOLE)]


@pytest.mark.parametrize("code", ["21538", "23368", "23530", "23535", "23536"])
def test_the_five_communes_that_were_not_rearranged_are_whole(code: str) -> None:
    assert official.lineage().successors(code, PLAN_148, AFTER_1677) == [
        Successor(code, Part.WHOLE)
    ]


def test_ly_son_is_a_district_without_communes_and_then_a_commune() -> None:
    lineage = official.lineage()
    before, after = lineage.tree_on(PLAN_148), lineage.tree_on(AFTER_1677)
    assert before.under("536") == []
    assert before.takes_villages("536")
    assert not before.takes_villages("527")
    assert [unit.code for unit in after.chain("21548")] == ["21548", "51"]
    assert lineage.successors("536", PLAN_148, AFTER_1677) == [Successor("21548", Part.WHOLE)]


def test_the_official_files_satisfy_every_check() -> None:
    assert list(checks.findings(official.units(), official.steps())) == []


def test_vietnam_provinces_has_the_same_96_communes() -> None:
    ours = {u.code: u for u in official.lineage().tree_on(AFTER_1677).under("51", Level.COMMUNE)}
    province, *communes = current_units("51")
    theirs = {unit.code: unit for unit in communes}
    assert theirs.keys() == ours.keys()
    assert [theirs[code].kind for code in ours] == [unit.kind for unit in ours.values()]
    differing = {c: (ours[c].name, theirs[c].name) for c in ours if ours[c].name != theirs[c].name}
    assert differing == {"23302": ("Phường Đăk Bla", "Phường Đăk BLa")}
    assert province == official.lineage().tree_on(AFTER_1677)["51"]._replace(valid_from=AFTER_1677)
