"""Feeds that are read again and again: what is new is taken once, and nobody leads us astray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.alerts.cap import feeds
from broadcast.alerts.cap.feeds import FeedOut, FeedReader
from broadcast.alerts.cap.judge import Action
from broadcast.alerts.cap.model import CapMessage
from broadcast.audit.model import AuditEntry
from broadcast.kit import db
from broadcast.kit.fetch import NotFetched, fetch
from tests.alerts.cap.messages import NOW
from tests.alerts.cap.test_receiving import message, units

LOOPBACK = (ip_network("127.0.0.0/8"),)
INSIDE = "http://10.1.2.3/secret"


class Site:
    """A server that answers what it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        """Path → status with further headers, and body."""
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ", 2)[1]
        self.asked.append(path)
        status, body = self.pages.get(path, ("404 Not Found", b""))
        _, _, etag = status.partition("ETag: ")
        if etag and f"if-none-match: {etag}" in head.lower():
            status, body = "304 Not Modified", b""
        if status != "hang":
            said = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            writer.write(said.encode() + body)
            await writer.drain()
        else:
            await reader.read()  # until the other side gives up
        writer.close()

    def index(self, *numbers: int, more: str = "") -> None:
        """The newest first."""
        entries = "".join(
            f'<entry><id>{number}</id><link href="{number}.cap"/></entry>' for number in numbers
        )
        feed = f'<feed xmlns="http://www.w3.org/2005/Atom">{more}{entries}</feed>'.encode()
        self.pages["/index"] = (f'200 OK\r\nETag: "{hash(feed)}"', feed)

    def messages(self, *numbers: int) -> None:
        for number in numbers:
            self.pages[f"/{number}.cap"] = ("200 OK", message(number))


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as found:
        yield found


class Reading:
    """The reader of one feed of `site`, as the leader has it."""

    def __init__(self, engine: AsyncEngine, site: Site, folder: Path) -> None:
        file = folder / "cap.toml"
        file.write_text(
            '[[issuer]]\nsender = "canhbao@kttv.vn"\nname = "Đài khí tượng"\n'
            f'[[feed]]\nurl = "{site.url}/index"\nname = "KTTV"\nnetworks = ["127.0.0.0/8"]\n'
        )
        self.engine = engine
        self.site = site
        self.now = NOW
        self.reader = FeedReader(engine, config.Settings(cap=config.Cap(file=file)))

    async def later(self, minutes: float = 2) -> list[str]:
        """What is asked for at the next reading."""
        self.site.asked.clear()
        self.now += timedelta(minutes=minutes)
        await self.reader.run(self.now)
        return self.site.asked

    async def taken(self) -> list[str | None]:
        async with db.transaction(self.engine) as session:
            statement = sa.select(CapMessage.identifier).order_by(CapMessage.id)
            return list(await session.scalars(statement))

    async def state(self) -> FeedOut:
        async with db.transaction(self.engine) as session:
            [found] = await feeds.feeds(session)
            return found


@pytest.fixture
async def reading(engine: AsyncEngine, site: Site, tmp_path: Path) -> Reading:
    async with db.transaction(engine) as session:
        await units(session)
    return Reading(engine, site, tmp_path)


async def test_what_is_new_in_a_feed_is_taken_once_and_by_an_account_of_its_own(
    reading: Reading,
) -> None:
    site = reading.site
    site.index(2, 1)
    site.messages(1, 2, 3)
    assert await reading.later() == ["/index", "/1.cap", "/2.cap"]
    assert await reading.taken() == ["M1", "M2"]
    assert await reading.later(minutes=1) == []
    assert await reading.later() == ["/index"]
    site.index(3, 2, 1)
    assert await reading.later() == ["/index", "/3.cap"]
    assert await reading.taken() == ["M1", "M2", "M3"]
    async with db.transaction(reading.engine) as session:
        rows = list(await session.scalars(sa.select(CapMessage)))
        told = list(await session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)))
    assert {row.action for row in rows} == {Action.PROPOSE}
    [account] = {row.received_by for row in rows}
    assert [(each.account_id, each.name) for each in told] == [(account, "Nguồn CAP KTTV")] * 3
    state = await reading.state()
    assert (state.error, state.succeeded_at) == ("", reading.now)


async def test_what_could_not_be_fetched_is_tried_again_and_holds_nothing_up(
    reading: Reading,
) -> None:
    site = reading.site
    site.index(3, 2, 1)
    site.messages(1, 3)
    await reading.later()
    assert await reading.taken() == ["M1", "M3"]
    assert "1 bản tin chưa tải được: máy chủ trả lời 404" in (await reading.state()).error
    site.messages(2)
    assert await reading.later() == ["/index", "/2.cap"]
    assert await reading.taken() == ["M1", "M3", "M2"]
    assert await reading.later() == ["/index"]
    assert (await reading.state()).error == ""


async def test_a_feed_that_is_away_or_none_is_told_and_asked_again(reading: Reading) -> None:
    for page, said in (
        (("503 Service Unavailable", b""), "503"),
        (("200 OK", b"<html/>"), "không phải danh mục"),
        (("200 OK", b"<!DOCTYPE feed><feed/>"), "DOCTYPE"),
        (("200 OK\r\nContent-Encoding: gzip", b"x"), "nén"),
        (("302 Found\r\nLocation: " + INSIDE, b""), "không ở trên Internet công cộng"),
        (("302 Found\r\nLocation: /index", b""), "chuyển hướng quá nhiều"),
    ):
        reading.site.pages["/index"] = page
        assert "/index" in await reading.later()
        state = await reading.state()
        assert said in state.error, page
        assert state.succeeded_at is None
    reading.site.index(1)
    reading.site.messages(1)
    await reading.later()
    assert (await reading.state()).error == ""


async def test_an_entry_leads_to_no_neighbour_of_the_server(reading: Reading) -> None:
    inside = f'<entry><id>x</id><link href="{INSIDE}"/></entry>'
    reading.site.index(1, more=inside)
    reading.site.messages(1)
    await reading.later()
    assert await reading.taken() == ["M1"]
    assert "không ở trên Internet công cộng" in (await reading.state()).error


async def test_a_feed_that_is_taken_out_of_the_file_is_forgotten(reading: Reading) -> None:
    reading.site.index()
    await reading.later()
    file = reading.reader._settings.cap.file
    assert file is not None
    file.write_text("")
    await reading.later()
    async with db.transaction(reading.engine) as session:
        assert await feeds.feeds(session) == []


@pytest.mark.parametrize(
    ("path", "allowed", "said"),
    [
        ("/large", LOOPBACK, "lớn hơn 1 KiB"),
        ("/hang", LOOPBACK, "giây chưa tải xong"),
        ("/ok", (), "không ở trên Internet công cộng"),
    ],
)
async def test_no_answer_is_larger_or_slower_than_allowed_or_from_within(
    site: Site, path: str, allowed: Iterator[object], said: str
) -> None:
    site.pages = {
        "/large": ("200 OK", b"x" * 2000),
        "/hang": ("hang", b""),
        "/ok": ("200 OK", b"ok"),
    }
    with pytest.raises(NotFetched, match=said):
        await fetch(site.url + path, most_bytes=1024, seconds=1, allowed=allowed)
    assert (await fetch(f"{site.url}/ok", most_bytes=9, seconds=9, allowed=LOOPBACK)).body == b"ok"
