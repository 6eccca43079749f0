"""Position of the sound in a file of unknown make, before libav is asked to read it."""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass, field
from pathlib import Path

_OTHERS = (b"RIFF", b"fLaC", b"OggS", b"FORM", b"caff", b"\x1aE\xdf\xa3")
"""What may stand behind an ID3 tag that some program put before anything it was given."""

_OGG_BEGINS = re.compile(rb"OggS\x00[\x02\x06]")
_OGG_GOES_ON = re.compile(rb"OggS\x00[\x00\x01\x04\x05]")

_KILOBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG1_RATES = (44_100, 48_000, 32_000)


@dataclass(frozen=True)
class Part:
    """A stretch of a file that is a recording of its own.

    Attributes:
        url: For libav.
        begins: Offset in bytes.
        size: Bytes.
        options: For libav's reader of its format.
    """

    url: str
    begins: int
    size: int
    options: dict[str, str] = field(default_factory=dict)


def parts(path: Path) -> list[Part]:
    """The recordings in a file, one behind the other; nearly always one.

    Raises:
        OSError: There is no such file.
    """
    size = path.stat().st_size
    if not size:
        return [Part(str(path), 0, 0)]
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begins = _behind_tag(data)
        if data[begins : begins + 4] == b"OggS":
            starts = _ogg_links(data, begins)
            ends = [*starts[1:], size]
            return [_part(path, size, a, b - a) for a, b in zip(starts, ends, strict=True)]
        options = {}
        if data[begins : begins + 4] == b"RIFF" and _is_unfinished(data, begins):
            options = {"ignore_length": "1"}
        return [_part(path, size, begins, size - begins, options)]


def _part(
    path: Path, whole: int, begins: int, size: int, options: dict[str, str] | None = None
) -> Part:
    url = str(path)
    if (begins, size) != (0, whole):
        url = f"subfile,,start,{begins},end,{begins + size},,:{path}"
    return Part(url, begins, size, options or {})


def _behind_tag(data: mmap.mmap) -> int:
    """Offset behind an ID3 tag, where something else than MPEG audio follows; 0 otherwise."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    behind = 10 + id3_size(data[6:10])
    return behind if data[behind : behind + 4] in _OTHERS else 0


def id3_size(field: bytes) -> int:
    """Size of a tag: four times seven bits, ID3v2 §3.1."""
    return sum((byte & 0x7F) << 7 * (3 - at) for at, byte in enumerate(field))


def _ogg_links(data: mmap.mmap, begins: int) -> list[int]:
    """Offsets at which the links of a chained Ogg begin (RFC 3533 §4)."""
    starts, at = [begins], begins
    while (middle := _OGG_GOES_ON.search(data, at)) is not None:
        following = _OGG_BEGINS.search(data, middle.end())
        if following is None:
            break
        at = following.start()
        starts.append(at)
    return starts


def _is_unfinished(data: mmap.mmap, begins: int) -> bool:
    """Tell whether a WAV goes on behind what its data chunk states: its recorder was cut off."""
    at = begins + 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        behind = at + 8 + size + size % 2
        if data[at : at + 4] == b"data":
            following = data[behind : behind + 4]
            return len(following) == 4 and not following.isalnum() and following.strip() != b""
        at = behind
    return False


def is_whole_mpeg_frame(packet: bytes) -> bool:
    """Tell whether a packet holds all of the layer III frame that its header announces."""
    if len(packet) < 4 or packet[0] != 0xFF or packet[1] & 0xE0 != 0xE0:
        return False
    version = packet[1] >> 3 & 3  # 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
    rate = packet[2] >> 2 & 3
    kilobits = packet[2] >> 4
    if version == 1 or rate == 3 or not 0 < kilobits < 15 or packet[1] >> 1 & 3 != 1:
        return False
    first = version == 3
    hertz = _MPEG1_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _KILOBITS[1 if first else 2][kilobits] * 1000
    return len(packet) >= (144 if first else 72) * bits // hertz + (packet[2] >> 1 & 1)
