"""What the sounds of a day are too many or too long for, told for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from broadcast.wire.quotas import MINUTE, Limits, Sound, sessions


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


def excesses(limits: Limits, sounds: Iterable[Sound]) -> list[Excess]:
    """What the sounds of one day at one place are too many or too long for.

    Pauses within a session do not count as its minutes. There is none exactly where
    `wire.quotas.over` leaves nothing out.
    """
    found = sessions(sounds)
    lasting = [sum((s.ends_at - s.begins_at for s in each), timedelta()) for each in found]
    told = (
        (Quota.SESSIONS, limits.sessions_per_day, float(len(found))),
        (Quota.SESSION, limits.minutes_per_session, max(lasting, default=timedelta()) / MINUTE),
        (Quota.DAY, limits.minutes_per_day, sum(lasting, timedelta()) / MINUTE),
    )
    return [
        Excess(quota, allowed, count)
        for quota, allowed, count in told
        if allowed is not None and count > allowed
    ]
