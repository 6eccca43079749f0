"""The mark: a number that grows in the database and, after each commit, in a file beside the keys.

The file can only be behind. Where it is ahead, the database has lost what it had committed: it was
restored, whoever did that and however. A number, not a time: no clock has a part in it.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.backup.manifest import MARK
from broadcast.restore.model import DatabaseMark

log = structlog.get_logger()

EVERY = timedelta(seconds=5)
"""How often it grows: what was lost is known to this."""


class Mark(msgspec.Struct, frozen=True):
    """How far a database had come."""

    installation: UUID
    number: int
    at: datetime


def path(keys: config.Keys) -> Path:
    """Path of the file."""
    return keys.dir / MARK


def read(file: Path) -> Mark | None:
    """The mark beside the keys; None where there is none, or it is damaged.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        log.warning("restore.mark.unreadable", file=str(file), error=str(error))
        return None


def write(file: Path, mark: Mark) -> None:
    """Replace the mark beside the keys.

    Raises:
        OSError: It cannot be written.
    """
    draft = file.with_name(f".{file.name}")
    with draft.open("wb") as out:
        out.write(msgspec.json.encode(mark) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)


def is_behind(stored: Mark | None, beside: Mark | None) -> bool:
    """Tell whether a database lacks what was committed to it.

    Args:
        stored: In the database.
        beside: Beside the keys; of another installation it says nothing about this database.
    """
    return (
        stored is not None
        and beside is not None
        and stored.installation == beside.installation
        and stored.number < beside.number
    )


async def stored(session: AsyncSession) -> Mark | None:
    """The mark of the database; None before the first one."""
    row = await session.get(DatabaseMark, 1, populate_existing=True)
    return None if row is None else Mark(row.installation, row.number, row.at)


_SET = sa.text("""
    INSERT INTO database_marks AS m (id, installation, number, at)
    VALUES (1, :installation, :least, :now)
    ON CONFLICT (id) DO UPDATE
    SET number = GREATEST(m.number + 1, excluded.number), at = excluded.at
    RETURNING installation, number, at
""").bindparams(
    sa.bindparam("installation", type_=sa.Uuid()),
    sa.bindparam("now", type_=sa.DateTime(timezone=True)),
)


async def advance(session: AsyncSession, now: datetime, least: int = 1) -> Mark:
    """Have the mark of the database grow, at least to a number."""
    row = (
        await session.execute(_SET, {"installation": uuid4(), "least": least, "now": now})
    ).one()
    return Mark(row.installation, row.number, row.at)
