"""The role `prepare`: takes work of the queue, has it done in child processes, stores the results.

An emergency passes everything. It has a place of its own beside those of the ordinary work, and
while one is being prepared all ordinary work of this process stands still: on two cores two long
recordings would otherwise take most of both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.bulletins import preparations, scratch
from broadcast.bulletins.audio.prepared import Prepared
from broadcast.bulletins.model import Preparation
from broadcast.bulletins.preparations import EMERGENCY
from broadcast.bulletins.sandbox import Child
from broadcast.kit import clock, db, roles
from broadcast.kit.errors import BroadcastError, InvalidInput
from broadcast.kit.notify import Channel, listen
from broadcast.kit.tasks import until_one_ends

log = structlog.get_logger()

WORKING = Gauge("broadcast_preparations_working", "Preparations under way in this process")

ROLE = "prepare"
"""Name of the role in `role_states`; several machines may have it, and each reports for all."""

POLL_SECONDS = 2.0
"""NOTIFY wakes at once; this is how late a lost one, an expired lease or a retry is noticed."""

RENEW_SECONDS = 1.0
"""Interval at which progress is stored and the lease renewed."""

EMERGENCIES_AT_ONCE = 2
"""Places that only emergencies take."""

CLEAR_SECONDS = 600.0


async def run(engine: AsyncEngine, settings: config.Settings) -> None:
    """Process the queue until cancelled; work under way is then left to other workers."""
    worker = _Worker(engine, settings)
    await until_one_ends(roles.report(engine, ROLE, lambda: worker.trouble), worker.run())


@dataclass
class _Work:
    """A preparation of ours."""

    id: int
    priority: int
    child: Child
    task: asyncio.Task[None]


class _Worker:
    """One process that prepares.

    Attributes:
        trouble: Why it cannot take work, and what to do; empty: it works.
    """

    def __init__(self, engine: AsyncEngine, settings: config.Settings) -> None:
        self._engine = engine
        self._content_dir = settings.content_dir
        self._audio = settings.audio
        self._name: UUID = uuid4()
        self._working: dict[int, _Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self.trouble = roles.STARTING

    async def run(self) -> None:
        tending = asyncio.create_task(self._tend())
        try:
            while True:
                try:
                    async with self._listening():
                        self.trouble = ""
                        await self._take_work()
                except db.AWAY as error:
                    self.trouble = db.explain(error)
                    log.warning("bulletins.preparation.database_away", error=db.brief(error))
                await asyncio.sleep(POLL_SECONDS)
        finally:
            tending.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(tending, *self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Be woken by NOTIFY over a connection of its own."""
        connection = await self._engine.connect()
        try:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await listen(connection, Channel.PREPARE, lambda _: self._wake.set())
            yield
        finally:
            # The pool would hand the listener on.
            await connection.invalidate()
            await connection.close()

    async def _take_work(self) -> None:
        while True:
            self._wake.clear()
            while await self._take():
                pass
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def _take(self) -> bool:
        """Begin the next work that there is a place for."""
        urgent = sum(work.priority >= EMERGENCY for work in self._working.values())
        ordinary = len(self._working) - urgent
        if ordinary < self._audio.at_once and not urgent:
            lowest = 0
        elif urgent < EMERGENCIES_AT_ONCE:
            lowest = EMERGENCY
        else:
            return False
        async with db.transaction(self._engine) as session:
            row = await preparations.claim(session, self._name, clock.now(), lowest)
        if row is None:
            return False
        child = Child(urgent=row.priority >= EMERGENCY)
        task = asyncio.create_task(self._do(row, child))
        # Also those that were stopped: their children are waited for.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._working[row.id] = _Work(row.id, row.priority, child, task)
        self._give_way()
        return True

    def _give_way(self) -> None:
        """Let ordinary work stand still exactly while an emergency is being prepared."""
        emergency = any(work.priority >= EMERGENCY for work in self._working.values())
        for work in self._working.values():
            if emergency and work.priority < EMERGENCY:
                work.child.pause()
            else:
                work.child.resume()
        WORKING.set(len(self._working))

    async def _do(self, row: Preparation, child: Child) -> None:
        try:
            await self._prepare(row, child)
        except asyncio.CancelledError:
            if row.id in self._working:  # not lost, but the process ends
                await self._note(preparations.give_back, row.id)
            raise
        finally:
            self._working.pop(row.id, None)
            self._give_way()
            self._wake.set()

    async def _prepare(self, row: Preparation, child: Child) -> None:
        settings = self._settings(row)
        try:
            prepared = await self._run_held(row, child, settings)
        except InvalidInput as error:
            over = await self._note(preparations.refuse, row.id, error.detail)
        except BroadcastError as error:
            log.warning("bulletins.preparation.failed", id=row.id, detail=error.detail)
            over = await self._note(preparations.fail, row.id, error.detail)
        except OSError:
            log.exception("bulletins.preparation.failed", id=row.id)
            why = "Đĩa của máy chủ đầy hoặc không ghi được. Hãy báo quản trị."
            over = await self._note(preparations.fail, row.id, why)
        else:
            over = await self._note(preparations.finish, row.id, prepared)
        if over and row.source_file is not None:
            await self._forget(row.source_file)

    async def _forget(self, name: str) -> None:
        """Remove a source, unless a draft still has it; what is missed here is tended later."""
        with suppress(*db.AWAY):
            async with db.transaction(self._engine) as session:
                needed = await preparations.kept_sources(session)
            if name not in needed:
                await asyncio.to_thread(scratch.forget, self._content_dir, name)

    async def _run_held(self, row: Preparation, child: Child, settings: config.Audio) -> Prepared:
        """Run with the lease renewed; not longer: an end written down reads as a lost lease."""
        holding = asyncio.create_task(self._hold(row.id, child))
        try:
            return await self._run(row, child, settings)
        finally:
            holding.cancel()

    async def _run(self, row: Preparation, child: Child, settings: config.Audio) -> Prepared:
        if row.attempts_count > preparations.MOST_ATTEMPTS:
            # Each worker that tried was killed, perhaps for want of memory.
            raise BroadcastError("Máy chủ bị ngắt mỗi lần chuẩn bị tệp này. Hãy báo quản trị.")
        framing = preparations.framing_of(row)
        if row.source_file is None:
            return await child.prepare_text(row.text or "", self._content_dir, settings, framing)
        source = scratch.source_path(self._content_dir, row.source_file)
        if not await asyncio.to_thread(source.is_file):
            raise BroadcastError("Máy chủ không còn tệp đã tải lên. Hãy tải lên lần nữa.")
        trim = preparations.trim_of(row)
        return await child.prepare_upload(source, self._content_dir, settings, trim, framing)

    def _settings(self, row: Preparation) -> config.Audio:
        """Return the settings of its row, with the limits of this process."""
        limits = self._audio.model_dump(include=preparations.LIMITS)
        return config.Audio.model_validate(row.settings | limits)

    async def _note(self, step: Any, preparation_id: int, *what: Any) -> bool:
        """Write down an end; until the database is back, for it is the work of minutes."""
        while True:
            try:
                async with db.transaction(self._engine) as session:
                    return bool(
                        await step(session, preparation_id, self._name, *what, clock.now())
                    )
            except db.AWAY as error:
                log.warning("bulletins.preparation.database_away", error=db.brief(error))
            await asyncio.sleep(POLL_SECONDS)

    async def _hold(self, preparation_id: int, child: Child) -> None:
        """Renew the lease and note progress; what is no longer ours is stopped."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with db.transaction(self._engine) as session:
                    priority = await preparations.renew(
                        session, preparation_id, self._name, child.percent, clock.now()
                    )
            except db.AWAY:
                continue  # the lease outlasts a short outage; a longer one lets others take it
            if preparation_id not in self._working:
                return
            work = self._working[preparation_id]
            if priority is None:
                del self._working[preparation_id]
                work.task.cancel()
                self._give_way()
                return
            if priority != work.priority:
                work.priority = priority
                if priority >= EMERGENCY:
                    child.hurry()
                self._give_way()

    async def _tend(self) -> None:
        """Remove what processes that died have left, at the start and now and then."""
        while True:
            with suppress(*db.AWAY):
                await asyncio.to_thread(scratch.clear, self._content_dir)
                async with db.transaction(self._engine) as session:
                    needed = await preparations.kept_sources(session)
                now = clock.now().timestamp()
                await asyncio.to_thread(scratch.forget_all_but, self._content_dir, needed, now)
            await asyncio.sleep(CLEAR_SECONDS)
