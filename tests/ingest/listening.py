"""Waiting for workers that hear everything, for tests."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.kit import clock, db
from broadcast.telemetry import sweep


async def listening(engine: AsyncEngine) -> None:
    """Wait until everything is heard that is said now."""
    now = clock.now()
    async with asyncio.timeout(30):
        while True:
            async with db.transaction(engine) as session:
                heard = await sweep.listening(session)
            if heard is not None and heard.until > now:
                return
            await asyncio.sleep(0.05)
