"""The leader's part in a restore: noticing it, publishing nothing meanwhile, and the mark."""

from __future__ import annotations

import asyncio
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.kit import db
from broadcast.restore import credentials, mark, state

log = structlog.get_logger()


class RestoreWatch:
    """Knows whether the database may be believed.

    Attributes:
        comparing: A restore waits for a person's decision.
    """

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self.comparing = False
        self._engine = engine
        self._keys = settings.keys

    async def begin(self, now: datetime) -> None:
        """Compare the marks, as the first thing that a new leader does."""
        async with db.transaction(self._engine) as session:
            self.comparing = await credentials.notice(session, self._keys, now)

    async def hold_credentials(self, session: AsyncSession, now: datetime) -> None:
        """Have what was revoked stay so, once a restore is open."""
        await credentials.notice(session, self._keys, now)

    async def look(self, now: datetime) -> None:
        """Notice a restore that a person has declared, and the decision."""
        del now
        async with db.transaction(self._engine) as session:
            self.comparing = await state.is_open(session)

    async def advance(self, now: datetime) -> None:
        """Have the mark grow, in the database first; what is revoked by then is listed before."""
        async with db.transaction(self._engine) as session:
            grown = await mark.advance(session, now)
            revoked = await credentials.revoked(session)
        try:
            await asyncio.to_thread(self._write, grown, revoked)
        except OSError as error:
            log.warning("restore.mark.not_written", folder=error.filename, error=str(error))

    def _write(self, grown: mark.Mark, revoked: credentials.List) -> None:
        credentials.write(credentials.path(self._keys), revoked)
        mark.write(mark.path(self._keys), grown)
