"""Room on disks: measured where it can be, and said to be unknown where it cannot."""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config

MEASURE_SECONDS = 1.0
"""A file system that hangs (a network share) counts as unknown."""


class Room(BaseModel):
    """Room of one place; null where nobody can know it from here."""

    place: Literal["content", "database"]
    how: Literal["file_system", "capacity", "unknown"]
    """Measured on the file system, computed from a configured capacity, or unknown."""
    path: str | None = None
    free_bytes: int | None = None
    total_bytes: int | None = None


async def rooms(
    settings: config.Settings, directory: str | None, size_bytes: int | None
) -> list[Room]:
    """Room of the content folder and of the database.

    Args:
        settings: Where the content lies, how the database is reached, its configured capacity.
        directory: Where PostgreSQL keeps its data; None where our role may not know.
        size_bytes: Of the database; None while it is away.
    """
    content = await _measured("content", settings.content_dir)
    where = None
    if directory is not None and is_local(settings.postgres.dsn.get_secret_value()):
        where = Path(directory)
    return [content, await _database(settings.upkeep, where, size_bytes)]


async def _database(settings: config.Upkeep, where: Path | None, size_bytes: int | None) -> Room:
    if where is not None:
        room = await _measured("database", where)
        if room.how == "file_system":
            return room
    capacity = settings.database_capacity_bytes
    if capacity is None or size_bytes is None:
        return Room(place="database", how="unknown")
    free = max(0, capacity - size_bytes)
    return Room(place="database", how="capacity", free_bytes=free, total_bytes=capacity)


async def _measured(place: Literal["content", "database"], folder: Path) -> Room:
    try:
        async with asyncio.timeout(MEASURE_SECONDS):
            usage = await asyncio.to_thread(_usage, folder, climb=place == "content")
    except (OSError, TimeoutError):
        return Room(place=place, how="unknown", path=str(folder))
    return Room(
        place=place,
        how="file_system",
        path=str(folder),
        free_bytes=usage.free,
        total_bytes=usage.total,
    )


def _usage(folder: Path, *, climb: bool) -> _Usage:
    """Room where a folder lies, or will lie: the content folder is made with its first file."""
    folder = folder.absolute()
    while climb and not folder.exists() and folder != folder.parent:
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return _Usage(usage.free, usage.total)


class _Usage(NamedTuple):
    free: int
    total: int


def is_local(dsn: str) -> bool:
    """Tell whether a database is on this machine: a Unix socket, or a loopback address.

    >>> is_local("postgresql:///b?host=/run/postgresql"), is_local("postgresql://u@127.0.0.1/b")
    (True, True)
    >>> is_local("postgresql://u@db.example/b"), is_local("postgresql://u@10.0.0.7/b")
    (False, False)
    """
    url = make_url(dsn)
    asked = url.host or url.query.get("host") or "localhost"
    host = asked if isinstance(asked, str) else asked[0]
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_DIRECTORY = sa.text("SELECT setting FROM pg_settings WHERE name = 'data_directory'")
_SIZE = sa.text("SELECT pg_database_size(current_database())")


async def data_directory(session: AsyncSession) -> str | None:
    """Data directory of PostgreSQL; None where our role may not know.

    Only members of `pg_read_all_settings` may; `pg_settings` hides it from others.
    """
    found: str | None = await session.scalar(_DIRECTORY)
    return found


async def database_bytes(session: AsyncSession) -> int:
    """Size of the database. PostgreSQL looks at each of its files."""
    return int(await session.scalar(_SIZE) or 0)
