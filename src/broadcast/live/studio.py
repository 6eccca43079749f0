"""The speeches of this process: frames in, signed packets out to the broker.

The private key of a session is in the memory of the process that has its microphone, and nowhere
else. Where another process, or this one after a restart, gets the microphone, it makes another key
and the document names that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from prometheus_client import Counter

from broadcast import config
from broadcast.kit.errors import Conflict, Unavailable
from broadcast.live import recording
from broadcast.live.packing import FRAME_MS, Pace, Packer
from broadcast.wire.live import FRAME_BYTES, Packet, key_text, seal
from broadcast.wire.topics import LIVE_SOUND

if TYPE_CHECKING:
    from broadcast.mqtt.link import Link

log = structlog.get_logger()

FRAMES = Counter("broadcast_live_frames", "Frames of live speech by fate", ["fate"])
PACKETS = Counter("broadcast_live_packets", "Packets of live speech by fate", ["fate"])

MOST_SPEECHES = 20
"""At once in one process: each takes 25 frames a second."""

CONNECT_SECONDS = 5.0
PUBLISH_SECONDS = 1.0
"""After which a packet is given up: no device waits for it any longer."""

LAST_TIMES = 4
LAST_SECONDS = 0.15
"""The last packet is sent so many times, so far apart: it is the one that no later one repeats."""


class Speech:
    """The words of one session on their way."""

    def __init__(self, live_id: UUID, content_dir: Path) -> None:
        self.live_id = live_id
        self.frames_count = 0
        self.taken = 0
        """Number of the connection that has the microphone; an older one stops."""
        self.heard_at = time.monotonic()
        self.is_over = False
        self._key = Ed25519PrivateKey.generate()
        self._content_dir = content_dir
        self._began = time.monotonic()
        self._pace = Pace()
        self._packer = Packer()
        self._file: BufferedWriter | None = None

    @property
    def public(self) -> str:
        """Key of its packets, as documents name it."""
        return key_text(self._key)

    @property
    def seconds(self) -> float:
        """What was spoken."""
        return self.frames_count * FRAME_MS / 1000

    def take_microphone(self) -> int:
        """A connection brings the microphone; returns its number."""
        self._pace.restart()
        self.taken += 1
        return self.taken

    def add(self, frame: int, opus: bytes) -> bytes | None:
        """A frame of the microphone; returns a packet when one is full."""
        self.heard_at = time.monotonic()
        number = None
        if 0 < len(opus) <= FRAME_BYTES:
            number = self._pace.number(frame, (self.heard_at - self._began) * 1000)
        if number is None:
            FRAMES.labels("left_out").inc()
            return None
        FRAMES.labels("sent").inc()
        self.frames_count += 1
        self._record(number, opus)
        packet = self._packer.add(number, opus)
        return None if packet is None else self._sealed(packet)

    def last(self) -> bytes:
        """The packet after which nothing comes."""
        self.is_over = True
        return self._sealed(self._packer.last())

    def flush(self) -> None:
        """Write down what was spoken."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """The recording goes no further."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _record(self, number: int, opus: bytes) -> None:
        try:
            if self._file is None:
                self._file = recording.open_frames(self._content_dir, self.live_id)
            self._file.write(recording.frame_bytes(number, opus))
        except OSError as error:
            # The villages hear it all the same.
            log.error("live.recording.failed", live_id=str(self.live_id), error=str(error))  # noqa: TRY400

    def _sealed(self, packet: Packet) -> bytes:
        return seal(packet, str(self.live_id), self._key)


class Studio:
    """All speeches of a process, and their one link to the broker, kept while there are any."""

    def __init__(self, settings: config.Settings) -> None:
        self._settings = settings
        self._speeches: dict[UUID, Speech] = {}
        self._link: Link | None = None
        self._users = 0
        self._opening = asyncio.Lock()

    def speech(self, live_id: UUID) -> Speech:
        """The speech of a session, or a new one.

        Raises:
            Conflict: There are too many.
        """
        for other in [k for k, each in self._speeches.items() if each.is_over]:
            del self._speeches[other]
        speech = self._speeches.get(live_id)
        if speech is None:
            if len(self._speeches) >= MOST_SPEECHES:
                raise Conflict("Đang có quá nhiều buổi phát trực tiếp; hãy chờ một buổi kết thúc.")
            speech = self._speeches[live_id] = Speech(live_id, self._settings.content_dir)
        return speech

    def forget(self, live_id: UUID) -> None:
        """The session is over."""
        speech = self._speeches.pop(live_id, None)
        if speech is not None:
            speech.close()

    @asynccontextmanager
    async def on_air(self) -> AsyncIterator[None]:
        """Hold the link to the broker.

        Raises:
            Unavailable: It does not come to stand.
        """
        mqtt = self._settings.mqtt
        async with self._opening:
            self._users += 1
            if self._link is None:
                from broadcast.mqtt.link import Link  # noqa: PLC0415 — few processes speak

                link = Link(mqtt, client_id=mqtt.session("live"))
                self._link = await link.__aenter__()
        try:
            await self._connected()
            yield
        finally:
            async with self._opening:
                self._users -= 1
                if self._users == 0 and self._link is not None:
                    closing, self._link = self._link, None
                    await closing.__aexit__(None, None, None)

    async def publish(self, live_id: UUID, packet: bytes) -> bool:
        """Send a packet; tell whether it left. One that did not is not sent later."""
        topic = LIVE_SOUND.build(session_id=str(live_id), kind="sound")
        link = self._link
        if link is None:
            return False
        try:
            await link.publish(
                f"{self._settings.mqtt.prefix}/{topic}", packet, qos=0, timeout=PUBLISH_SECONDS
            )
        except Unavailable:
            PACKETS.labels("lost").inc()
            return False
        PACKETS.labels("sent").inc()
        return True

    async def publish_last(self, speech: Speech) -> None:
        """Tell devices that it is over."""
        packet = speech.last()
        speech.close()
        for _ in range(LAST_TIMES):
            await self.publish(speech.live_id, packet)
            await asyncio.sleep(LAST_SECONDS)
        self.forget(speech.live_id)

    async def _connected(self) -> None:
        link = self._link
        if link is not None and not link.connected:
            stands = asyncio.Event()
            link.on_connect.append(stands.set)
            with suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await stands.wait()
        if self._link is None or not self._link.connected:
            why = "" if self._link is None else self._link.trouble
            raise Unavailable(f"Chưa nối được tới loa ({why}); hãy thử lại sau ít phút.")
