"""Asking the time before a start, so that loudspeakers within earshot of each other begin as one.

A clock that was measured six hours ago may be a second wrong by now. One that is known well enough
at the start is left alone; the others ask for the server's clock in the minutes before, more than
once where the link is slow: the shortest round trip of several is what counts.
"""

from __future__ import annotations

from datetime import datetime
from math import inf

from device_sim.chance import fraction
from device_sim.timekeeping import Timekeeper

GOOD_SECONDS = 0.025
"""Two clocks that are known so well lie within 50 ms of each other; above it an echo is heard."""
BEFORE_SECONDS = 240.0
"""Each begins to ask at a hashed moment of the first half of this time: a province that starts at
five must not ask all at once."""
AGAIN_SECONDS = 10.0
MOST_QUESTIONS = 8
"""For one start. More would find shorter round trips, and load a slow link before it plays."""


class Aim:
    """When to ask the time for the next start."""

    def __init__(self) -> None:
        self.wake = inf
        """Monotonic second of the next question."""
        self._start: datetime | None = None
        self._asked = 0
        self._asked_at = -inf

    def due(self, monotonic: float) -> bool:
        """Tell whether to ask now; it counts as asked."""
        if monotonic < self.wake:
            return False
        self._asked += 1
        self._asked_at = monotonic
        return True

    def at(
        self, start: datetime | None, clock: Timekeeper, monotonic: float, device_id: str
    ) -> None:
        """Look at what comes next.

        Args:
            start: Planned start; None when nothing comes, or nobody can be asked.
            clock: Of the device.
            monotonic: The present.
            device_id: For the hashed moment.
        """
        self.wake = inf
        if start is None or not clock.trusted:
            return
        if start != self._start:
            self._start, self._asked = start, 0
        starts = clock.monotonic_at(start)
        asks = self._asked < MOST_QUESTIONS and clock.doubt(starts) > GOOD_SECONDS
        share = 1 - fraction(device_id, "aim", start.isoformat()) / 2
        next_at = max(starts - BEFORE_SECONDS * share, self._asked_at + AGAIN_SECONDS)
        if asks and next_at < starts:
            self.wake = max(next_at, monotonic)
