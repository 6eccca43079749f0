from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.config import Rules
from broadcast.telemetry.heartbeats import patience
from broadcast.telemetry.presence import (
    Flip,
    Listening,
    Patience,
    Presence,
    State,
    gone,
    heard,
    listen,
    overdue,
)
from tests.devices.fleet import EIGHT, MINUTE, PATIENCE, SECOND

ALWAYS = Listening(EIGHT - 24 * 60 * MINUTE, EIGHT)
ONLINE = State(
    Presence.ONLINE, EIGHT - 60 * MINUTE, session=5, seq=60, gone=False,
    last_seen_at=EIGHT, silent_after=EIGHT + 150 * SECOND,
)  # fmt: skip
SILENT = replace(ONLINE, presence=Presence.SILENT, since=EIGHT + 150 * SECOND)
OFFLINE = replace(ONLINE, presence=Presence.OFFLINE, since=EIGHT + 10 * MINUTE)


def test_first_message_brings_a_device_online() -> None:
    state, flip = heard(None, 1, 0, EIGHT, PATIENCE, "boot")
    assert flip == Flip(Presence.ONLINE, EIGHT, "boot")
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
    state, flip = heard(ONLINE, session, seq, at, PATIENCE, "heartbeat")
    assert flip is None
    if taken:
        assert (state.session, state.seq, state.last_seen_at) == (session, seq, at)
        assert state.silent_after == at + 150 * SECOND
    else:
        assert state is ONLINE


def test_impossible_session_number_makes_a_device_deaf_for_one_silence_only() -> None:
    """Said by a hostile box or a flipped bit; the device's own numbers stay below it for ever."""
    last, _ = heard(ONLINE, 2**53 - 1, 2**53 - 1, EIGHT, PATIENCE, "heartbeat")
    state, _ = heard(last, 6, 0, EIGHT + MINUTE, PATIENCE, "boot")
    assert state is last
    state, _ = heard(last, 6, 3, EIGHT + 151 * SECOND, PATIENCE, "heartbeat")
    assert (state.session, state.seq) == (6, 3)


def test_message_that_waited_moves_last_seen_never_back() -> None:
    state, _ = heard(ONLINE, 5, 61, EIGHT - MINUTE, PATIENCE, "heartbeat")
    assert (state.seq, state.last_seen_at) == (61, EIGHT)


@pytest.mark.parametrize("before", [SILENT, OFFLINE])
def test_silent_or_offline_device_that_speaks_is_online_from_then(before: Any) -> None:
    at = EIGHT + 20 * MINUTE
    state, flip = heard(before, 5, 61, at, PATIENCE, "heartbeat")
    assert flip == Flip(Presence.ONLINE, at, "heartbeat")
    assert (state.presence, state.since) == (Presence.ONLINE, at)


def test_message_from_before_the_silence_does_not_bring_back() -> None:
    state, flip = heard(OFFLINE, 5, 61, EIGHT + MINUTE, PATIENCE, "heartbeat")
    assert flip is None
    assert (state.presence, state.seq) == (Presence.OFFLINE, 61)


def test_return_is_never_dated_before_the_flip_it_ends() -> None:
    _, flip = heard(SILENT, 5, 61, EIGHT + 149 * SECOND, PATIENCE, "heartbeat")
    assert flip is not None
    assert flip.happened_at == SILENT.since


def test_last_will_shortens_the_wait() -> None:
    state = gone(ONLINE, 5, EIGHT + 10 * SECOND, PATIENCE)
    assert state is not None
    assert (state.gone, state.silent_after) == (True, EIGHT + 40 * SECOND)
    assert state.presence is Presence.ONLINE


@pytest.mark.parametrize("session", [4, 6])
def test_last_will_of_another_session_changes_nothing(session: int) -> None:
    assert gone(ONLINE, session, EIGHT, PATIENCE) is ONLINE


def test_last_will_of_a_device_never_heard_changes_nothing() -> None:
    assert gone(None, 1, EIGHT, PATIENCE) is None


