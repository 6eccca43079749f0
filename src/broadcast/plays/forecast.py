"""Whether an occurrence will sound at a cluster, judged before its start.

Pure. The judgement says what happens if nothing changes any more: the device keeps its link or
stays without, nobody mends anything. It is made of what the device last reported, in the order in
which a device itself asks (docs/wire.md §8), and is held against the reference player by
`tests/scenarios/test_forecast.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from broadcast.telemetry.presence import Presence
from broadcast.wire import order
from broadcast.wire.fields import OnPreempt

FETCH = timedelta(minutes=10)
"""Time in which a device with a link gets a programme and its sound. Shorter: what comes slowly is
said to come until it is too late to act. Longer: what is merely new looks like a failure."""


class Outlook(StrEnum):
    """What is to be expected of a play, the worst first."""

    MISSES = "misses"
    """It will not sound, unless somebody does something."""
    UNSURE = "unsure"
    """It may sound: nobody can know by what was reported."""
    ON_THE_WAY = "on_the_way"
    """Something is missing, and there is time and a link for it to come."""
    READY = "ready"


class Cause(StrEnum):
    """Why a play is not simply ready, the nearest to the source first."""

    NO_DEVICE = "no_device"
    QUIET_HOURS = "quiet_hours"
    MUTED = "muted"
    """A Quy chế, the schedule or the device has its volume at 0 then."""
    QUOTA = "quota"
    """What is planned before it uses up a quota of the day: the device passes over it."""
    POWER_CUT = "power_cut"
    """A power cut was declared for that time."""
    NOT_PUBLISHED = "not_published"
    REFUSED = "refused"
    NEVER_SEEN = "never_seen"
    NOT_RECEIVED = "not_received"
    """The device does not hold the newest programme with it, or one that has lapsed by then."""
    OFFLINE = "offline"
    """As the one before, and there is no link over which it could come."""
    NO_AUDIO = "no_audio"
    BAD_AUDIO = "bad_audio"
    NO_CODEC = "no_codec"
    STORAGE_FULL = "storage_full"
    CLOCK_UNTRUSTED = "clock_untrusted"
    CLOCK_WRONG = "clock_wrong"
    LOCAL_OVERRIDE = "local_override"
    OUTRANKED = "outranked"
    """Others have the loudspeaker from its start until its latest start."""
    SPEAKER_FAULT = "speaker_fault"
    """The device will play, and perhaps no horn sounds."""
    ON_BATTERY = "on_battery"
    """Ready, and without mains."""
    ALONE = "alone"
    """Ready when it was last heard of; it plays by itself if it has power."""
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is known of a coming play."""

    starts_at: datetime
    has_device: bool = True
    presence: Presence = Presence.ONLINE
    published: bool = True
    """A programme with the item, as it is now, was published."""
    holds: bool = True
    """The device holds a programme with the item as it is now, which holds until its start."""
    refused: bool = False
    """It refused the newest programme with it."""
    readiness: str | None = "ready"
    """As it last reported on this revision of the bulletin; None: it has not reported."""
    quiet: bool = False
    """The start lies in silent hours of its place, until the latest start."""
    volume: int = 100
    """Per cent that it would have: of its schedule or device, at most what its place allows."""
    over_quota: bool = False
    """`wire.quotas.over` of what is planned there on the day names it."""
    outage: str | None = None
    """Declared over the start: `power_cut` or `maintenance`."""
    faults: frozenset[str] = frozenset()
    """Kinds of open faults."""
    clock_wrong: bool = False
    mains: bool | None = None
    """False: it last reported to run on its battery."""
    outranked: bool = False
    """`is_outranked` of what is planned there."""


class Forecast(NamedTuple):
    """What is to be expected, and why, if it is not ready."""

    outlook: Outlook
    cause: Cause | None = None


_SPEAKER = frozenset({"line_open", "line_short", "amplifier"})


