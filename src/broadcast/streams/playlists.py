"""Playlists of HTTP Live Streaming (RFC 8216): which addresses come next. Pure."""

from __future__ import annotations

from typing import NamedTuple

LARGEST = 256 * 1024
"""Bytes of a playlist that is read; one of a live stream has a few hundred."""

MOST_LINES = 5_000


class Playlist(NamedTuple):
    """What a playlist names, as it is written there."""

    variants: list[str]
    """Other playlists, of a master playlist."""
    segments: list[str]
    """Pieces of sound, the newest last."""


def is_playlist(data: bytes) -> bool:
    """Tell whether an answer is a playlist."""
    return data.lstrip(b"\xef\xbb\xbf").startswith(b"#EXTM3U")


def read(data: bytes) -> Playlist:
    """Read a playlist; what is not understood is left out."""
    lines = [line.strip() for line in data.decode("utf-8", "replace").splitlines()[:MOST_LINES]]
    is_master = any(line.startswith("#EXT-X-STREAM-INF") for line in lines)
    named = [line for line in lines if line and not line.startswith("#")]
    return Playlist(named, []) if is_master else Playlist([], named)
