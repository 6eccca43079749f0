"""Shared by all boxes of a process: time, faults, files, sound, and the record of the truth.

One heap serves all timers, so an idle device costs one entry in it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, TextIO

from device_sim import clock
from device_sim.effects import LiveSound
from device_sim.faults import Faults
from device_sim.link import Access
from device_sim.radio import Radio
from device_sim.sound import Decoded, LiveDecoder, Sounds, Undecodable, append_wav
from device_sim.store import Store


class Commons:
    """Shared by the units of one fleet.

    Args:
        access: To the broker, of boxes that were given none of their own.
        faults: What goes wrong.
        ntp: Devices reach an NTP server, but for those whose faults forbid it.
        keep: Folder where flash and content outlive the process.
        recordings: Folder for what is sounded.
        truth: Where the ground truth goes, one JSON object a line.
    """

    def __init__(
        self,
        access: Access,
        faults: Faults,
        *,
        ntp: bool = True,
        keep: Path | None = None,
        recordings: Path | None = None,
        truth: TextIO | None = None,
    ) -> None:
        self.access = access
        self.faults = faults
        self.store = Store(keep / "content" if keep else None)
        self.sounds = Sounds() if recordings else Sounds(keep_bytes=0)
        self.radio = Radio()
        self.counts: Counter[str] = Counter()
        self.start_errors: list[float] = []
        """Seconds between plan and sound of every start at offset 0."""
        self.on_broken: Callable[[str], None] = lambda _digest: None
        """Called with a file that turns out to be undecodable."""
        self.on_live: Callable[[str, LiveSound], None] = lambda _device_id, _sound: None
        """Called with what a box makes audible of live speech."""
        self._heard: dict[tuple[str, str], LiveDecoder] = {}
        self._ntp = ntp
        self._recordings = recordings
        self._truth = truth
        self._began = clock.look().monotonic
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._decoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return clock.look().monotonic - self._began

    def at(self, elapsed: float, action: Callable[[], None]) -> None:
        """Do something so many seconds after the run began."""
        self._number += 1
        heappush(self._agenda, (elapsed, self._number, action))
        if self._agenda[0][1] == self._number:
            self._set_alarm()

    def at_monotonic(self, second: float, action: Callable[[], None]) -> None:
        """Do something when the monotonic clock has reached this reading."""
        self.at(second - self._began, action)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after a while."""
        self.at(self.elapsed + seconds, action)

    def has_ntp(self, device_id: str) -> bool:
        """Tell whether a device can reach an NTP server."""
        return self._ntp and self.faults.has_ntp(device_id)

    def keep(self, digest: str, blocks: tuple[bytes, ...]) -> None:
        """Store a file for one more box; what is new is decoded, beside the event loop."""
        if self.store.keep(digest, blocks):
            checked = self._decoder.submit(self.sounds.check, digest, self.store.read(digest))
            loop = asyncio.get_running_loop()
            checked.add_done_callback(
                lambda done: loop.call_soon_threadsafe(self._checked, digest, done)
            )

    def record(
        self, device_id: str, occurrence_id: str, digest: str, start: float, end: float
    ) -> None:
        """Write down what a box made audible."""
        if self._recordings is not None:
            path = self._recordings / device_id / f"{occurrence_id}.wav"
            content = self.store.read(digest)
            self._decoder.submit(self._append, path, digest, content, start, end)

    def hear(self, device_id: str, sound: LiveSound, *, recorded: bool) -> None:
        """A box makes live speech audible."""
        self.counts["live_frames"] += len(sound.frames)
        self.counts["live_missed"] += sound.frames.count(None)
        self.on_live(device_id, sound)
        if recorded and self._recordings is not None:
            key = device_id, sound.occurrence_id
            decoder = self._heard.setdefault(key, LiveDecoder())
            self._decoder.submit(decoder.add, sound.frames)

    def end_hearing(self, device_id: str, occurrence_id: str) -> None:
        """What a box has made audible of live speech is written down, if it was any."""
        decoder = self._heard.pop((device_id, occurrence_id), None)
        if decoder is not None and self._recordings is not None:
            path = self._recordings / device_id / f"{occurrence_id}.wav"
            self._decoder.submit(_append_live, path, decoder)

    def calm(self) -> None:
        """Nothing goes wrong any more; what has gone wrong takes its time to be over."""
        self.faults = self.faults.calmed()

    def tell(
        self, device_id: str, event: str, happened_at: datetime | None = None, **facts: Any
    ) -> None:
        """Count what really happened, and write it down.

        Args:
            device_id: To whom.
            event: What.
            happened_at: True time of it; this moment when None.
            facts: More about it.
        """
        self.counts[event] += 1
        if self._truth is not None:
            at = (happened_at or clock.look().wall).isoformat(timespec="milliseconds")
            line = {"at": at, "device_id": device_id, "event": event, **facts}
            self._truth.write(json.dumps(line) + "\n")

    def close(self) -> None:
        """Nothing more happens; recordings are finished."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._agenda.clear()
        self.radio.close()
        self._decoder.shutdown()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        when = self._began + self._agenda[0][0]
        self._alarm = asyncio.get_running_loop().call_at(when, self._work)

    def _work(self) -> None:
        self._alarm = None
        while self._agenda and self._agenda[0][0] <= self.elapsed:
            heappop(self._agenda)[2]()
        if self._agenda:
            self._set_alarm()

    def _checked(self, digest: str, done: Future[bool]) -> None:
        if not done.cancelled() and not done.result():
            self.on_broken(digest)

    def _append(self, path: Path, digest: str, content: bytes, start: float, end: float) -> None:
        try:
            append_wav(path, self.sounds.get(digest, content), start, end)
        except Undecodable:
            return


def _append_live(path: Path, decoder: LiveDecoder) -> None:
    decoded: Decoded = decoder.decoded()
    append_wav(path, decoded, 0.0, decoded.seconds)
