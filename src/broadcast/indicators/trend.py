"""An indicator over time: its value on some days of a range, each as `figures` computes it.

Evidence on clusters is read once for all days of a trend, that on portals for each, the register
once for all days that lie between two of its changes: a year of weeks costs little more than its
days rolled up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.units import find_unit
from broadcast.indicators.days import DayColumns, WindowDays
from broadcast.indicators.definitions import OperatingRule, operating_rule
from broadcast.indicators.evidence import DAY, Window, read_raw_days, read_rolled_up_days
from broadcast.indicators.figures import Cache, province_of, results_of, variant_of
from broadcast.indicators.reach import Assessment
from broadcast.indicators.registry import Register, load_register, with_attestations
from broadcast.indicators.results import Result
from broadcast.indicators.rollup import refresh
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput


class Interval(StrEnum):
    """Distance of the points of a trend; each is the last day of its week or month."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


MOST_POINTS = 62
"""Of one trend: two months of days, a year of weeks, five years of months."""


class Point(NamedTuple):
    """The figure of a day."""

    on: date
    result: Result | None
    """None on days on which the scope was no unit."""


class Break(NamedTuple):
    """Day on which communes were merged or divided: what is counted differs before and after."""

    on: date
    communes_before: int
    communes: int


@dataclass(frozen=True, slots=True)
class Trend:
    """Figures of a range, with the days on which what they count has changed."""

    points: Sequence[Point]
    breaks: Sequence[Break]


def days_between(first_on: date, last_on: date, interval: Interval) -> list[date]:
    """Last days of the days, weeks (Sunday) or months of a range; its own last day is one.

    Raises:
        InvalidInput: The range ends before it begins, or has more days than a trend shows.

    >>> [str(day) for day in days_between(date(2025, 5, 10), date(2025, 7, 3), Interval.MONTH)]
    ['2025-05-31', '2025-06-30', '2025-07-03']
    """
    if first_on > last_on:
        raise InvalidInput("from", "phải không sau `to`; hãy đổi lại hai ngày")
    days: list[date] = []
    day = first_on
    while day < last_on and len(days) < MOST_POINTS:
        end = _end(day, interval)
        if end >= last_on:
            break
        days.append(end)
        day = end + DAY
    if len(days) >= MOST_POINTS:
        raise InvalidInput(
            "from", f"nhiều hơn {MOST_POINTS} mốc; hãy chọn khoảng ngắn hơn, hoặc tuần, tháng"
        )
    return [*days, last_on]


def _end(day: date, interval: Interval) -> date:
    if interval is Interval.WEEK:
        return day + (6 - day.weekday()) * DAY
    if interval is Interval.MONTH:
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1) - DAY
    return day


_CHANGES = sa.text("""
WITH change (day) AS (
    SELECT valid_from FROM areas UNION ALL SELECT valid_to + 1 FROM areas
    UNION ALL SELECT valid_from FROM village_exclusions
    UNION ALL SELECT valid_to + 1 FROM village_exclusions
    UNION ALL SELECT valid_from FROM stations UNION ALL SELECT valid_to + 1 FROM stations
    UNION ALL SELECT valid_from FROM station_states UNION ALL SELECT valid_from FROM plant_states
    UNION ALL SELECT installed_on FROM clusters UNION ALL SELECT removed_on FROM clusters
    UNION ALL SELECT valid_from FROM cluster_villages
    UNION ALL SELECT valid_to + 1 FROM cluster_villages
    UNION ALL SELECT listed_on FROM baseline_stations
    UNION ALL SELECT valid_from FROM portals UNION ALL SELECT ended_on + 1 FROM portals
)
SELECT DISTINCT day FROM change WHERE day > :first_on AND day <= :last_on ORDER BY day
""")

_BREAKS = sa.text("""
SELECT day, (
    SELECT count(*) FROM areas
    WHERE level = 'commune' AND valid_from < day AND (valid_to IS NULL OR valid_to >= day - 1)
) AS before, (
    SELECT count(*) FROM areas
    WHERE level = 'commune' AND valid_from <= day AND (valid_to IS NULL OR valid_to >= day)
) AS communes
FROM (
    SELECT DISTINCT valid_from AS day FROM areas
    WHERE level = 'commune' AND valid_from > :first_on AND valid_from <= :last_on
) begun
WHERE EXISTS (SELECT FROM areas WHERE level = 'commune' AND valid_to = day - 1)
ORDER BY day
""")


async def trend(
    session: AsyncSession,
    code: str,
    variant: str,
    days: Sequence[date],
    scope: str,
    now: datetime,
    cache: Cache,
) -> Trend:
    """Compute one variant on some days, as `compute` would on each.

    Args:
        session: Where the evidence is.
        code: The indicator.
        variant: The way of counting.
        days: In order, none after today.
        scope: Code of a unit; days on which it is none have no result.
        now: The present.
        cache: Of this process and this database.

    Raises:
        InvalidInput: A day is in the future.
        NotFound: There is no such indicator or variant.
    """
    if days[-1] > now.astimezone(LOCAL).date():
        raise InvalidInput("to", f"{days[-1]} chưa tới; hãy chọn hôm nay hoặc một ngày đã qua")
    span = {"first_on": days[0], "last_on": days[-1]}
    changes = list(await session.scalars(_CHANGES, span))
    known = _Days(session, cache)
    register: Register | None = None
    points = []
    for on in days:
        if await find_unit(session, scope, on) is None:
            points.append(Point(on, None))
            continue
        rule = operating_rule(on)
        if register is None or any(register.as_of < change <= on for change in changes):
            register = await load_register(session, on, scope)
            known.drop_raw()
        else:
            register = await with_attestations(session, replace(register, as_of=on))
        window = Window.of(on, rule, now)
        read = await known.of(window, rule, register, now)
        province = await province_of(session, window, rule, register, read)
        results = results_of(Assessment(province, rule))
        points.append(Point(on, variant_of(results, code, variant)))
    found = await session.execute(_BREAKS, span)
    return Trend(points, [Break(row.day, row.before, row.communes) for row in found])


class _Days:
    """Days of clusters, each read once: rolled up where they are, else from the raw rows."""

    def __init__(self, session: AsyncSession, cache: Cache) -> None:
        self._session = session
        self._cache = cache
        self._raw: dict[date, DayColumns] = {}

    def drop_raw(self) -> None:
        """Forget the raw days: they may be of other clusters."""
        self._raw.clear()

    async def of(
        self, window: Window, rule: OperatingRule, register: Register, now: datetime
    ) -> WindowDays:
        """The days of a window; the running one is not kept."""
        rolled_up = await self._rolled_up(window, rule, now)
        whole = [day for day in window.days if day < now.astimezone(LOCAL).date()]
        others = [day for day in whole if day not in rolled_up and day not in self._raw]
        if others:
            self._raw |= await read_raw_days(
                self._session, others, register.cluster_ids, rule, window.at
            )
        read = {day: self._raw[day] for day in whole if day not in rolled_up}
        return WindowDays.of({**rolled_up, **read}, register.cluster_ids)

    async def _rolled_up(
        self, window: Window, rule: OperatingRule, now: datetime
    ) -> Mapping[date, DayColumns]:
        revisions = await refresh(self._session, window.first_on, window.as_of, rule, now)
        cached = {day: self._cache.days.get(revision) for day, revision in revisions.days.items()}
        days = {day: columns for day, columns in cached.items() if columns is not None}
        read = await read_rolled_up_days(self._session, [day for day in cached if day not in days])
        for day, columns in read.items():
            self._cache.days.put(revisions.days[day], columns)
        return days | read
