"""Creating bulletins and revisions.

Receiving sound takes minutes, so no transaction is open meanwhile: the request's own ends once the
caller is known, and what came is written in another. Preparing it is work for the role `prepare`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.auth.caller import Caller
from broadcast.bulletins import (
    preparations,
    revisions,
    scratch,
    search,
    station_lexicon,
    versions,
)
from broadcast.bulletins.model import (
    Bulletin,
    PreparationState,
    Revision,
    RevisionState,
    SourceKind,
)
from broadcast.bulletins.preparations import Source
from broadcast.bulletins.schemas import BulletinIn
from broadcast.bulletins.source_requests import Sound
from broadcast.bulletins.speech.script import script_of
from broadcast.bulletins.upload import Upload
from broadcast.kit import db
from broadcast.kit.errors import InvalidInput


async def create_bulletin(
    session: AsyncSession,
    body: BulletinIn,
    sound: Sound,
    source: Source,
    settings: config.Settings,
    caller: Caller,
    now: datetime,
) -> tuple[Bulletin, Revision]:
    """Create a bulletin with its revision 1, a draft.

    Raises:
        InvalidInput: It has too many tags.
    """
    bulletin = Bulletin(
        id=uuid4(),
        title=body.title,
        class_=body.class_,
        language=body.language,
        subject=body.subject,
        tags=search.tags_of(body.tags),
        area_code=body.area_code,
        phrase=body.phrase,
        created_by=caller.account_id,
        created_at=now,
    )
    session.add(bulletin)
    await session.flush()
    return bulletin, await add_revision(session, bulletin, sound, source, settings, caller, now)


def require_readable(language: str, sound: Sound) -> None:
    """Refuse a text in a language that nobody reads aloud.

    Raises:
        InvalidInput: It is not Vietnamese.
    """
    if isinstance(sound, str) and language != "vi":
        raise InvalidInput(
            "language", "chỉ đọc được tiếng Việt (vi); tiếng khác hãy tải lên bản thu giọng người"
        )


async def script_from(session: AsyncSession, area_code: str, sound: Sound, on: date) -> str | None:
    """Return the script of a text by the lexicon of a unit's station; None of a file."""
    if not isinstance(sound, str):
        return None
    readings = await station_lexicon.readings(session, area_code, on)
    return await asyncio.to_thread(script_of, sound, readings)


async def keep_source(
    sound: Upload | str, spoken: str | None, settings: config.Settings
) -> Source:
    """Put the source where it outlives the request, and return it."""
    if spoken is not None:
        return Source.of_text(spoken)
    assert isinstance(sound, Upload)
    name = await asyncio.to_thread(scratch.keep, settings.content_dir, sound.path)
    return Source(sound.sha256, file=name)


@asynccontextmanager
async def writing(
    transaction: AbstractAsyncContextManager[AsyncSession],
    engine: AsyncEngine,
    settings: config.Settings,
    source: Source,
) -> AsyncIterator[AsyncSession]:
    """Open the transaction of a creation; a source that nothing took is removed after it."""
    try:
        async with transaction as session:
            yield session
    finally:
        if source.file is not None:
            # Where this fails, the role `prepare` removes it a quarter of an hour later.
            with suppress(*db.AWAY):
                async with db.transaction(engine) as looking:
                    needed = await preparations.kept_sources(looking)
                if source.file not in needed:
                    await asyncio.to_thread(scratch.forget, settings.content_dir, source.file)


async def add_revision(
    session: AsyncSession,
    bulletin: Bulletin,
    sound: Sound,
    source: Source,
    settings: config.Settings,
    caller: Caller,
    now: datetime,
    original_revision: int | None = None,
) -> Revision:
    """Add the next revision of a bulletin, and the preparation of its sound to the queue.

    Args:
        session: Open transaction.
        bulletin: Locked.
        sound: What it says.
        source: The same, kept.
        settings: Of the sound.
        caller: Who adds it.
        now: Present.
        original_revision: Of a version, the revision of its original that its reader saw; it may
            be an older one by now.

    Raises:
        InvalidInput: That is missing, or was never approved; or the bulletin is no version.
        Forbidden: The caller does not know the language of the version.
    """
    if bulletin.version_of is not None:
        await versions.require_understanding(session, caller.account_id, bulletin.language)
    await _require_original(session, bulletin, original_revision)
    preparation = await preparations.enqueue(
        session,
        source,
        audio_for(settings.audio, is_phrase=bulletin.phrase is not None),
        settings.content_dir,
        bulletin.class_,
        now,
    )
    is_done = preparation.state is PreparationState.DONE
    name, text = ("", sound) if isinstance(sound, str) else (sound.name, None)
    revision = await revisions.add(
        session,
        bulletin,
        preparations.result_of(preparation) if is_done else None,
        kind=SourceKind.UPLOAD if text is None else SourceKind.TEXT,
        name=name,
        text=text,
        spoken=source.text,
        preparation_id=preparation.id,
        trim=source.trim,
        is_drill=source.framing is not None and source.framing.is_drill,
        by=caller.account_id,
        now=now,
    )
    if original_revision is not None:
        key = (bulletin.id, revision.number)
        await versions.match(session, key, original_revision, caller.account_id, now)
    return revision


async def _require_original(session: AsyncSession, bulletin: Bulletin, number: int | None) -> None:
    if bulletin.version_of is None:
        if number is not None:
            raise InvalidInput("original_revision", "chỉ ghi ở bản dịch; hãy bỏ trống")
        return
    made = await revisions.of_bulletin(session, bulletin.version_of)
    approved = {each.number for each in made if each.state is RevisionState.APPROVED}
    if number not in approved and (approved or number is not None):
        raise InvalidInput(
            "original_revision",
            "phải là phiên bản đã duyệt của bản gốc mà người đọc đã xem; hãy mở lại bản gốc và đọc"
            " phiên bản mới nhất",
        )


def audio_for(audio: config.Audio, *, is_phrase: bool) -> config.Audio:
    """Settings of the sound: a phrase, which is put before or after others, has no chime."""
    return audio.model_copy(update={"chime": False}) if is_phrase else audio
