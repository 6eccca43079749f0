"""Whether a stream answers with sound that is heard, and some seconds of it to listen to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urljoin

from broadcast.kit.outbound import Network
from broadcast.streams import level, playlists, signs
from broadcast.streams.fetching import Answer, Unreachable, fetch
from broadcast.streams.model import StreamCodec

SAMPLE_BYTES = 48 * 1024
"""Read to know a stream: a few seconds of it, most of which servers send at once."""

HEARD_BYTES = 512 * 1024
HEARD_SECONDS = 10.0

SEGMENTS_HEARD = 2
SECONDS = 30.0
"""For all of one address."""

MEDIA_TYPES = {
    StreamCodec.MP3: "audio/mpeg", StreamCodec.AAC: "audio/aac", StreamCodec.OPUS: "audio/ogg",
}  # fmt: skip


class Found(NamedTuple):
    """Sound that came from an address."""

    url: str
    codec: StreamCodec
    sound: bytes


class Look(NamedTuple):
    """What a look at the addresses of a source came to."""

    found: Found | None
    detail: str
    """Why none answered, for people."""


async def look(urls: Sequence[str], allowed: Sequence[Network]) -> Look:
    """The first address under which there is sound, and not only silence."""
    reasons = []
    for url in urls:
        try:
            return Look(await _audible(url, allowed), "")
        except Unreachable as error:
            reasons.append(str(error))
    return Look(None, "; ".join(dict.fromkeys(reasons)))


async def _audible(url: str, allowed: Sequence[Network]) -> Found:
    """Sound of one address that would be heard.

    Raises:
        Unreachable: There is none. A pause of a few seconds is none yet: then more is read.
    """
    found = await sample(url, SAMPLE_BYTES, 4.0, allowed)
    if not level.is_silent(await level.loudest(found.sound, found.codec)):
        return found
    found = await sample(url, HEARD_BYTES, HEARD_SECONDS, allowed)
    if level.is_silent(await level.loudest(found.sound, found.codec)):
        raise Unreachable("máy phát luồng có trả lời nhưng im lặng; hãy báo đài phát")
    return found


async def hear(urls: Sequence[str], allowed: Sequence[Network]) -> Found:
    """Some seconds of the first address under which there is sound.

    Raises:
        Unreachable: There is none.
    """
    found = await look(urls, allowed)
    if found.found is None:
        raise Unreachable(found.detail)
    return await sample(found.found.url, HEARD_BYTES, HEARD_SECONDS, allowed)


async def sample(url: str, most_bytes: int, seconds: float, allowed: Sequence[Network]) -> Found:
    """Sound of one address; of HLS the newest segments.

    Raises:
        Unreachable: It does not answer, or not with sound.
    """
    try:
        async with asyncio.timeout(SECONDS):
            answer = await fetch(url, most_bytes, seconds, allowed)
            body = answer.body
            if playlists.is_playlist(body):
                body = await _segments(answer, most_bytes, allowed)
    except TimeoutError:
        raise Unreachable("máy phát luồng trả lời quá chậm") from None
    codec = signs.recognise(body)
    if codec is None:
        raise Unreachable("nơi đó có trả lời nhưng không phải âm thanh; kiểm tra lại địa chỉ")
    if signs.is_transport_stream(body):
        body = signs.audio_of(body)
    return Found(url, codec, body[:most_bytes])


def _joined(base: str, named: str) -> str:
    try:
        return urljoin(base, named)
    except ValueError:
        raise Unreachable("danh sách phát ghi một địa chỉ sai dạng") from None


async def _segments(answer: Answer, most_bytes: int, allowed: Sequence[Network]) -> bytes:
    listed = playlists.read(answer.body)
    if listed.variants:
        url = _joined(answer.url, listed.variants[0])
        answer = await fetch(url, playlists.LARGEST, 8.0, allowed)
        listed = playlists.read(answer.body)
    found = b""
    for segment in listed.segments[-SEGMENTS_HEARD:]:
        url = _joined(answer.url, segment)
        found += (await fetch(url, 2 * most_bytes, 8.0, allowed)).body
        if len(found) >= most_bytes:
            break
    return found
