from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast.ingest import throttle
from broadcast.ingest.throttle import BURST, PER_SECOND, Flood, Throttle


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 400))
def test_no_more_than_the_burst_and_the_rate_ever_pass(gaps: list[float], at_once: int) -> None:
    gate, now, passed = Throttle(), 0.0, 0
    for gap in gaps:
        now += gap
        passed += sum(gate.admit("A", "heartbeat", now) for _ in range(at_once))
    assert passed <= BURST + PER_SECOND * now + 1


def test_an_honest_device_is_never_held_up() -> None:
    gate = Throttle()
    assert all(gate.admit("A", "heartbeat", 60.0 * n) for n in range(5000))
    assert gate.changes(300_000) == []


def test_a_flood_is_named_once_and_ends_when_it_is_over() -> None:
    gate = Throttle()
    passed = sum(gate.admit("A", "heartbeat", 1.0) for _ in range(3 * BURST))
    assert passed == BURST
    assert gate.changes(1.0) == [Flood("A", began=True)]
    assert gate.changes(2.0) == []
    assert gate.changes(1.0 + BURST / PER_SECOND) == [Flood("A", began=False)]


def test_a_flood_holds_up_neither_other_kinds_nor_other_devices() -> None:
    gate = Throttle()
    for _ in range(3 * BURST):
        gate.admit("A", "heartbeat", 1.0)
    assert gate.admit("A", "playback", 1.0)
    assert gate.admit("B", "heartbeat", 1.0)


def test_invented_names_do_not_fill_the_memory() -> None:
    gate = Throttle()
    for _ in range(2 * BURST):
        gate.admit("A", "heartbeat", 0.0)
    for number in range(3 * throttle.REMEMBERED):
        gate.admit(f"invented-{number}", "heartbeat", 0.0)
    assert sum(len(buckets) for buckets in gate._full_at.values()) <= throttle.REMEMBERED
    assert not gate.admit("A", "heartbeat", 0.0)


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=20), st.integers(1, 50))
def test_a_sender_is_counted_whatever_names_it_makes_up(names: list[str], rounds: int) -> None:
    """Random event names passed once: each had a bucket of its own."""
    gate, passed = Throttle(), 0
    for number in range(rounds * 200):
        passed += gate.admit("A", f"{names[number % len(names)]}{number}", 1.0)
    assert passed <= BURST
    assert len(gate._full_at["report"]) == 1


def test_a_sender_makes_no_more_rows_in_an_hour_than_stated() -> None:
    """Reports are kept for months: 1,000 at once and 120 an hour of them, whatever they are."""
    gate, kinds = Throttle(), ("boot", "fault", "refusal", "command_result", "gone", "readiness")
    passed = sum(gate.admit("A", kinds[number % 6], number / 10) for number in range(10 * 3600))
    assert passed <= BURST + 120 + 1


def test_records_of_a_journal_are_counted_and_not_its_messages() -> None:
    gate, records = Throttle(), 0
    for second in range(3600):
        for _ in range(3):
            if gate.admit("A", "playback", second) and gate.admit("A", "playback", second, 99):
                records += 100
    assert records <= 20 * BURST + 2 * 3600 + 100


def test_a_message_that_costs_more_than_the_bucket_holds_is_paid_off() -> None:
    gate = Throttle()
    assert gate.admit("A", "boot", 0.0, 2 * BURST)
    assert not gate.admit("A", "boot", 0.0)
    assert gate.admit("A", "heartbeat", 0.0)
    assert gate.changes(0.0) == [Flood("A", began=True)]
    assert not gate.admit("A", "boot", 30.0 * BURST)
    assert gate.admit("A", "boot", 30.0 * BURST + 60)
