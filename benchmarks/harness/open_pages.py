"""Open start pages without browsers: a stream each, and the parts fetched as live.js does."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2 as httpx

PART = re.compile(rb'hx-get="([^"]+)"[^>]*?data-live="([^"]+)"')
SPREAD_SECONDS = 2.0
"""As `SPREAD_MS` of live.js: within it a page fetches what it was told of."""

KEPT_SECONDS = 3
"""An idle connection; the server closes one after five."""

PAGE = {"Accept": "text/html", "Accept-Encoding": "gzip"}


@asynccontextmanager
async def open_pages(url: str, headers: dict[str, str], count: int) -> AsyncIterator[Counter[int]]:
    """So many open start pages; the statuses of all parts that they have fetched.

    Raises:
        RuntimeError: The page has no live part, or a stream was refused.
    """
    answers: Counter[int] = Counter()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                headers=headers,
                timeout=None,
                limits=httpx.Limits(max_connections=None, keepalive_expiry=KEPT_SECONDS),
            )
        )
        page = await client.get(url, headers=PAGE)
        parts = {
            part.decode(): frozenset(topics.decode().split(","))
            for part, topics in PART.findall(page.content)
        }
        if not parts:
            raise RuntimeError(f"{url}: {page.status_code}, no live part")
        topics = ",".join(sorted(frozenset().union(*parts.values())))
        reading = []
        for _ in range(count):
            stream = await stack.enter_async_context(
                client.stream("GET", f"{url}/events", params={"topics": topics})
            )
            if stream.status_code != 200:
                raise RuntimeError(f"a stream: {stream.status_code}")
            reading.append(asyncio.create_task(_follow(client, url, stream, parts, answers)))
        yield answers
        for task in reading:
            task.cancel()
        heard = await asyncio.gather(*reading, return_exceptions=True)
        failed = [each for each in heard if not isinstance(each, asyncio.CancelledError)]
        if failed:
            raise RuntimeError(f"{len(failed)} pages were cut off: {failed[0]!r}")


async def _follow(
    client: httpx.AsyncClient,
    url: str,
    stream: httpx.Response,
    parts: dict[str, frozenset[str]],
    answers: Counter[int],
) -> None:
    changed: set[str] = set()
    version = topic = ""

    async def fetch() -> None:
        await asyncio.sleep(random.uniform(0, SPREAD_SECONDS))  # noqa: S311
        told = {*changed}
        changed.clear()
        for part, topics in parts.items():
            if told & topics:
                headers = PAGE | {"HX-Request": "true", "Live-Version": version}
                answers[await _status(client, url + part, headers)] += 1

    async with asyncio.TaskGroup() as fetching:
        async for line in stream.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                topic = value
            elif name == "data":
                version = value
                if not changed:
                    fetching.create_task(fetch())
                changed.add(topic)


async def _status(client: httpx.AsyncClient, url: str, headers: dict[str, str]) -> int:
    """As a browser: once more, if the connection that is used again has just been closed."""
    try:
        return (await client.get(url, headers=headers)).status_code
    except httpx.TransportError:
        return (await client.get(url, headers=headers)).status_code
