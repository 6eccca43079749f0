"""The Vietnamese lunar calendar (âm lịch), computed from the sky. Pure.

A month begins on the day of a new moon, the eleventh holds the winter solstice, and of thirteen
months between two of these the first without a principal term (trung khí) is a leap month. All by
the clock of Việt Nam, UTC+7, since 1968 (Quyết định 121-CP of 8/8/1967); the Chinese calendar uses
UTC+8, so that Tết fell on other days in 1985 and 2007, and will in 2030.

New moons after J. Meeus, Astronomical Algorithms (1998), chapter 49, to a few seconds; the
longitude of the sun after chapter 25, to half a minute of arc.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, timedelta
from functools import lru_cache
from itertools import pairwise
from math import floor, radians, sin
from typing import NamedTuple

_MONTH = 29.530588861
_JULIAN_DAY_OF_YEAR_1 = 1721424.5
"""Julian day of 0001-01-01, minus one: what `date.toordinal` counts from."""
_ZONE = 7 / 24
_WINTER_SOLSTICE = 9
"""Principal term, counted from the spring equinox in steps of 30°."""


class Lunar(NamedTuple):
    """A day by the lunar calendar."""

    year: int
    """Named by the solar year in which it begins."""
    month: int
    day: int
    is_leap: bool = False
    """The month is the second of its number."""


class _Month(NamedTuple):
    first: date
    year: int
    number: int
    is_leap: bool


def lunar(day: date) -> Lunar:
    """The lunar date of a day.

    >>> lunar(date(2026, 2, 17))
    Lunar(year=2026, month=1, day=1, is_leap=False)
    """
    months = _months(day.year if day >= _months(day.year)[0].first else day.year - 1)
    month = months[bisect_right(months, day, key=lambda each: each.first) - 1]
    return Lunar(month.year, month.number, (day - month.first).days + 1, month.is_leap)


def length_of_month(day: date) -> int:
    """Days of the lunar month that a day lies in: 29 (thiếu) or 30 (đủ)."""
    number = lunar(day).day
    first = day - timedelta(days=number - 1)
    return 30 if lunar(first + timedelta(days=29)).day == 30 else 29


def solar(year: int, month: int, day: int, *, is_leap: bool = False) -> date:
    """The day of a lunar date.

    Raises:
        ValueError: There is none: no such leap month, or it has no 30th day.
    """
    for each in _months(year):
        if (each.number, each.is_leap) == (month, is_leap):
            found = each.first + timedelta(days=day - 1)
            if lunar(found) == (year, month, day, is_leap):
                return found
    raise ValueError(f"no lunar date {day}/{month}{' leap' if is_leap else ''}/{year}")


def new_year(year: int) -> date:
    """The first day of Tết.

    >>> new_year(2007), new_year(2030)  # a day before the Chinese one
    (datetime.date(2007, 2, 17), datetime.date(2030, 2, 2))
    """
    return _months(year)[0].first


def leap_month(year: int) -> int | None:
    """The number of a lunar year's leap month, if it has one."""
    return next((each.number for each in _months(year) if each.is_leap), None)


@lru_cache(maxsize=512)
def _months(year: int) -> list[_Month]:
    """The months of a lunar year."""
    return [each for part in (year, year + 1) for each in _cycle(part) if each.year == year]


@lru_cache(maxsize=512)
def _cycle(year: int) -> list[_Month]:
    """Months from that of a winter solstice to the one before the next, in a solar year."""
    begin, end = _eleventh(year - 1), _eleventh(year)
    firsts = [_new_moon_day(index) for index in range(begin, end + 1)]
    leap = None
    if end - begin == 13:
        terms = [_term(first) for first in firsts]
        leap = next(place for place, (a, b) in enumerate(pairwise(terms)) if a == b)
    months = []
    for place, first in enumerate(firsts[:-1]):
        number = 10 + place - (leap is not None and place >= leap)
        months.append(_Month(first, year - (number < 12), number % 12 + 1, place == leap))
    return months


def _eleventh(year: int) -> int:
    """Index of the new moon that begins the month of a year's winter solstice."""
    index = floor((date(year, 12, 31) - date(2000, 1, 6)).days / _MONTH) + 1
    while _new_moon_day(index) > date(year, 12, 31) or _term(_new_moon_day(index)) >= (
        _WINTER_SOLSTICE
    ):
        index -= 1
    return index


def _day(julian: float) -> date:
    return date.fromordinal(floor(julian + _ZONE - _JULIAN_DAY_OF_YEAR_1))


@lru_cache(maxsize=8192)
def _term(day: date) -> int:
    """The principal term that the sun has passed when a day begins, from 0 at the equinox."""
    julian = day.toordinal() + _JULIAN_DAY_OF_YEAR_1 - _ZONE
    return floor(_sun(julian + _clock_error(day.year)) / 30)


