"""Looking at every source again and again: a dead one is known weeks before it is needed."""

from __future__ import annotations

import asyncio
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.kit import clock, db
from broadcast.streams import register
from broadcast.streams.model import StreamCheck, StreamSource
from broadcast.streams.probing import look

log = structlog.get_logger()

AT_ONCE = 4
MOST_A_RUN = 40
"""Sources that are looked at in one run: ten rounds of half a minute at the worst."""


async def watch(engine: AsyncEngine, settings: config.Streams, now: datetime) -> int:
    """Look at the sources whose last look is too old; returns how many there were."""
    async with db.transaction(engine) as session:
        rows = await session.execute(
            sa.select(StreamSource.id, StreamSource.urls)
            .outerjoin(StreamCheck, StreamCheck.source_id == StreamSource.id)
            .where(
                StreamSource.ended_at.is_(None),
                sa.or_(
                    StreamCheck.checked_at.is_(None),
                    StreamCheck.checked_at <= now - settings.probe_every,
                    StreamCheck.checked_at < StreamSource.entered_at,
                ),
            )
            .order_by(StreamCheck.checked_at.nulls_first(), StreamSource.id)
            .limit(MOST_A_RUN)
        )
        due = [(id_, list(urls)) for id_, urls in rows]
    room = asyncio.Semaphore(AT_ONCE)

    async def one(id_: int, urls: list[str]) -> None:
        async with room:
            found = await look(urls, settings.private_networks)
        async with db.transaction(engine) as session:
            await register.record(session, id_, found, clock.now())
        if found.found is None:
            log.info("streams.source.silent", source_id=id_, detail=found.detail)

    await asyncio.gather(*(one(id_, urls) for id_, urls in due))
    return len(due)
