"""Presence while the server's clock is set to and fro, and while server or broker are away.

True time runs by seconds; the server reads a clock that is set now and then; devices send on true
time. The inbound path and the sweep are played with the pure rules, as `ingest` and `sweep` call
them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.telemetry.online_minutes import happened_at
from broadcast.telemetry.presence import (
    CLOCK_SET,
    LAPSE,
    Listening,
    Presence,
    PresenceTransition,
    State,
    after_last_will,
    after_message,
    after_silence,
    clamped,
    lies_ahead,
    listen,
)
from tests.devices.fleet import EIGHT, MINUTE, SECOND, THRESHOLDS
from tests.examples import examples

HOUR = 3600
SETTLED = 5
"""Seconds of a connection after which it counts as live."""


@dataclass
class Server:
    """Ingest and sweep of one device's messages."""

    offset: int = 0
    """Server's clock minus true time, seconds."""
    state: State | None = None
    transitions: list[PresenceTransition] = field(default_factory=list)
    waiting: deque[tuple[int, datetime]] = field(default_factory=deque)
    """At the broker or on the device: sequence number and time of sending."""
    spans: dict[datetime, Listening] = field(default_factory=dict)
    trusted: bool = True
    """The device trusts its clock."""
    _span: Listening | None = None
    _span_second: int = 0
    _connected_since: int | None = None

    def reads(self, second: int) -> datetime:
        return EIGHT + (second + self.offset) * SECOND

    def away(self) -> None:
        """Server or broker are away: the next connection is another one."""
        self._connected_since = None

    def turn(self, second: int) -> None:
        """Take what waits, note that it was listened, sweep."""
        if self._connected_since is None:
            self._connected_since, self._span = second, None
        now = self.reads(second)
        elapsed = (second - self._span_second) * SECOND
        live = self._span is not None and elapsed <= LAPSE
        while self.waiting:
            seq, sent_at = self.waiting.popleft()
            at = now if live else happened_at(sent_at, now, trusted=self.trusted)
            known = self.state and clamped(self.state, now, THRESHOLDS)
            self.state, transition = after_message(known, 1, seq, at, THRESHOLDS, "heartbeat")
            self.transitions += [transition] if transition else []
        if second >= self._connected_since + SETTLED:
            self._span = listen(self._span, now, elapsed=elapsed, unbroken=True)
            self._span_second = second
            before = self.spans.get(self._span.started_at, self._span)
            until = max(before.until, self._span.until)
            self.spans[self._span.started_at] = replace(self._span, until=until)
        self.sweep(second)

    def sweep(self, second: int) -> None:
        now = self.reads(second)
        span = next(reversed(self.spans.values()), None)  # the last one begun
        if self.state is not None and span is not None and not lies_ahead(span, now):
            self.state, found = after_silence(
                clamped(self.state, now, THRESHOLDS), span, THRESHOLDS
            )
            self.transitions += found


Steps = list[tuple[int, int]]
"""When the clock is set, and by how much, in seconds."""
Absences = list[tuple[int, int, bool]]
"""From when, how long, and whether the process itself stands still with its connection open."""

SET = st.sampled_from([HOUR, -HOUR, 120, -120, 40, -40, 7, -7, 3, -3, 86_400, -86_400])
STEPS = st.lists(st.tuples(st.integers(200, 3000), SET), max_size=3)
BOTH = st.builds(
    lambda at, then, first: [(at, first), (at + then, -first)],
    st.integers(200, 2000), st.integers(1, 1000), SET,
)  # fmt: skip
ABSENCES = st.lists(
    st.tuples(st.integers(200, 3000), st.integers(1, 900), st.booleans()), max_size=3
)


def play(
    server: Server, length: int, steps: Steps, absences: Absences, beats: set[int]
) -> dict[int, Presence]:
    """Play so many seconds; returns the presence at every second."""
    seen: dict[int, Presence] = {}
    seq = 0
    for second in range(length):
        server.offset += sum(by for at, by in steps if at == second)
        if second in beats:
            seq += 1
            server.waiting.append((seq, EIGHT + second * SECOND))
        now_away = [frozen for at, long, frozen in absences if at <= second < at + long]
        if not now_away:
            server.turn(second)
        else:
            if not all(now_away):
                server.away()
            server.sweep(second)  # the dispatcher goes on, perhaps on another machine
        if server.state is not None:
            seen[second] = server.state.presence
    return seen


@st.composite
def beating(draw: Any, until: int) -> set[int]:
    """Heartbeats every minute, a tenth earlier or later."""
    at = draw(st.integers(0, 60))
    beats = set()
    jitter = draw(st.lists(st.integers(-6, 6), min_size=8, max_size=8))
    while at < until:
        beats.add(at)
        at += 60 + jitter[len(beats) % 8]
    return beats


LENGTH = 5000


