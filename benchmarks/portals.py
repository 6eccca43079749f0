"""10,000 looks at portals, half of them broken, slow, huge or hostile, on 200 loopback addresses.

The real `PortalReader` with its database; only the time that one document may take is shortened,
and the pause between two requests left out. The sites are a process of their own, which counts
who is asked that no portal has named.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from ipaddress import ip_network
from multiprocessing.connection import Connection
from pathlib import Path

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.result import Result
from broadcast import config
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import clock, db
from broadcast.portals import checking
from broadcast.portals.checking import PortalReader
from broadcast.portals.model import CheckOutcome, Portal, PortalCheck, PortalItem, PortalKind
from tests.callers import LAN, add_people

LOOKS, HOSTS, SECONDS = 10_000, 200, 2.0

FIRST = 1_000
"""Looks after which memory has to be flat."""

MOST_GROWTH = 32
"""MiB that the other looks may add at the most: one document is 2 MiB."""

LEAST_RATE = 1
"""Looks a second of one leader: 21,600 portals every six hours. A province has some hundred."""

FEED = "<rss><channel>{}</channel></rss>"
ITEM = (
    "<item><guid>{0}</guid><title>Tin {0}</title><link>/{0}</link><category>Y tế</category></item>"
)
NEWS = FEED.format("".join(ITEM.format(n) for n in range(30)))
SITEMAP = "<urlset>{}</urlset>".format(
    "".join(f"<url><loc>/{n}</loc><lastmod>2025-11-20</lastmod></url>" for n in range(30))
)
LIST = "".join(f'<li class="tin"><a href="/{n}">Tin {n}</a> 20/11/2025</li>' for n in range(30))
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "]><rss><channel><item><title>&i;</title></item></channel></rss>"
)
INSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "http://{trap}/dtd">]><rss><channel>&a;</channel></rss>'
ELSEWHERE = "<sitemapindex><sitemap><loc>http://{trap}/x.xml</loc></sitemap></sitemapindex>"

GOOD: Mapping[str, tuple[PortalKind, str]] = {
    "/good.rss": (PortalKind.FEED, NEWS),
    "/good.xml": (PortalKind.SITEMAP, SITEMAP),
    "/good.html": (PortalKind.LIST, LIST),
}
"""Path → how it is read, and what it answers."""

BAD: Mapping[str, tuple[PortalKind, str]] = {
    "/missing": (PortalKind.FEED, "404"),
    "/broken": (PortalKind.FEED, "503"),
    "/page-for-feed": (PortalKind.FEED, LIST),
    "/empty": (PortalKind.FEED, FEED.format("")),
    "/bomb": (PortalKind.FEED, BOMB),
    "/entity": (PortalKind.FEED, INSIDE),
    "/binary": (PortalKind.SITEMAP, "\0\1\2\3" * 1000),
    "/deep": (PortalKind.LIST, "<div>" * 200_000),
    "/no-such-class": (PortalKind.LIST, "<p>Tin</p>" * 5_000),
    "/index-elsewhere": (PortalKind.SITEMAP, ELSEWHERE),
    "/huge": (PortalKind.FEED, "huge"),
    "/endless": (PortalKind.FEED, "endless"),
    "/slow": (PortalKind.FEED, "slow"),
    "/silent": (PortalKind.FEED, "silent"),
    "/closed": (PortalKind.FEED, "closed"),
    "/redirect-elsewhere": (PortalKind.FEED, "redirect http://{trap}/x"),
    "/redirect-inside": (PortalKind.FEED, "redirect http://10.0.0.1/x"),
    "/redirect-round": (PortalKind.FEED, "redirect /redirect-round"),
    "/zipped": (PortalKind.FEED, "zipped"),
}


def serve(told: Connection) -> None:
    """The sites and the trap, until this process is ended."""
    asyncio.run(_serve(told))


async def _serve(told: Connection) -> None:
    trapped = 0
    pages = {path: body for path, (_, body) in (GOOD | BAD).items()}

    async def trap(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal trapped
        trapped += 1
        writer.close()

    trapping = await asyncio.start_server(trap, "127.99.0.1", 0)
    address = f"127.99.0.1:{trapping.sockets[0].getsockname()[1]}"

    async def site(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode().split("?")[0]
            await _answer(writer, pages.get(path, "404").replace("{trap}", address))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    hosts = [f"127.9.{n // 250}.{n % 250 + 1}" for n in range(HOSTS)]
    first = await asyncio.start_server(site, hosts[0], 0)
    port = first.sockets[0].getsockname()[1]
    for host in hosts[1:]:
        await asyncio.start_server(site, host, port)
    told.send([f"http://{host}:{port}" for host in hosts])
    while True:
        await asyncio.sleep(0.1)
        if told.poll():
            told.recv()
            told.send(trapped)


async def _answer(writer: asyncio.StreamWriter, body: str) -> None:
    what, _, more = body.partition(" ")
    match what:
        case "404" | "503":
            head, body = f"{what} No", ""
        case "redirect":
            head, body = f"302 Found\r\nLocation: {more}", ""
        case "zipped":
            head = "200 OK\r\nContent-Encoding: gzip"
        case _:
            head = "200 OK"
    if what == "closed":
        return
    if what == "silent":
        await asyncio.sleep(2 * SECONDS)
        return
    if what in {"huge", "endless", "slow"}:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        began, part = time.monotonic(), b"x" * (20 if what == "slow" else 65536)
        while time.monotonic() < began + 2 * SECONDS:
            writer.write(part)
            await writer.drain()
            if what != "huge":
                await asyncio.sleep(SECONDS / 10)
        return
    data = body.encode()
    length = f"Content-Length: {len(data)}\r\nConnection: close"
    writer.write(f"HTTP/1.1 {head}\r\n{length}\r\n\r\n".encode() + data)
    await writer.drain()


def run() -> list[Result]:
    """Measure, and end everything that was started."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    ours, theirs = multiprocessing.Pipe()
    sites = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    sites.start()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            EmbeddedPostgres(Path(folder) / "pg") as server,
        ):
            return asyncio.run(_measure(server.create_database("portals"), ours))
    finally:
        sites.kill()
        sites.join()


