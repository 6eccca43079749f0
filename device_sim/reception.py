"""The jitter buffer of one live session: which frame sounds when, and which is given up.

Pure; times are seconds of the device's monotonic clock. The earliest arrivals tell how the
sender's time lies to ours: frame *n* is due `buffer_ms` after the moment at which it would have
come on the fastest way. What is not there when it is due is not heard, so the delay never grows:
a device that stood still throws away what waited for it meanwhile.
"""

from __future__ import annotations

from math import inf

from broadcast.wire.documents import LiveSession
from broadcast.wire.live import Packet

STALL_SECONDS = 10.0
"""Without a packet for so long, the loudspeaker is free for others. Shorter: a programme begins
between two sentences. Longer: a session whose sender is gone keeps the programme away."""

SLEW = 0.02
"""Most that the clock of the session is set right by, per second: nobody hears two per cent."""
WINDOW_SECONDS = 5.0
"""The earliest arrival is looked for in the last one to two windows. Shorter follows every burst,
longer does not follow a clock that drifts (100 ppm are 1 ms in ten seconds)."""
MOST_LATER_SECONDS = 1.0
"""How much later than it began a session may come to sound: drift of an hour and a slower way;
more is a link that is too slow, and would only fall further behind."""
LONGEST_STEP_SECONDS = 1.0
"""Of time between two packets that counts for the slew: after a standstill the first that comes
is the oldest of those that waited, and tells nothing of the way."""


class Reception:
    """One live session as a device hears it.

    Attributes:
        session: As its document describes it now.
        heard: Frames that were there when they were due.
        missed: Frames that were not.
        sounded: Frames since `take_sound`, None for one that was not there.
    """

    def __init__(self, session: LiveSession) -> None:
        self.session = session
        self.heard = 0
        self.missed = 0
        self.sounded: list[bytes | None] = []
        self._frame = session.frame_ms / 1000
        self._base = inf
        """Our time at which the sender's begins, on the fastest way."""
        self._least = inf
        self._windows = (inf, inf)
        self._window_ends = inf
        self._frames: dict[int, bytes] = {}
        self._next: int | None = None
        """The first frame that is not yet due; None before the first packet, and after a stall."""
        self._begun = False
        self._last_at = -inf
        self._end: int | None = None
        self._over = False
        self._told = 0
        """Number of the first frame of `sounded`."""

    def due(self, frame: int) -> float:
        """Moment at which a frame sounds."""
        return self._base + (frame + 1) * self._frame + self.session.buffer_ms / 1000

    @property
    def begins_at(self) -> float:
        """Moment from which on it sounds; infinity while nothing has come."""
        return inf if self._next is None or self._begun else self.due(self._next)

    @property
    def ends_at(self) -> float:
        """Moment at which its last frame has sounded; infinity while that is not known."""
        return inf if self._end is None or self._base == inf else self.due(self._end)

    @property
    def stalls_at(self) -> float:
        """Moment at which it counts as interrupted unless something comes before."""
        return inf if self._next is None else self._last_at + STALL_SECONDS

    @property
    def missed_seconds(self) -> float:
        """Length of all that was not there when it was due."""
        return self.missed * self._frame

    def sounds(self, at: float) -> bool:
        """Tell whether there is something to hear at this moment."""
        return self._begun and at < min(self.ends_at, self.stalls_at)

    def wake(self) -> float:
        """Moment of the next change that no packet brings about."""
        if self._over:
            return inf
        return min(self.begins_at, self.ends_at if self._begun else inf, self.stalls_at)

    def take(self, packet: Packet, at: float) -> None:
        """A packet came."""
        self.proceed(at)
        if self._over:
            return
        newest = packet.first + len(packet.frames)
        if self._next is None and at >= self._too_late_for(newest - 1):
            return  # what was held up on the way, or comes again, is no voice that is back
        if self._next is None:
            self._base, self._next, self._begun = inf, packet.first, False
            self.sounded, self._told = [], packet.first
            self._windows, self._window_ends = (inf, inf), at + WINDOW_SECONDS
        self._follow(at - newest * self._frame, at)
        self._last_at = at
        if packet.is_last:
            self._end = newest
        for number, frame in enumerate(packet.frames, packet.first):
            if number >= self._next:
                self._frames.setdefault(number, frame)

    def proceed(self, at: float) -> None:
        """Time has passed: what has come due sounds, or is given up."""
        if self._next is None or self._over:
            return
        self._begun = self._begun or at >= self.due(self._next)
        end = inf if self._end is None else self._end
        number = self._next
        while number < end and self.due(number) <= at:
            frame = self._frames.pop(number, None)
            self.heard += frame is not None
            self.missed += frame is None
            self.sounded.append(frame)
            number += 1
        self._next = number
        self._over = at >= self.ends_at
        if not self._over and at >= self.stalls_at:
            # The next packet begins anew: whatever has kept it, the way may be another one.
            self._next, self._begun = None, False
            self._frames.clear()

    def take_sound(self) -> tuple[int, list[bytes | None]]:
        """What has sounded since the last time, and the number of its first frame."""
        sounded, self.sounded = self.sounded, []
        first, self._told = self._told, self._told + len(sounded)
        return first, sounded

    def skip(self, at: float) -> None:
        """Leave out of `take_sound` what was over before this moment: something else sounded."""
        first, sounded = self.take_sound()
        gone = [at >= self.due(number) + self._frame for number in range(first, self._told)]
        self.sounded = sounded[sum(gone) :]
        self._told = first + sum(gone)

    def _too_late_for(self, frame: int) -> float:
        """Moment from which on a frame is given up, however late the session comes to sound."""
        latest = self._least + MOST_LATER_SECONDS
        return latest + (frame + 1) * self._frame + self.session.buffer_ms / 1000

    def _follow(self, transit: float, at: float) -> None:
        """Set the clock of the session by one more arrival."""
        if at >= self._window_ends:
            self._windows = (self._windows[1], inf)
            self._window_ends = at + WINDOW_SECONDS
        self._windows = (self._windows[0], min(self._windows[1], transit))
        if not self._begun:
            # Nothing has sounded: the clock may be set.
            self._base = min(self._base, transit, self._least + MOST_LATER_SECONDS)
        else:
            step = SLEW * min(at - self._last_at, LONGEST_STEP_SECONDS)
            wanted = min(*self._windows, self._least + MOST_LATER_SECONDS)
            self._base += max(-step, min(step, wanted - self._base))
        self._least = min(self._least, self._base)
