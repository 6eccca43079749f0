"""Quotas of a Quy chế: sessions a day, minutes of a session and of a day. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from broadcast.regulations.rules import Limits

APART = timedelta(minutes=5)
"""Sounds that follow one another within this are one session."""

MINUTE = timedelta(minutes=1)


class Sound(NamedTuple):
    """A stretch of sound at a place."""

    begins_at: datetime
    ends_at: datetime


class Quota(StrEnum):
    """What a Quy chế limits."""

    SESSIONS = "sessions_per_day"
    SESSION = "minutes_per_session"
    DAY = "minutes_per_day"


class Excess(NamedTuple):
    """More than a Quy chế allows."""

    quota: Quota
    allowed: int
    found: float
    """Sessions, or minutes."""


def sessions(sounds: Iterable[Sound]) -> list[list[Sound]]:
    """Sounds by sessions; those that overlap are one sound: there is one voice at a time."""
    found: list[list[Sound]] = []
    for each in sorted(sounds):
        last = found[-1][-1] if found else None
        if last is None or each.begins_at > last.ends_at + APART:
            found.append([each])
        elif each.begins_at <= last.ends_at:
            found[-1][-1] = Sound(last.begins_at, max(last.ends_at, each.ends_at))
        else:
            found[-1].append(each)
    return found


def excesses(limits: Limits, sounds: Iterable[Sound]) -> list[Excess]:
    """What the sounds of one day at one place are too many or too long for.

    Pauses within a session do not count as its minutes.
    """
    found = sessions(sounds)
    minutes = [
        sum((s.ends_at - s.begins_at for s in each), timedelta()) / MINUTE for each in found
    ]
    told = (
        (Quota.SESSIONS, limits.sessions_per_day, float(len(found))),
        (Quota.SESSION, limits.minutes_per_session, max(minutes, default=0.0)),
        (Quota.DAY, limits.minutes_per_day, sum(minutes)),
    )
    return [
        Excess(quota, allowed, count)
        for quota, allowed, count in told
        if allowed is not None and count > allowed
    ]
