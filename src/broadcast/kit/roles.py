"""The roles of all processes: each is done by one at a time, and says how it is.

A process claims a role by an advisory lock before it connects to the broker: two with one client
id would disconnect each other without end. What it reports stands in `role_states`, so that
`/readyz` of any process shows all of them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from broadcast.kit import clock, db
from broadcast.kit.locks import Lock, try_lock
from broadcast.kit.notify import Channel, listen

log = structlog.get_logger()

TRY_SECONDS = 1.0
HOLD_SECONDS = 5.0
"""How often the holder asks whether its lock still stands, and how long it waits for an answer."""
RETAKE_SECONDS = 15.0
"""How long a lock that was lost is asked for again: what held it may be a connection of our own
of which PostgreSQL does not know yet that it is gone."""
LOOK_SECONDS = 0.1
REPORT_SECONDS = 10.0
"""How often a role says that it is there, when nothing changes."""

STARTING = "đang khởi động"
STOPPED = "đã dừng; hãy khởi động lại"


class RoleState(db.Base):
    """State of a role as its process last reported it."""

    __tablename__ = "role_states"

    name: Mapped[str] = mapped_column(primary_key=True)
    """`dispatch`, `ingest-1`, …"""
    host: Mapped[str]
    pid: Mapped[int]
    trouble: Mapped[str]
    """Why it cannot work, and what to do; empty: it works."""
    since: Mapped[datetime]
    """When that was first so."""
    at: Mapped[datetime]
    """When it was last said."""


class TakenOver(Exception):
    """Another process does the role now."""


class Claim:
    """An advisory lock, which lasts as long as the connection that holds it.

    What must happen only while the lock is held ends with `until_lost` (the leader); what may go
    on while the database is away calls `hold` (ingest, whose broker session must not break off).
    """

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._connection: AsyncConnection | None = None
        self._broken = asyncio.Event()

    async def wait(self) -> None:
        """Wait until the role is ours, whatever the database does."""
        is_logged = False
        while True:
            try:
                if await self._take():
                    break
                if not is_logged:
                    is_logged = True
                    log.warning("roles.role.standby", **await standby(self._engine, self._name))
            except db.AWAY as error:
                log.warning("roles.database.away", role=self._name, error=db.brief(error))
            await asyncio.sleep(TRY_SECONDS)
        log.info("roles.role.taken", role=self._name)

    async def listen(self, channel: Channel, wake: Callable[[], None]) -> None:
        """Have `wake` called at every notification, as long as the lock is held."""
        assert self._connection is not None
        await listen(self._connection, channel, lambda _: wake())

    async def until_lost(self) -> None:
        """Return when the connection that holds the lock has broken, or does not answer."""
        assert self._connection is not None
        with suppress(*db.AWAY):
            while not self._broken.is_set():
                async with asyncio.timeout(HOLD_SECONDS):
                    await self._connection.execute(sa.text("SELECT 1"))
                with suppress(TimeoutError):
                    async with asyncio.timeout(HOLD_SECONDS):
                        await self._broken.wait()
        log.warning("roles.lock.lost", role=self._name)

    async def hold(self) -> None:
        """Keep the role while the database comes and goes.

        Raises:
            TakenOver: Another process has it.
        """
        while True:
            await self.until_lost()
            await self._retake()

    async def _retake(self) -> None:
        refused_since: float | None = None
        while True:
            with suppress(*db.AWAY):
                if await self._take():
                    return
                refused_since = refused_since or time.monotonic()
                if time.monotonic() - refused_since > RETAKE_SECONDS:
                    raise TakenOver((await standby(self._engine, self._name))["detail"])
            await asyncio.sleep(TRY_SECONDS)

    async def _take(self) -> bool:
        await self.release()
        connection = await self._engine.connect()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            taken = await try_lock(connection, Lock.ROLE, self._name)
            if taken:
                self._broken = broken = asyncio.Event()
                raw: Any = (await connection.get_raw_connection()).driver_connection
                raw.add_termination_listener(lambda *_: broken.set())
        except BaseException:
            await connection.invalidate()
            await connection.close()
            raise
        if taken:
            self._connection = connection
        else:
            await connection.close()
        return taken

    async def release(self) -> None:
        """Give the role up; the lock ends with the connection, which is not handed on."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*db.AWAY):
                await connection.invalidate()
            await connection.close()


@asynccontextmanager
async def claimed(engine: AsyncEngine, name: str) -> AsyncIterator[Claim]:
    """Wait until a role is ours, and give it up at the end."""
    claim = Claim(engine, name)
    try:
        await claim.wait()
        yield claim
    finally:
        await claim.release()


async def standby(engine: AsyncEngine, name: str) -> dict[str, str]:
    """Return the name of a role and which other process does it, for the log."""
    async with db.transaction(engine) as session:
        holder = await session.get(RoleState, name)
    who = "tiến trình khác" if holder is None else f"máy {holder.host}, tiến trình {holder.pid},"
    detail = f"{who} đang làm việc này trên cùng cơ sở dữ liệu; chờ đến khi nó dừng"
    return {"role": name, "detail": detail}


_SAY = sa.text("""
    INSERT INTO role_states AS r (name, host, pid, trouble, since, at)
    VALUES (:name, :host, :pid, :trouble, :at, :at)
    ON CONFLICT (name) DO UPDATE
    SET host = excluded.host, pid = excluded.pid, trouble = excluded.trouble, at = excluded.at,
        since = CASE WHEN r.trouble = excluded.trouble THEN r.since ELSE excluded.at END
""")


async def say(session: AsyncSession, name: str, trouble: str) -> None:
    """Say how a role of this process is."""
    us = {"host": socket.gethostname(), "pid": os.getpid(), "at": clock.now()}
    await session.execute(_SAY, {"name": name, "trouble": trouble, **us})


async def announce(session: AsyncSession, name: str, now: datetime) -> None:
    """Say that a role is about to be done, unless some process is doing it."""
    state = await session.get(RoleState, name)
    if state is None or state.trouble or now - state.at > 2 * timedelta(seconds=REPORT_SECONDS):
        await say(session, name, STARTING)


async def report(engine: AsyncEngine, name: str, trouble: Callable[[], str]) -> None:
    """Report how a role is until cancelled: at once when that changes, and now and then.

    Args:
        engine: The database.
        name: Of the role, which is ours.
        trouble: Why it cannot work, and what to do; empty: it works.
    """
    said: str | None = None
    due = 0.0
    try:
        while True:
            now = trouble()
            if now != said or time.monotonic() >= due:
                with suppress(*db.AWAY):
                    async with db.transaction(engine) as session:
                        await say(session, name, now)
                    said = now
                due = time.monotonic() + (REPORT_SECONDS if said == now else TRY_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        with suppress(*db.AWAY):
            async with asyncio.timeout(1), db.transaction(engine) as session:
                await session.execute(
                    sa.update(RoleState)
                    .where(RoleState.name == name, RoleState.host == socket.gethostname(),
                           RoleState.pid == os.getpid())
                    .values(trouble=STOPPED, since=clock.now(), at=clock.now())
                )  # fmt: skip


async def states(session: AsyncSession) -> list[RoleState]:
    """States of all roles that any process has done."""
    return list(await session.scalars(sa.select(RoleState).order_by(RoleState.name)))


async def forget(session: AsyncSession, names: Collection[str]) -> None:
    """Forget roles that there are no more."""
    await session.execute(sa.delete(RoleState).where(RoleState.name.in_(names)))