def forecast(ahead: Ahead, now: datetime) -> Forecast:
    """Judge a coming play by what is known at `now`."""
    connected = ahead.presence is Presence.ONLINE
    early = ahead.starts_at - now >= FETCH
    lacking = Outlook.ON_THE_WAY if connected and early else Outlook.MISSES
    # What the device has not told before its link went may still be there.
    untold = Outlook.UNSURE if ahead.readiness is None and not connected else lacking
    misses, unsure, faults = Outlook.MISSES, Outlook.UNSURE, ahead.faults
    found = (
        (not ahead.has_device, misses, Cause.NO_DEVICE),
        (ahead.quiet, misses, Cause.QUIET_HOURS),
        (ahead.volume == 0, misses, Cause.MUTED),
        (ahead.over_quota, misses, Cause.QUOTA),
        (ahead.outage == "power_cut", misses, Cause.POWER_CUT),
        (not ahead.published, Outlook.ON_THE_WAY if early else misses, Cause.NOT_PUBLISHED),
        (not ahead.holds and ahead.refused, misses, Cause.REFUSED),
        (not ahead.holds and ahead.presence is Presence.NEVER_SEEN, misses, Cause.NEVER_SEEN),
        (not ahead.holds and not connected, misses, Cause.OFFLINE),
        (not ahead.holds, lacking, Cause.NOT_RECEIVED),
        (ahead.readiness == "no_codec", misses, Cause.NO_CODEC),
        (ahead.readiness == "storage_full", misses, Cause.STORAGE_FULL),
        (ahead.readiness == "bad_audio", lacking, Cause.BAD_AUDIO),
        (ahead.readiness != "ready", untold, Cause.NO_AUDIO),
        ("storage_error" in faults, misses, Cause.STORAGE_FULL),
        ("clock_untrusted" in faults, misses, Cause.CLOCK_UNTRUSTED),
        (ahead.clock_wrong, misses, Cause.CLOCK_WRONG),
        ("local_override" in faults, misses, Cause.LOCAL_OVERRIDE),
        (ahead.outranked, misses, Cause.OUTRANKED),
        # From here on it will play; perhaps nobody hears it.
        (bool(_SPEAKER & faults), unsure, Cause.SPEAKER_FAULT),
        (ahead.mains is False or "power_lost" in faults, unsure, Cause.ON_BATTERY),
        (ahead.outage is not None, unsure, Cause.MAINTENANCE),
        (not connected, unsure, Cause.ALONE),
    )
    judged = (Forecast(outlook, cause) for holds, outlook, cause in found if holds)
    return next(judged, Forecast(Outlook.READY))


NOTHING = timedelta()


class Planned(NamedTuple):
    """An item that is planned at a cluster."""

    occurrence_id: str
    priority: int
    starts_at: datetime
    latest_at: datetime
    """Up to then it may begin."""
    ends_by: datetime
    seconds: float
    on_preempt: OnPreempt = OnPreempt.RESUME


def outranked(items: Iterable[Planned]) -> set[str]:
    """Items of one loudspeaker that never get it, if all are ready and nothing sounds before.

    One voice at a time, by `wire.order`: a higher priority interrupts, an equal one waits; what
    waits longer than it may is lost, what was interrupted goes on by its rank (docs/wire.md §8).
    """
    coming = {each.occurrence_id: each for each in items}
    # Spans as the clock counts them: of seconds in floating point something is always left.
    left = {id_: timedelta(seconds=each.seconds) for id_, each in coming.items()}
    begun: set[str] = set()
    over: set[str] = set()
    voice: Planned | None = None
    now = min((each.starts_at for each in coming.values()), default=None)
    while now is not None:
        if voice and (left[voice.occurrence_id] <= NOTHING or now >= voice.ends_by):
            over.add(voice.occurrence_id)
            voice = None
        able = [each for each in coming.values() if _may_sound(each, begun, over, now)]
        best = min(able, key=_rank, default=None)
        if best and (voice is None or order.interrupts(best.priority, voice.priority)):
            if voice:
                left[voice.occurrence_id] = _left(voice, left[voice.occurrence_id])
            voice = best
            begun.add(best.occurrence_id)
        moments = [each.starts_at for each in coming.values() if each.starts_at > now]
        if voice:
            ends_at = now + left[voice.occurrence_id]
            moments.append(min(ends_at, voice.ends_by))
        then = min(moments, default=None)
        if voice and then:
            left[voice.occurrence_id] -= then - now
        now = then
    return coming.keys() - begun


def _rank(item: Planned) -> tuple[int, datetime, str]:
    return order.first(item.priority, item.starts_at, item.occurrence_id)


def _may_sound(item: Planned, begun: set[str], over: set[str], now: datetime) -> bool:
    if item.occurrence_id in over or item.starts_at > now or item.ends_by <= now:
        return False
    afresh = item.occurrence_id not in begun or item.on_preempt is OnPreempt.RESTART
    return item.latest_at >= now or not afresh


def _left(interrupted: Planned, rest: timedelta) -> timedelta:
    """What of an interrupted item sounds when it has the loudspeaker again."""
    if interrupted.on_preempt is OnPreempt.DROP:
        return NOTHING
    if interrupted.on_preempt is OnPreempt.RESTART:
        return timedelta(seconds=interrupted.seconds)
    return rest
