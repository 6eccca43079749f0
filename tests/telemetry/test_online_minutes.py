from __future__ import annotations

import doctest
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.telemetry import online_minutes as om
from tests.devices.fleet import EIGHT, MINUTE, SECOND


def test_examples_hold() -> None:
    assert doctest.testmod(om).failed == 0


@pytest.mark.parametrize(
    ("sent", "trusted", "expected"),
    [
        pytest.param(-SECOND, True, -SECOND, id="just sent"),
        pytest.param(-timedelta(days=6), True, -timedelta(days=6), id="waited for six days"),
        pytest.param(-timedelta(days=8), True, timedelta(0), id="too old to be true"),
        pytest.param(MINUTE, True, timedelta(0), id="a little ahead is now"),
        pytest.param(3 * MINUTE, True, timedelta(0), id="from the future"),
        pytest.param(-SECOND, False, timedelta(0), id="clock not trusted"),
    ],
)
def test_time_of_a_message_is_told_by_the_better_clock(
    sent: Any, trusted: Any, expected: Any
) -> None:
    assert om.happened_at(EIGHT + sent, EIGHT, trusted=trusted) == EIGHT + expected


def test_a_day_begins_at_local_midnight() -> None:
    assert om.minute_of(datetime(2025, 6, 30, 17, 0, tzinfo=UTC), LOCAL) == (date(2025, 7, 1), 0)
    assert om.minute_of(datetime(2025, 6, 30, 16, 59, 59, tzinfo=UTC), LOCAL) == (
        date(2025, 6, 30),
        1439,
    )


def test_span_rounds_to_whole_minutes_outward_and_stays_in_its_day() -> None:
    day = date(2025, 7, 1)
    five = datetime(2025, 7, 1, 5, 0, 30, tzinfo=LOCAL)
    assert om.span(day, five, five + MINUTE, LOCAL) == om.mask([(time(5), time(5, 2))])
    assert om.span(day, five - timedelta(days=2), five + timedelta(days=2), LOCAL).bit_count() == (
        om.MINUTES
    )
    assert om.span(day, five + timedelta(days=1), five + timedelta(days=2), LOCAL) == 0


@given(st.lists(st.integers(0, 1439)))
def test_bits_are_the_minutes_in_order(minutes: Any) -> None:
    value = 0
    for minute in minutes:
        value |= om.bit(minute)
    bits = om.to_bits(value)
    assert len(bits) == om.MINUTES
    assert {at for at, bit in enumerate(bits) if bit == "1"} == set(minutes)
    assert om.from_bits(bits) == value