async def _measure(dsn: str, sites: Connection) -> list[Result]:
    await db.migrate(dsn)
    engine = db.create_engine(config.Postgres(dsn=dsn))
    try:
        hosts = await asyncio.to_thread(sites.recv)
        await _enter(engine, hosts)
        settings = config.Portals(
            pause=timedelta(), private_networks=(ip_network("127.9.0.0/16"),)
        )
        checking.SECONDS = SECONDS
        reader = PortalReader(engine, settings)
        began, memory, done = time.perf_counter(), 0.0, 0
        while done < LOOKS:
            await reader.run(clock.now())
            done += checking.MOST_A_RUN
            if done == FIRST:
                memory = _mebibytes()
        seconds, grown = time.perf_counter() - began, _mebibytes() - memory
        await _require_judged(engine)
    finally:
        await engine.dispose()
    sites.send("?")
    trapped = await asyncio.to_thread(sites.recv)
    if trapped:
        raise RuntimeError(f"{trapped} requests went to a host that no portal has named")
    return [
        Result("portals_looked", LOOKS / seconds, LEAST_RATE, "looks/s", "≥ 1"),
        Result("portals_memory", grown, MOST_GROWTH, "MiB", "≤ 1"),
    ]


def _mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _enter(engine: AsyncEngine, hosts: list[str]) -> None:
    """Every second portal is a good one."""
    good, bad = list(GOOD.items()), list(BAD.items())
    async with db.transaction(engine) as session:
        await add_people(session)
        now = clock.now()
        for number in range(LOOKS):
            some = bad if number % 2 else good
            path, (kind, _) = some[number // 2 % len(some)]
            host = hosts[number % len(hosts)]
            session.add(
                Portal(
                    area_code="21025", name=path, url=host, source_url=f"{host}{path}?{number}",
                    kind=kind, item_class="tin" if kind is PortalKind.LIST else "", date_class="",
                    tags=[], folded_tags=[], valid_from=date(2025, 7, 1), ended_on=None,
                    entered_by=LAN, entered_at=now, source_since=now,
                )
            )  # fmt: skip


async def _require_judged(engine: AsyncEngine) -> None:
    """Each was looked at once; the good ones were read, the others have a reason.

    Raises:
        RuntimeError: It is not so.
    """
    async with db.transaction(engine) as session:
        rows = await session.execute(
            sa.select(Portal.name, PortalCheck.outcome, PortalCheck.detail).join(
                PortalCheck, PortalCheck.portal_id == Portal.id
            )
        )
        found = Counter((name, outcome, bool(detail)) for name, outcome, detail in rows)
        items = await session.scalar(sa.select(sa.func.count()).select_from(PortalItem))
    wrong = [
        (name, outcome, count)
        for (name, outcome, has_reason), count in found.items()
        if (outcome is CheckOutcome.ANSWERED) != (name in GOOD) or (name in BAD) != has_reason
    ]
    if wrong or found.total() != LOOKS or items != 30 * LOOKS // 2:
        raise RuntimeError(f"{found.total()} looks, {items} items; judged wrongly: {wrong}")
