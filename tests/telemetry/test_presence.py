from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.config import Rules
from broadcast.telemetry.heartbeats import presence_thresholds
from broadcast.telemetry.presence import (
    Listening,
    Presence,
    PresenceThresholds,
    PresenceTransition,
    State,
    after_last_will,
    after_message,
    after_silence,
    listen,
)
from tests.devices.fleet import EIGHT, MINUTE, SECOND, THRESHOLDS

ALWAYS = Listening(EIGHT - 24 * 60 * MINUTE, EIGHT)
ONLINE = State(
    Presence.ONLINE, EIGHT - 60 * MINUTE, session=5, seq=60, gone=False,
    last_seen_at=EIGHT, silent_after=EIGHT + 150 * SECOND,
)  # fmt: skip
SILENT = replace(ONLINE, presence=Presence.SILENT, since=EIGHT + 150 * SECOND)
OFFLINE = replace(ONLINE, presence=Presence.OFFLINE, since=EIGHT + 10 * MINUTE)


def test_first_message_brings_a_device_online() -> None:
    state, transition = after_message(None, 1, 0, EIGHT, THRESHOLDS, "boot")
    assert transition == PresenceTransition(Presence.ONLINE, EIGHT, "boot")
    assert (state.session, state.seq, state.silent_after) == (1, 0, EIGHT + 150 * SECOND)


@pytest.mark.parametrize(
    ("session", "seq", "at", "taken"),
    [
        pytest.param(5, 61, EIGHT + MINUTE, True, id="next heartbeat"),
        pytest.param(6, 0, EIGHT + SECOND, True, id="next session"),
        pytest.param(5, 60, EIGHT + MINUTE, False, id="repetition"),
        pytest.param(5, 59, EIGHT + MINUTE, False, id="overtaken in its session"),
        pytest.param(4, 99, EIGHT + MINUTE, False, id="rest of an ended session"),
        pytest.param(1, 0, EIGHT + 151 * SECOND, True, id="lost its counter, newer one silent"),
        pytest.param(2**53 - 1, 0, EIGHT + SECOND, True, id="the last number there is"),
    ],
)
def test_only_news_moves_the_state(session: int, seq: Any, at: Any, taken: Any) -> None:
    state, transition = after_message(ONLINE, session, seq, at, THRESHOLDS, "heartbeat")
    assert transition is None
    if taken:
        assert (state.session, state.seq, state.last_seen_at) == (session, seq, at)
        assert state.silent_after == at + 150 * SECOND
    else:
        assert state is ONLINE


def test_impossible_session_number_makes_a_device_deaf_for_one_silence_only() -> None:
    """Said by a hostile box or a flipped bit; the device's own numbers stay below it for ever."""
    last, _ = after_message(ONLINE, 2**53 - 1, 2**53 - 1, EIGHT, THRESHOLDS, "heartbeat")
    state, _ = after_message(last, 6, 0, EIGHT + MINUTE, THRESHOLDS, "boot")
    assert state is last
    state, _ = after_message(last, 6, 3, EIGHT + 151 * SECOND, THRESHOLDS, "heartbeat")
    assert (state.session, state.seq) == (6, 3)


def test_message_that_waited_moves_last_seen_never_back() -> None:
    state, _ = after_message(ONLINE, 5, 61, EIGHT - MINUTE, THRESHOLDS, "heartbeat")
    assert (state.seq, state.last_seen_at) == (61, EIGHT)


@pytest.mark.parametrize("before", [SILENT, OFFLINE])
def test_silent_or_offline_device_that_speaks_is_online_from_then(before: Any) -> None:
    at = EIGHT + 20 * MINUTE
    state, transition = after_message(before, 5, 61, at, THRESHOLDS, "heartbeat")
    assert transition == PresenceTransition(Presence.ONLINE, at, "heartbeat")
    assert (state.presence, state.since) == (Presence.ONLINE, at)


def test_message_from_before_the_silence_does_not_bring_back() -> None:
    state, transition = after_message(OFFLINE, 5, 61, EIGHT + MINUTE, THRESHOLDS, "heartbeat")
    assert transition is None
    assert (state.presence, state.seq) == (Presence.OFFLINE, 61)


def test_return_is_never_dated_before_the_flip_it_ends() -> None:
    _, transition = after_message(SILENT, 5, 61, EIGHT + 149 * SECOND, THRESHOLDS, "heartbeat")
    assert transition is not None
    assert transition.happened_at == SILENT.since


def test_last_will_shortens_the_wait() -> None:
    state = after_last_will(ONLINE, 5, EIGHT + 10 * SECOND, THRESHOLDS)
    assert state is not None
    assert (state.gone, state.silent_after) == (True, EIGHT + 40 * SECOND)
    assert state.presence is Presence.ONLINE


@pytest.mark.parametrize("session", [4, 6])
def test_last_will_of_another_session_changes_nothing(session: int) -> None:
    assert after_last_will(ONLINE, session, EIGHT, THRESHOLDS) is ONLINE


def test_last_will_of_a_device_never_heard_changes_nothing() -> None:
    assert after_last_will(None, 1, EIGHT, THRESHOLDS) is None


