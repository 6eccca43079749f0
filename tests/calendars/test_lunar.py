"""The lunar calendar, beside a published one.

`published.csv` holds what Hồ Ngọc Đức's tables (Âm lịch Việt Nam, TK20 and TK21, 2004) say of each
year: the first day of Tết, the leap month, long (+) and short (-) months, the tenth of the third.
"""

from __future__ import annotations

import csv
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.calendars.lunar import leap_month, length_of_month, lunar, new_year, solar

DAY = timedelta(days=1)
days = st.dates(date(1970, 1, 1), date(2100, 12, 31))


def published() -> list[dict[str, str]]:
    with Path(__file__).with_name("published.csv").open() as file:
        return list(csv.DictReader(file))


def months(year: int) -> str:
    """Long and short months of a lunar year, by what is a first of a month."""
    day, firsts = new_year(year), []
    while day <= new_year(year + 1):
        if lunar(day).day == 1:
            firsts.append(day)
        day += DAY
    return "".join("+" if (b - a).days == 30 else "-" for a, b in pairwise(firsts))


def test_every_year_is_as_published() -> None:
    rows = published()
    assert [int(row["year"]) for row in rows] == list(range(1970, 2100))
    differing = []
    for row in rows:
        year = int(row["year"])
        assert str(new_year(year)) == row["new_year"]
        assert str(leap_month(year) or "") == row["leap_month"]
        assert str(solar(year, 3, 10)) == row["ancestors_day"]
        if months(year) != row["months"]:
            differing.append(year)
    # The new moon of 8 May 2054 comes 20 seconds after midnight, or before: nobody knows yet.
    assert differing == [2054]


@pytest.mark.parametrize(
    ("year", "here", "in_china"),
    [
        (1985, "1985-01-21", "1985-02-20"),
        (2007, "2007-02-17", "2007-02-18"),
        (2030, "2030-02-02", "2030-02-03"),
        (2053, "2053-02-18", "2053-02-19"),
    ],
)
def test_where_the_chinese_calendar_has_another_day(year: int, here: str, in_china: str) -> None:
    assert str(new_year(year)) == here != in_china
    assert lunar(date.fromisoformat(in_china)).day == 2 or year == 1985


def test_the_leap_months_of_the_living() -> None:
    assert [(year, leap_month(year)) for year in range(2020, 2032) if leap_month(year)] == [
        (2020, 4),
        (2023, 2),
        (2025, 6),
        (2028, 5),
        (2031, 3),
    ]
    assert lunar(date(2025, 7, 25)) == (2025, 6, 1, True)
    assert solar(2025, 6, 15, is_leap=True) == date(2025, 8, 8)


@given(days)
def test_there_and_back(day: date) -> None:
    found = lunar(day)
    assert solar(found.year, found.month, found.day, is_leap=found.is_leap) == day
    assert lunar(day + DAY).day in {found.day + 1, 1}
    assert 1 <= found.day <= length_of_month(day) <= 30


def test_a_lunar_date_that_is_none() -> None:
    assert lunar(date(2026, 2, 16)) == (2025, 12, 29, False), "this year has no 30 Tết"
    with pytest.raises(ValueError, match="30/12/2025"):
        solar(2025, 12, 30)
    with pytest.raises(ValueError, match="leap"):
        solar(2026, 6, 1, is_leap=True)
