"""Whether there is sound at an address: real answers of a server, and what only looks like one."""

from __future__ import annotations

import asyncio
import io
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.streams import level, playlists, signs
from broadcast.streams.fetching import Unreachable
from broadcast.streams.model import StreamCodec
from broadcast.streams.probing import hear, look, sample

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]

MP3 = (b"\xff\xfb\x90\x00" + bytes(413)) * 20
"""Frames of MPEG-1 layer III, 128 kbit/s at 44,100 Hz: 417 bytes each."""
ADTS = (b"\xff\xf1\x50\x40\x0d\x3f\xfc" + bytes(98)) * 20
"""Frames of 105 bytes."""


def encoded(form: str, codec: str, gain: float, seconds: float = 3.0, quiet: float = 0.0) -> bytes:
    """A tone of 440 Hz after some seconds of nothing, as an encoder makes it."""
    file = io.BytesIO()
    times = np.arange(round(seconds * 48_000)) / 48_000
    tone = gain * np.sin(2 * np.pi * 440 * times) * (times >= quiet)
    with av.open(file, "w", format=form) as container:
        stream = cast("Any", container.add_stream(codec, rate=48_000, layout="mono"))
        frame = av.AudioFrame.from_ndarray(tone.astype("f4")[None, :], "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        for each in (frame, None):
            container.mux(stream.encode(each))
    return file.getvalue()


OPUS = b"OggS" + bytes(24) + b"OpusHead" + bytes(50) + b"OggS" + bytes(200)


TONE = encoded("mp3", "libmp3lame", 0.5)


def transport_stream(sound: bytes) -> bytes:
    """Sound in packets of MPEG-TS, the first with the head of a PES packet."""
    packets = [b"\x47\x40\x00\x10" + bytes(184)]
    payload = b"\0\0\1\xc0\0\0\x80\x80\x05" + bytes(5) + sound
    for number, at in enumerate(range(0, len(payload) // 184 * 184, 184)):
        begins = 0x41 if number == 0 else 0x01
        packets.append(bytes([0x47, begins, 0x00, 0x10]) + payload[at : at + 184])
    return b"".join(packets)


ANSWERS = {
    "/mp3": b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n" + MP3,
    "/icy": b"ICY 200 OK\r\nicy-name: x\r\n\r\n" + MP3,
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (ADTS[:700], ADTS[700:])) + b"0\r\n\r\n",
    "/page": b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n<html>xin chao</html>" * 40,
    "/master.m3u8": b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlive.m3u8\n",
    "/live.m3u8": b"HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n#EXTINF:2,\n1.ts\n#EXTINF:2,\n2.ts\n",
    "/1.ts": b"HTTP/1.1 200 OK\r\n\r\n" + transport_stream(ADTS),
    "/2.ts": b"HTTP/1.1 200 OK\r\n\r\n" + transport_stream(ADTS),
    "/moved": b"HTTP/1.1 302 Found\r\nLocation: /mp3\r\n\r\n",
    "/inside": b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/mp3\r\n\r\n",
    "/loop": b"HTTP/1.1 302 Found\r\nLocation: /loop\r\n\r\n",
    "/long": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    "/tone": b"HTTP/1.0 200 OK\r\n\r\n" + TONE,
    "/smtp": b"220 mail ready\r\n\r\n",
}  # fmt: skip


@asynccontextmanager
async def server() -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            writer.write(ANSWERS.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n"))
            await writer.drain()
        writer.close()

    started = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = started.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}"
    finally:
        started.close()
        await started.wait_closed()


async def test_what_is_sound_and_what_is_not() -> None:
    async with server() as there:
        sounds = {"/mp3": "mp3", "/icy": "mp3", "/chunked": "aac", "/master.m3u8": "aac",
                  "/live.m3u8": "aac", "/moved": "mp3"}  # fmt: skip
        for path, codec in sounds.items():
            assert (await sample(there + path, 5000, 5, LOOPBACK)).codec == codec, path
        for path in ("/page", "/none", "/inside", "/loop", "/long", "/smtp"):
            with pytest.raises(Unreachable):
                await sample(there + path, 5000, 5, LOOPBACK)
        found = await look([there + "/none", there + "/tone"], LOOPBACK)
        assert found.found is not None
        assert found.found.url == there + "/tone"
        assert len(found.found.sound) == len(TONE)


async def test_a_source_that_answers_with_silence_has_no_sound() -> None:
    """`MP3` are whole frames with nothing in them, as of a studio whose line is cut."""
    async with server() as there:
        silent = await look([there + "/mp3"], LOOPBACK)
        assert silent.found is None
        assert "im lặng" in silent.detail
        found = await look([there + "/mp3", there + "/tone"], LOOPBACK)
        assert found.found is not None
        assert found.found.url == there + "/tone"
        with pytest.raises(Unreachable, match="im lặng"):
            await hear([there + "/mp3"], LOOPBACK)


@pytest.mark.parametrize(
    ("form", "codec", "of"),
    [("mp3", "libmp3lame", "mp3"), ("adts", "aac", "aac"), ("ogg", "libopus", "opus")],
)
async def test_the_loudest_tenth_of_a_second_decides(form: str, codec: str, of: str) -> None:
    kind = StreamCodec(of)
    loud = await level.loudest(encoded(form, codec, 0.5), kind)
    assert loud == pytest.approx(-9, abs=2)
    late = await level.loudest(encoded(form, codec, 0.5, quiet=2.5), kind)
    assert late == pytest.approx(-9, abs=2)
    assert not level.is_silent(late)
    assert level.is_silent(await level.loudest(encoded(form, codec, 0.0), kind))
    assert level.is_silent(await level.loudest(encoded(form, codec, 0.0005), kind))


async def test_what_cannot_be_decoded_is_not_called_silent() -> None:
    assert await level.loudest(b"<html>" * 100, StreamCodec.OPUS) is None
    assert not level.is_silent(None)


async def test_nothing_inside_is_asked_unless_it_is_allowed() -> None:
    async with server() as there:
        found = await look([there + "/mp3"], [])
    assert found.found is None
    assert "không ở trên Internet công cộng" in found.detail


@pytest.mark.parametrize(
    ("data", "codec"),
    [(MP3, "mp3"), (b"xx" + MP3[100:], "mp3"), (ADTS, "aac"), (OPUS, "opus"),
     (transport_stream(ADTS), "aac"), (transport_stream(MP3), "mp3"), (MP3[:800], None),
     (b"", None), (b"\xff" * 5000, None), (bytes(5000), None)],
)  # fmt: skip
def test_codecs_are_known_by_frames_in_a_row(data: bytes, codec: str | None) -> None:
    assert signs.recognise(data) == (None if codec is None else StreamCodec(codec))


@given(st.binary(max_size=2000))
def test_whatever_comes_is_read(data: bytes) -> None:
    for each in (data, b"G" + data, b"#EXTM3U\n" + data, transport_stream(data)):
        assert signs.recognise(each) in {None, *StreamCodec}
        assert isinstance(playlists.read(each), playlists.Playlist)


def test_a_playlist_names_segments_or_other_playlists() -> None:
    assert playlists.read(b"#EXTM3U\r\n#EXTINF:2,\r\na.ts\r\n\r\nb.ts\r\n") == (
        [],
        ["a.ts", "b.ts"],
    )
    assert playlists.read(b"#EXTM3U\n#EXT-X-STREAM-INF:A=1\nx.m3u8\n") == (["x.m3u8"], [])
    assert not playlists.is_playlist(b"<html>")
