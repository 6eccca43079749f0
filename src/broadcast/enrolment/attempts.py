"""Wrong claim codes, counted by the address that they come from. Pure.

Each address has a token bucket; right codes cost nothing, so that a hundred technicians behind one
address do not hinder each other. Memory is bounded: of many addresses those are forgotten first
whose bucket is fullest.
"""

from __future__ import annotations

AT_ONCE = 20
"""Wrong codes of an address; a code is copied wrongly once or twice."""

SECONDS_EACH = 15.0
"""After which one more is allowed. A code has 60 bits: this is about load, and about noticing."""

REMEMBERED = 10_000
"""Addresses."""


class Attempts:
    """The buckets of one process. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}
        """Address → when its bucket is full again."""

    def wait(self, address: str, now: float) -> float:
        """Seconds until an address may try again; 0: at once."""
        return max(0.0, self._full_at.get(address, now) - now - (AT_ONCE - 1) * SECONDS_EACH)

    def wrong(self, address: str, now: float) -> None:
        """A wrong code came."""
        self._full_at[address] = max(self._full_at.get(address, now), now) + SECONDS_EACH
        if len(self._full_at) > REMEMBERED:
            latest = sorted(self._full_at.items(), key=lambda item: item[1])[REMEMBERED // 2 :]
            self._full_at = dict(latest)
