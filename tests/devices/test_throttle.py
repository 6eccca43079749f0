from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast.devices import throttle
from broadcast.devices.throttle import BURST, PER_SECOND, Flood, Throttle


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 400))
def test_no_more_than_the_burst_and_the_rate_ever_pass(gaps: list[float], at_once: int) -> None:
    gate, now, passed = Throttle(), 0.0, 0
    for gap in gaps:
        now += gap
        passed += sum(gate.admit(("A", "heartbeat"), now) for _ in range(at_once))
    assert passed <= BURST + PER_SECOND * now + 1


def test_an_honest_device_is_never_held_up() -> None:
    gate = Throttle()
    assert all(gate.admit(("A", "heartbeat"), 60.0 * n) for n in range(5000))
    assert gate.news(300_000) == []


def test_a_flood_is_named_once_and_ends_when_it_is_over() -> None:
    gate = Throttle()
    passed = sum(gate.admit(("A", "heartbeat"), 1.0) for _ in range(3 * BURST))
    assert passed == BURST
    assert gate.news(1.0) == [Flood("A", "heartbeat", began=True)]
    assert gate.news(2.0) == []
    assert gate.news(1.0 + BURST / PER_SECOND) == [Flood("A", "heartbeat", began=False)]


def test_a_flood_holds_up_neither_other_kinds_nor_other_devices() -> None:
    gate = Throttle()
    for _ in range(3 * BURST):
        gate.admit(("A", "heartbeat"), 1.0)
    assert gate.admit(("A", "playback"), 1.0)
    assert gate.admit(("B", "heartbeat"), 1.0)


def test_invented_names_do_not_fill_the_memory() -> None:
    gate = Throttle()
    for _ in range(2 * BURST):
        gate.admit(("A", "heartbeat"), 0.0)
    for number in range(3 * throttle.REMEMBERED):
        gate.admit((f"invented-{number}", "heartbeat"), 0.0)
    assert len(gate._full_at) <= throttle.REMEMBERED
    assert not gate.admit(("A", "heartbeat"), 0.0)
