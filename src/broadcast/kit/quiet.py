"""Quiet hours: when they are, and what would sound in them. Pure.

Devices keep them by a reading of their own (docs/wire.md §8), so that neither side can be wrong
unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

QuietHours = Sequence[tuple[time, time]]
"""Local windows, from (inclusive) until (exclusive); until ≤ from passes midnight."""

DAY = timedelta(days=1)


class QuietInterval(NamedTuple):
    """Quiet hours without a gap: windows that touch or overlap are one."""

    begins_at: datetime
    ends_at: datetime | None
    """None when the windows cover the whole day."""


def quiet_window(
    starts_at: datetime, seconds: float, quiet_hours: QuietHours, zone: ZoneInfo
) -> tuple[time, time] | None:
    """First quiet window that a sound would reach into, None when it sounds in none.

    Args:
        starts_at: Start.
        seconds: How long it sounds.
        quiet_hours: The windows.
        zone: Of the windows.
    """
    start = starts_at.astimezone(zone)
    end = start + timedelta(seconds=seconds)
    for window in quiet_hours:
        for days in (-1, 0, 1):
            opens, closes = _on(start.date() + days * DAY, window, zone)
            if start < closes and end > opens:
                return window
    return None


def next_quiet_interval(
    moment: datetime, quiet_hours: QuietHours, zone: ZoneInfo
) -> QuietInterval | None:
    """The quiet hours in which `moment` lies, else the next ones; None when there are none."""
    for begins_at, ends_at in _intervals(moment.astimezone(zone).date(), quiet_hours, zone):
        if ends_at > moment:
            endless = ends_at - begins_at >= DAY
            return QuietInterval(
                begins_at.astimezone(UTC), None if endless else ends_at.astimezone(UTC)
            )
    return None


def _intervals(
    day: date, quiet_hours: QuietHours, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """Those that begin from the day before until the day after next, in order."""
    spans = sorted(
        _on(day + days * DAY, window, zone) for days in (-1, 0, 1, 2) for window in quiet_hours
    )
    while spans:
        begins_at, ends_at = spans.pop(0)
        while spans and spans[0][0] <= ends_at:
            ends_at = max(ends_at, spans.pop(0)[1])
        yield begins_at, ends_at


def _on(day: date, window: tuple[time, time], zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The window that opens on a day."""
    opens, closes = window
    return (
        datetime.combine(day, opens, zone),
        datetime.combine(day + (DAY if closes <= opens else timedelta(0)), closes, zone),
    )
