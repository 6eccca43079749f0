"""A device that floods is held to what any device may say, and named.

Pure. Each device has a bucket of messages for each kind, so that a flood of heartbeats does not
drown its proof of play. What is above is acknowledged to the broker and left alone: a heartbeat is
one of many, and the journal comes again until it is confirmed.
"""

from __future__ import annotations

from typing import NamedTuple

BURST = 1000
"""Messages of a kind at once: what waited at the broker while the server was away for 16 hours.
Fewer would drop honest minutes, more would let a broken box fill a partition."""
PER_SECOND = 5.0
"""Messages of a kind for good: three hundred times an honest device's."""
REMEMBERED = 100_000
"""Buckets; above it those of devices that are quiet are forgotten."""

ROUNDING = 1e-6

Key = tuple[str, str]
"""Device and kind."""


class Flood(NamedTuple):
    """A device has begun to send too much of a kind, or has ended."""

    device_code: str
    kind: str
    began: bool


class Throttle:
    """The buckets of one process. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._full_at: dict[Key, float] = {}
        """When each bucket will be full again, if nothing more is taken from it."""
        self._flooding: set[Key] = set()
        self._news: list[Flood] = []

    def admit(self, key: Key, now: float) -> bool:
        """Tell whether a device may say one more thing of a kind."""
        full_at = max(self._full_at.get(key, now), now) + 1 / PER_SECOND
        if full_at - now > BURST / PER_SECOND + ROUNDING:
            if key not in self._flooding:
                self._flooding.add(key)
                self._news.append(Flood(*key, began=True))
            return False
        self._full_at[key] = full_at
        if len(self._full_at) > REMEMBERED:
            self._forget(now)
        return True

    def news(self, now: float) -> list[Flood]:
        """Floods that have begun or ended since this was asked the last time.

        A flood has ended when half the bucket is full again.
        """
        half = now + BURST / PER_SECOND / 2
        for key in [key for key in self._flooding if self._full_at.get(key, now) <= half]:
            self._flooding.discard(key)
            self._news.append(Flood(*key, began=False))
        news, self._news = self._news, []
        return news

    def _forget(self, now: float) -> None:
        """Drop what is full again; if that is little, everything but the floods."""
        busy = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        if len(busy) > REMEMBERED // 2:
            busy = {key: full_at for key, full_at in busy.items() if key in self._flooding}
        self._full_at = busy
