"""Who may dispatch: one process at a time, by an advisory lock of PostgreSQL.

The lock lasts as long as the connection that holds it. When that breaks the leadership is over at
once, although a second leader would do no harm: all that it did would be done twice to the same
end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from broadcast.kit import roles
from broadcast.kit.locks import Lock, try_lock
from broadcast.kit.notify import Channel, listen

log = structlog.get_logger()

LEADER = Gauge("broadcast_dispatch_leader", "1 while this process dispatches")

TRY_SECONDS = 1.0
HOLD_SECONDS = 5.0
"""How often the leader asks whether its lock still stands, and how long it waits for an answer: a
dead line is noticed within twice this."""


class Leadership:
    """The advisory lock, which lasts as long as the connection that holds it.

    Attributes:
        wake: Set by NOTIFY: there is work.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self.wake = asyncio.Event()
        self._connection = connection
        self._broken = asyncio.Event()

    async def listen(self) -> None:
        """Hear NOTIFY, and the end of the connection."""
        raw: Any = (await self._connection.get_raw_connection()).driver_connection
        await listen(self._connection, Channel.DISPATCH, self.wake.set)
        raw.add_termination_listener(lambda *_: self._broken.set())

    async def hold(self) -> None:
        """Wait until the connection breaks, and raise.

        Raises:
            ConnectionError: It was closed.
            TimeoutError: It does not answer.
            SQLAlchemyError: It answers with an error.
        """
        while not self._broken.is_set():
            async with asyncio.timeout(HOLD_SECONDS):
                await self._connection.execute(sa.text("SELECT 1"))
            try:
                async with asyncio.timeout(HOLD_SECONDS):
                    await self._broken.wait()
            except TimeoutError:
                continue
        raise ConnectionError("the connection that held the leader's lock was closed")


@asynccontextmanager
async def leadership(engine: AsyncEngine) -> AsyncIterator[Leadership]:
    """Wait until we lead."""
    connection = await engine.connect()
    try:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        told = False
        while not await try_lock(connection, Lock.LEADERSHIP):
            if not told:
                told = True
                log.warning("roles.role.standby", **await roles.standby(engine, "dispatch"))
            await asyncio.sleep(TRY_SECONDS)
        lead = Leadership(connection)
        await lead.listen()
        LEADER.set(1)
        log.info("dispatch.leadership.taken")
        yield lead
    finally:
        LEADER.set(0)
        # The lock ends with the connection; the pool would hand both on.
        await connection.invalidate()
        await connection.close()
