"""A trend says of each day what the figure of that day says."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.indicators import rollup
from broadcast.indicators.definitions import OPERATING_RULES
from broadcast.indicators.figures import Cache, compute
from broadcast.indicators.trend import Interval, days_between, trend
from broadcast.kit.errors import InvalidInput
from tests.indicators.invented import BEGIN, END, MERGER, NOW, PROVINCE, invent

DAYS = days_between(BEGIN, END, Interval.DAY)


@pytest.mark.parametrize("rolled_up", [False, True])
@pytest.mark.parametrize("scope", [PROVINCE, "21034"])
async def test_each_value_is_that_of_its_day(
    session: AsyncSession, scope: str, rolled_up: bool
) -> None:
    await invent(session, 9)
    if rolled_up:
        await rollup.announce_days(session, NOW, OPERATING_RULES[0])
        await rollup.roll_up_days(
            session, [day for day in DAYS[:-1] if day.day % 3], OPERATING_RULES[0], NOW
        )
    for code, variant in (("1.1", "THON"), ("1.3", "TX")):
        found = await trend(session, code, variant, DAYS, scope, NOW, Cache())
        assert [point.on for point in found.points] == DAYS
        for on, result in found.points:
            if scope != PROVINCE and on < MERGER:
                assert result is None
            else:
                assert result == (await compute(session, on, scope, NOW))[code][variant]


async def test_the_day_on_which_communes_were_merged_is_marked(session: AsyncSession) -> None:
    await invent(session, 9)
    found = await trend(session, "1.1", "TH", [BEGIN, END], PROVINCE, NOW, Cache())
    assert (MERGER, 5, 3) in [(each.on, each.communes_before, each.communes)
                              for each in found.breaks]  # fmt: skip


def test_points_are_the_last_days_of_weeks_and_months() -> None:
    assert days_between(date(2025, 6, 25), date(2025, 7, 9), Interval.WEEK) == [
        date(2025, 6, 29), date(2025, 7, 6), date(2025, 7, 9),
    ]  # fmt: skip
    assert days_between(END, END, Interval.MONTH) == [END]


def test_a_range_that_is_none_or_too_long_is_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidInput, match="không sau"):
        days_between(END, BEGIN, Interval.DAY)
    with pytest.raises(InvalidInput, match="tuần, tháng"):
        days_between(END - timedelta(days=100), END, Interval.DAY)
    assert len(days_between(END - timedelta(days=61), END, Interval.DAY)) == 62
