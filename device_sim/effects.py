"""Requests of a player to its box. The box does them in this order, and nothing of its own.

The order is the guarantee: what must survive a power cut stands before what it makes safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from device_sim.journal import Change


@dataclass(frozen=True, slots=True)
class Publish:
    """Send a message; topics are relative to the prefix."""

    topic: str
    payload: bytes
    qos: int = 1


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Follow topic filters (QoS 1)."""

    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Follow topic filters no longer."""

    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Persist:
    """Write to flash, all or nothing, before doing anything that follows."""

    change: Change


@dataclass(frozen=True, slots=True)
class KeepCertificate:
    """Keep a client certificate, if it is for the box's key; answer with `Player.renewed`."""

    certificate: str
    renew_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoreContent:
    """Write a verified audio file: temporary file, fsync, rename."""

    sha256: str
    blocks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DropContent:
    """Delete an audio file."""

    sha256: str


@dataclass(frozen=True, slots=True)
class StartSound:
    """Play a stored file from an offset. Only ever one sound at a time."""

    occurrence_id: str
    sha256: str
    offset_seconds: float
    volume: int


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect to a stream without sounding yet; answer with `Player.stream_told`.

    Tell once there is sound in it, and when there is none (any more): it cannot be had, breaks
    off or is silent. It takes the place of an earlier attempt of the same occurrence.
    """

    occurrence_id: str
    url: str


@dataclass(frozen=True, slots=True)
class StartStream:
    """Let an opened stream sound."""

    occurrence_id: str
    url: str
    volume: int


@dataclass(frozen=True, slots=True)
class LiveSound:
    """Frames of a live session that the loudspeaker has sounded since the last ones.

    A box gives each of them to its decoder at its moment; a player without input and output can
    only tell of them afterwards.
    """

    occurrence_id: str
    first: int
    """Number of the first of them."""
    at: float
    """Monotonic second at which that sounded; each lasts `frame_ms`."""
    frames: tuple[bytes | None, ...]
    """Opus packets; None where one had not come, which is to be concealed."""


@dataclass(frozen=True, slots=True)
class CloseStream:
    """Give up a stream that is open or tried; it does not sound."""

    occurrence_id: str


@dataclass(frozen=True, slots=True)
class StopSound:
    """Silence, at once; closes the stream that sounded.

    Nothing to do when the sound has come to its end by itself.
    """

    occurrence_id: str


@dataclass(frozen=True, slots=True)
class SetVolume:
    """Change the volume of what is sounding."""

    volume: int


@dataclass(frozen=True, slots=True)
class Identify:
    """Blink or chirp."""


@dataclass(frozen=True, slots=True)
class TestTone:
    """Sound the short tone of a self-test."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart the box; the player is not called again."""


Effect = (
    Publish
    | Subscribe
    | Unsubscribe
    | Persist
    | KeepCertificate
    | StoreContent
    | DropContent
    | StartSound
    | OpenStream
    | StartStream
    | LiveSound
    | CloseStream
    | StopSound
    | SetVolume
    | Identify
    | TestTone
    | Restart
)
