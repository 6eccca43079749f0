"""Radio streams for real: HTTP (Icecast) and HLS, read by libav, one reader for all who listen.

What is decoded is only listened to: a stream counts while there is sound in it. A server that
accepts and sends nothing, sends something else, or sends silence is as good as none.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

import av
import av.error
import numpy as np

from device_sim import clock

OPEN_SECONDS = 8.0
READ_SECONDS = 4.0
"""Without a byte for so long it is broken. Shorter than a segment of HLS would be too strict."""

AHEAD_SECONDS = 1.0
"""As much is decoded before it sounds; what a server sends in a burst waits in its connection."""

SILENT_SECONDS = 8.0
"""Silence of this length is a fault of the source; speech and music pause for less."""

SILENT_PEAK = 33
"""Of 32,767: −60 dBFS. A transmitter that is fed nothing hums below it."""

Tell = Callable[[bool], None]


class Ear:
    """Whether there is sound in a stream, by the peaks of its stretches; pure."""

    def __init__(self) -> None:
        self.hears = False
        self._silent_seconds = SILENT_SECONDS

    def heed(self, seconds: float, peak: int) -> bool:
        """Take the next stretch; tell whether that changes what is heard."""
        self._silent_seconds = 0.0 if peak > SILENT_PEAK else self._silent_seconds + seconds
        hears = self._silent_seconds < SILENT_SECONDS
        changed, self.hears = hears != self.hears, hears
        return changed


class Radio:
    """All streams of a process; call it in its event loop."""

    def __init__(self) -> None:
        self._stations: dict[str, _Station] = {}
        self._tuned: dict[object, str] = {}

    def tune(self, key: object, url: str, tell: Tell) -> None:
        """Listen to an address instead of what this key listened to before.

        Args:
            key: Whose it is.
            url: Of the stream.
            tell: Called, later, once there is sound in it, and when there is none (any more).
        """
        self.leave(key)
        self._tuned[key] = url
        if url not in self._stations:
            self._stations[url] = _Station(url, asyncio.get_running_loop(), self._over)
        self._stations[url].add(key, tell)

    def leave(self, key: object) -> None:
        """Listen no longer; nothing more is told."""
        url = self._tuned.pop(key, None)
        station = None if url is None else self._stations.get(url)
        if url is not None and station is not None and station.remove(key):
            station.stop()
            del self._stations[url]

    def close(self) -> None:
        """Break all connections."""
        for station in self._stations.values():
            station.stop()
        self._stations.clear()
        self._tuned.clear()

    def _over(self, station: _Station) -> None:
        """A reader has ended by itself: whoever still listens to it tunes anew."""
        if self._stations.get(station.url) is station:
            del self._stations[station.url]


class _Station:
    """One address, read by a thread as fast as it sounds."""

    def __init__(
        self, url: str, loop: asyncio.AbstractEventLoop, over: Callable[[_Station], None]
    ) -> None:
        self.url = url
        self._loop = loop
        self._over = over
        self._told: dict[object, Tell] = {}
        self._hears = False
        self._stopped = threading.Event()
        threading.Thread(target=self._read, name="radio", daemon=True).start()

    def add(self, key: object, tell: Tell) -> None:
        self._told[key] = tell
        if self._hears:
            self._loop.call_soon(lambda: tell(True) if self._told.get(key) is tell else None)

    def remove(self, key: object) -> bool:
        """Tell whether nobody listens any more."""
        self._told.pop(key, None)
        return not self._told

    def stop(self) -> None:
        self._told.clear()
        self._stopped.set()

    def _read(self) -> None:
        with suppress(av.error.FFmpegError, OSError, IndexError, ValueError):
            self._listen()
        self._say(False, is_over=True)

    def _listen(self) -> None:
        ear = Ear()
        with av.open(self.url, timeout=(OPEN_SECONDS, READ_SECONDS)) as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
            sounded, began = 0.0, clock.look().monotonic
            for frame in container.decode(stream):
                for part in resampler.resample(frame):
                    seconds = part.samples / 16_000
                    sounded += seconds
                    peak = int(np.abs(part.to_ndarray()[0].astype(np.int32)).max(initial=0))
                    if ear.heed(seconds, peak):
                        self._say(ear.hears)
                elapsed = clock.look().monotonic - began
                began += max(0.0, elapsed - sounded)  # it waited for the server
                if self._stopped.wait(max(0.0, sounded - elapsed - AHEAD_SECONDS)):
                    return

    def _say(self, hears: bool, *, is_over: bool = False) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._hand_on, hears, is_over)

    def _hand_on(self, hears: bool, is_over: bool) -> None:
        self._hears = hears
        if is_over:
            self._over(self)
        for tell in list(self._told.values()):
            tell(hears)
