"""Public holidays by the Labour Code (Bộ luật Lao động 45/2019/QH14), computed for any year. Pure.

Article 112 names the days, article 111 §3 gives the next working day for one on a weekly day off.
Which five days are Tết, and whether 1 or 3 September goes with National Day, the Prime Minister
decides each year (article 112 §3), and also the swaps that join a holiday with a weekend. Until a
person has entered the decision, what was decided in 2021–2026 is assumed.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from broadcast.calendars import lunar

IN_FORCE_SINCE = 2021
"""First year of the Labour Code."""

DAY = timedelta(days=1)
_TUESDAY, _SATURDAY = 1, 5


class LawDay(NamedTuple):
    """A day off by law."""

    day: date
    name: str
    is_assumed: bool = False
    """The law leaves it to a decision of the year; this is how it was decided before."""


def holidays(year: int) -> list[LawDay]:
    """The days off of a solar year, with those in lieu, ascending; none before the code.

    >>> [str(each.day) for each in holidays(2026)][1:6]  # Tết Bính Ngọ
    ['2026-02-16', '2026-02-17', '2026-02-18', '2026-02-19', '2026-02-20']
    """
    return [each for part in (year - 1, year) for each in _of_year(part) if each.day.year == year]


@lru_cache(maxsize=512)
def _of_year(year: int) -> list[LawDay]:
    if year < IN_FORCE_SINCE:
        return []
    named = [
        LawDay(date(year, 1, 1), "Tết Dương lịch"),
        *_tet(year),
        LawDay(lunar.solar(year, 3, 10), "Giỗ Tổ Hùng Vương"),
        LawDay(date(year, 4, 30), "Ngày Chiến thắng"),
        LawDay(date(year, 5, 1), "Quốc tế lao động"),
        *_national_day(year),
    ]
    found: dict[date, LawDay] = {}
    for each in named:
        found.setdefault(each.day, each)
    lost = [each for each in named if each.day.weekday() >= _SATURDAY or each != found[each.day]]
    for each in lost:
        day = each.day
        while day in found or day.weekday() >= _SATURDAY:
            day += DAY
        found[day] = LawDay(day, f"Nghỉ bù {each.name}", each.is_assumed)
    return [found[day] for day in sorted(found)]


def _tet(year: int) -> list[LawDay]:
    """Two days before the new year and three of it; one and four where it is a Tuesday."""
    first = lunar.new_year(year)
    before = 1 if first.weekday() == _TUESDAY else 2
    days = [first + number * DAY for number in range(-before, 5 - before)]
    certain = {first, first + DAY, first + 2 * DAY}
    return [LawDay(day, "Tết Nguyên đán", day not in certain) for day in days]


def _national_day(year: int) -> list[LawDay]:
    """2 September, with the neighbour that is nearer to a weekend."""
    day = date(year, 9, 2)
    other = day + DAY if day.weekday() in {0, 3, 6} else day - DAY
    pair = [LawDay(day, "Quốc khánh"), LawDay(other, "Quốc khánh", is_assumed=True)]
    return sorted(pair)
