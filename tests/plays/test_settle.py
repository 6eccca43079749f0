from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.plays.settle import (
    Circumstances,
    Facts,
    PlayState,
    Reason,
    Report,
    Settlement,
    reason_of_silence,
    settle,
)
from broadcast.wire.events import EndReason, SkipReason
from broadcast.wire.fields import OnPreempt
from tests.devices.fleet import EIGHT, MINUTE, SECOND

WAIT = timedelta(minutes=15)
FACTS = Facts(
    starts_at=EIGHT, ends_by=EIGHT + 5 * MINUTE, on_preempt=OnPreempt.RESUME, audio_seconds=120.0
)
SOON = EIGHT + 5 * MINUTE + WAIT - SECOND
LATE = EIGHT + 5 * MINUTE + WAIT

GOOD = Circumstances(
    device_id=7, published=True, received=True, reachable=True, online=True, online_now=True,
    listening=True, cold_boot=False, outage=None, refused=False, readiness="ready",
    faults=frozenset(),
)  # fmt: skip


def started(seq: int, second: float = 0, offset: float = 0, **more: Any) -> Report:
    return report("started", seq, second, offset_seconds=offset, **more)


def ended(
    seq: int, second: float, played: float, reason: str = "completed", **more: Any
) -> Report:
    return report("ended", seq, second, played_seconds=played, reason=reason, **more)


def skipped(seq: int, reason: str, second: float = 60, **more: Any) -> Report:
    return report("skipped", seq, second, reason=reason, **more)


def report(event: str, seq: int, second: float, **more: Any) -> Report:
    at = EIGHT + second * SECOND
    fields: dict[str, Any] = {"device_id": 7, "journal_id": "j", "received_at": at} | more
    return Report(event=event, seq=seq, at=at, **fields)


def outcome(*reports: Report, now: Any = SOON, **more: Any) -> tuple[PlayState, str]:
    settlement = settle(replace(FACTS, reports=reports, **more), now, WAIT)
    return settlement.state, settlement.reason


PLAYED = (PlayState.PLAYED, "")
PLAYING = (PlayState.PLAYING, "")


@pytest.mark.parametrize(
    ("reports", "soon", "late"),
    [
        pytest.param([started(1)], PLAYING, (PlayState.PARTIAL, "no_end"), id="no end yet"),
        pytest.param([started(1), ended(2, 120, 120)], PLAYED, PLAYED, id="completed"),
        pytest.param([ended(2, 120, 120)], PLAYED, PLAYED, id="start still on its way"),
        pytest.param(
            [started(1), ended(2, 115, 114, "ends_by")], PLAYED, PLAYED, id="95 % is enough"
        ),
        pytest.param(
            [started(1), ended(2, 115, 113.9, "ends_by")],
            (PlayState.PARTIAL, "ends_by"), (PlayState.PARTIAL, "ends_by"), id="less is partial",
        ),
        pytest.param(
            [started(1), ended(2, 50, 50, "preempted")],
            PLAYING, (PlayState.PREEMPTED, "preempted"), id="pre-empted, may resume",
        ),
        pytest.param(
            [started(1), ended(2, 50, 50, "preempted"), started(3, 90, 50), ended(4, 160, 120)],
            PLAYED, PLAYED, id="pre-empted and resumed",
        ),
        pytest.param(
            [started(1), ended(2, 50, 50, "preempted"), skipped(3, "late", 299)],
            (PlayState.PREEMPTED, "preempted"), (PlayState.PREEMPTED, "preempted"),
            id="pre-empted, gave up resuming",
        ),
        pytest.param(
            [started(1), ended(2, 50, 50, "power_cut")],
            PLAYING, (PlayState.PARTIAL, "power_cut"), id="power cut, may resume",
        ),
        pytest.param(
            [started(1), ended(2, 50, 50, "local_override")],
            (PlayState.PARTIAL, "local_override"), (PlayState.PARTIAL, "local_override"),
            id="somebody took the loudspeaker",
        ),
        pytest.param(
            [started(1), ended(2, 9, 9, "decode_error")],
            (PlayState.PARTIAL, "decode_error"), (PlayState.PARTIAL, "decode_error"), id="broken",
        ),
        pytest.param(
            [skipped(1, "late")], (PlayState.MISSED, "late"), (PlayState.MISSED, "late"), id="late"
        ),
        pytest.param(
            [skipped(1, "no_audio"), started(2, 30), ended(3, 150, 120)],
            PLAYED, PLAYED, id="sound speaks before any skip",
        ),
    ],
)  # fmt: skip
def test_journal_tells_what_became_of_a_play(reports: Any, soon: Any, late: Any) -> None:
    assert outcome(*reports) == soon
    assert outcome(*reports, now=LATE, circumstances=GOOD) == late


