"""Running something else at a chosen moment of a step: between any two of its statements.

Over real PostgreSQL and without chance: the step is held before its n-th statement (a commit
counts as one) until the other has finished, or waits for a lock that the step holds; then the step
goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only

LOCKED = sa.text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


class Held:
    """An engine whose statements are counted, and that can be held before one of them."""

    def __init__(self, url: sa.URL) -> None:
        self.engine = create_async_engine(url)
        self.count = 0
        self._watching = create_async_engine(url, poolclass=NullPool)
        self._at = -1
        self._other: Callable[[], Awaitable[Any]] | None = None
        self._task: asyncio.Task[Any] | None = None
        sync = self.engine.sync_engine
        event.listen(sync, "before_cursor_execute", lambda *_: self._before())
        event.listen(sync, "commit", lambda *_: self._before())

    async def run(
        self,
        step: Callable[[], Awaitable[Any]],
        at: int,
        other: Callable[[], Awaitable[Any]],
    ) -> bool:
        """Run a step with something else before its statement number `at`; both to their end.

        Returns:
            Whether the step had so many statements; otherwise the other has run after it.
        """
        self.count, self._at, self._other, self._task = 0, at, other, None
        try:
            await step()
            reached = self._task is not None
            await (self._task or asyncio.ensure_future(other()))
        finally:
            self._other = None
        return reached

    async def dispose(self) -> None:
        """Close the connections."""
        await self.engine.dispose()
        await self._watching.dispose()

    def _before(self) -> None:
        number, self.count = self.count, self.count + 1
        if number == self._at and self._other is not None:
            await_only(self._hold(self._other))

    async def _hold(self, other: Callable[[], Awaitable[Any]]) -> None:
        task = self._task = asyncio.ensure_future(other())
        async with self._watching.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            while not task.done():
                await asyncio.wait([task], timeout=0.02)
                if not task.done() and await connection.scalar(LOCKED):
                    return


def held(engine: AsyncEngine) -> Held:
    """A second engine on the same database."""
    return Held(engine.url)
