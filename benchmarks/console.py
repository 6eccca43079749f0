"""What the pages weigh, how long the server works at one, and what open pages cost.

96 communes, 3,000 clusters, four bulletins a day at 2,700 of them (10,800 plays a day), a week.

* `console_first_visit`, `console_later_page`: bytes on the line of the page and all that it loads,
  as a browser would; later, of the page alone: the rest has a name of its own content and is kept;
* `console_today`, `console_map`, …: milliseconds of one request, 95 of 100 are faster; the
  application by itself, without network;
* `console_open_pages`: share of a core that a server takes more with 200 open start pages while
  plays and presence change each second: their streams, and the parts that they fetch again;
* `console_parts_refused`: of those parts, how many of a hundred were not answered with 200;
* `console_map_repaint`: milliseconds from the arrival of what has changed on the map of the
  province until it is painted, in Chromium, while 50 devices a second come and go; the median.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
import time
from collections import Counter
from datetime import time as clock_time
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles

import httpx2 as httpx
import psutil
import sqlalchemy as sa
from playwright.async_api import async_playwright
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import province
from benchmarks.harness.open_pages import open_pages
from benchmarks.result import Result
from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.api import create_app
from broadcast.auth.permissions import Role
from broadcast.console.live import Topic
from broadcast.delivery.rollups import Rollups
from broadcast.demo.world import World
from broadcast.kit import clock, db
from broadcast.kit.notify import Channel

PAGES = {"today": "/", "map": "/map", "indicators": "/indicators", "library": "/bulletins"}
DAYS, WARM_UP, REQUESTS = 8, 3, 60
PLAYS_A_DAY = (*province.PLAYS_A_DAY, clock_time(19))
PRESENCE = """
    INSERT INTO device_presence (device_id, presence, since, session, seq, gone, last_seen_at,
                                 silent_after, clock_wrong, held, held_seq)
    SELECT id, CASE WHEN id % 30 = 0 THEN 'silent' ELSE 'online' END, now() - interval '1 day',
           1, 1, FALSE, now() - interval '1 hour' * (CASE WHEN id % 30 = 0 THEN 1 ELSE 0 END),
           now() + interval '1 hour' * (CASE WHEN id % 30 = 0 THEN -1 ELSE 1 END), FALSE, '{}', 0
    FROM devices
"""
STREAMS, WATCHED_SECONDS = 200, 20
REPAINT_SECONDS, CHANGES_A_SECOND = 40, 50
LOADED = re.compile(rb"""(?:src|href)="(/assets/[^"]+)"|url\(["']?(/?assets/[^"')]+)""")


def run() -> list[Result]:
    """Against the limits of the issue."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        settings = world.configure({})
        asyncio.run(_fill(settings))
        pages = asyncio.run(_pages(settings))
        world.start_server()
        [server] = [
            each for each in psutil.Process().children() if each.cmdline()[-1:] == ["serve"]
        ]
        share, refused = asyncio.run(_streams(settings, world.url, server))
        repaint = asyncio.run(_repaint(settings, world.url))
    return [
        *pages,
        *repaint,
        Result("console_open_pages", share, 0.1, "of a core", "≤ 0.1 of a core"),
        Result("console_parts_refused", refused, 1, "%", "≤ 0 %"),
    ]


async def _fill(settings: config.Settings) -> None:
    await db.migrate(str(settings.postgres.dsn.get_secret_value()))
    engine = db.create_engine(settings.postgres)
    tomorrow = clock.now() + timedelta(days=1)  # so that today has its plays
    await province.fill(engine, tomorrow, DAYS, PLAYS_A_DAY)
    async with db.transaction(engine) as session:
        await session.execute(sa.text(PRESENCE))
    rollups = Rollups(engine)  # as the dispatcher of a running server has done
    for _ in range(3):  # announced, then ready, then rolled up
        while await rollups.step(clock.now()):
            pass
    await province.analyze(engine)
    await engine.dispose()


async def _token(engine: AsyncEngine) -> dict[str, str]:
    async with db.transaction(engine) as session:
        token = await create_with_token(session, "benchmark", Role.PROVINCE_ADMIN, clock.now())
    return {"Authorization": f"Bearer {token}"}