def test_device_that_is_back_before_the_wait_ends_never_flips() -> None:
    state = after_last_will(ONLINE, 5, EIGHT, THRESHOLDS)
    back, transition = after_message(state, 6, 0, EIGHT + 20 * SECOND, THRESHOLDS, "boot")
    assert transition is None
    assert after_last_will(back, 5, EIGHT + 45 * SECOND, THRESHOLDS) is back
    assert after_silence(back, replace(ALWAYS, until=EIGHT + MINUTE), THRESHOLDS)[1] == []


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (149 * SECOND, []),
        (150 * SECOND, [PresenceTransition(Presence.SILENT, EIGHT + 150 * SECOND, "silence")]),
        (599 * SECOND, [PresenceTransition(Presence.SILENT, EIGHT + 150 * SECOND, "silence")]),
        (
            3600 * SECOND,
            [
                PresenceTransition(Presence.SILENT, EIGHT + 150 * SECOND, "silence"),
                PresenceTransition(Presence.OFFLINE, EIGHT + 10 * MINUTE, "silence"),
            ],
        ),
    ],
)
def test_silence_flips_when_it_happened_not_when_noticed(until: Any, expected: Any) -> None:
    state, transitions = after_silence(ONLINE, replace(ALWAYS, until=EIGHT + until), THRESHOLDS)
    assert transitions == expected
    if expected:
        assert (state.presence, state.since) == (expected[-1].presence, expected[-1].happened_at)


def test_silence_after_a_last_will_says_so() -> None:
    state = after_last_will(ONLINE, 5, EIGHT + 10 * SECOND, THRESHOLDS)
    assert state is not None
    _, transitions = after_silence(state, replace(ALWAYS, until=EIGHT + MINUTE), THRESHOLDS)
    assert transitions == [PresenceTransition(Presence.SILENT, EIGHT + 40 * SECOND, "gone")]


def test_time_in_which_the_server_was_deaf_is_no_silence() -> None:
    back_at = EIGHT + 60 * MINUTE
    just_back = Listening(back_at, back_at + 149 * SECOND)
    assert after_silence(ONLINE, just_back, THRESHOLDS) == (ONLINE, [])
    waited = replace(just_back, until=back_at + 150 * SECOND)
    assert after_silence(ONLINE, waited, THRESHOLDS)[1] == [
        PresenceTransition(Presence.SILENT, back_at + 150 * SECOND, "silence")
    ]
    assert after_silence(SILENT, replace(waited, until=back_at + 9 * MINUTE), THRESHOLDS)[1] == []


@pytest.mark.parametrize(
    ("pause", "unbroken", "same"),
    [(5 * SECOND, True, True), (31 * SECOND, True, False), (5 * SECOND, False, False)],
)
def test_span_of_listening_ends_with_a_pause_or_a_broken_link(
    pause: Any, unbroken: Any, same: Any
) -> None:
    last = Listening(EIGHT - MINUTE, EIGHT)
    span = listen(last, EIGHT + pause, elapsed=pause, unbroken=unbroken)
    assert span.until == EIGHT + pause
    assert (span.started_at == last.started_at) is same


SPOKEN = st.tuples(st.integers(1, 3), st.integers(0, 5), st.integers(0, 1500))


@given(st.lists(SPOKEN), st.lists(st.integers(0, 3000)))
def test_flips_alternate_and_never_go_back_in_time(spoken: Any, sweeps: Any) -> None:
    """Whatever comes in whatever order, the history of a device is a history."""
    steps = [(second, session, seq) for session, seq, second in spoken]
    steps += [(second, 0, 0) for second in sweeps]
    state, transitions = None, []
    for second, session, seq in sorted(steps):
        at = EIGHT + timedelta(seconds=second)
        if session == 0:
            if state is not None:
                state, found = after_silence(state, Listening(EIGHT, at), THRESHOLDS)
                transitions += found
            continue
        state, transition = after_message(state, session, seq, at, THRESHOLDS, "heartbeat")
        transitions += [transition] if transition else []
    assert [f.happened_at for f in transitions] == sorted(f.happened_at for f in transitions)
    assert all(a.presence != b.presence for a, b in pairwise(transitions))
    if transitions:
        assert state is not None
        assert (state.presence, state.since) == (
            transitions[-1].presence,
            transitions[-1].happened_at,
        )


def test_thresholds_are_settings() -> None:
    rules = Rules(
        heartbeat_seconds=30, silent_after_intervals=4, offline_after=timedelta(minutes=20)
    )
    back = timedelta(seconds=330)
    assert presence_thresholds(Rules()) == replace(THRESHOLDS, returning=back)
    assert presence_thresholds(rules) == PresenceThresholds(
        silent=timedelta(minutes=2), offline=timedelta(minutes=20), returning=back
    )


def test_devices_may_take_their_time_to_come_back_after_a_standstill() -> None:
    patient = replace(THRESHOLDS, returning=timedelta(minutes=6))
    state, _ = after_message(None, 1, 1, EIGHT, patient, "heartbeat")
    back_at = EIGHT + timedelta(hours=1)
    early = Listening(back_at, back_at + timedelta(minutes=5))
    assert after_silence(state, early, patient) == (state, [])
    late = Listening(back_at, back_at + timedelta(minutes=7))
    _, (transition,) = after_silence(state, late, patient)
    assert (transition.presence, transition.happened_at) == (
        Presence.SILENT, back_at + timedelta(minutes=6),
    )  # fmt: skip
