"""Frames of a speaker → packets for loudspeakers. Pure; times are milliseconds.

`Pace` numbers the frames by the time of the session, whatever the microphone's own count does;
`Packer` puts some together, each with those of the packet before it.
"""

from __future__ import annotations

from broadcast.wire.live import Packet

FRAME_MS = 40
"""Of what browsers encode for us. Shorter costs more headers, longer is lost whole."""

GROUP = 3
"""New frames in a packet: 120 ms. A signature and the headers of MQTT, TLS and TCP for each frame
would be as long as the frame."""

MOST_LATE_MS = 1000
"""A frame that is so much later than the fastest is left out: devices would not wait for it."""
LATE_FOR_MS = 1000
"""After being late for so long without catching up the microphone has stood still (a phone that
slept), and its time is set anew."""
CAUGHT_UP_MS = 200


class Pace:
    """Numbers of a session's frames, from the numbers that the microphone gives them."""

    def __init__(self) -> None:
        self._shift: int | None = None
        """Frames to be added to the microphone's numbers."""
        self._next = 0
        self._least = 0.0
        self._late_since: tuple[float, float] | None = None
        """When it came to be late, and by how much then."""

    def number(self, frame: int, elapsed_ms: float) -> int | None:
        """Number of a frame in the session, None where it is left out.

        Args:
            frame: The microphone's number of it; they grow.
            elapsed_ms: Since the session began.
        """
        if self._shift is None:
            self._set(frame, elapsed_ms)
        assert self._shift is not None
        late = elapsed_ms - (frame + self._shift) * FRAME_MS
        self._least = min(self._least, late)
        late -= self._least
        if late <= MOST_LATE_MS:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = elapsed_ms, late
            return None
        else:
            since, late_then = self._late_since
            if elapsed_ms - since < LATE_FOR_MS or late < late_then - CAUGHT_UP_MS:
                return None
            self._set(frame, elapsed_ms)
        number = frame + self._shift
        if number < self._next:
            return None
        self._next = number + 1
        return number

    def restart(self) -> None:
        """Another microphone, or the same page loaded again: it counts from its beginning."""
        self._shift = None

    def _set(self, frame: int, elapsed_ms: float) -> None:
        number = max(self._next, int(elapsed_ms / FRAME_MS))
        self._shift = number - frame
        self._least = elapsed_ms - number * FRAME_MS
        self._late_since = None


class Packer:
    """Puts frames into packets, each with those of the packet before it.

    One lost packet of twenty would be five per cent of silence; this way two in a row have to be
    lost. It costs 17 kbit/s a loudspeaker.
    """

    def __init__(self) -> None:
        self._seq = 0
        self._first = 0
        self._new: list[bytes] = []
        self._before: list[bytes] = []

    def add(self, number: int, frame: bytes) -> Packet | None:
        """Take a frame; returns a packet when one is full.

        Frames that are left out between two count as silent; after a longer gap a packet begins
        anew.
        """
        following = self._first + len(self._new)
        if not self._new and not self._before:
            self._first = following = number
        if not 0 <= number - following < GROUP:
            self._new, self._before, self._first = [], [], number
            following = number
        self._new += [b""] * (number - following)
        self._new.append(frame)
        return self._pack() if len(self._new) >= GROUP else None

    def last(self) -> Packet:
        """What is left, and that nothing comes any more. Send it a few times."""
        return self._pack(is_last=True)

    def _pack(self, *, is_last: bool = False) -> Packet:
        first = self._first - len(self._before)
        packet = Packet(self._seq, first, (*self._before, *self._new), is_last)
        self._seq += 1
        self._first += len(self._new)
        self._before, self._new = self._new or self._before, []
        return packet
