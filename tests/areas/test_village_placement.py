"""Villages follow their communes."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from broadcast.areas.model import Level, Part
from broadcast.areas.placement import Registered, by_village, placed, unplaced
from broadcast.areas.tree import DAY, Lineage, Step, Unit
from tests.areas import official
from tests.areas.worlds import BEGIN, World, worlds

SINCE_2020 = date(2020, 2, 1)
ACT_1279 = date(2025, 1, 1)
ACT_1677 = date(2025, 7, 1)


def village(
    commune_code: str, valid_from: date = SINCE_2020, valid_to: date | None = None
) -> Registered:
    return Registered("T-1", "thôn", "Thôn 1", commune_code, valid_from, valid_to)


def spans(*rows: Registered) -> list[tuple[str | None, date, date | None]]:
    units = [span.unit for span in placed(rows, official.lineage())]
    assert {(unit.code, unit.level) for unit in units} == {("T-1", Level.VILLAGE)}
    return [(unit.parent_code, unit.valid_from, unit.valid_to) for unit in units]


def waiting(on: date, *rows: Registered) -> list[tuple[str, date, tuple[str, ...], str | None]]:
    listed = unplaced(by_village(rows), official.lineage(), on)
    return [(v.commune_code, v.since, v.candidates, v.lies_in) for v in listed]


def test_a_village_follows_its_commune_through_two_mergers() -> None:
    assert spans(village("21253")) == [
        ("21253", SINCE_2020, date(2024, 12, 31)),
        ("21262", ACT_1279, date(2025, 6, 30)),
        ("21034", ACT_1677, None),
    ]
    assert official.lineage().tree_on(ACT_1677)["21034"].name == "Xã An Phú"
    assert waiting(ACT_1677, village("21253")) == []


def test_a_village_of_the_island_district_passes_to_the_special_zone() -> None:
    assert spans(village("536")) == [
        ("536", SINCE_2020, date(2025, 6, 30)),
        ("21548", ACT_1677, None),
    ]
    assert waiting(ACT_1279, village("536")) == []


def test_a_village_of_a_divided_commune_waits_in_the_unit_that_holds_all_candidates() -> None:
    assert spans(village("21142")) == [
        ("21142", SINCE_2020, date(2025, 6, 30)),
        ("51", ACT_1677, None),
    ]
    row = village("21142")
    assert waiting(ACT_1677 - DAY, row) == []
    assert waiting(ACT_1677, row) == [("21142", ACT_1677, ("21136", "21157"), "51")]


def test_a_village_is_placed_by_rule_once_its_candidates_are_united() -> None:
    row = village("21286")
    assert spans(row) == [
        ("21286", SINCE_2020, date(2024, 12, 31)),
        ("528", ACT_1279, date(2025, 6, 30)),
        ("21238", ACT_1677, None),
    ]
    assert waiting(ACT_1279, row) == [("21286", ACT_1279, ("21238", "21283"), "528")]
    assert waiting(ACT_1677, row) == []


def test_the_register_places_a_village_that_waits() -> None:
    rows = village("21142"), village("21157", ACT_1677)
    assert spans(*rows)[-1] == ("21157", ACT_1677, None)
    assert waiting(ACT_1677, *rows) == []


def test_a_village_stays_in_a_commune_that_gives_a_part_away_and_is_listed() -> None:
    row = village("21283")
    assert spans(row)[0] == ("21283", SINCE_2020, date(2025, 6, 30))
    assert waiting(ACT_1279, row) == [("21283", ACT_1279, ("21238", "21283"), "21283")]
    confirmed = village("21283", ACT_1279)
    assert waiting(ACT_1279, row, confirmed) == []
    moved = village("21238", ACT_1279)
    assert waiting(ACT_1279, row, moved) == []
    # On 2025-07-01 both communes are one: nothing is left to decide.
    assert waiting(ACT_1677, row) == []


def test_a_village_in_a_commune_that_was_not_rearranged_stays() -> None:
    assert spans(village("21538")) == [("21538", SINCE_2020, None)]
    assert waiting(ACT_1677, village("21538")) == []


def test_a_village_that_has_ended_follows_nobody() -> None:
    row = village("21253", valid_to=date(2024, 12, 31))
    assert spans(row) == [("21253", SINCE_2020, date(2024, 12, 31))]
    assert waiting(ACT_1677, row) == []


def test_the_rest_of_a_commune_of_which_one_part_is_told_is_not_guessed() -> None:
    province = Unit("51", Level.PROVINCE, "tỉnh", "Tỉnh", None, BEGIN, None)
    old = Unit("00001", Level.COMMUNE, "xã", "Cũ", "51", BEGIN, ACT_1677 - DAY)
    new = Unit("00002", Level.COMMUNE, "xã", "Mới", "51", BEGIN, None)
    lineage = Lineage([province, old, new], [Step("00001", "00002", ACT_1677, Part.PART, "NQ")])
    row = village("00001")
    assert [span.unit.parent_code for span in placed([row], lineage)] == ["00001", "51"]
    assert len(unplaced({"T-1": [row]}, lineage, ACT_1677)) == 1


@given(worlds(), st.data())
def test_a_village_lies_somewhere_on_every_day(world: World, data: st.DataObject) -> None:
    lineage = Lineage(world.units, world.steps)
    commune = data.draw(st.sampled_from(lineage.tree_on(BEGIN).under("51")))
    row = village(commune.code, BEGIN)
    found = placed([row], lineage)
    for day in world.days:
        (span,) = [span for span in found if span.unit.exists(day)]
        tree = lineage.tree_on(day)
        assert span.unit.parent_code in tree
        heirs = [heir.code for heir in lineage.successors(commune.code, BEGIN, day)]
        listed = unplaced({row.code: [row]}, lineage, day)
        if tree.takes_villages(span.unit.parent_code):
            assert span.unit.parent_code in heirs
            if not listed:
                continue
        assert [(each.code, each.lies_in) for each in listed] == [
            (row.code, span.unit.parent_code)
        ]


@given(worlds(), st.data())
def test_a_village_of_a_commune_that_is_whole_needs_nobody(
    world: World, data: st.DataObject
) -> None:
    lineage = Lineage(world.units, world.steps)
    day = data.draw(st.sampled_from(world.days))
    for commune in lineage.tree_on(BEGIN).under("51"):
        heirs = lineage.successors(commune.code, BEGIN, day)
        if [heir.part for heir in heirs] == [Part.WHOLE]:
            row = village(commune.code, BEGIN)
            (unit,) = [s.unit for s in placed([row], lineage) if s.unit.exists(day)]
            assert unit.parent_code == heirs[0].code
            assert unplaced({row.code: [row]}, lineage, day) == []
