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
    faults,
)

SEEDS = st.integers(0, 2**31)
LENGTHS = st.floats(30, 3600)


@given(SEEDS, LENGTHS)
def test_the_same_seed_is_the_same_run(seed: int, seconds: float) -> None:
    assert faults(seed, seconds) == faults(seed, seconds)
    assert airings(seed, seconds, 4) == airings(seed, seconds, 4)


def test_another_seed_is_another_run() -> None:
    assert len({tuple(faults(seed, 600)) for seed in range(20)}) == 20
    assert len({tuple(airings(seed, 600, 4)) for seed in range(20)}) == 20


@given(SEEDS, LENGTHS)
def test_every_target_is_back_before_it_is_struck_again_and_before_the_end(
    seed: int, seconds: float
) -> None:
    plan = faults(seed, seconds)
    assert plan == sorted(plan, key=lambda fault: fault.at)
    for target in EVERY_SECONDS:
        own = [fault for fault in plan if fault.target == target]
        assert all(0 <= fault.at <= seconds - fault.down_seconds for fault in own)
        assert all(SHORTEST_SECONDS <= fault.down_seconds <= LONGEST_SECONDS for fault in own)
        for first, second in pairwise(own):
            assert second.at >= first.at + first.down_seconds + SOONEST_SECONDS - 0.02


@given(SEEDS)
def test_ten_minutes_strike_everything_again_and_again(seed: int) -> None:
    plan = faults(seed, 600)
    assert {fault.target for fault in plan} == set(EVERY_SECONDS)
    assert 20 < len(plan) < 120


def test_some_blows_only_freeze() -> None:
    plan = faults(1, 3600, freeze_ratio=0.3)
    assert 0.2 < sum(fault.freezes for fault in plan) / len(plan) < 0.4
    assert not any(fault.freezes for fault in plan if fault.target == "backend")
    assert [replace(fault, freezes=False) for fault in plan] == faults(1, 3600, freeze_ratio=0)


def test_outages_overlap_sometimes() -> None:
    plan = faults(1, 600)
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
