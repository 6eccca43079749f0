"""One sound on the loudspeaker, and the rules that look at a single item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import Literal

from broadcast.wire.documents import Audio, Config, Item
from broadcast.wire.languages import renditions_for
from device_sim.journal import Progress

ON_TIME = timedelta(seconds=1)
"""A start this close to the plan is on time, so a late limit of zero can be kept at all."""

Part = Literal["audio", "stream", "silence"]
"""Of a relay, `audio` is the fallback, and `silence` what is left when that has ended."""


@dataclass(slots=True)
class Voice:
    """The sound that is playing now."""

    item: Item
    audio: Audio | None
    """What sounds, or of a relay: its fallback, whether or not that sounds."""
    began: float
    """Monotonic second of its (last) start."""
    offset: float
    """Where in the audio that was."""
    heard: float
    """Seconds heard before that."""
    least: float
    """Seconds heard before it was begun again; what sounds twice counts once."""
    checkpoint_at: float
    counted_at: float
    """Monotonic second up to which it is in the airtime of the day."""
    missed: float = 0.0
    """Seconds of live speech that were not there when they were due, since it began."""
    missed_before: float = 0.0
    loudest: int = 100
    """Limit of its volume, per cent: the lowest that holds until its end, known at its start."""
    until: float = inf
    """Monotonic second at which it must be silent, whatever remains."""
    part: Part = "audio"
    """What sounds since `began`; of a relay it changes."""
    relayed: float | None = None
    """Of `heard`: from the stream. None: it is no relay."""

    def position(self, monotonic: float) -> float:
        """Position of the sound in the audio; it stands still while a stream sounds."""
        if self.part != "audio":
            return self.offset
        position = self.offset + monotonic - self.began - self.missed
        return min(position, self.audio.seconds) if self.audio else position

    def heard_at(self, monotonic: float) -> float:
        """Seconds that have sounded since it was begun from its start."""
        return self.heard + self._streamed(monotonic) + self.position(monotonic) - self.offset

    def relayed_at(self, monotonic: float) -> float:
        """Of them: seconds of the stream."""
        return (self.relayed or 0.0) + self._streamed(monotonic)

    @property
    def is_relay(self) -> bool:
        """Tell whether it lasts until `ends_by`, with whatever sounds."""
        return self.relayed is not None

    def _streamed(self, monotonic: float) -> float:
        return monotonic - self.began if self.part == "stream" else 0.0

    @property
    def ends_at(self) -> float:
        """Monotonic second at which the audio is at its end."""
        if self.part != "audio" or self.audio is None:
            return inf
        return self.began + self.audio.seconds - self.offset

    def turned(self, part: Part, audio: Audio | None, monotonic: float) -> Voice:
        """The same relay, going on with another part of it."""
        return replace(
            self,
            audio=audio,
            began=monotonic,
            offset=self.position(monotonic),
            heard=self.heard_at(monotonic),
            relayed=self.relayed_at(monotonic),
            part=part,
        )


def latest_start(item: Item) -> datetime:
    """Last instant at which the item may start."""
    late = max(timedelta(seconds=item.late_limit_seconds), ON_TIME)
    return min(item.starts_at + late, item.ends_by)


def sources(item: Item, config: Config | None) -> list[Audio]:
    """Renditions that can be fetched ahead for the item, in the languages of the place."""
    audio = renditions_for(item, config.languages if config else ())
    if audio or item.stream is None:
        return audio
    return item.stream.fallback


def may_go_on(item: Item, progress: Progress, audio: Audio | None, time: datetime) -> bool:
    """Tell whether an interrupted sound may still be taken up.

    Args:
        item: What the documents say of it now.
        progress: How far it came.
        audio: The rendition that would be played now.
        time: The present.
    """
    if time >= item.ends_by or (progress.restart and time > latest_start(item)):
        return False
    if item.stream is not None:
        return True
    if audio is None or audio.sha256 != progress.sha256:
        return False
    return progress.restart or progress.position < audio.seconds