def test_item_that_is_dropped_when_preempted_is_over_at_once() -> None:
    reports = [started(1), ended(2, 50, 50, "preempted")]
    assert outcome(*reports, on_preempt=OnPreempt.DROP) == (PlayState.PREEMPTED, "preempted")


def test_stream_of_unknown_length_is_played_when_completed_only() -> None:
    cut = [started(1), ended(2, 299, 299, "ends_by")]
    assert outcome(*cut, audio_seconds=None) == (PlayState.PARTIAL, "ends_by")


def test_without_a_word_a_play_waits_and_then_is_missed() -> None:
    assert outcome() == (PlayState.PLANNED, "")
    assert outcome(now=LATE, circumstances=replace(GOOD, online=False)) == (
        PlayState.MISSED,
        "offline",
    )
    assert outcome(now=LATE) == (PlayState.MISSED, "unexplained")


def test_cancelled_play_that_sounded_is_not_cancelled() -> None:
    assert outcome(cancelled="withdrawn") == (PlayState.CANCELLED, "withdrawn")
    assert outcome(skipped(1, "late"), cancelled="x") == (PlayState.CANCELLED, "x")
    sounded = [started(1), ended(2, 10, 10, "withdrawn")]
    assert outcome(*sounded, cancelled="withdrawn") == (PlayState.PARTIAL, "withdrawn")


def test_settlement_measures_start_end_and_seconds() -> None:
    reports = [
        started(1, 0.8), ended(2, 50, 49.2, "preempted"),
        started(3, 90, 49.2), ended(4, 161, 120, evidence="amplifier"),
    ]  # fmt: skip
    assert settle(replace(FACTS, reports=reports), SOON, WAIT) == Settlement(
        state=PlayState.PLAYED,
        device_id=7,
        started_at=EIGHT + 0.8 * SECOND,
        ended_at=EIGHT + 161 * SECOND,
        played_seconds=120,
        start_error_ms=800,
        fresh_starts=1,
        evidence="amplifier",
    )


def test_clock_that_was_wrong_by_years_does_not_overflow() -> None:
    reports = [started(1, -50 * 365 * 86_400)]
    error = settle(replace(FACTS, reports=reports), SOON, WAIT).start_error_ms
    assert error == -(2**31 - 1)


@pytest.mark.parametrize(
    ("reports", "count"),
    [
        ([started(1)], 1),
        ([started(1), started(2, 30)], 2),
        ([started(1), ended(2, 5, 5, "preempted"), started(3, 30)], 2),
        ([started(1), ended(2, 5, 5, "preempted"), started(3, 30, 5)], 1),
        ([started(1), ended(2, 0.1, 0.1, "preempted"), started(3, 30)], 1),
        ([started(1), started(1, journal_id="k")], 2),
    ],
)
def test_beginning_heard_twice_is_counted(reports: Any, count: int) -> None:
    assert settle(replace(FACTS, reports=reports), SOON, WAIT).fresh_starts == count


