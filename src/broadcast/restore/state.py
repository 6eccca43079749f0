"""Whether the database may be believed: a restore is open from its discovery to its acceptance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.restore.model import Cause, DatabaseMark, NewerDocument, Restore
from broadcast.telemetry.model import ListeningSpan

log = structlog.get_logger()

Name = tuple[str, str]
"""Scope and kind of a document."""


async def open_restore(session: AsyncSession, *, lock: bool = False) -> Restore | None:
    """The restore that nobody has accepted yet."""
    statement = sa.select(Restore).where(Restore.accepted_at.is_(None))
    if lock:
        statement = statement.with_for_update()
    restore: Restore | None = await session.scalar(
        statement.execution_options(populate_existing=True)
    )
    return restore


async def is_open(session: AsyncSession) -> bool:
    """Tell whether a restore is to be accepted: until then nothing is published."""
    return bool(await session.scalar(sa.select(sa.exists().where(Restore.accepted_at.is_(None)))))


async def believed_mark(session: AsyncSession) -> int | None:
    """The mark of the database; None before the first one, and while a restore is open."""
    number: int | None = await session.scalar(
        sa.select(DatabaseMark.number).where(~sa.exists().where(Restore.accepted_at.is_(None)))
    )
    return number


async def begin(session: AsyncSession, cause: Cause, now: datetime) -> Restore:
    """Open a restore, unless one is open already.

    What is lost begins with the last moment of which the database knows.
    """
    known = await open_restore(session)
    if known is not None:
        return known
    last = await session.scalar(sa.select(DatabaseMark.at))
    if last is None:  # a backup of a release without marks
        last = await session.scalar(sa.select(sa.func.max(ListeningSpan.until)))
    restore = Restore(cause=cause, found_at=now, lost_since=min(last or now, now))
    session.add(restore)
    await session.flush()
    log.warning("restore.found", cause=cause.value, lost_since=str(restore.lost_since))
    return restore


async def accepted(session: AsyncSession) -> dict[Name, int]:
    """Newest revision of each document that was accepted as lost, to be heard of no more."""
    rows = await session.execute(
        sa.select(NewerDocument.scope, NewerDocument.kind, sa.func.max(NewerDocument.revision))
        .join(Restore, Restore.id == NewerDocument.restore_id)
        .where(Restore.accepted_at.is_not(None))
        .group_by(NewerDocument.scope, NewerDocument.kind)
    )
    return {(scope, kind): revision for scope, kind, revision in rows}


async def learn(
    session: AsyncSession, documents: Mapping[Name, tuple[int, bytes]], now: datetime
) -> None:
    """Keep what the broker retains newer than the database, for the comparison.

    Args:
        session: Open transaction.
        documents: Revision and token of each that is ours; all that the broker has.
        now: When all of it had been read.
    """
    restore = await open_restore(session, lock=True)
    if restore is None:
        return
    for (scope, kind), (revision, token) in documents.items():
        values = {"revision": revision, "token": token}
        await session.execute(
            insert(NewerDocument)
            .values(restore_id=restore.id, scope=scope, kind=kind, **values)
            .on_conflict_do_update(
                index_elements=["restore_id", "scope", "kind"],
                set_=values,
                where=NewerDocument.revision < revision,
            )
        )
    restore.broker_read_at = now
