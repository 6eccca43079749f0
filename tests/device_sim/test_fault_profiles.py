"""Faults are drawn from seed, device and time, and from nothing else."""

from __future__ import annotations

import pytest

from device_sim.faults import ALL, CHAOS, NONE, PROFILES, SLOT_SECONDS, WEAK_LINK, Faults, Trouble


def week(faults: Faults, device_id: str = "d1") -> list[Trouble]:
    slots = int(7 * 86_400 / SLOT_SECONDS)
    return [trouble for slot in range(slots) for trouble in faults.troubles(device_id, slot)]


def test_the_same_seed_is_the_same_run_and_another_is_not() -> None:
    assert week(Faults(ALL, 7)) == week(Faults(ALL, 7))
    assert week(Faults(ALL, 7)) != week(Faults(ALL, 8))
    assert week(Faults(ALL, 7), "d1") != week(Faults(ALL, 7), "d2")


def test_nothing_goes_wrong_without_faults() -> None:
    faults = Faults(NONE, 1)
    assert not week(faults)
    assert {faults.copies("d1", "up", n) for n in range(1000)} == {1}
    assert faults.corrupted("d1", b"block", 3) == b"block"
    assert faults.skew_seconds("d1") == 0
    assert faults.has_ntp("d1")
    assert faults.storage_bytes("d1", 5) == 5


def test_troubles_come_as_often_as_the_profile_says_and_within_their_slot() -> None:
    faults = Faults(WEAK_LINK, 1)
    found = week(faults)
    assert 0.8 < sum(t.kind == "disconnect" for t in found) / (7 * 24 * 6) < 1.2
    for slot in range(200):
        for trouble in faults.troubles("d1", slot):
            assert slot * SLOT_SECONDS <= trouble.at < (slot + 1) * SLOT_SECONDS
            assert trouble.seconds > 0


def test_a_scaled_run_has_the_same_outages_faster_and_shorter() -> None:
    plain, scaled = week(Faults(WEAK_LINK, 1)), week(Faults(WEAK_LINK, 1, scale=4))
    assert 3 < len(scaled) / len(plain) < 5
    assert max(t.seconds for t in scaled) <= WEAK_LINK.offline_seconds / 4
    assert max(t.seconds for t in plain) > WEAK_LINK.offline_seconds / 4


def test_messages_are_lost_and_repeated_as_often_as_the_profile_says() -> None:
    faults = Faults(WEAK_LINK, 1)
    copies = [faults.copies("d1", "down", n) for n in range(20_000)]
    assert 0.015 < copies.count(0) / len(copies) < 0.025
    assert 0.015 < copies.count(2) / len(copies) < 0.025


def test_a_corrupt_block_differs_in_one_byte() -> None:
    faults = Faults(WEAK_LINK, 1)
    block = bytes(1000)
    spoilt = [faults.corrupted("d1", block, n) for n in range(20_000)]
    broken = [b for b in spoilt if b != block]
    assert 0.003 < len(broken) / len(spoilt) < 0.007
    assert all(len(b) == 1000 and sum(x != 0 for x in b) == 1 for b in broken)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_can_be_asked_for(name: str) -> None:
    assert week(Faults(PROFILES[name], 1)) or name == "none"


def test_messages_overtake_one_another_as_often_as_the_profile_says() -> None:
    faults = Faults(CHAOS, 1)
    late = [faults.held_back("d1", "up", n) for n in range(20_000)]
    assert 0.045 < sum(each > 0 for each in late) / len(late) < 0.055
    assert max(late) <= CHAOS.delayed_seconds
    assert late != [faults.held_back("d1", "up", n, copy=1) for n in range(20_000)]
    assert not any(Faults(WEAK_LINK, 1).held_back("d1", "up", n) for n in range(1000))


def test_clocks_are_set_wrong_by_seconds_and_by_hours() -> None:
    steps = [abs(t.seconds) for t in week(Faults(CHAOS, 1)) if t.kind == "clock_step"]
    assert sum(seconds < 60 for seconds in steps) > 100
    assert sum(seconds > 3600 for seconds in steps) > 100


def test_a_calmed_run_leaves_devices_what_they_are_and_does_nothing_to_them() -> None:
    faults = Faults(CHAOS, 1)
    calm = faults.calmed()
    names = [f"d{n}" for n in range(300)]
    assert [calm.has_ntp(name) for name in names] == [faults.has_ntp(name) for name in names]
    assert not calm.any
    assert not week(calm)
    assert {calm.copies("d1", "up", n) for n in range(1000)} == {1}
    assert not any(calm.held_back("d1", "down", n) for n in range(1000))
