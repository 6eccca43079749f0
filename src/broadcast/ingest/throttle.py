"""A device that floods is held to what any device may say, and named.

Pure. Each sender has three buckets, whatever names it gives to what it sends: one for heartbeats,
one for its proof of play, which a flood of anything else must not drown, and one for the rest,
where every message may make a row that is kept for months. What is above is acknowledged to the
broker and left alone: a heartbeat is one of many, and the journal comes again until it is
confirmed.
"""

from __future__ import annotations

from typing import NamedTuple

BURST = 1000
"""Messages at once: what waited at the broker while the server was away for 16 hours. Fewer would
drop honest minutes, more would let a broken box fill a partition."""
PER_SECOND = 1.0
"""Heartbeats for good: sixty times an honest device's, 86,400 raw rows a day."""
REMEMBERED = 100_000
"""Senders; above it everything but the floods is forgotten."""
LOOK_OVER = 2000
"""Senders of a bucket from which on those whose bucket is full again are forgotten: nearly all."""

ROUNDING = 1e-6

GROUPS = {"heartbeat": "heartbeat", "time_request": "heartbeat", "playback": "journal"}
"""Kind of event → bucket; all others, and whatever else a sender makes up, share `report`."""

_ALLOWED = {"heartbeat": (1, 1), "journal": (20, 2), "report": (1, 1 / 30)}
"""Bucket → how many times `BURST` and `PER_SECOND`. Journals are counted in records: a box that
was cut off for a year brings 20,000. A box whose link breaks every half minute is still heard."""

_SECONDS = {
    group: (1 / (PER_SECOND * rate), burst / (PER_SECOND * rate))
    for group, (burst, rate) in _ALLOWED.items()
}
"""Bucket → seconds in which it gets one back, and that many for each of `BURST`."""


class Flood(NamedTuple):
    """A device has begun to send too much, or has ended."""

    device_code: str
    began: bool


class Throttle:
    """The buckets of one process. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._full_at: dict[str, dict[str, float]] = {group: {} for group in _ALLOWED}
        """Bucket → sender → when it will be full again, if nothing more is taken from it."""
        self._look_over = dict.fromkeys(_ALLOWED, LOOK_OVER)
        self._flooding: set[tuple[str, str]] = set()
        self._named: set[str] = set()
        """Senders whose flood has been told and not its end."""

    def admit(self, key: tuple[str, str], now: float, cost: int = 1) -> bool:
        """Tell whether a device may say one more thing.

        Args:
            key: The device's code, and the kind of event.
            now: Seconds.
            cost: What it takes from the bucket. A single message may cost more than the bucket
                holds; it passes when it is full, and is paid off before the next.
        """
        code, kind = key
        group = GROUPS.get(kind, "report")
        seconds, depth = _SECONDS[group]
        buckets = self._full_at[group]
        full_at = buckets.get(code, now)
        if full_at < now:  # noqa: PLR1730 — for every message; `max` takes three times as long
            full_at = now
        if full_at - now + seconds > BURST * depth + ROUNDING:
            self._flooding.add((code, group))
            return False
        buckets[code] = full_at + cost * seconds
        if len(buckets) > self._look_over[group]:
            self._forget(group, now)
        return True

    def news(self, now: float) -> list[Flood]:
        """Floods that have begun or ended since this was asked the last time.

        A flood has ended when half of every bucket is full again.
        """
        self._flooding = {each for each in self._flooding if not self._is_over(*each, now)}
        flooding = {code for code, _ in self._flooding}
        changed = [Flood(code, began=True) for code in sorted(flooding - self._named)]
        changed += [Flood(code, began=False) for code in sorted(self._named - flooding)]
        self._named = flooding
        return changed

    def _is_over(self, code: str, group: str, now: float) -> bool:
        burst, rate = _ALLOWED[group]
        half = BURST * burst / (PER_SECOND * rate) / 2
        return self._full_at[group].get(code, now) <= now + half

    def _forget(self, group: str, now: float) -> None:
        """Drop what is full again; if too many are left, everything but the floods."""
        busy = {code: at for code, at in self._full_at[group].items() if at > now}
        if len(busy) > REMEMBERED // 2:
            flooding = {code for code, of in self._flooding if of == group}
            busy = {code: at for code, at in busy.items() if code in flooding}
        self._full_at[group] = busy
        self._look_over[group] = min(max(LOOK_OVER, 2 * len(busy)), REMEMBERED)
