"""A box relays streams of a real server: Icecast-like and HLS, with its fallback between."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from broadcast.wire.documents import Audio, Config, Document, Item, Programme, Stream
from broadcast.wire.envelope import SigningKey
from broadcast.wire.fields import Codec
from device_sim.box import Identity
from device_sim.commons import Commons
from device_sim.faults import NONE, Faults
from device_sim.journal import Flash
from device_sim.link import Access
from device_sim.radio import SILENT_PEAK, SILENT_SECONDS, Ear
from device_sim.unit import Unit
from tests.device_sim.test_sound import encoded
from tests.waiting import HANG_SECONDS

RATE = 44_100
KEY = SigningKey.generate("programme")


def written(path: Path | io.BytesIO, codec: str, form: str, seconds: int, peak: float) -> None:
    """A tone, or silence at a peak of 0."""
    wave = peak * 32_767 * np.sin(2 * np.pi * 440 * np.arange(seconds * RATE) / RATE)
    options = {"hls_time": "1", "hls_list_size": "0"} if form == "hls" else {}
    target = str(path) if isinstance(path, Path) else path
    with av.open(target, "w", format=form, options=options) as file:
        stream: Any = file.add_stream(codec, rate=RATE)
        stream.layout = "mono"
        for begin in range(0, len(wave), 1024):
            part = wave[begin : begin + 1024].astype(np.int16)[np.newaxis]
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
            frame.rate, frame.pts, frame.time_base = RATE, begin, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


class Station:
    """An HTTP server with a stream that can be broken off, and the segments of another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broken = asyncio.Event()
        self.asked: list[str] = []
        sound = io.BytesIO()
        written(sound, "libmp3lame", "mp3", 2, 0.3)
        self.sound = sound.getvalue()
        written(folder / "live.m3u8", "aac", "hls", 12, 0.3)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        path = request.split()[1].decode()
        self.asked.append(path)
        if path == "/icecast":
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: x\r\n\r\n")
            while not self.broken.is_set():
                writer.write(self.sound)
                await asyncio.sleep(1)
        elif (file := self.folder / path.removeprefix("/")).is_file():
            body = file.read_bytes().replace(b"#EXT-X-ENDLIST\n", b"")
            kind = b"vnd.apple.mpegurl" if file.suffix == ".m3u8" else b"MP2T"
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/%s\r\nConnection: close\r\n"
            writer.write(head % kind + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()


def give(unit: Unit, document: Document) -> None:
    kind = type(document).__struct_config__.tag
    unit.link_message(f"{document.scope}/state/{kind}", KEY.sign(document))


@pytest.mark.slow
async def test_a_box_relays_icecast_then_its_fallback_then_hls(tmp_path: Path) -> None:
    station = Station(tmp_path)
    server = await asyncio.start_server(station.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    notice = encoded(20)
    audio = Audio(
        sha256=sha256(notice).hexdigest(), bytes=len(notice), seconds=20, codec=Codec.OPUS
    )
    truth = io.StringIO()
    commons = Commons(Access(("127.0.0.1", 1), "ttn/v1"), Faults(NONE), truth=truth)
    unit = Unit(
        commons,
        Identity(device_id="d1", keys=(KEY.public(),)),
        Flash("j1"),
        commons.access,
        recorded=False,
    )

    def events(kind: str) -> list[dict[str, Any]]:
        lines = map(json.loads, truth.getvalue().splitlines())
        return [line for line in lines if line["event"] == kind]

    async def until_started(count: int) -> None:
        async with asyncio.timeout(HANG_SECONDS):
            while len(events("started")) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    unit.power_on()
    unit.link_up()
    now = datetime.now(UTC)
    times = {"revision": 1, "issued_at": now, "not_after": now + timedelta(days=1)}
    give(unit, Config(scope="device/d1", areas=["51"], keys=[KEY.public()], **times))
    stream = Stream(
        url=f"http://{host}:{port}/icecast",
        further_urls=[f"http://{host}:{port}/gone", f"http://{host}:{port}/live.m3u8"],
    )
    relay = Item(
        occurrence_id="relay",
        bulletin_id="b",
        bulletin_revision=1,
        starts_at=now + timedelta(seconds=1),
        late_limit_seconds=300,
        ends_by=now + timedelta(minutes=5),
        priority=50,
        audio=[audio],
        stream=stream,
    )
    give(unit, Programme(scope="area/51", items=[relay], **times))
    for index in range(0, len(notice), 16_384):
        topic = f"content/{audio.sha256}/{index // 16_384}"
        unit.link_message(topic, notice[index : index + 16_384])
    await until_started(1)
    station.broken.set()
    await until_started(3)
    ends_by = datetime.now(UTC)
    ending = Item(**{name: getattr(relay, name) for name in Item.__struct_fields__}
                  | {"ends_by": ends_by})  # fmt: skip
    give(unit, Programme(scope="area/51", items=[ending], **times | {"revision": 2}))
    unit.shut_down()
    commons.close()
    server.close()
    assert [line["sha256"] for line in events("started")] == [None, audio.sha256, None]
    assert len(events("ended")) == 3
    assert {"/icecast", "/gone", "/live.m3u8"} <= set(station.asked)
    _, ended = unit._flash.load().records
    assert ended.reason == "ends_by"
    assert 0 < ended.relayed_seconds < ended.played_seconds


def test_a_stream_is_away_while_it_is_silent() -> None:
    ear = Ear()
    loud, quiet = SILENT_PEAK + 1, SILENT_PEAK
    assert not ear.heed(1, quiet)
    assert ear.heed(0.1, loud)
    assert ear.hears
    assert not ear.heed(SILENT_SECONDS - 0.1, quiet), "a pause of speech"
    assert not ear.heed(0.1, loud)
    assert ear.heed(SILENT_SECONDS, quiet)
    assert not ear.hears
