"""What the bytes of a stream are: enough of a codec in a row that it is no accident.

Pure. Nothing is decoded: bytes of strangers are decoded in a sandbox or not at all.
"""

from __future__ import annotations

from collections.abc import Callable

from broadcast.streams.model import StreamCodec

IN_A_ROW = 3
"""Frames that must follow one another. Text and pictures come to one or two by chance."""

_MP3_RATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
"""kbit/s of layer III by MPEG version (ISO/IEC 11172-3, 13818-3)."""
_MP3_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}

TS_PACKET = 188


def recognise(data: bytes) -> StreamCodec | None:
    """Codec of some bytes from the middle of a stream; None: no sound that devices play."""
    if data.count(b"OggS") >= 2 and b"OpusHead" in data:  # the first page and one more
        return StreamCodec.OPUS
    if is_transport_stream(data):
        data = audio_of(data)
    for codec, size in ((StreamCodec.MP3, mp3_frame), (StreamCodec.AAC, adts_frame)):
        if first_frame(data, size) is not None:
            return codec
    return None


def first_frame(data: bytes, size: Callable[[bytes, int], int]) -> int | None:
    """Where the first of `IN_A_ROW` frames begins; None where there are none."""
    at = data.find(b"\xff")
    while 0 <= at < len(data) - 8:
        place = at
        for _ in range(IN_A_ROW):
            length = size(data, place)
            place += length
            if not length:
                break
        else:
            return at
        at = data.find(b"\xff", at + 1)
    return None


def mp3_frame(data: bytes, at: int) -> int:
    """Bytes of the MPEG audio frame (layer III) that begins here; 0 where none does."""
    if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return 0
    version, padding = data[at + 1] >> 3 & 3, data[at + 2] >> 1 & 1
    hertz = _MP3_HERTZ.get(version, (0, 0, 0))
    index = data[at + 2] >> 2 & 3
    rate = _MP3_RATES[3 if version == 3 else 2][data[at + 2] >> 4]
    if index == 3 or not hertz[index] or not rate:
        return 0
    return (144 if version == 3 else 72) * rate * 1000 // hertz[index] + padding


def adts_frame(data: bytes, at: int) -> int:
    """Bytes of the ADTS frame (ISO/IEC 13818-7) that begins here; 0 where none does."""
    if len(data) < at + 7 or data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
        return 0
    length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
    is_sound = data[at + 2] >> 2 & 15 < 13 and length > 7
    return length if is_sound else 0


def is_transport_stream(data: bytes) -> bool:
    """Tell whether it is MPEG-TS from its first byte on, as segments of HLS are."""
    return len(data) > 2 * TS_PACKET and all(data[n * TS_PACKET] == 0x47 for n in range(3))


def audio_of(data: bytes) -> bytes:
    """The sound in MPEG-TS (ISO/IEC 13818-1): payloads of the first audio stream, in order."""
    chosen: int | None = None
    found = bytearray()
    for at in range(0, len(data) - TS_PACKET + 1, TS_PACKET):
        packet = data[at : at + TS_PACKET]
        if packet[0] != 0x47:
            break
        begins, pid = packet[1] & 0x40, (packet[1] & 0x1F) << 8 | packet[2]
        adaptation = packet[3] >> 4 & 3
        payload = packet[4:] if adaptation == 1 else packet[5 + packet[4] :]
        if adaptation not in {1, 3}:
            continue
        is_audio = begins and payload[:3] == b"\0\0\1" and 0xC0 <= payload[3:4][0] <= 0xDF
        if chosen is None and is_audio:
            chosen = pid
        if pid != chosen:
            continue
        if begins:
            payload = payload[9 + payload[8] :] if len(payload) > 9 else b""
        found += payload
    return bytes(found)
