"""Waiting for a link, for tests."""

from __future__ import annotations

import asyncio

from broadcast.mqtt.link import Link
from tests.waiting import HANG_SECONDS


async def connected(link: Link, timeout: float = HANG_SECONDS) -> None:  # noqa: ASYNC109 — a test's bound
    """Return when the link stands; TimeoutError where it does not in time."""
    async with asyncio.timeout(timeout):
        while not link.connected:  # noqa: ASYNC110 — nobody else waits for it
            await asyncio.sleep(0.005)
