"""The sound of an alert: a template's, or a bulletin of its own, with tone and repeats in it."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.alerts.model import AlertTemplate
from broadcast.alerts.schemas import SoundIn, SoundOut
from broadcast.auth.caller import Caller
from broadcast.bulletins import creation, drafts, preparations, revisions
from broadcast.bulletins.audio.prepared import Framing
from broadcast.bulletins.model import (
    Bulletin,
    Preparation,
    PreparationState,
    Revision,
    Subject,
)
from broadcast.bulletins.places import require_readable_bulletin
from broadcast.bulletins.preparations import Source
from broadcast.bulletins.revisions import Key
from broadcast.bulletins.schemas import BulletinIn
from broadcast.bulletins.source_requests import Recording
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.wire.fields import BulletinClass, Codec


async def make(
    session: AsyncSession,
    body: SoundIn,
    framing: Framing,
    title: str,
    area_code: str,
    settings: config.Settings,
    caller: Caller,
    now: datetime,
) -> Revision:
    """The revision that says what a person asked for, its sound ready or in preparation.

    An actual alert of a template takes the template's own, which devices hold already.

    Args:
        session: Open transaction.
        body: What is said.
        framing: Tone, repeats, and whether it is a drill; of a template its own tone and repeats.
        title: Of a new bulletin.
        area_code: Whose station speaks.
        settings: Of the preparation.
        caller: Who asked.
        now: Present.

    Raises:
        NotFound: The caller cannot read the bulletin.
        InvalidInput: There is no such template or bulletin, or nothing can be read aloud.
        Conflict: It is not approved, or withdrawn.
    """
    if body.template_id is not None:
        template = await require_template(session, body.template_id)
        approved = await revisions.newest_approved(session, template.bulletin_id)
        if approved is None:
            raise Conflict(f"Mẫu “{template.title}” chưa được duyệt; hãy duyệt bản tin của mẫu.")
        if not framing.is_drill:
            return approved
        source = await _as_drill(session, approved)
        said: str | Recording = approved.text or Recording(template.title)
    elif body.text is not None:
        on = now.astimezone(LOCAL).date()
        spoken = await creation.script_from(session, area_code, body.text, on)
        assert spoken is not None
        source, said = Source.of_text(spoken, framing), body.text
    elif body.recording:
        source, said = await _of_recording(session, framing, caller, now)
    else:
        assert body.bulletin_id is not None
        source, said = await _of_bulletin(session, body.bulletin_id, framing, caller)
    return await bulletin_of(session, source, said, title, area_code, settings, caller, now)


async def bulletin_of(
    session: AsyncSession,
    source: Source,
    said: str | Recording,
    title: str,
    area_code: str,
    settings: config.Settings,
    caller: Caller,
    now: datetime,
) -> Revision:
    """The first revision of a new emergency bulletin."""
    about = BulletinIn.model_validate(
        {
            "title": title,
            "class": BulletinClass.EMERGENCY,
            "area_code": area_code,
            "subject": Subject.DISASTER,
        }
    )
    _, revision = await creation.create_bulletin(
        session, about, said, source, settings, caller, now
    )
    return revision


async def require_template(session: AsyncSession, template_id: UUID) -> AlertTemplate:
    """A template that is in use.

    Raises:
        InvalidInput: There is none.
    """
    template = await session.get(AlertTemplate, template_id)
    if template is None or template.withdrawn_at is not None:
        raise InvalidInput("template_id", "không có mẫu này, hoặc mẫu đã thôi dùng")
    return template


async def _as_drill(session: AsyncSession, approved: Revision) -> Source:
    """The same words, with what makes them a drill."""
    row = await session.get(Preparation, approved.preparation_id)
    framing = None if row is None else preparations.framing_of(row)
    if row is None or framing is None:
        raise Conflict("Mẫu này không có lời gốc để làm bản diễn tập; hãy tạo lại mẫu.")
    framing = dataclasses.replace(framing, is_drill=True)
    if row.text is not None:
        return Source.of_text(row.text, framing)
    assert framing.body is not None
    return Source.of_content(framing.body, framing)


async def _of_recording(
    session: AsyncSession, framing: Framing, caller: Caller, now: datetime
) -> tuple[Source, Recording]:
    """What the caller said into the microphone: as it was heard, and no longer a draft."""
    draft = await drafts.find(session, caller, drafts.ALERT, lock=True)
    found = None if draft is None else await drafts.get(session, caller, drafts.ALERT)
    if found is None or found.draft.source_file is None:
        raise InvalidInput("recording", "chưa có bản thu; hãy ghi âm hoặc tải tệp lên trước")
    if found.prepared is None:
        raise InvalidInput("recording", "bản thu chưa sẵn sàng; hãy chờ xong rồi nghe lại")
    sha256 = next(one.sha256 for one in found.prepared.renditions if one.codec == Codec.OPUS.value)
    name = found.draft.source_name
    await drafts.discard(session, caller, drafts.ALERT, now)
    return Source.of_content(sha256, framing), Recording(name)


async def _of_bulletin(
    session: AsyncSession, bulletin_id: UUID, framing: Framing, caller: Caller
) -> tuple[Source, str | Recording]:
    bulletin, approved, sha256 = await _words(session, bulletin_id, caller)
    return Source.of_content(sha256, framing), approved.text or Recording(bulletin.title)


async def approved_words(
    session: AsyncSession, bulletin_id: UUID, caller: Caller
) -> tuple[str, str]:
    """Language of an approved emergency bulletin, and SHA-256 of its sound.

    Raises:
        BroadcastError: As `make`.
    """
    bulletin, _, sha256 = await _words(session, bulletin_id, caller)
    return bulletin.language, sha256


async def _words(
    session: AsyncSession, bulletin_id: UUID, caller: Caller
) -> tuple[Bulletin, Revision, str]:
    await require_readable_bulletin(session, caller, bulletin_id)
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    if bulletin.class_ is not BulletinClass.EMERGENCY:
        raise InvalidInput("bulletin_id", "chỉ dùng được bản tin mức khẩn cấp")
    approved = await revisions.newest_approved(session, bulletin_id)
    if approved is None:
        raise Conflict(f"Bản tin “{bulletin.title}” chưa được duyệt.")
    key = (bulletin_id, approved.number)
    if approved.is_drill or await _is_framed(session, approved):
        raise InvalidInput(
            "bulletin_id", "là âm thanh của một cảnh báo khác; hãy chọn bản tin gốc"
        )
    sound = (await revisions.renditions(session, [key]))[key]
    return bulletin, approved, next(one.sha256 for one in sound if one.codec is Codec.OPUS)


async def _is_framed(session: AsyncSession, revision: Revision) -> bool:
    framing = await session.scalar(
        sa.select(Preparation.framing).where(Preparation.id == revision.preparation_id)
    )
    return framing is not None and not framing.get("is_joined", False)


async def sounds(session: AsyncSession, keys: set[Key]) -> dict[Key, SoundOut]:
    """How far the sounds of these revisions are."""
    rows = await session.execute(
        sa.select(Revision, Preparation)
        .outerjoin(Preparation, Preparation.id == Revision.preparation_id)
        .where(sa.tuple_(Revision.bulletin_id, Revision.number).in_(keys))
    )
    return {
        (revision.bulletin_id, revision.number): SoundOut(
            bulletin_id=revision.bulletin_id,
            bulletin_revision=revision.number,
            state=PreparationState.DONE if revision.seconds is not None else made.state,
            percent=100 if revision.seconds is not None else made.percent,
            detail="" if revision.seconds is not None else made.detail,
            seconds=revision.seconds,
        )
        for revision, made in rows
    }


async def kept_ready(session: AsyncSession, bulletin_id: UUID, *, ready: bool) -> None:
    """Have devices hold a bulletin before anything needs it, or no longer."""
    bulletin = await session.get_one(Bulletin, bulletin_id)
    bulletin.kept_ready = ready
    await session.flush()