@settings(max_examples=examples(100))
@given(STEPS | BOTH, ABSENCES, beating(LENGTH), st.booleans())
def test_device_that_beats_on_time_never_flips(
    steps: Any, absences: Any, beats: Any, trusted: Any
) -> None:
    server = Server(trusted=trusted)
    play(server, LENGTH, steps, absences, beats)
    assert [transition.presence for transition in server.transitions] == [Presence.ONLINE]


@settings(max_examples=examples(100))
@given(STEPS | BOTH, ABSENCES, beating(LENGTH), st.integers(100, 3000), st.booleans())
def test_device_that_falls_flips_soon_after_the_clock_is_left_alone(
    steps: Any, absences: Any, beats: Any, falls_at: Any, trusted: Any
) -> None:
    server = Server(trusted=trusted)
    seen = play(server, LENGTH, steps, absences, {beat for beat in beats if beat <= falls_at})
    calm = max([falls_at, *(at for at, _ in steps), *(at + long for at, long, _ in absences)])
    silent_by = calm + THRESHOLDS.silent // SECOND + SETTLED + 2 * CLOCK_SET // SECOND
    assert seen[silent_by] in {Presence.SILENT, Presence.OFFLINE}
    offline_by = calm + THRESHOLDS.offline // SECOND + SETTLED + 2 * CLOCK_SET // SECOND
    assert set(list(seen.values())[offline_by - min(seen) :]) == {Presence.OFFLINE}
    assert all(a.presence != b.presence for a, b in pairwise(server.transitions))


@settings(max_examples=examples(100))
@given(STEPS | BOTH, beating(LENGTH), st.integers(100, 2000), st.integers(700, 1500))
def test_device_that_comes_back_is_online_with_its_first_heartbeat(
    steps: Any, beats: Any, falls_at: Any, pause: Any
) -> None:
    back_at = min(beat for beat in beats if beat > falls_at + pause)
    sent = {beat for beat in beats if beat <= falls_at or beat >= back_at}
    seen = play(Server(), LENGTH, steps, [], sent)
    assert seen[back_at] is Presence.ONLINE
    assert seen[LENGTH - 1] is Presence.ONLINE


@pytest.mark.parametrize(
    "jump", [timedelta(hours=1), timedelta(hours=-1), 6 * SECOND, -6 * SECOND]
)
def test_span_of_listening_ends_where_the_clock_is_set(jump: Any) -> None:
    last = Listening(EIGHT - MINUTE, EIGHT)
    now = EIGHT + 2 * SECOND + jump
    assert listen(last, now, elapsed=2 * SECOND, unbroken=True) == Listening(now, now)


def test_slow_correction_of_the_clock_does_not_end_a_span() -> None:
    last = Listening(EIGHT - MINUTE, EIGHT)
    assert listen(last, EIGHT - SECOND, elapsed=2 * SECOND, unbroken=True) == last


def test_span_that_was_dated_by_a_clock_running_ahead_is_not_judged_by() -> None:
    assert lies_ahead(Listening(EIGHT - MINUTE, EIGHT + 60 * MINUTE), EIGHT)
    assert not lies_ahead(Listening(EIGHT - MINUTE, EIGHT + SECOND), EIGHT)


def test_session_that_is_counted_again_is_believed_once_the_known_one_is_silent() -> None:
    """A box whose flash was wiped begins at the same number as when it was new."""
    state = State(
        Presence.SILENT, EIGHT, session=65537, seq=1000, gone=False, last_seen_at=EIGHT,
        silent_after=EIGHT + 150 * SECOND,
    )  # fmt: skip
    soon, _ = after_message(state, 65537, 1, EIGHT + MINUTE, THRESHOLDS, "heartbeat")
    assert soon is state
    later, transition = after_message(state, 65537, 1, EIGHT + 5 * MINUTE, THRESHOLDS, "heartbeat")
    assert (later.seq, transition and transition.presence) == (1, Presence.ONLINE)


@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=8),
    st.data(),
)
def test_late_last_will_never_marks_the_connection_that_stands(numbers: Any, data: Any) -> None:
    """Connections of one device in order, some with a lost counter; every will comes some time
    after its connection. Only the will of the number that stands may count."""
    state: State | None = None
    wills: list[int] = []
    at = EIGHT
    for session in numbers:
        for seq in range(4):
            at += MINUTE
            state, _ = after_message(state, session, seq, at, THRESHOLDS, "heartbeat")
            due = data.draw(st.lists(st.sampled_from(wills), max_size=2)) if wills else []
            for will in due:
                told = after_last_will(state, will, at, THRESHOLDS)
                assert told is state or will == state.session
        wills.append(session)
        if data.draw(st.booleans()):
            at += 3 * MINUTE
        after = after_last_will(state, session + 100, at, THRESHOLDS)
        assert after is state
