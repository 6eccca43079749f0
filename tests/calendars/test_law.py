"""Holidays by law, beside what was decided for each year since the code."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from broadcast.calendars.law import holidays


def days(text: str) -> list[date]:
    """Days of a list like `2026-02-16..20`."""
    found = []
    for part in text.split():
        first, _, last = part.partition("..")
        begin = date.fromisoformat(first)
        count = int(last) - begin.day if last else 0
        found += [begin + timedelta(days=number) for number in range(count + 1)]
    return found


@pytest.mark.parametrize(
    ("year", "off"),
    [
        # Notices of the Ministry of Labour (since 2025 of Home Affairs) on Tết and National Day,
        # with the working days in lieu; the weekends of a swap are not the law's days.
        (2021, "01-01 02-10..16 04-21 04-30 05-01 05-03 09-02..03"),
        (2022, "01-01 01-03 01-31 02-01..04 04-10..11 04-30 05-01..03 09-01..02"),
        (2023, "01-01..02 01-20..26 04-29 04-30 05-01..03 09-01..02 09-04"),
        (2024, "01-01 02-08..14 04-18 04-30 05-01 09-02..03"),
        (2025, "01-01 01-27..31 04-07 04-30 05-01 09-01..02"),
        (2026, "01-01 02-16..20 04-26..27 04-30 05-01 09-01..02"),
    ],
)
def test_the_days_of_each_year(year: int, off: str) -> None:
    expected = days(" ".join(f"{year}-{each}" for each in off.split()))
    assert [each.day for each in holidays(year)] == expected


def test_what_the_law_leaves_open_says_so() -> None:
    assumed = {str(each.day)[5:] for each in holidays(2026) if each.is_assumed}
    assert assumed == {"02-16", "02-20", "09-01"}
    assert holidays(2020) == []


def test_every_year_has_eleven_days_beside_those_in_lieu() -> None:
    for year in range(2021, 2101):
        found = holidays(year)
        named = [each for each in found if not each.name.startswith("Nghỉ bù")]
        assert len({each.day for each in found}) == len(found) >= 11
        assert len(named) in {10, 11}, "Giỗ Tổ may be 30 April or 1 May"
        weekdays = [each for each in found if each.day.weekday() < 5]
        assert len(weekdays) == 11, "everybody is off on eleven working days"
