"""What is killed and what is broadcast follow from the seed, and from nothing else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chaos.plan import (
    EVERY_SECONDS,
    LEAD_SECONDS,
    LONGEST_SECONDS,
    QUIET_SECONDS,
    SHORTEST_SECONDS,
    SOONEST_SECONDS,
    airings,
    blows,
)

SEEDS = st.integers(0, 2**31)
LENGTHS = st.floats(30, 3600)


@given(SEEDS, LENGTHS)
def test_the_same_seed_is_the_same_run(seed: int, seconds: float) -> None:
    assert blows(seed, seconds) == blows(seed, seconds)
    assert airings(seed, seconds, 4) == airings(seed, seconds, 4)


def test_another_seed_is_another_run() -> None:
    assert len({tuple(blows(seed, 600)) for seed in range(20)}) == 20
    assert len({tuple(airings(seed, 600, 4)) for seed in range(20)}) == 20


@given(SEEDS, LENGTHS)
def test_every_target_is_back_before_it_is_struck_again_and_before_the_end(
    seed: int, seconds: float
) -> None:
    plan = blows(seed, seconds)
    assert plan == sorted(plan, key=lambda blow: blow.at)
    for target in EVERY_SECONDS:
        own = [blow for blow in plan if blow.target == target]
        assert all(0 <= blow.at <= seconds - blow.down_seconds for blow in own)
        assert all(SHORTEST_SECONDS <= blow.down_seconds <= LONGEST_SECONDS for blow in own)
        for first, second in pairwise(own):
            assert second.at >= first.at + first.down_seconds + SOONEST_SECONDS - 0.02


@given(SEEDS)
def test_ten_minutes_strike_everything_again_and_again(seed: int) -> None:
    plan = blows(seed, 600)
    assert {blow.target for blow in plan} == set(EVERY_SECONDS)
    assert 20 < len(plan) < 120


def test_some_blows_only_freeze() -> None:
    plan = blows(1, 3600, freeze_ratio=0.3)
    assert 0.2 < sum(blow.freezes for blow in plan) / len(plan) < 0.4
    assert not any(blow.freezes for blow in plan if blow.target == "backend")
    assert [replace(blow, freezes=False) for blow in plan] == blows(1, 3600, freeze_ratio=0)


def test_outages_overlap_sometimes() -> None:
    plan = blows(1, 600)
    assert any(second.at < first.at + first.down_seconds for first, second in pairwise(plan))


@given(SEEDS, LENGTHS)
def test_what_is_to_sound_is_scheduled_well_before_and_leaves_the_end_quiet(
    seed: int, seconds: float
) -> None:
    plan = airings(seed, seconds, 4)
    assert plan == sorted(plan, key=lambda airing: (airing.asked_at, airing.at))
    for airing in plan:
        assert LEAD_SECONDS[0] <= airing.at - airing.asked_at <= LEAD_SECONDS[1] + 3
        assert airing.at <= seconds - QUIET_SECONDS + 3
        assert 0 <= airing.bulletin < 4
    times = [airing.at for airing in plan if not airing.priority]
    assert plan == [] or len(times) >= seconds / 60 - 1
