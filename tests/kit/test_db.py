"""Partitions are made by whichever process comes first."""

from __future__ import annotations

import asyncio
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.kit import db

DAY = date(2031, 5, 5)


async def test_two_processes_that_start_together_make_one_partition(engine: AsyncEngine) -> None:
    # Found by `make chaos`: the dispatcher died of "relation … already exists".
    async with db.transaction(engine) as first:
        await db.ensure_partition(first, "heartbeats", DAY)
        second = asyncio.create_task(_ensure(engine))
        await asyncio.wait([second], timeout=0.3)
        assert not second.done()
    await second
    async with db.transaction(engine) as session:
        assert await session.scalar(sa.text("SELECT to_regclass('heartbeats_20310505')"))


async def _ensure(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        await db.ensure_partition(session, "heartbeats", DAY)
