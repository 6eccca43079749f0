"""Up to when the server has heard everything, whatever happens to the broker and the clock."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.ingest import echo as module
from broadcast.ingest.echo import Echo
from broadcast.kit.errors import Unavailable
from broadcast.telemetry.presence import Listening
from tests.devices.fleet import EIGHT, SECOND


class Wire:
    """A link, the broker behind it and both clocks, moved by hand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.connected = True
        self.connection = 1
        self.idle_seconds = 0.0
        self.monotonic = 1000.0
        self.offset = timedelta(0)
        self.queue: list[bytes] = []
        patch.setattr(module.time, "monotonic", lambda: self.monotonic)
        self.echo = Echo(self, "t", self.now)

    def now(self) -> datetime:
        return EIGHT + timedelta(seconds=self.monotonic - 1000) + self.offset

    def renew(self) -> None:
        self.connection += 1

    async def publish(self, topic: str, payload: bytes) -> None:
        if not self.connected:
            raise Unavailable("away")
        self.queue.append(payload)

    def send(self, seconds: float = 1.0) -> None:
        self.monotonic += seconds
        asyncio.run(self.echo._send())

    def take(self, *, stored: bool = True) -> Listening | None:
        """Everything that waits comes back and is committed."""
        probe = None
        for payload in self.queue:
            probe = self.echo.received(payload) or probe
        self.queue.clear()
        if probe is None:
            return None
        span = self.echo.span_up_to(probe)
        if stored and span is not None:
            self.echo.committed(span, probe)
        return span


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


def test_a_span_ends_when_the_newest_echo_was_sent(wire: Wire) -> None:
    wire.send()
    first = wire.now()
    assert wire.take() == Listening(first, first)
    for _ in range(20):
        wire.send()
    last = wire.now()
    wire.monotonic += 25
    assert wire.take() == Listening(first, last)
    assert wire.echo.is_live(wire.now())


def test_a_late_echo_says_nothing_and_the_next_in_time_begins_anew(wire: Wire) -> None:
    wire.send()
    wire.take()
    wire.send()
    wire.monotonic += 31
    assert wire.take() is None, "heartbeats may have been dropped meanwhile"
    assert not wire.echo.is_live(wire.now())
    wire.send()
    assert wire.take() == Listening(wire.now(), wire.now())


def test_nothing_new_nothing_stored(wire: Wire) -> None:
    assert wire.take() is None
    wire.send()
    wire.take()
    assert wire.take() is None


def test_what_was_not_committed_does_not_count(wire: Wire) -> None:
    wire.send()
    first = wire.take()
    wire.send()
    wire.take(stored=False)
    assert wire.echo.span == first


def test_another_connection_begins_another_span(wire: Wire) -> None:
    wire.send()
    wire.take()
    wire.send()
    wire.connection = 2
    assert wire.take() is None, "sent over the line that broke"
    wire.send()
    assert wire.take() == Listening(wire.now(), wire.now())


def test_a_pause_begins_another_span(wire: Wire) -> None:
    wire.send()
    wire.take()
    wire.send(31)
    assert wire.take() == Listening(wire.now(), wire.now())


@pytest.mark.parametrize(
    "step", [timedelta(hours=1), timedelta(hours=-1), 6 * SECOND, -6 * SECOND]
)
def test_a_step_of_the_clock_begins_another_span(wire: Wire, step: timedelta) -> None:
    wire.send()
    wire.take()
    wire.offset = step
    wire.send()
    assert wire.take() == Listening(wire.now(), wire.now())


def test_slewing_is_no_step(wire: Wire) -> None:
    wire.send()
    first = wire.take()
    wire.offset += timedelta(milliseconds=300)
    wire.send()
    span = wire.take()
    assert first is not None
    assert span is not None
    assert span.started_at == first.started_at


@pytest.mark.parametrize("payload", [b"", b"\xff/1", b"other/1", b"/", b"x/9e9"])
def test_what_others_say_is_no_echo(wire: Wire, payload: bytes) -> None:
    wire.send()
    wire.queue = [payload, wire.echo._token.encode() + b"/99", wire.echo._token.encode() + b"/-1"]
    assert wire.take() is None


@given(
    st.lists(
        st.sampled_from(["send", "take", "lose", "break", "repeat", "step", "wait"]), max_size=60
    )
)
def test_no_span_reaches_past_what_has_come_back(actions: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        wire = Wire(patch)
        taken_upto = None
        sent: list[datetime] = []
        for action in actions:
            match action:
                case "send":
                    wire.send()
                    sent.append(wire.now())
                case "take":
                    span = wire.take()
                    taken_upto = sent[-1] if sent else None
                    assert span is None or (taken_upto is not None and span.until <= max(sent))
                    assert span is None or span.started_at <= span.until
                case "lose":
                    del wire.queue[1::2]
                case "break":
                    wire.connection += 1
                case "repeat":
                    wire.queue += wire.queue
                case "step":
                    wire.offset += timedelta(hours=1 if len(sent) % 2 else -1)
                case "wait":
                    wire.monotonic += 40
        assert len(wire.echo._sent) <= module.MOST_ON_THEIR_WAY


def test_link_that_gives_nothing_back_is_stalled_until_it_is_made_anew(wire: Wire) -> None:
    wire.send()
    wire.idle_seconds = module.STALLED_SECONDS
    wire.monotonic += module.STALLED_SECONDS - 1
    assert not wire.echo._is_stalled(), "its echo may still come"
    wire.monotonic += 1
    assert wire.echo._is_stalled()
    wire.connection += 1
    assert not wire.echo._is_stalled(), "nothing was said over this one yet"


@pytest.mark.parametrize("why", ["away", "behind", "answered"])
def test_link_has_not_stalled_when_it_is_away_or_we_are_behind_or_it_answers(
    wire: Wire, why: str
) -> None:
    wire.send()
    wire.monotonic += 2 * module.STALLED_SECONDS
    wire.idle_seconds = 0.0 if why == "behind" else 2 * module.STALLED_SECONDS
    wire.connected = why != "away"
    if why == "answered":
        wire.take()
    assert not wire.echo._is_stalled()


async def test_stalled_link_is_made_anew_once(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = 0

    async def turn(_: float) -> None:
        nonlocal turns
        turns += 1
        wire.monotonic += 1
        wire.idle_seconds += 1
        if turns == 1.5 * module.STALLED_SECONDS:
            raise asyncio.CancelledError

    monkeypatch.setattr(module.asyncio, "sleep", turn)
    with pytest.raises(asyncio.CancelledError):
        await wire.echo.run()
    assert wire.connection == 2
