"""A token bucket for each device: one that floods is throttled, and reported as a fault.

Pure. Each sender has three buckets, whatever kinds it makes up: one for heartbeats, one for its
proof of play, which a flood of anything else must not drown, and one for the rest, where every
message may make a row that is kept for months. A message beyond them is acknowledged to the broker
and left alone: a heartbeat is one of many, and the journal comes again until it is confirmed.
"""

from __future__ import annotations

from typing import NamedTuple

BURST = 1000
"""Messages at once: what waited at the broker while the server was away for 16 hours. Fewer would
drop true minutes, more would let a broken box fill a partition."""
PER_SECOND = 1.0
"""Heartbeats in the long run: sixty times those of a sound device, 86,400 raw rows a day."""
REMEMBERED = 100_000
"""Senders; above it everything but the floods is forgotten."""
LOOK_OVER = 2000
"""Senders of a bucket from which on those whose bucket is full again are forgotten: nearly all."""

ROUNDING = 1e-6

GROUPS = {"heartbeat": "heartbeat", "time_request": "heartbeat", "playback": "journal"}
"""Kind of event → bucket; all others, made-up ones too, share `report`."""

_ALLOWED = {"heartbeat": (1, 1), "journal": (20, 2), "report": (1, 1 / 30)}
"""Bucket → how many times `BURST` and `PER_SECOND`. Journals are counted in records: a box that
was cut off for a year brings 20,000. Boots of a box whose link breaks twice a minute pass."""

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
        self._reported: set[str] = set()
        """Senders whose flood has been reported and not its end."""

    def admit(self, code: str, kind: str, now: float, cost: int = 1) -> bool:
        """Tell whether a device may send one more message.

        Args:
            code: The device's.
            kind: Of the event.
            now: Seconds.
            cost: Tokens that it takes. A single message may cost more than the bucket holds; it
                passes when that is full, and is paid off before the next.
        """
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

    def changes(self, now: float) -> list[Flood]:
        """Floods that have begun or ended since the last call.

        A flood has ended when half of every bucket is full again.
        """
        self._flooding = {each for each in self._flooding if not self._is_over(*each, now)}
        flooding = {code for code, _ in self._flooding}
        changed = [Flood(code, began=True) for code in sorted(flooding - self._reported)]
        changed += [Flood(code, began=False) for code in sorted(self._reported - flooding)]
        self._reported = flooding
        return changed

    def report_again(self) -> None:
        """Report floods that go on as if they had just begun: what was reported was taken back."""
        self._reported.clear()

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
