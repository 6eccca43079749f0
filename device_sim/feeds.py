"""The radio streams that a device holds open or tries: for what relays, and what soon will.

A stream is opened a little before its item starts, so that it can sound at the very second. While
it is away its addresses are tried in turn, at once after one that failed; once all have failed it
is tried again after a pause. Whether a stream *sounds* is the box's to tell: one that is connected
and silent is away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import inf

from broadcast.wire.documents import Item, Stream
from device_sim.box import Box
from device_sim.effects import CloseStream, OpenStream

LEAD = timedelta(seconds=20)
"""Before its item starts. Shorter than two attempts: a first address that hangs would be heard."""

ATTEMPT_SECONDS = 10.0
"""An address that has not sounded after this counts as one that cannot be had."""

FRESH_SECONDS = 3.0
"""What is late or goes on after a power cut waits so long for its stream. Longer is dead air."""

AGAIN_SECONDS = 10.0
"""After all addresses have failed. Shorter: a stream that comes and goes chops the fallback."""


@dataclass(slots=True)
class Feed:
    """The stream of one item."""

    stream: Stream
    index: int = 0
    """Of the address that is tried, or sounds."""
    is_open: bool = False
    until: float = inf
    """Monotonic second at which the attempt, or the pause, is over."""
    is_paused: bool = False
    fresh_until: float = inf
    """Monotonic second up to which it may open yet before its fallback is heard."""

    @property
    def url(self) -> str:
        """Address that is tried, or sounds."""
        return urls(self.stream)[self.index]


def urls(stream: Stream) -> list[str]:
    """Addresses of a stream, in the order in which they are tried."""
    return [stream.url, *stream.further_urls]


class Feeds:
    """The streams of one device, by occurrence."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._feeds: dict[str, Feed] = {}

    def keep(self, items: Iterable[Item], monotonic: float) -> None:
        """Hold open the streams of these items, and no others.

        Args:
            items: What relays, or will in a moment.
            monotonic: Present.
        """
        wanted = {item.occurrence_id: item.stream for item in items if item.stream is not None}
        for occurrence_id, feed in list(self._feeds.items()):
            stream = wanted.get(occurrence_id)
            if stream is None or feed.url not in urls(stream):
                self._drop(occurrence_id)
            else:
                feed.index = urls(stream).index(feed.url)
                feed.stream = stream
        for occurrence_id, stream in wanted.items():
            if occurrence_id not in self._feeds:
                fresh_until = monotonic + FRESH_SECONDS
                self._feeds[occurrence_id] = Feed(stream, fresh_until=fresh_until)
                self._try(occurrence_id, 0, monotonic)

    def url(self, occurrence_id: str) -> str | None:
        """Address of a stream that can sound now."""
        feed = self._feeds.get(occurrence_id)
        return feed.url if feed is not None and feed.is_open else None

    def told(self, occurrence_id: str, url: str, *, sounds: bool, monotonic: float) -> None:
        """There is sound in a stream, or none (any more). Of an earlier attempt: means nothing."""
        feed = self._feeds.get(occurrence_id)
        if feed is None or feed.is_paused or feed.url != url:
            return
        if not sounds:
            self._next(occurrence_id, monotonic)
        elif not feed.is_open:
            feed.is_open, feed.until = True, inf

    def may_open(self, occurrence_id: str) -> bool:
        """Tell whether it was asked for so lately that its fallback would be a false start."""
        feed = self._feeds.get(occurrence_id)
        return feed is not None and feed.fresh_until < inf

    def again(self, occurrence_id: str, monotonic: float) -> None:
        """Its sound was interrupted, and the connection with it: have it ready for later."""
        if occurrence_id in self._feeds:
            self._try(occurrence_id, 0, monotonic)

    def proceed(self, monotonic: float) -> None:
        """Go on with attempts and pauses whose time is over."""
        for occurrence_id, feed in self._feeds.items():
            if feed.fresh_until <= monotonic:
                feed.fresh_until = inf
            if feed.until > monotonic:
                continue
            if feed.is_paused:
                self._try(occurrence_id, 0, monotonic)
            else:
                self._next(occurrence_id, monotonic)

    def wake(self) -> float:
        """Monotonic second at which something is over."""
        times = ((feed.until, feed.fresh_until) for feed in self._feeds.values())
        return min(map(min, times), default=inf)

    def _try(self, occurrence_id: str, index: int, monotonic: float) -> None:
        feed = self._feeds[occurrence_id]
        feed.index, feed.is_open, feed.is_paused = index, False, False
        feed.until = monotonic + ATTEMPT_SECONDS
        self._box.emit(OpenStream(occurrence_id, feed.url))

    def _next(self, occurrence_id: str, monotonic: float) -> None:
        feed = self._feeds[occurrence_id]
        if feed.index + 1 < len(urls(feed.stream)):
            self._try(occurrence_id, feed.index + 1, monotonic)
            return
        feed.is_open, feed.is_paused, feed.until = False, True, monotonic + AGAIN_SECONDS
        feed.fresh_until = inf
        self._box.emit(CloseStream(occurrence_id))

    def _drop(self, occurrence_id: str) -> None:
        del self._feeds[occurrence_id]
        self._box.emit(CloseStream(occurrence_id))
