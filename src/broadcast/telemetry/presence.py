"""Rules of presence: a device's connection as far as the server can know it, and since when.

Pure. A device is `online` while its heartbeats come, `silent` once 2.5 intervals passed without
one, `offline` after ten minutes. Four things keep a transition from being false:

* sessions: what an ended connection left behind (a heartbeat that overtook nothing, a last will
  that comes after the device is back) changes nothing of the newer one;
* listening: silence counts only while the server itself was listening, so an outage of ours
  never makes a device silent;
* steady clocks: a span ends where the server's clock was set, and what a clock that ran ahead has
  dated counts as now, so neither an hour forward nor an hour back changes any presence;
* grace: the broker's report that a connection broke shortens the wait, it does not end it,
  because a 4G modem is back within seconds.

A transition is dated when it happened, not when it was noticed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Presence(StrEnum):
    """State of a device's connection, as far as the server can know it."""

    NEVER_SEEN = "never_seen"
    ONLINE = "online"
    SILENT = "silent"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class PresenceThresholds:
    """Times that the server waits, counted from the last message of a device.

    Attributes:
        silent: Shorter: a village uplink that drops two packets calls a technician. Longer: a
            dead box is noticed late.
        offline: After it a technician is expected to look.
        gone: Instead of `silent`, once the broker reported the connection broken.
        returning: Time that devices may take to connect again after a standstill of the server or
            the broker; nobody is judged before.
    """

    silent: timedelta
    offline: timedelta
    gone: timedelta = timedelta(seconds=30)
    returning: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class State:
    """Latest state of one device; a row of `device_presence`."""

    presence: Presence
    since: datetime
    session: int
    seq: int
    """Of the newest heartbeat of `session`; 0 after its boot."""
    gone: bool
    last_seen_at: datetime
    silent_after: datetime


@dataclass(frozen=True, slots=True)
class PresenceTransition:
    """A change of presence and when it happened."""

    presence: Presence
    happened_at: datetime
    cause: str


@dataclass(frozen=True, slots=True)
class Listening:
    """A span in which the server received all that devices sent; `until` grows while it lasts."""

    started_at: datetime
    until: datetime


LAPSE = timedelta(seconds=30)
"""A span that was not extended for so long has ended: a pause of the process is no silence of
the devices. Shorter: a slow commit gives every device a new grace. Longer: an outage of ours is
taken for theirs."""


CLOCK_SET = timedelta(seconds=5)
"""By how much a clock has to jump to count as set. Shorter: two machines of ours disagree all the
time. Longer: a device that falls silent is noticed later by as much."""


def listen(
    last: Listening | None,
    now: datetime,
    *,
    elapsed: timedelta,
    unbroken: bool,
) -> Listening:
    """The span that `now` belongs to.

    Args:
        last: Span before, None at the start of the process.
        now: Moment up to which every message was taken and committed.
        elapsed: Time between the moments of `last.until` and `now`, by a clock that nobody sets.
        unbroken: The connection to the broker is the one of `last`.
    """
    if last is not None and unbroken and elapsed <= LAPSE:
        jump = now - last.until - elapsed
        if abs(jump) <= CLOCK_SET:
            return replace(last, until=max(now, last.until))
    return Listening(now, now)


def lies_ahead(span: Listening, now: datetime) -> bool:
    """Tell whether a clock that was set back since has dated a span: nobody is judged by it."""
    return max(span.started_at, span.until) > now + CLOCK_SET


def clamped(state: State, now: datetime, thresholds: PresenceThresholds) -> State:
    """Return the state with nothing dated after `now`, as a clock that was set back since left it.

    Else the device would be waited for until that clock has come round again.
    """
    if max(state.since, state.last_seen_at) <= now + CLOCK_SET:
        return state
    return replace(
        state,
        since=min(state.since, now),
        last_seen_at=min(state.last_seen_at, now),
        silent_after=min(state.silent_after, now + thresholds.silent),
    )


def after_message(
    state: State | None,
    session: int,
    seq: int,
    at: datetime,
    thresholds: PresenceThresholds,
    cause: str,
) -> tuple[State, PresenceTransition | None]:
    """State after a boot (`seq` 0) or a heartbeat that was sent at `at` by the server's clock.

    Repetitions and what overtook a newer message leave the state as it is. A session number
    lower than the known one is an old connection's, unless the newer one has been silent: then
    the device has lost its counter, and counts; also where it repeats the same number.
    """
    if state is None:
        fresh = State(
            Presence.ONLINE, at, session, seq, gone=False,
            last_seen_at=at, silent_after=at + thresholds.silent,
        )  # fmt: skip
        return fresh, PresenceTransition(Presence.ONLINE, at, cause)
    known = (session, seq) <= (state.session, state.seq)
    if known and at <= state.last_seen_at + thresholds.silent:
        return state, None
    seen = max(at, state.last_seen_at)
    after = State(
        state.presence, state.since, session, seq, gone=False,
        last_seen_at=seen, silent_after=seen + thresholds.silent,
    )  # fmt: skip
    if state.presence is Presence.ONLINE or after.silent_after <= state.since:
        # The second: sent before the device fell silent, and no sign that it is back.
        return after, None
    happened_at = max(at, state.since)
    back = replace(after, presence=Presence.ONLINE, since=happened_at)
    return back, PresenceTransition(Presence.ONLINE, happened_at, cause)


def after_last_will(
    state: State | None, session: int, at: datetime, thresholds: PresenceThresholds
) -> State | None:
    """State after the last will of `session`, which the broker published at `at`.

    Only the known session can go. One that is older has been replaced; one that is newer and
    never sent anything cannot tell anything about the device.
    """
    if state is None or session != state.session or state.gone:
        return state
    return replace(state, gone=True, silent_after=min(state.silent_after, at + thresholds.gone))


def after_silence(
    state: State, listening: Listening, thresholds: PresenceThresholds
) -> tuple[State, list[PresenceTransition]]:
    """State and transitions that silence has caused by `listening.until`."""
    transitions: list[PresenceTransition] = []
    if state.presence is Presence.ONLINE:
        grace = max(thresholds.silent, thresholds.returning)
        due_at = max(state.silent_after, listening.started_at + grace)
        if due_at > listening.until:
            return state, transitions
        state = replace(state, presence=Presence.SILENT, since=due_at)
        transitions.append(
            PresenceTransition(Presence.SILENT, due_at, "gone" if state.gone else "silence")
        )
    if state.presence is Presence.SILENT:
        heard_at = max(state.last_seen_at, listening.started_at)
        due_at = max(heard_at + thresholds.offline, state.since)
        if due_at <= listening.until:
            state = replace(state, presence=Presence.OFFLINE, since=due_at)
            transitions.append(PresenceTransition(Presence.OFFLINE, due_at, "silence"))
    return state, transitions
