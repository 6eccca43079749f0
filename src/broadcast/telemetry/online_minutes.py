"""The minutes of a local day in which a device was online, as a map of 1,440 bits.

Pure. A map is an integer whose most significant bit is 00:00, as PostgreSQL prints `bit(1440)`.
Merging is OR, so repeated, late and reordered heartbeats come to the same map.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo

MINUTES = 1440

AHEAD = timedelta(seconds=10)
"""Most that a trusted clock may be ahead of the server's: more than a coarse NTP makes up (a
message only ever comes later), less than anybody would call punctual."""

BEHIND = timedelta(days=7)
"""Longest wait of a heartbeat, on the device or at the broker, to count for its time."""


class Reception:
    """The moment of a reception by the server's clock, and the times of a device that fit it."""

    def __init__(self, received_at: datetime) -> None:
        self.at = received_at
        self._first = received_at - BEHIND
        self._last = received_at + AHEAD

    def is_plausible(self, sent_at: datetime) -> bool:
        """Tell whether a device's clock can have been right about `sent_at`."""
        return self._first <= sent_at <= self._last

    def happened_at(self, sent_at: datetime, *, trusted: bool) -> datetime:
        """Time at which a message was sent, by the better of two clocks.

        The device's, if it trusts it and it is plausible, because the message may have waited;
        else the server's.
        """
        if trusted and self._first <= sent_at <= self._last:
            # In UTC: PostgreSQL reads no offset of 16 hours and more, which RFC 3339 allows.
            return min(sent_at, self.at).astimezone(UTC)
        return self.at


def is_plausible(sent_at: datetime, received_at: datetime) -> bool:
    """`Reception.is_plausible`, of a single message."""
    return Reception(received_at).is_plausible(sent_at)


def happened_at(sent_at: datetime, received_at: datetime, *, trusted: bool) -> datetime:
    """`Reception.happened_at`, of a single message."""
    return Reception(received_at).happened_at(sent_at, trusted=trusted)


def minute_of(at: datetime, zone: tzinfo) -> tuple[date, int]:
    """Local day and minute of the day.

    >>> from datetime import timezone, timedelta, datetime
    >>> ict = timezone(timedelta(hours=7))
    >>> minute_of(datetime(2025, 7, 1, 22, 5, 59, tzinfo=timezone.utc), ict)
    (datetime.date(2025, 7, 2), 305)
    """
    local = at.astimezone(zone)
    return local.date(), local.hour * 60 + local.minute


def bit(minute: int) -> int:
    """Map of a single minute."""
    return 1 << (MINUTES - 1 - minute)


def mask(windows: Iterable[tuple[time, time]]) -> int:
    """Map of local windows, from (inclusive) until (exclusive); one may pass midnight.

    >>> mask([(time(5), time(6)), (time(5, 30), time(7))]).bit_count()
    120
    >>> mask([(time(23), time(1))]).bit_count()
    120
    """
    value = 0
    for start, end in windows:
        first = start.hour * 60 + start.minute
        length = (end.hour * 60 + end.minute - first) % MINUTES or MINUTES
        for minute in range(first, first + length):
            value |= bit(minute % MINUTES)
    return value


def span(day: date, start: datetime, end: datetime, zone: tzinfo) -> int:
    """Map of the minutes of a local day that lie in [start, end), whole minutes outward."""
    midnight = datetime.combine(day, time(), zone)
    first = max(0, (start - midnight) // timedelta(minutes=1))
    last = min(MINUTES, -((midnight - end) // timedelta(minutes=1)))
    return sum(bit(minute) for minute in range(first, last))


def to_bits(value: int) -> str:
    """A map as PostgreSQL reads it: `CAST(CAST(:bits AS text) AS bit(1440))`."""
    return f"{value:0{MINUTES}b}"


def from_bits(bits: str) -> int:
    """A map as PostgreSQL prints it."""
    return int(bits, 2)
