"""A province whose database can be set back, as by a backup: dispatcher, broker in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.auth.permissions import Role
from broadcast.backup import postgres
from broadcast.kit import db
from broadcast.restore.acceptance import accept
from broadcast.restore.cli import BEGIN
from broadcast.restore.comparison import Comparison, compare
from broadcast.restore.differences import Choice, Kind
from broadcast.restore.model import Restore
from broadcast.restore.state import open_restore
from broadcast.schedules.model import Occurrence
from broadcast.wire.documents import Item
from tests.callers import caller
from tests.delivery.world import World

ADMIN = caller("Mai", Role.PROVINCE_ADMIN)


class Restorable(World):
    """Its database can be dumped, and be what it was."""

    def __init__(self, engine: AsyncEngine, dsn: str, folder: Path) -> None:
        self._address = postgres.address(dsn)
        self._dump = folder / "database.dump"
        self._programs: Path | None = None
        super().__init__(engine, folder)
        keys = config.Keys(dir=folder / "keys")
        keys.dir.mkdir()
        self.settings = self.settings.model_copy(update={"keys": keys})
        self.restart()

    async def back_up(self) -> None:
        async with db.transaction(self.engine) as session:
            version = int(await session.scalar(sa.text("SHOW server_version_num")) or 0)
        self._programs = postgres.find(version // 10_000)
        postgres.dump(self._programs, self._address, self._dump)

    async def put_back(self, *, declared: bool = False) -> None:
        """The database is what it was; a new leader finds it so, after `restore from` or not."""
        assert self._programs is not None
        await self.engine.dispose()
        postgres.put_back(self._programs, self._dump, self._address, BEGIN if declared else "")
        self.restart(believed=False)
        await self.dispatcher.restores.begin(self.now)

    async def look(self) -> None:
        """Turns enough to read the broker."""
        for seconds in (1, 6, 1):
            await self.turn(after=timedelta(seconds=seconds))

    async def restore(self) -> Restore | None:
        async with db.transaction(self.engine) as session:
            return await open_restore(session)

    async def compare(self) -> Comparison:
        async with db.transaction(self.engine) as session:
            restore = await open_restore(session)
            assert restore is not None
            return await compare(session, restore, self.settings, self.now)

    async def kinds(self) -> list[Kind]:
        return [each.kind for each in (await self.compare()).differences]

    async def accept(
        self,
        choices: dict[str, Choice] | None = None,
        *,
        rest_as_proposed: bool = True,
        seen: str | None = None,
    ) -> Restore:
        async with db.transaction(self.engine) as session:
            return await accept(
                session,
                self.settings,
                choices or {},
                rest_as_proposed=rest_as_proposed,
                seen=seen,
                caller=ADMIN,
                now=self.now,
            )

    def told(self, scope: str = "area/21001") -> Sequence[Item]:
        return self.broker.programme(scope).items

    def revisions(self) -> dict[str, int]:
        return {
            topic: self.broker.document(topic).revision
            for topic in self.broker.retained
            if "/state/" in topic
        }

    async def occurrence(self, schedule_id: UUID) -> Occurrence:
        async with db.transaction(self.engine) as session:
            first = (
                sa.select(Occurrence)
                .where(Occurrence.schedule_id == schedule_id)
                .order_by(Occurrence.recurrence_at)
                .limit(1)
            )
            return (await session.scalars(first)).one()

    async def starts(self, schedule_id: UUID) -> datetime:
        return (await self.occurrence(schedule_id)).starts_at
