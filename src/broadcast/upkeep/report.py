"""The state of the store, for the person who looks after it: the same on REST and command line."""

from __future__ import annotations

from datetime import date, datetime

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.kit.times import Day, Moment
from broadcast.upkeep import checks, facts, partitions, retention, storage
from broadcast.upkeep.checks import Check
from broadcast.upkeep.lifetimes import Partition
from broadcast.upkeep.storage import Room


class PartitionsView(BaseModel):
    """Partitions of one table."""

    table: str
    count: int
    oldest: Day | None
    """First day of the oldest one."""
    ahead: int
    """Partitions that begin after today."""
    size_bytes: int
    kept_days: int | None
    """Age at which a partition is dropped; null: kept permanently."""
    packed: int
    """Closed ones that hold no room for updates any more."""


class Report(BaseModel):
    """State of the store."""

    at: Moment
    partitions: list[PartitionsView]
    database_bytes: int
    rooms: list[Room]
    kept_days: dict[str, int]
    """Age at which rows of a table are deleted."""
    checks: list[Check]

    @property
    def alarms(self) -> list[Check]:
        """Checks that somebody has to act on."""
        return [check for check in self.checks if check.alarm]


async def report(session: AsyncSession, settings: config.Settings, now: datetime) -> Report:
    """Look at everything, sizes included."""
    present = await partitions.existing(session, sized=True)
    size = await storage.database_bytes(session)
    rooms = await storage.rooms(settings, await storage.data_directory(session), size)
    work = await facts.gather(session, settings.upkeep, now)
    today = now.astimezone(LOCAL).date()
    keep = partitions.keep_days(settings.upkeep)
    return Report(
        at=now,
        partitions=[
            _view(table, [p for p in present if p.table == table], keep.get(table), today)
            for table in db.PARTITIONED
        ],
        database_bytes=size,
        rooms=rooms,
        kept_days=retention.keep_days(settings.upkeep),
        checks=[
            *checks.work(work, settings.upkeep, now),
            checks.disk(rooms, settings.upkeep),
        ],
    )


def _view(table: str, held: list[Partition], keep: int | None, today: date) -> PartitionsView:
    return PartitionsView(
        table=table,
        count=len(held),
        oldest=min((partition.first for partition in held), default=None),
        ahead=sum(partition.first > today for partition in held),
        size_bytes=sum(partition.size_bytes for partition in held),
        kept_days=keep,
        packed=sum(partition.packed for partition in held),
    )
