"""Advisory locks of PostgreSQL: all of them, so that no two share a number."""

from __future__ import annotations

from enum import IntEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession


class Lock(IntEnum):
    """Work that one transaction, or one process, does at a time. The first key of the lock."""

    MIGRATIONS = 1
    ROLE = 3
    """Second key: the role. (2 was the leader's own, up to 0.1.)"""
    PARTITIONS = 4
    SCHEDULES = 5
    """Whoever adds to the grid of schedules."""
    REGISTRY = 6
    """Stations, plants, clusters and devices."""
    LEXICON = 7
    """Second key: the area."""
    EXCLUSIONS = 8
    """Second key: the village."""
    RESOURCE = 9
    """Second key: the path of the resource that a request changes."""
    ROLLUP = 10
    """The days of the indicators."""
    AUDIT = 11
    """The chain of the audit: taken by PostgreSQL itself, within a commit (migration 0017)."""
    ADMINISTRATORS = 12
    """Who might be the last administrator of the province."""
    CAP_MESSAGES = 13
    """Warnings of other authorities, one after the other."""
    KEYS = 19
    """The states of the signing keys."""


def acquire(which: Lock, name: str = "") -> sa.Select[None]:
    """Statement that waits for a lock and holds it until the transaction ends.

    Args:
        which: Which one.
        name: Of the thing that is locked, where there is one lock for each.
    """
    return sa.select(sa.func.pg_advisory_xact_lock(*_keys(which, name)))


async def lock(session: AsyncSession, which: Lock, name: str = "") -> None:
    """Wait for a lock, and hold it until the transaction ends."""
    await session.execute(acquire(which, name))


async def try_lock(connection: AsyncConnection, which: Lock, name: str = "") -> bool:
    """Take a lock for as long as the connection lasts, unless somebody else holds it."""
    taken = await connection.scalar(sa.select(sa.func.pg_try_advisory_lock(*_keys(which, name))))
    return taken is True


def _keys(which: Lock, name: str) -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    return sa.cast(int(which), sa.Integer), sa.func.hashtext(name)
