"""Drafts over REST: kept every few seconds, with their sound, until they become a revision."""

from __future__ import annotations

import asyncio
from typing import Annotated

import structlog
from fastapi import Depends, Query, Request, Response

from broadcast.auth.caller import Author
from broadcast.auth.routing import Router, changes_nothing, reads_its_body
from broadcast.bulletins import content, creation, details, drafts
from broadcast.bulletins.draft_schemas import (
    CompositionIn,
    DraftIn,
    DraftOut,
    PagePath,
    SoundOut,
    TrimIn,
)
from broadcast.bulletins.revision_audio import UNFINISHED
from broadcast.bulletins.schemas import BulletinOut, RevisionNumber
from broadcast.bulletins.source_requests import received_recording
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Session, engine, recorded
from broadcast.wire.fields import Codec

log = structlog.get_logger()

router = Router(prefix="/api/v1", tags=["bulletins"])

_DRAFT = "/bulletin-drafts/{page}"


@router.get(_DRAFT, summary="Bản nháp của mình ở một trang")
async def get_draft(session: Session, caller: Author, page: PagePath) -> DraftOut:
    """The form as it was left, and its sound."""
    return DraftOut.of(await drafts.get(session, caller, page))


@router.put(_DRAFT, summary="Lưu bản nháp, xong hay chưa")
@changes_nothing
async def put_draft(
    session: Session, settings: AppSettings, caller: Author, page: PagePath, body: DraftIn
) -> DraftOut:
    """What was typed so far; nobody else sees it."""
    return DraftOut.of(await drafts.save(session, caller, page, body, settings, clock.now()))


@router.delete(_DRAFT, status_code=204, summary="Bỏ bản nháp cùng âm thanh của nó")
@changes_nothing
async def discard_draft(session: Session, caller: Author, page: PagePath) -> None:
    """No draft any more."""
    await drafts.discard(session, caller, page, clock.now())


@router.get(f"{_DRAFT}/sound", summary="Âm thanh của bản nháp: chuẩn bị tới đâu, hình sóng, độ to")
async def get_sound(
    session: Session, response: Response, caller: Author, page: PagePath
) -> SoundOut:
    """State, percent, and once it is ready its measures; `Retry-After` while it goes on."""
    shown = _sound(await drafts.get(session, caller, page))
    if shown.state in UNFINISHED:
        response.headers["Retry-After"] = "1"
    return shown


def _sound(found: drafts.DraftDetails) -> SoundOut:
    shown = SoundOut.of(found)
    if shown is None:
        raise NotFound("Bản nháp này chưa có âm thanh; hãy thu, tải tệp lên hoặc cho đọc văn bản.")
    return shown


@router.get(
    f"{_DRAFT}/sound/audio",
    summary="Nghe thử âm thanh của bản nháp",
    response_class=content.ByteRanges,
    responses=content.RESPONSES,
)
async def preview_draft(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    page: PagePath,
    codec: Codec = Codec.OPUS,
    sha256: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{64}$", description="chỉ đúng âm thanh này; mặc định mới nhất"),
    ] = None,
) -> Response:
    """The sound as loudspeakers would play it.

    By its SHA-256 it never changes: a player asks so, and plays nothing that was replaced.
    """
    found = await drafts.get(session, caller, page)
    if found.prepared is None:
        raise NotFound("Âm thanh của bản nháp chưa có; hãy chờ chuẩn bị xong.")
    (present,) = (each.sha256 for each in found.prepared.renditions if each.codec == codec)
    if sha256 not in {None, present}:
        raise NotFound("Âm thanh của bản nháp đã đổi; hãy tải lại trang rồi nghe.")
    answer = await asyncio.to_thread(content.answer, request, settings.content_dir, present, codec)
    if sha256 is None:
        answer.headers["Cache-Control"] = "private, no-cache"
    return answer


@router.delete(f"{_DRAFT}/sound", summary="Bỏ âm thanh của bản nháp, giữ phần chữ")
@changes_nothing
async def drop_sound(session: Session, caller: Author, page: PagePath) -> DraftOut:
    """The draft without its sound."""
    return DraftOut.of(await drafts.drop_sound(session, caller, page, clock.now()))


@router.post(
    f"{_DRAFT}/recording",
    status_code=202,
    summary="Tải bản thu lên bản nháp (multipart)",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "additionalProperties": False,
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                }
            },
        }
    },
)
@reads_its_body
@changes_nothing
async def upload_recording(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    page: PagePath,
    original_revision: Annotated[
        RevisionNumber | None,
        Query(description="bản dịch: phiên bản của bản gốc mà người đọc đã xem"),
    ] = None,
) -> SoundOut:
    """A recording, kept whole while the draft lasts; its preparation goes on by itself."""
    await session.commit()
    async with received_recording(request, settings) as upload:
        source = await creation.keep_source(upload, None, settings)
        name = upload.name
    async with creation.writing(recorded(request), engine(request), settings, source) as writing:
        found = await drafts.record(
            writing, caller, page, name, source, settings, clock.now(), original_revision
        )
        return _sound(found)


@router.post(
    f"{_DRAFT}/reading", status_code=202, summary="Cho đọc văn bản của bản nháp để nghe thử"
)
@changes_nothing
async def read_aloud(
    session: Session, settings: AppSettings, caller: Author, page: PagePath
) -> SoundOut:
    """The draft's text, read aloud; that goes on by itself."""
    return _sound(await drafts.read_aloud(session, caller, page, settings, clock.now()))


@router.put(f"{_DRAFT}/sound/trim", summary="Chọn đoạn của bản thu được dùng")
@changes_nothing
async def trim_recording(
    session: Session, settings: AppSettings, caller: Author, page: PagePath, body: TrimIn
) -> SoundOut:
    """The sound of that part is prepared anew; the recording stays whole."""
    return _sound(await drafts.trim(session, caller, page, body.chosen(), settings, clock.now()))


@router.put(f"{_DRAFT}/composition", summary="Ghép câu mẫu trước và sau bản thu")
@changes_nothing
async def compose(
    session: Session, settings: AppSettings, caller: Author, page: PagePath, body: CompositionIn
) -> SoundOut:
    """Approved phrases of the same language; none: the recording alone. It is prepared anew."""
    found = await drafts.compose(
        session, caller, page, body.before, body.after, settings, clock.now()
    )
    return _sound(found)


@router.post(
    f"{_DRAFT}/revision",
    status_code=202,
    response_model=BulletinOut,
    responses={201: {"model": BulletinOut, "description": "âm thanh đã có sẵn"}},
    summary="Lập bản tin, hoặc phiên bản mới, từ bản nháp",
)
async def finish_draft(
    session: Session,
    settings: AppSettings,
    caller: Author,
    page: PagePath,
    once: Annotated[Once, Depends()],
) -> Response:
    """The bulletin with its newest revision, a draft that can be submitted; 202 and 201 as there.

    What was a draft of a form is gone.
    """

    async def make() -> Created:
        bulletin, revision = await drafts.finish(session, caller, page, settings, clock.now())
        shown = BulletinOut.of(await details.of_bulletin(session, bulletin))
        log.info("bulletins.draft.finished", bulletin_id=str(bulletin.id), by=caller.account_id)
        status = 202 if revision.seconds is None else 201
        return Created(f"/api/v1/bulletins/{bulletin.id}", shown, status)

    return await once.run(session, caller.account_id, make)
