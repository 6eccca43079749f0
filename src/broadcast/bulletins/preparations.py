"""Queue of the preparation of sound: rows added with a revision, taken by one worker at a time.

The same content with the same settings is one row, however many revisions are made of it. A
worker holds a row for `LEASE` and renews that; what a killed worker held is taken by the next.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.bulletins.audio.prepared import (
    VERSION,
    Framing,
    Prepared,
    Trim,
    content_path,
)
from broadcast.bulletins.model import Draft, Preparation, PreparationState, Revision
from broadcast.bulletins.revision_audio import UNFINISHED, attach_audio
from broadcast.kit.notify import Channel, notify
from broadcast.wire.fields import BulletinClass

LEASE = timedelta(seconds=20)
"""After which the work of a killed worker is taken by another."""

MOST_ATTEMPTS = 5
FIRST_RETRY = timedelta(seconds=10)
"""Doubled with every attempt: five take two and a half minutes."""

PRIORITIES = {BulletinClass.NORMAL: 0, BulletinClass.PRIORITY: 1, BulletinClass.EMERGENCY: 2}
EMERGENCY = PRIORITIES[BulletinClass.EMERGENCY]

LIMITS = {"at_once", "work_seconds", "work_bytes"}
"""Settings that change how the work is done and not what comes out."""

FRAMED = {"chime": False, "opus_bitrate": 24_000}
"""Settings of an alert: its own tone comes first, and it is short enough to travel with its
document."""

_OLDER = {"tone", "repeats", "is_drill", "body", "others"}
"""Fields of a framing that were always part of the key; a later one is only where it says
something, so that what was prepared before keeps its key."""

_PREPARED = TypeAdapter(Prepared)
_FRAMING = TypeAdapter(Framing)


@dataclass(frozen=True)
class Source:
    """Source of a preparation.

    Attributes:
        sha256: Of the uploaded file or of the text.
        file: Name among the kept sources; None for a text.
        text: To be read aloud; None for a file.
        trim: Part of a file that is used; None: all of it.
        framing: What is put around it, of an alert.
    """

    sha256: str
    file: str | None = None
    text: str | None = None
    trim: Trim | None = None
    framing: Framing | None = None

    @classmethod
    def of_text(cls, text: str, framing: Framing | None = None) -> Source:
        """A text to be read aloud."""
        return cls(hashlib.sha256(text.encode()).hexdigest(), text=text, framing=framing)

    @classmethod
    def of_content(cls, sha256: str, framing: Framing) -> Source:
        """Sound of the store, as the words of an alert."""
        return cls(sha256, framing=dataclasses.replace(framing, body=sha256))


def content_key(source: Source, settings: config.Audio) -> str:
    """SHA-256 of all that decides what comes out."""
    relevant = settings.model_dump(mode="json", exclude=LIMITS)
    kind = "text" if source.file is None else "file"
    parts = [VERSION, kind, source.sha256, relevant]
    if source.trim is not None:
        parts.append(dataclasses.asdict(source.trim))
    if source.framing is not None:
        framing = dataclasses.asdict(source.framing)
        parts.append({name: value for name, value in framing.items() if value or name in _OLDER})
    whole = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


async def enqueue(
    session: AsyncSession,
    source: Source,
    settings: config.Audio,
    content_dir: Path,
    class_: BulletinClass,
    now: datetime,
) -> Preparation:
    """Return the preparation of a source: a new one, or the one that was requested before.

    What was refused, has failed or was cancelled is begun anew, as is what the disk has lost.
    """
    if source.framing is not None and not source.framing.is_joined:
        settings = settings.model_copy(update=FRAMED)
    key = content_key(source, settings)
    anew: dict[str, Any] = {
        "source_file": source.file,
        "text": source.text,
        "trim_start_seconds": source.trim and source.trim.start_seconds,
        "trim_end_seconds": source.trim and source.trim.end_seconds,
        "framing": source.framing and dataclasses.asdict(source.framing),
        "settings": settings.model_dump(mode="json"),
        "state": PreparationState.WAITING,
        "percent": 0,
        "detail": "",
        "attempts_count": 0,
        "due_at": now,
        "locked_by": None,
        "locked_until": None,
        "asked_at": now,
        "finished_at": None,
        "result": None,
    }
    priority = PRIORITIES[class_]
    await session.execute(
        insert(Preparation)
        .values(content_sha256=key, priority=priority, **anew)
        .on_conflict_do_nothing()
    )
    found = await session.scalars(
        sa.select(Preparation).where(Preparation.content_sha256 == key).with_for_update()
    )
    row = found.one()
    if row.state not in UNFINISHED and not _is_ready(row, content_dir):
        anew["priority"] = priority
    elif priority > row.priority:
        anew = {"priority": priority}
    else:
        anew = {}
    for name, value in anew.items():
        setattr(row, name, value)
    await session.flush()
    await notify(session, Channel.PREPARE)
    return row


async def make_anew(session: AsyncSession, row: Preparation, now: datetime) -> None:
    """Have a preparation done once more, whose result the disk has lost."""
    if row.state in UNFINISHED:
        return
    row.state, row.percent, row.detail, row.attempts_count = PreparationState.WAITING, 0, "", 0
    row.due_at, row.locked_by, row.locked_until = now, None, None
    row.finished_at = row.result = None
    await session.flush()
    await notify(session, Channel.PREPARE)


def _is_ready(row: Preparation, content_dir: Path) -> bool:
    if row.state is not PreparationState.DONE:
        return False
    return all(
        content_path(content_dir, made.sha256).is_file() for made in result_of(row).renditions
    )


def trim_of(row: Preparation | Revision) -> Trim | None:
    """Return the part of its source that a preparation or a revision uses; None: all of it."""
    if row.trim_start_seconds is None:
        return None
    return Trim(row.trim_start_seconds, row.trim_end_seconds)


def framing_of(row: Preparation) -> Framing | None:
    """Return what is put around the sound of an alert; None of anything else."""
    return None if row.framing is None else _FRAMING.validate_python(row.framing)


def result_of(row: Preparation) -> Prepared:
    """Return the result of a finished preparation."""
    return _PREPARED.validate_python(row.result)


async def claim(
    session: AsyncSession, worker: UUID, now: datetime, lowest: int = 0
) -> Preparation | None:
    """Take the most urgent work that nobody holds; the oldest of these.

    Args:
        session: Open transaction.
        worker: Who takes it.
        now: Present time.
        lowest: Priority below which nothing is taken.
    """
    free = sa.or_(
        sa.and_(Preparation.state == PreparationState.WAITING, Preparation.due_at <= now),
        sa.and_(Preparation.state == PreparationState.RUNNING, Preparation.locked_until <= now),
    )
    found = await session.scalars(
        sa.select(Preparation)
        .where(Preparation.state.in_(UNFINISHED), free, Preparation.priority >= lowest)
        .order_by(Preparation.priority.desc(), Preparation.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = found.one_or_none()
    if row is not None:
        row.state = PreparationState.RUNNING
        row.percent = 0
        row.detail = ""
        row.attempts_count += 1
        row.locked_by = worker
        row.locked_until = now + LEASE
        await session.flush()
    return row


async def renew(
    session: AsyncSession, preparation_id: int, worker: UUID, percent: int, now: datetime
) -> int | None:
    """Hold on to work under way and note how far it is.

    Returns:
        Its priority, which may have risen; None when it is no longer ours: cancelled or taken.
    """
    found: int | None = await session.scalar(
        sa.update(Preparation)
        .where(*_held(preparation_id, worker))
        .values(locked_until=now + LEASE, percent=percent)
        .returning(Preparation.priority)
    )
    return found


def _held(preparation_id: int, worker: UUID) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Preparation.id == preparation_id,
        Preparation.locked_by == worker,
        Preparation.state == PreparationState.RUNNING,
    )


async def finish(
    session: AsyncSession, preparation_id: int, worker: UUID, prepared: Prepared, now: datetime
) -> bool:
    """Note what was made, and give it to every revision that waits for it.

    Returns:
        Whether the work was still ours.
    """
    if not await _end(
        session,
        preparation_id,
        worker,
        state=PreparationState.DONE,
        percent=100,
        result=_PREPARED.dump_python(prepared, mode="json"),
        finished_at=now,
    ):
        return False
    waiting = await session.scalars(
        sa.select(Revision)
        .where(Revision.preparation_id == preparation_id, Revision.seconds.is_(None))
        .with_for_update()
    )
    for revision in waiting:
        attach_audio(session, revision, prepared)
    await session.flush()
    return True


async def refuse(
    session: AsyncSession, preparation_id: int, worker: UUID, detail: str, now: datetime
) -> bool:
    """Note that the source cannot be used, and why; True when the work was still ours."""
    return await _end(
        session,
        preparation_id,
        worker,
        state=PreparationState.REFUSED,
        detail=detail,
        finished_at=now,
    )


async def fail(
    session: AsyncSession, preparation_id: int, worker: UUID, detail: str, now: datetime
) -> bool:
    """Have an attempt that failed for no fault of the source repeated later, or give up.

    Returns:
        Whether the work was still ours and is given up.
    """
    attempts = await session.scalar(
        sa.select(Preparation.attempts_count).where(*_held(preparation_id, worker))
    )
    if attempts is None:
        return False
    if attempts >= MOST_ATTEMPTS:
        return await _end(
            session,
            preparation_id,
            worker,
            state=PreparationState.FAILED,
            detail=detail,
            finished_at=now,
        )
    await _end(
        session,
        preparation_id,
        worker,
        state=PreparationState.WAITING,
        detail=detail,
        due_at=now + FIRST_RETRY * 2 ** (attempts - 1),
    )
    return False


async def give_back(
    session: AsyncSession, preparation_id: int, worker: UUID, now: datetime
) -> None:
    """Leave work under way to others, as if it had not been begun."""
    await _end(
        session,
        preparation_id,
        worker,
        state=PreparationState.WAITING,
        attempts_count=Preparation.attempts_count - 1,
        due_at=now,
    )
    await notify(session, Channel.PREPARE)


async def _end(session: AsyncSession, preparation_id: int, worker: UUID, **values: object) -> bool:
    ended = await session.scalar(
        sa.update(Preparation)
        .where(*_held(preparation_id, worker))
        .values(locked_by=None, locked_until=None, **values)
        .returning(Preparation.id)
    )
    return ended is not None


async def kept_sources(session: AsyncSession) -> set[str]:
    """Names of the source files that unfinished preparations need, and drafts."""
    waiting = sa.select(Preparation.source_file).where(Preparation.state.in_(UNFINISHED))
    found = await session.scalars(waiting.union(sa.select(Draft.source_file)))
    return {name for name in found if name}
