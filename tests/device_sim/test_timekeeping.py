"""What a device knows of the time, and when it trusts it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from device_sim.timekeeping import ENOUGH_SLOW, SLOWEST_REPLY_SECONDS, Now, Timekeeper

NOON = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def at(seconds: float, wall: datetime = NOON) -> Now:
    return Now(wall + timedelta(seconds=seconds), seconds)


def test_nothing_is_trusted_at_first_and_time_is_only_a_lower_bound() -> None:
    clock = Timekeeper(at(0), bound=NOON - SECOND, lead=None)
    assert not clock.trusted
    assert clock.time(10) == NOON + 9 * SECOND
    assert clock.reading(at(10)) == NOON + 10 * SECOND


def test_a_signed_document_raises_the_lower_bound_and_an_older_one_does_not() -> None:
    clock = Timekeeper(at(0), bound=None, lead=None)
    assert not clock.not_before(NOON, 100)
    assert clock.time(160) == NOON + 60 * SECOND
    clock.not_before(NOON - SECOND, 160)
    assert clock.time(160) == NOON + 60 * SECOND


def test_ntp_is_believed_and_carried_by_the_monotonic_clock() -> None:
    clock = Timekeeper(at(0), bound=None, lead=None)
    assert clock.synchronised(at(5))
    assert clock.trusted
    assert clock.time(65) == NOON + 65 * SECOND
    assert clock.reading(Now(NOON - timedelta(days=1), 65)) == NOON + 65 * SECOND


def test_ntp_that_a_signed_document_contradicts_is_not_believed() -> None:
    clock = Timekeeper(at(0), bound=NOON + timedelta(hours=1), lead=None)
    assert not clock.synchronised(at(5))
    assert not clock.trusted


def test_half_the_round_trip_is_added_to_the_servers_clock() -> None:
    clock = Timekeeper(at(0, NOON - timedelta(days=9)), bound=None, lead=None)
    assert clock.replied(NOON, asked_at=10.0, now=at(11, NOON - timedelta(days=9)))
    assert clock.time(11) == NOON + SECOND / 2
    assert clock.offset_ms == round(
        (timedelta(days=-9) + 10.5 * SECOND) / timedelta(milliseconds=1)
    )


@pytest.mark.parametrize("round_trip", [SLOWEST_REPLY_SECONDS + 0.1, -1.0])
def test_a_reply_that_took_too_long_is_of_no_use(round_trip: float) -> None:
    clock = Timekeeper(at(0), bound=None, lead=None)
    assert not clock.replied(NOON, asked_at=10.0, now=at(10.0 + round_trip))
    assert not clock.trusted


def test_a_device_with_ntp_only_measures_itself_by_the_server() -> None:
    clock = Timekeeper(at(0), bound=None, lead=None)
    clock.synchronised(at(0))
    assert clock.replied(NOON + 14 * SECOND, asked_at=10.0, now=at(10))
    assert clock.source == "ntp"
    assert clock.offset_ms == -4_000
    assert clock.time(10) == NOON + 10 * SECOND


def test_the_server_outweighs_an_ntp_that_says_something_else() -> None:
    """NTP is not signed: an hour that somebody else says is no hour."""
    clock = Timekeeper(at(0), bound=None, lead=None)
    assert clock.synchronised(at(0, NOON + timedelta(hours=1)))
    assert clock.replied(NOON + 10 * SECOND, asked_at=10.0, now=at(10))
    assert (clock.source, clock.time(10)) == ("server", NOON + 10 * SECOND)
    assert not clock.synchronised(at(20, NOON + timedelta(hours=1)))
    assert clock.synchronised(at(20))
    # A server that has not been reached for a day knows it no better.
    assert clock.synchronised(at(20 + 86_400, NOON + timedelta(days=1, hours=1)))


def test_a_link_that_is_always_slow_sets_a_clock_all_the_same() -> None:
    clock = Timekeeper(at(0), bound=None, lead=None)
    for _ in range(ENOUGH_SLOW):
        assert not clock.replied(NOON, asked_at=0.0, now=at(8))
    assert clock.replied(NOON, asked_at=0.0, now=at(8))
    assert clock.time(8) == NOON + 4 * SECOND
    # One that is set already is not made worse by it.
    assert clock.replied(NOON + 2 * SECOND, asked_at=0.0, now=at(8))
    assert clock.time(8) == NOON + 4 * SECOND


def test_a_step_of_the_wall_clock_is_noticed_once_and_slewing_is_not() -> None:
    clock = Timekeeper(at(0), bound=None, lead=None)
    clock.synchronised(at(0))
    assert not clock.stepped(at(10, NOON + SECOND))
    assert clock.stepped(at(20, NOON + timedelta(hours=1)))
    assert not clock.stepped(at(30, NOON + timedelta(hours=1)))
    assert clock.time(30) == NOON + 30 * SECOND
    assert clock.lead == timedelta(hours=1)


def test_a_battery_clock_is_read_with_its_known_error() -> None:
    fast = timedelta(minutes=7)
    clock = Timekeeper(at(0, NOON + fast), bound=NOON - SECOND, lead=fast)
    assert clock.trusted
    assert clock.time(1) == NOON + SECOND


def test_a_battery_clock_that_was_reset_is_not_believed() -> None:
    clock = Timekeeper(at(0, NOON - timedelta(days=900)), bound=NOON, lead=timedelta(0))
    assert not clock.trusted


def test_a_document_from_the_future_casts_doubt_on_a_trusted_clock() -> None:
    clock = Timekeeper(at(0), bound=None, lead=None)
    clock.synchronised(at(0))
    assert clock.not_before(NOON + timedelta(minutes=1), 1.0)
    assert not clock.not_before(NOON + 2 * SECOND, 1.0)
    assert clock.time(1) == NOON + SECOND


@pytest.mark.parametrize("seconds", [0.0, 0.1, 1e-6, 12345.678901, 86_400 * 30 + 1 / 3])
def test_waking_at_an_instant_is_never_too_early(seconds: float) -> None:
    clock = Timekeeper(Now(NOON, 1234.5678), bound=NOON, lead=None)
    instant = NOON + timedelta(seconds=seconds)
    assert clock.time(clock.monotonic_at(instant)) >= instant
