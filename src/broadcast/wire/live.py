"""Packets of live speech: Opus frames that are sent once, at QoS 0, and retained nowhere.

    version (1)  flags (1)  seq (4)  first (4)  count (1)
    count × { length (2)  Opus packet, RFC 6716 }
    signature (64): Ed25519 (RFC 8032) by the key of the session

Integers are unsigned, big endian. The sender's time of a frame is its number: frame *n* is the
sound from n × `frame_ms` after the session's beginning. A packet may hold frames that an earlier
one held already, so that a single loss loses nothing. A frame of length 0 was silence, or never
reached the server.
"""

from __future__ import annotations

import base64
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from broadcast.wire import WireError

VERSION = 1
LAST = 1
"""Flag: nothing comes after these frames; the session is over."""

MOST_FRAMES = 24
FRAME_BYTES = 1275
"""An Opus frame at most (RFC 6716 §3.2.1)."""
LONGEST_FRAMES = 30 * 3600 * 25
"""Number of a frame at most: no session lasts so long."""

_HEAD = struct.Struct("!BBIIB")
_LENGTH = struct.Struct("!H")
_SIGNATURE_BYTES = 64
_KEY_BYTES = 32
PACKET_BYTES = _HEAD.size + MOST_FRAMES * (_LENGTH.size + FRAME_BYTES) + _SIGNATURE_BYTES
"""The largest packet there can be."""


class Packet(NamedTuple):
    """Frames of a live session that follow each other.

    Attributes:
        seq: Number of the packet, from 0; a gap tells a lost one.
        first: Number of the first frame.
        frames: Opus packets; empty where there is no sound.
        is_last: The session ends after them.
    """

    seq: int
    first: int
    frames: tuple[bytes, ...]
    is_last: bool = False


def _signed(session_id: str, body: bytes) -> bytes:
    """What the signature is over: a packet is worth nothing in another session."""
    return b"ttn-live-1\0" + session_id.encode() + b"\0" + body


def seal(packet: Packet, session_id: str, key: Ed25519PrivateKey) -> bytes:
    """A packet as it is published."""
    parts = [
        _HEAD.pack(
            VERSION,
            LAST if packet.is_last else 0,
            packet.seq,
            packet.first,
            len(packet.frames),
        )
    ]
    for frame in packet.frames:
        parts += [_LENGTH.pack(len(frame)), frame]
    body = b"".join(parts)
    return body + key.sign(_signed(session_id, body))


def public_key(x: str) -> Ed25519PublicKey | None:
    """Key of a session from its 32 bytes in base64url; None of anything else."""
    try:
        raw = base64.urlsafe_b64decode(x + "=" * (-len(x) % 4))
        return Ed25519PublicKey.from_public_bytes(raw) if len(raw) == _KEY_BYTES else None
    except ValueError:
        return None


def key_text(key: Ed25519PrivateKey) -> str:
    """Public half of a session's key, as documents name it."""
    return base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()


def unseal(payload: bytes, session_id: str, key: Ed25519PublicKey) -> Packet:
    """A packet that came.

    Raises:
        WireError: It is malformed, of another version, or not signed by the session's key.
    """
    if not _HEAD.size + _SIGNATURE_BYTES <= len(payload) <= PACKET_BYTES:
        raise WireError(f"{len(payload)} bytes are no packet of live speech")
    body, signature = payload[:-_SIGNATURE_BYTES], payload[-_SIGNATURE_BYTES:]
    try:
        key.verify(signature, _signed(session_id, body))
    except InvalidSignature:
        raise WireError("no valid signature") from None
    version, flags, seq, first, count = _HEAD.unpack_from(body)
    if version != VERSION:
        raise WireError(f"a packet of version {version}")
    frames, at = [], _HEAD.size
    try:
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(body, at)
            at += _LENGTH.size + length
            frames.append(body[at - length : at])
    except struct.error:
        raise WireError("a packet that breaks off") from None
    if at != len(body) or count > MOST_FRAMES or first + count > LONGEST_FRAMES:
        raise WireError("a packet out of bounds")
    if any(len(frame) > FRAME_BYTES for frame in frames):
        raise WireError("a frame out of bounds")
    return Packet(seq, first, tuple(frames), bool(flags & LAST))
