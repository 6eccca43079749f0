"""The recording of a live session: frames in a file as they come, Opus and MP3 once it is over.

The file is written by whoever has the microphone, and read by the leader, which finds it also when
that process has died. What breaks off at its end is left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.model import Rendition
from broadcast.kit import db
from broadcast.live import mp3
from broadcast.live.model import LiveSession
from broadcast.live.packing import FRAME_MS
from broadcast.live.steps import REVISION
from broadcast.wire.fields import Codec
from broadcast.wire.live import FRAME_BYTES

log = structlog.get_logger()

FOLDER = ".live"
"""Below the folder of the audio; hidden, so that no backup takes what is not finished."""

KEEP_AFTER = timedelta(seconds=5)
"""From the end of a session until its recording is made: its last frames are being written."""


RATE = 48_000
NOTHING = bytes([10 << 3])
"""An Opus packet of 40 ms without a frame, which a decoder conceals (RFC 6716 §3.1, §3.2.1)."""

_FRAME = struct.Struct("!IH")
_SAMPLES = RATE * FRAME_MS // 1000


def frames_path(content_dir: Path, live_id: UUID) -> Path:
    """Where the frames of a session are written."""
    return content_dir / FOLDER / f"{live_id}.frames"


def open_frames(content_dir: Path, live_id: UUID) -> BufferedWriter:
    """The file of a session, to add frames to."""
    path = frames_path(content_dir, live_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def frame_bytes(number: int, frame: bytes) -> bytes:
    """A frame as it is written."""
    return _FRAME.pack(number, len(frame)) + frame


def read_frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """Frames with their numbers, in order; a number that comes again is passed over."""
    following = 0
    with path.open("rb") as file:
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            number, length = _FRAME.unpack(head)
            frame = file.read(length)
            if len(frame) < length or length > FRAME_BYTES:
                return
            if number >= following:
                following = number + 1
                yield number, frame


class Recorded(NamedTuple):
    """A recording among the audio."""

    sha256: str
    size_bytes: int
    seconds: float


def keep_recording(content_dir: Path, live_id: UUID) -> Recorded | None:
    """Make Ogg Opus of the frames, without encoding them anew; None where there are none.

    Where nothing was spoken, or nothing came, the recording is silent: it lasts as long as the
    session.
    """
    import av  # noqa: PLC0415 — the web process only writes frames

    frames_file = frames_path(content_dir, live_id)
    if not frames_file.exists():
        return None
    made = frames_file.with_suffix(".ogg")
    count = 0
    with av.open(str(made), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono")
        stream.codec_context.open()
        first = True
        for number, frame in read_frames(frames_file):
            if first:
                count, first = number, False
            for missing in range(count, number):
                _mux(container, stream, NOTHING, missing)
            _mux(container, stream, frame, number)
            count = number + 1
    if count == 0:
        made.unlink()
        return None
    return _kept(content_dir, made, round(count * FRAME_MS / 1000, 3))


def _kept(content_dir: Path, made: Path, seconds: float) -> Recorded:
    """Put a file among the audio, by its SHA-256."""
    with made.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = file.tell()
        os.fsync(file.fileno())
    target = content_path(content_dir, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)
    return Recorded(sha256, size_bytes, seconds)


async def keep_mp3(content_dir: Path, live_id: UUID, opus: Recorded) -> Recorded | None:
    """Make the MP3 of a recording; None where it cannot be decoded."""
    made = frames_path(content_dir, live_id).with_suffix(".mp3")
    if not await mp3.make(content_path(content_dir, opus.sha256), made):
        return None
    return await asyncio.to_thread(_kept, content_dir, made, opus.seconds)


def _mux(container: object, stream: object, frame: bytes, number: int) -> None:
    import av  # noqa: PLC0415 — the web process only writes frames

    packet = av.Packet(frame)
    packet.stream = stream  # type: ignore[assignment]
    packet.pts = packet.dts = number * _SAMPLES
    packet.duration = _SAMPLES
    packet.time_base = Fraction(1, RATE)
    container.mux(packet)  # type: ignore[attr-defined]


async def keep_due(engine: AsyncEngine, content_dir: Path, now: datetime) -> None:
    """Keep the recordings of sessions that are over, one by one."""
    async with db.transaction(engine) as session:
        due = await session.scalars(
            sa.select(LiveSession.id)
            .where(
                LiveSession.begun_at.is_not(None),
                LiveSession.kept_at.is_(None),
                LiveSession.ended_at < now - KEEP_AFTER,
            )
            .order_by(LiveSession.begun_at)
            .limit(10)
        )
        ids = list(due)
    for live_id in ids:
        recorded = await asyncio.to_thread(keep_recording, content_dir, live_id)
        found = {Codec.OPUS: recorded}
        if recorded is not None:
            found[Codec.MP3] = await keep_mp3(content_dir, live_id, recorded)
        async with db.transaction(engine) as session:
            live = await session.get_one(LiveSession, live_id, with_for_update=True)
            if live.kept_at is not None:
                continue
            live.kept_at = now
            session.add_all(
                Rendition(bulletin_id=live_id, revision=REVISION, codec=codec, **each._asdict())
                for codec, each in found.items()
                if each is not None
            )
        await asyncio.to_thread(frames_path(content_dir, live_id).unlink, missing_ok=True)
        log.info(
            "live.recording.kept", live_id=str(live_id), seconds=recorded and recorded.seconds
        )