def _sun(julian: float) -> float:
    """Apparent longitude of the sun in degrees, from 0 to 360."""
    t = (julian - 2451545.0) / 36525
    anomaly = radians(357.52911 + 35999.05029 * t - 0.0001537 * t * t)
    center = (
        (1.914602 - 0.004817 * t - 0.000014 * t * t) * sin(anomaly)
        + (0.019993 - 0.000101 * t) * sin(2 * anomaly)
        + 0.000289 * sin(3 * anomaly)
    )
    node = radians(125.04 - 1934.136 * t)
    mean = 280.46646 + 36000.76983 * t + 0.0003032 * t * t
    return (mean + center - 0.00569 - 0.00478 * sin(node)) % 360


@lru_cache(maxsize=8192)
def _new_moon_day(index: int) -> date:
    """The day of a new moon; 0 is that of 6 January 2000."""
    k, t = index, index / 1236.85
    t2 = t * t
    e = 1 - 0.002516 * t - 0.0000074 * t2
    sun = radians(2.5534 + 29.10535670 * k - 0.0000014 * t2)
    moon = radians(201.5643 + 385.81693528 * k + 0.0107582 * t2 + 0.00001238 * t2 * t)
    lat = radians(160.7108 + 390.67050284 * k - 0.0016118 * t2 - 0.00000227 * t2 * t)
    node = radians(124.7746 - 1.56375588 * k + 0.0020672 * t2)
    terrestrial = 2451550.09766 + _MONTH * k + 0.00015437 * t2 - 0.00000015 * t2 * t
    terrestrial += sum(
        size * e ** abs(of_sun) * sin(of_sun * sun + of_moon * moon + of_lat * lat)
        for size, of_sun, of_moon, of_lat in _PERIODIC
    )
    terrestrial -= 0.00017 * sin(node)
    terrestrial += sum(
        size * sin(radians(first + rate * k - (0.009173 * t2 if number == 0 else 0)))
        for number, (size, first, rate) in enumerate(_PLANETS)
    )
    return _day(terrestrial - _clock_error(2000 + index / 12.3685))


def _clock_error(year: float) -> float:
    """How much the uniform time of the sky is ahead of the clock (ΔT), in days.

    Espenak and Meeus, Five Millennium Canon (2006); a straight line between their values.
    """
    known = [*_CLOCK_ERROR]
    later = min(max(bisect_right(known, year), 1), len(known) - 1)
    a, b = known[later - 1], known[later]
    seconds = _CLOCK_ERROR[a] + (year - a) / (b - a) * (_CLOCK_ERROR[b] - _CLOCK_ERROR[a])
    return seconds / 86_400


_CLOCK_ERROR = {
    1950: 29.1,
    1970: 40.2,
    1990: 56.9,
    2010: 66.1,
    2025: 69.1,
    2050: 93.0,
    2100: 202.7,
}
"""Seconds by year; 69.1 for 2025 as measured."""

_PERIODIC = (
    (-0.40720, 0, 1, 0), (0.17241, 1, 0, 0), (0.01608, 0, 2, 0), (0.01039, 0, 0, 2),
    (0.00739, -1, 1, 0), (-0.00514, 1, 1, 0), (0.00208, 2, 0, 0), (-0.00111, 0, 1, -2),
    (-0.00057, 0, 1, 2), (0.00056, 1, 2, 0), (-0.00042, 0, 3, 0), (0.00042, 1, 0, 2),
    (0.00038, 1, 0, -2), (-0.00024, -1, 2, 0), (-0.00007, 2, 1, 0), (0.00004, 0, 2, -2),
    (0.00004, 3, 0, 0), (0.00003, 1, 1, -2), (0.00003, 0, 2, 2), (-0.00003, 1, 1, 2),
    (0.00003, -1, 1, 2), (-0.00002, -1, 1, -2), (-0.00002, 1, 3, 0), (0.00002, 0, 4, 0),
)  # fmt: skip
"""Days, and how often the anomalies of sun and moon and the moon's argument of latitude count."""

_PLANETS = (
    (0.000325, 299.77, 0.107408), (0.000165, 251.88, 0.016321), (0.000164, 251.83, 26.651886),
    (0.000126, 349.42, 36.412478), (0.000110, 84.66, 18.206239), (0.000062, 141.74, 53.303771),
    (0.000060, 207.14, 2.453732), (0.000056, 154.84, 7.306860), (0.000047, 34.52, 27.261239),
    (0.000042, 207.19, 0.121824), (0.000040, 291.34, 1.844379), (0.000037, 161.72, 24.198154),
    (0.000035, 239.56, 25.513099), (0.000023, 331.55, 3.592518),
)  # fmt: skip