UNHEARD = {"received": False, "readiness": None}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, Reason.UNEXPLAINED),
        ({"device_id": None}, Reason.NO_DEVICE),
        ({**UNHEARD, "published": False, "online": False}, Reason.NOT_PUBLISHED),
        (UNHEARD, Reason.NOT_RECEIVED),
        ({**UNHEARD, "refused": True}, Reason.REFUSED),
        ({**UNHEARD, "reachable": False, "online": False}, Reason.OFFLINE),
        ({"received": False}, Reason.UNEXPLAINED),
        ({"online": False}, Reason.OFFLINE),
        ({"online_now": False}, Reason.OFFLINE),
        ({"online": False, "listening": False}, Reason.SERVER_AWAY),
        ({"online": False, "cold_boot": True}, Reason.POWERED_OFF),
        ({"online": False, "outage": "power_cut"}, Reason.POWERED_OFF),
        ({"online": False, "faults": frozenset({"power_lost"})}, Reason.POWERED_OFF),
        ({"online": False, "outage": "maintenance"}, Reason.MAINTENANCE),
        ({"outage": "maintenance"}, Reason.UNEXPLAINED),
        ({"readiness": None}, Reason.NOT_READY),
        ({"readiness": "waiting"}, Reason.NOT_READY),
        ({"readiness": "bad_audio"}, Reason.BAD_AUDIO),
        ({"readiness": "no_codec"}, Reason.NO_CODEC),
        ({"readiness": "storage_full"}, Reason.STORAGE_FULL),
        ({"faults": frozenset({"clock_untrusted"})}, Reason.CLOCK_UNTRUSTED),
        ({"faults": frozenset({"clock_wrong"})}, Reason.CLOCK_WRONG),
        ({"faults": frozenset({"local_override"})}, Reason.LOCAL_OVERRIDE),
        ({"faults": frozenset({"hot", "line_open"})}, Reason.UNEXPLAINED),
    ],
)
def test_silence_has_its_nearest_cause(change: Any, reason: Reason) -> None:
    assert reason_of_silence(replace(GOOD, **change)) is reason


def test_every_reason_of_the_wire_is_a_reason_of_the_ledger() -> None:
    known = {reason.value for reason in Reason}
    assert {reason.value for reason in SkipReason} <= known
    assert {reason.value for reason in EndReason} - {"completed"} <= known


REPORTS = st.one_of(
    st.builds(started, st.integers(1, 9), st.integers(0, 300), st.sampled_from([0.0, 5.0, 40.0])),
    st.builds(
        ended,
        st.integers(1, 9),
        st.integers(0, 300),
        st.floats(0, 120),
        st.sampled_from([reason.value for reason in EndReason]),
    ),
    st.builds(skipped, st.integers(1, 9), st.sampled_from([r.value for r in SkipReason])),
)
JOURNALS = st.lists(REPORTS, max_size=9, unique_by=lambda report: report.seq)


@given(JOURNALS, JOURNALS, st.booleans(), st.sampled_from(OnPreempt), st.data())
def test_order_of_reports_does_not_matter(
    one: Any, other: Any, over: bool, on_preempt: OnPreempt, data: st.DataObject
) -> None:
    reports = [*one, *(replace(report, journal_id="k") for report in other)]
    facts = replace(FACTS, on_preempt=on_preempt, circumstances=GOOD)
    shuffled = data.draw(st.permutations(reports))
    now = LATE if over else SOON
    settled = settle(replace(facts, reports=reports), now, WAIT)
    assert settle(replace(facts, reports=shuffled), now, WAIT) == settled
    if over:
        assert settled.state not in {PlayState.PLANNED, PlayState.PLAYING}
        if settled.state is not PlayState.PLAYED:
            assert settled.reason


AROUNDS = st.builds(
    Circumstances,
    device_id=st.sampled_from([None, 7]),
    outage=st.sampled_from([None, "power_cut"]),
    readiness=st.sampled_from([None, "ready", "waiting"]),
    faults=st.just(frozenset()),
)


@given(AROUNDS)
def test_unexplained_means_that_nothing_is_known_to_be_wrong(circumstances: Circumstances) -> None:
    if reason_of_silence(circumstances) is Reason.UNEXPLAINED:
        assert circumstances.device_id is not None
        assert circumstances.online
        assert circumstances.online_now
        assert circumstances.published
        assert circumstances.readiness != "waiting"
