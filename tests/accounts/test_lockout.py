"""How long who guesses has to wait: longer and longer, never for good, and in bounded memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.accounts.lockout import (
    FORGET_AFTER,
    LOGIN,
    NETWORK,
    PAIR,
    Failures,
    Limit,
    Networks,
    after_attempt,
    taken_back,
    wait_until,
)

NOW = datetime(2026, 11, 28, 1, tzinfo=UTC)


def waits(limit: Limit, count: int) -> list[float]:
    """Seconds to wait after 1, 2, … failures."""
    failures, found = None, []
    for _ in range(count):
        failures = after_attempt(failures, NOW)
        until = wait_until(failures, limit, NOW)
        found.append(0.0 if until is None else (until - NOW).total_seconds())
    return found


def test_the_first_mistakes_cost_nothing_then_the_wait_doubles() -> None:
    assert waits(PAIR, 11) == [0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900]


@pytest.mark.parametrize(
    ("limit", "guesses"), [(PAIR, 110), (LOGIN, 320)], ids=["one network", "everywhere"]
)
def test_a_day_of_guessing_is_a_few_guesses(limit: Limit, guesses: int) -> None:
    failures, now, made = None, NOW, 0
    while now < NOW + timedelta(days=1):
        until = wait_until(failures, limit, now)
        if until is not None:
            now = until
            continue
        failures = after_attempt(failures, now)
        made += 1
    assert made <= guesses


@given(st.integers(0, 10**9), st.sampled_from([PAIR, LOGIN, NETWORK]))
def test_no_wait_is_longer_than_its_limit(count: int, limit: Limit) -> None:
    until = wait_until(Failures(count, NOW), limit, NOW)
    assert until is None or until - NOW <= limit.longest


def test_a_day_without_a_failure_and_all_is_forgotten() -> None:
    failures = Failures(1000, NOW)
    later = NOW + FORGET_AFTER
    assert wait_until(failures, PAIR, later) is None
    assert after_attempt(failures, later) == Failures(1, later)


def test_networks_are_counted_in_bounded_memory() -> None:
    networks = Networks(most=100)
    for number in range(10_000):
        networks.begin(f"n{number}", NOW)
    assert len(networks) == 100


def test_a_network_that_is_heard_of_again_is_not_forgotten_for_others() -> None:
    networks = Networks(most=10)
    for number in range(NETWORK.free):
        networks.begin("guesser", NOW)
        networks.begin(f"n{number}", NOW)
    assert networks.wait_until("guesser", NOW) is not None


def test_who_signs_in_from_an_office_leaves_no_count() -> None:
    networks = Networks()
    for _ in range(1000):
        before = networks.begin("office", NOW)
        networks.take_back("office", before, NOW)
    assert (networks.wait_until("office", NOW), len(networks)) == (None, 0)


def test_an_attempt_that_is_taken_back_leaves_what_was_counted_before() -> None:
    later = NOW + timedelta(minutes=20)
    before = Failures(PAIR.free + 3, NOW)
    assert taken_back(after_attempt(before, later), before, later) == before
    assert taken_back(after_attempt(None, NOW), None, NOW) is None
    meanwhile = after_attempt(after_attempt(before, later), later + timedelta(seconds=1))
    assert taken_back(meanwhile, before, later) == meanwhile._replace(attempts=PAIR.free + 4)
