"""Quiet hours of the settings, as windows that devices and checks go by (`wire.hours`)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time, timedelta

from broadcast.wire.documents import Hours

OFFSET = timedelta(hours=7)
"""Of `clock.LOCAL` from UTC, since 1975."""


def daily(quiet_hours: Iterable[tuple[time, time]]) -> tuple[Hours, ...]:
    """Windows that open every day.

    >>> [each.until for each in daily([(time(22), time(5))])]
    ['05:00']
    """
    return tuple(Hours(from_=f"{a:%H:%M}", until=f"{b:%H:%M}") for a, b in quiet_hours)