def test_device_that_is_back_before_the_wait_ends_never_flips() -> None:
    state = gone(ONLINE, 5, EIGHT, PATIENCE)
    back, flip = heard(state, 6, 0, EIGHT + 20 * SECOND, PATIENCE, "boot")
    assert flip is None
    assert gone(back, 5, EIGHT + 45 * SECOND, PATIENCE) is back
    assert overdue(back, replace(ALWAYS, until=EIGHT + MINUTE), PATIENCE)[1] == []


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (149 * SECOND, []),
        (150 * SECOND, [Flip(Presence.SILENT, EIGHT + 150 * SECOND, "silence")]),
        (599 * SECOND, [Flip(Presence.SILENT, EIGHT + 150 * SECOND, "silence")]),
        (
            3600 * SECOND,
            [
                Flip(Presence.SILENT, EIGHT + 150 * SECOND, "silence"),
                Flip(Presence.OFFLINE, EIGHT + 10 * MINUTE, "silence"),
            ],
        ),
    ],
)
def test_silence_flips_when_it_happened_not_when_noticed(until: Any, expected: Any) -> None:
    state, flips = overdue(ONLINE, replace(ALWAYS, until=EIGHT + until), PATIENCE)
    assert flips == expected
    if expected:
        assert (state.presence, state.since) == (expected[-1].presence, expected[-1].happened_at)


def test_silence_after_a_last_will_says_so() -> None:
    state = gone(ONLINE, 5, EIGHT + 10 * SECOND, PATIENCE)
    assert state is not None
    _, flips = overdue(state, replace(ALWAYS, until=EIGHT + MINUTE), PATIENCE)
    assert flips == [Flip(Presence.SILENT, EIGHT + 40 * SECOND, "gone")]


def test_time_in_which_the_server_was_deaf_is_no_silence() -> None:
    back_at = EIGHT + 60 * MINUTE
    just_back = Listening(back_at, back_at + 149 * SECOND)
    assert overdue(ONLINE, just_back, PATIENCE) == (ONLINE, [])
    waited = replace(just_back, until=back_at + 150 * SECOND)
    assert overdue(ONLINE, waited, PATIENCE)[1] == [
        Flip(Presence.SILENT, back_at + 150 * SECOND, "silence")
    ]
    assert overdue(SILENT, replace(waited, until=back_at + 9 * MINUTE), PATIENCE)[1] == []


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
    state, flips = None, []
    for second, session, seq in sorted(steps):
        at = EIGHT + timedelta(seconds=second)
        if session == 0:
            if state is not None:
                state, found = overdue(state, Listening(EIGHT, at), PATIENCE)
                flips += found
            continue
        state, flip = heard(state, session, seq, at, PATIENCE, "heartbeat")
        flips += [flip] if flip else []
    assert [f.happened_at for f in flips] == sorted(f.happened_at for f in flips)
    assert all(a.presence != b.presence for a, b in pairwise(flips))
    if flips:
        assert state is not None
        assert (state.presence, state.since) == (flips[-1].presence, flips[-1].happened_at)


def test_thresholds_are_settings() -> None:
    rules = Rules(
        heartbeat_seconds=30, silent_after_intervals=4, offline_after=timedelta(minutes=20)
    )
    back = timedelta(seconds=330)
    assert patience(Rules()) == replace(PATIENCE, returning=back)
    assert patience(rules) == Patience(
        silent=timedelta(minutes=2), offline=timedelta(minutes=20), returning=back
    )


def test_devices_may_take_their_time_to_come_back_after_a_standstill() -> None:
    patient = replace(PATIENCE, returning=timedelta(minutes=6))
    state, _ = heard(None, 1, 1, EIGHT, patient, "heartbeat")
    back_at = EIGHT + timedelta(hours=1)
    early = Listening(back_at, back_at + timedelta(minutes=5))
    assert overdue(state, early, patient) == (state, [])
    late = Listening(back_at, back_at + timedelta(minutes=7))
    _, (flip,) = overdue(state, late, patient)
    assert (flip.presence, flip.happened_at) == (
        Presence.SILENT, back_at + timedelta(minutes=6),
    )  # fmt: skip
