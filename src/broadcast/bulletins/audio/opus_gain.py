"""The gain that an Ogg Opus file asks its decoder for (RFC 7845 §5.1).

A codec that raised one peak of an hour over the limit costs another encoding of that hour, or two
bytes here. A player that ignores them is too loud by as little as they say.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

_MAGIC_AT, _GAIN_AT, _CHECKSUM_AT = 28, 44, 22
_PAGE_BYTES = 47
"""The first page holds the identification header of one mapping family and nothing else."""


def turn_down(path: Path, decibels: float) -> float:
    """Have decoders play a file softer; by how much they will.

    Args:
        path: Ogg Opus of one channel or two, as libav writes it.
        decibels: No less than this; it is kept in steps of 1/256 dB.

    Raises:
        ValueError: It is no such file.
    """
    with path.open("r+b") as file:
        page = bytearray(file.read(_PAGE_BYTES))
        if page[_MAGIC_AT : _MAGIC_AT + 8] != b"OpusHead":
            raise ValueError("no Ogg Opus of one stream")
        steps = math.ceil(decibels * 256)
        struct.pack_into("<h", page, _GAIN_AT, -steps)
        struct.pack_into("<I", page, _CHECKSUM_AT, checksum(page))
        file.seek(0)
        file.write(page)
    return steps / 256


def checksum(page: bytes | bytearray) -> int:
    """CRC-32 of an Ogg page, its own field taken as 0 (RFC 3533 §6)."""
    crc = 0
    for byte in (*page[:_CHECKSUM_AT], 0, 0, 0, 0, *page[_CHECKSUM_AT + 4 :]):
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