async def _pages(settings: config.Settings) -> list[Result]:
    engine = db.create_engine(settings.postgres)
    first, later, results = 0.0, 0.0, []
    app = create_app(settings, engine)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://127.0.0.1",
        headers=await _token(engine) | {"Accept": "text/html", "Accept-Encoding": "gzip, br"},
        timeout=60,
    ) as client:
        for name, path in PAGES.items():
            if path not in app.state.pages:
                continue
            times = []
            for _ in range(WARM_UP + REQUESTS):
                began = time.perf_counter()
                page = await client.get(path)
                times.append((time.perf_counter() - began) * 1000)
                if page.status_code != 200:
                    raise RuntimeError(f"{path}: {page.status_code}")
            slow = quantiles(times[WARM_UP:], n=20)[-1]
            results.append(Result(f"console_{name}", slow, 100.0, "ms", "≤ 100 ms"))
            weight, content = await _weight(client, path)
            later = max(later, weight)
            first = max(first, weight + await _loaded(client, content))
    await engine.dispose()
    return [
        Result("console_first_visit", first / 1000, 120.0, "kB", "≤ 120 kB"),
        Result("console_later_page", later / 1000, 30.0, "kB", "≤ 30 kB"),
        *results,
    ]


async def _weight(client: httpx.AsyncClient, path: str) -> tuple[int, bytes]:
    """Bytes on the line, and what they say."""
    answer = await client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")
    return answer.num_bytes_downloaded, answer.content


async def _loaded(client: httpx.AsyncClient, content: bytes) -> int:
    """Bytes of all that a page loads, and of what that loads."""
    total, known, waiting = 0, set[str](), [content]
    while waiting:
        for found in LOADED.findall(waiting.pop()):
            path = "/" + next(filter(None, found)).decode().lstrip("/")
            if path not in known:
                known.add(path)
                weight, text = await _weight(client, path)
                total += weight
                if path.endswith(".css"):
                    waiting.append(text)
    return total


async def _streams(
    settings: config.Settings, url: str, server: psutil.Process
) -> tuple[float, float]:
    engine = db.create_engine(settings.postgres)
    alone = await _share(engine, server)
    async with open_pages(url, await _token(engine), STREAMS) as answers:
        together = await _share(engine, server)
        fetched = Counter(answers)
    await engine.dispose()
    return together - alone, 100 * (1 - fetched[200] / fetched.total())


async def _share(engine: AsyncEngine, server: psutil.Process) -> float:
    """Part of a core that a server takes while something changes each second."""
    before = sum(server.cpu_times()[:2])
    for _ in range(WATCHED_SECONDS):
        for topic in (Topic.PRESENCE, Topic.PLAYS):
            await _tell(engine, topic)
        await asyncio.sleep(1)
    return (sum(server.cpu_times()[:2]) - before) / WATCHED_SECONDS


async def _tell(engine: AsyncEngine, topic: Topic) -> None:
    async with db.transaction(engine) as session:
        await session.execute(
            sa.text("SELECT pg_notify(:channel, :topic)"),
            {"channel": Channel.LIVE, "topic": topic},
        )


_FLIP = """
    UPDATE device_presence
    SET presence = CASE presence WHEN 'online' THEN 'silent' ELSE 'online' END
    WHERE device_id = :device
"""
_WATCH = """() => {
    window.repaints = [];
    let began = 0;
    document.body.addEventListener("htmx:beforeSwap", () => { began = performance.now(); });
    document.body.addEventListener("htmx:afterSettle", () => requestAnimationFrame(() => {
        const channel = new MessageChannel();  // runs once the frame is painted
        channel.port1.onmessage = () => window.repaints.push(performance.now() - began);
        channel.port2.postMessage(null);
    }));
}"""


async def _repaint(settings: config.Settings, url: str) -> list[Result]:
    """From the arrival of a part until the frame with it is painted, in Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return []
    engine = db.create_engine(settings.postgres)
    headers = await _token(engine)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page(extra_http_headers=headers)
        await page.goto(f"{url}/map")
        await page.evaluate(_WATCH)
        began = time.monotonic()
        for number in range(REPAINT_SECONDS * CHANGES_A_SECOND):
            async with db.transaction(engine) as session:
                await session.execute(sa.text(_FLIP), {"device": 1 + number % 1500})
            due = began + (number + 1) / CHANGES_A_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        repaints = await page.evaluate("window.repaints")
        await browser.close()
    await engine.dispose()
    if len(repaints) < 3:
        raise RuntimeError(f"the map was painted {len(repaints)} times")
    return [
        Result("console_map_repaint", median(repaints), 50.0, "ms", "≤ 50 ms"),
        Result("console_map_repaint_longest", max(repaints), 50.0, "ms"),
    ]
