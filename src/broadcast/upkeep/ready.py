"""Readiness of the installation, asked of the database, so that any process can answer.

An answer is bounded in time: a database that hangs is one that is away.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.kit import db
from broadcast.upkeep import checks, facts, storage
from broadcast.upkeep.checks import Check, Name

PATIENCE = timedelta(seconds=1.5)
"""For the database; with the disks an answer takes less than three seconds, whatever hangs."""

AT_ONCE = 3
"""Questions that may hang at a time; more are answered without asking."""


class Readiness(BaseModel):
    """Answer of `/readyz`."""

    status: Literal["ok", "unavailable"]
    checks: list[Check]


class Prober:
    """Asks the database, and gives up on it in time."""

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._asking: set[asyncio.Task[_Answer]] = set()

    async def ask(self, now: datetime) -> Readiness:
        """Look at everything.

        A question that hangs is cancelled and left behind: a connection whose other end is gone
        may take minutes to notice even that.
        """
        answer = await self._patiently(now)
        rooms = await storage.rooms(self._settings, answer.directory, answer.size_bytes)
        found = [*answer.checks, checks.disk(rooms, self._settings.upkeep)]
        ok = all(check.ok for check in found)
        return Readiness(status="ok" if ok else "unavailable", checks=found)

    async def _patiently(self, now: datetime) -> _Answer:
        if len(self._asking) >= AT_ONCE:
            return _Answer.away("Cơ sở dữ liệu không trả lời các lần hỏi trước")
        task = asyncio.create_task(self._look(now))
        self._asking.add(task)
        task.add_done_callback(self._forget)
        await asyncio.wait({task}, timeout=PATIENCE.total_seconds())
        if not task.done():
            task.cancel()
            return _Answer.away(
                f"Cơ sở dữ liệu không trả lời trong {PATIENCE.total_seconds()} giây"
            )
        return task.result()

    def _forget(self, task: asyncio.Task[_Answer]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain

    async def _look(self, now: datetime) -> _Answer:
        try:
            async with db.transaction(self._engine) as session:
                await facts.limit_time(session, PATIENCE)
                schema = checks.schema(await facts.schema_revision(session), db.newest_revision())
                found = [Check(name=Name.DATABASE, ok=True), schema]
                if schema.ok:
                    work = await facts.gather(session, self._settings.upkeep, now)
                    found += checks.work(work, self._settings.upkeep, now)
                    if said := await facts.roles(session):
                        found.append(checks.roles(said, now))
                directory = await storage.data_directory(session)
                size = None
                if self._settings.upkeep.database_capacity_bytes is not None:
                    size = await storage.database_bytes(session)
        except db.AWAY as error:
            return _Answer.away(f"Cơ sở dữ liệu không dùng được ({db.explain(error)})")
        return _Answer(found, directory, size)


class _Answer(NamedTuple):
    """Answer of the database."""

    checks: list[Check]
    directory: str | None = None
    size_bytes: int | None = None

    @classmethod
    def away(cls, detail: str) -> _Answer:
        """Nothing."""
        return cls([checks.away(detail)])
