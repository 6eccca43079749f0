"""Advisory locks: one number each, and a lock is a lock."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

import broadcast
from broadcast.kit import db
from broadcast.kit.locks import Lock, lock, try_lock


async def is_free(engine: AsyncEngine, which: Lock, name: str = "") -> bool:
    async with engine.connect() as connection:
        try:
            return await try_lock(connection, which, name)
        finally:
            await connection.invalidate()


async def test_a_lock_is_held_until_the_transaction_ends(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        await lock(session, Lock.LEXICON, "21001")
        assert not await is_free(engine, Lock.LEXICON, "21001")
        assert await is_free(engine, Lock.LEXICON, "21002")
        assert await is_free(engine, Lock.EXCLUSIONS, "21001")
    assert await is_free(engine, Lock.LEXICON, "21001")


async def test_who_waits_for_a_lock_gets_it_after_the_commit(engine: AsyncEngine) -> None:
    async def second() -> None:
        async with db.transaction(engine) as session:
            await lock(session, Lock.SCHEDULES)

    async with db.transaction(engine) as session:
        await lock(session, Lock.SCHEDULES)
        waiting = asyncio.create_task(second())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(waiting)
    await asyncio.wait_for(waiting, 60)


async def test_no_two_roles_share_a_lock(engine: AsyncEngine) -> None:
    names = [
        "dispatch",
        *(f"ingest-{n}" for n in range(1, 257)),
        *(f"prepare-{n}" for n in range(64)),
    ]
    async with db.transaction(engine) as session:
        hashes = await session.scalars(
            sa.text("SELECT hashtext(n) FROM unnest(CAST(:names AS text[])) AS n"),
            {"names": names},
        )
        assert len(set(hashes)) == len(names)


def test_every_advisory_lock_is_in_the_table() -> None:
    package = Path(broadcast.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"advisory_(xact_)?lock|hashtext", path.read_text(encoding="utf-8"))
    }
    assert found == {"kit/locks.py"}
