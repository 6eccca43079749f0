"""What an area is on each day of a span."""

from __future__ import annotations

from datetime import date, timedelta

from broadcast.areas.model import Level, Part
from broadcast.areas.spans import area_intervals
from broadcast.areas.tree import Lineage, Step, Unit

DAY = timedelta(days=1)
OLD, MERGED = date(2020, 1, 1), date(2025, 7, 4)


def unit(
    code: str, level: Level, parent: str | None, begin: date = OLD, end: date | None = None
) -> Unit:
    return Unit(code, level, "xã", code, parent, begin, end)


LINEAGE = Lineage(
    [
        unit("51", Level.PROVINCE, None),
        unit("A", Level.COMMUNE, "51", OLD, MERGED - DAY),
        unit("B", Level.COMMUNE, "51", OLD, MERGED - DAY),
        unit("N", Level.COMMUNE, "51", MERGED),
        unit("a1", Level.VILLAGE, "A", OLD, MERGED - DAY),
        unit("b1", Level.VILLAGE, "B", OLD, MERGED - DAY),
        unit("n1", Level.VILLAGE, "N", MERGED),
        unit("n2", Level.VILLAGE, "N", MERGED),
    ],
    [
        Step("A", "N", MERGED, Part.WHOLE, ""),
        Step("B", "N", MERGED, Part.WHOLE, ""),
        Step("a1", "n1", MERGED, Part.WHOLE, ""),
        Step("b1", "n2", MERGED, Part.WHOLE, ""),
    ],
)


def units(code: str, first: date, last: date) -> list[tuple[str, set[str]]]:
    return [
        (f"{each.interval.first_on:%m-%d}..{each.interval.last_on:%m-%d}", set(each.units))
        for each in area_intervals(LINEAGE, code, first, last)
    ]


def test_a_span_is_divided_where_units_change() -> None:
    first, last = date(2025, 7, 1), date(2025, 7, 9)
    assert units("51", first, last) == [("07-01..07-03", {"51"}), ("07-04..07-09", {"51"})]
    assert units("A", first, last) == [("07-01..07-03", {"A"}), ("07-04..07-09", {"n1"})]
    assert units("N", first, last) == [("07-01..07-03", {"a1", "b1"}), ("07-04..07-09", {"N"})]
    assert units("a1", first, last) == [("07-01..07-03", {"a1"}), ("07-04..07-09", {"n1"})]
    assert units("A", MERGED, last) == []
    assert units("N", MERGED, last) == [("07-04..07-09", {"N"})]


def test_what_is_heard_lies_above_and_inside() -> None:
    before, after = area_intervals(LINEAGE, "A", date(2025, 7, 1), date(2025, 7, 9))
    assert (before.heard(), before.inside()) == ({"51", "A", "a1"}, {"A", "a1"})
    assert (after.heard(), after.inside()) == ({"51", "N", "n1"}, {"n1"})


def test_every_day_of_a_span_is_of_one_stretch() -> None:
    for length in range(12):
        first = date(2025, 6, 28)
        found = area_intervals(LINEAGE, "51", first, first + length * DAY)
        days = [
            interval.first_on + number * DAY
            for interval, _ in found
            for number in range((interval.last_on - interval.first_on).days + 1)
        ]
        assert days == [first + number * DAY for number in range(length + 1)]
