"""REST of bulletins from text or upload, their revisions and the preparation of their sound.

Creating answers 202 while the sound is being prepared; the revision says how far that is.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import Author, ContentReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router, reads_its_body
from broadcast.bulletins import (
    content,
    creation,
    details,
    library,
    places,
    queries,
    revisions,
)
from broadcast.bulletins.model import PhraseKind, Revision, RevisionState, Subject
from broadcast.bulletins.queries import Wanted
from broadcast.bulletins.revision_audio import UNFINISHED
from broadcast.bulletins.schemas import (
    BulletinIn,
    BulletinOut,
    BulletinSummaryOut,
    CopyIn,
    Language,
    NextRevisionIn,
    NumberPath,
    OutlineOut,
    PreparationOut,
    RevisionOut,
)
from broadcast.bulletins.source_requests import fingerprint, openapi_body, received_source
from broadcast.bulletins.station_lexicon import require_station
from broadcast.kit import clock, db
from broadcast.kit.text import Line
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Session, engine, recorded
from broadcast.wire.fields import BulletinClass, Codec

router = Router(prefix="/api/v1", tags=["bulletins"])

Order = Literal["oldest", "newest"]

# --- reading -----------------------------------------------------------------------------------


@router.get(
    "/bulletins", summary="Thư viện bản tin: tìm theo chữ, lĩnh vực, nhãn, đài, trạng thái"
)
async def list_bulletins(
    session: Session,
    paging: PageQuery,
    _: ContentReader,
    state: Annotated[RevisionState | None, Query(description="của phiên bản mới nhất")] = None,
    area: Annotated[Code | None, Query(description="mã đơn vị, không gồm cấp dưới")] = None,
    class_: Annotated[BulletinClass | None, Query(alias="class")] = None,
    language: Language | None = None,
    subject: Annotated[Subject | None, Query(description="lĩnh vực")] = None,
    tag: Annotated[Line | None, Query(description="một nhãn, không cần dấu")] = None,
    words: Annotated[
        Line,
        Query(
            alias="q",
            description="chữ trong tên, nhãn hoặc văn bản, không cần dấu, không cần viết hết chữ",
            examples=["tiem phong"],
        ),
    ] = "",
    approved: Annotated[bool | None, Query(description="có phiên bản xếp lịch được")] = None,
    of_alert: Annotated[
        bool | None, Query(description="là âm thanh của cảnh báo khẩn cấp hoặc mẫu cảnh báo")
    ] = None,
    phrases: Annotated[bool, Query(description="true: kho câu mẫu thay cho bản tin")] = False,
    phrase: Annotated[PhraseKind | None, Query(description="câu mẫu của một loại")] = None,
    order: Annotated[Order, Query(description="oldest cũ trước, newest mới trước")] = "oldest",
) -> Page[BulletinSummaryOut]:
    """Bulletins in the order in which they were made, or the newest first."""
    wanted = Wanted(
        state, area, class_, language, subject, tag, words, approved, of_alert,
        phrases or phrase is not None, phrase,
    )  # fmt: skip
    return await library.page_of(session, wanted, paging, newest_first=order == "newest")


@router.get("/bulletins/{bulletin_id}", summary="Một bản tin và mọi phiên bản của nó")
async def get_bulletin(session: Session, _: ContentReader, bulletin_id: UUID) -> BulletinOut:
    """One bulletin with its revisions, their renditions and approval steps."""
    bulletin = await revisions.get_bulletin(session, bulletin_id)
    return BulletinOut.of(await details.of_bulletin(session, bulletin))


@router.get(
    "/bulletins/{bulletin_id}/revisions/{number}/audio",
    summary="Nghe thử một phiên bản",
    response_class=content.ByteRanges,
    responses=content.RESPONSES,
)
async def preview(
    request: Request,
    session: Session,
    settings: AppSettings,
    _: ContentReader,
    bulletin_id: UUID,
    number: NumberPath,
    codec: Codec = Codec.OPUS,
    languages: Annotated[
        str | None,
        Query(
            pattern=r"^[A-Za-z0-9-]{1,35}(,[A-Za-z0-9-]{1,35}){0,7}$",
            description="bản đang phát cho nơi nói các tiếng này, ví dụ hre,vi; mặc định bản gốc",
        ),
    ] = None,
) -> Response:
    """The sound as loudspeakers will play it, in any state; for people."""
    key = (bulletin_id, number)
    sha256 = (
        (await queries.get_rendition(session, key, codec)).sha256
        if languages is None
        else await queries.version_sound(session, key, languages.split(","), codec)
    )
    return await asyncio.to_thread(content.answer, request, settings.content_dir, sha256, codec)


@router.get(
    "/bulletins/{bulletin_id}/revisions/{number}/outline",
    summary="Hình sóng âm thanh của một phiên bản",
)
async def get_outline(
    session: Session, _: ContentReader, bulletin_id: UUID, number: NumberPath
) -> OutlineOut:
    """Heights of equal stretches of what loudspeakers will play."""
    revision = await revisions.get_revision(session, bulletin_id, number)
    return OutlineOut.of(await details.of_revision(session, revision))


# --- making ------------------------------------------------------------------------------------


@router.post(
    "/bulletins",
    status_code=202,
    response_model=BulletinOut,
    responses={201: {"model": BulletinOut, "description": "âm thanh đã có sẵn"}},
    summary="Tạo bản tin từ văn bản (JSON) hoặc tệp âm thanh (multipart)",
    openapi_extra=openapi_body(BulletinIn),
)
@reads_its_body
async def create_bulletin(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    once: Annotated[Once, Depends()],
) -> Response:
    """A bulletin and its revision 1, a draft whose sound is being prepared.

    202 while that goes on, 201 where the same sound was prepared before.
    """
    await session.commit()
    async with received_source(request, settings, BulletinIn) as (body, sound):
        whole = fingerprint(body, sound)
        async with db.transaction(engine(request)) as reading:
            await request.app.state.limit(request, reading)
            earlier = await once.earlier(reading, caller.account_id, whole)
            if earlier is not None:
                return earlier
            await scope.require(reading, caller, Permission.BULLETIN_WRITE, [body.area_code])
            creation.require_readable(body.language, sound)
            await require_station(reading, body.area_code, clock.today())
            script = await creation.script_from(reading, body.area_code, sound, clock.today())
        source = await creation.keep_source(sound, script, settings)

    async with creation.writing(recorded(request), engine(request), settings, source) as writing:

        async def make() -> Created:
            await scope.require(writing, caller, Permission.BULLETIN_WRITE, [body.area_code])
            bulletin, revision = await creation.create_bulletin(
                writing, body, sound, source, settings, caller, clock.now()
            )
            shown = BulletinOut.of(await details.of_bulletin(writing, bulletin))
            return Created(f"/api/v1/bulletins/{bulletin.id}", shown, _status(revision))

        return await once.run(writing, caller.account_id, make, content=whole)


@router.post(
    "/bulletins/{bulletin_id}/revisions",
    status_code=202,
    response_model=RevisionOut,
    responses={201: {"model": RevisionOut, "description": "âm thanh đã có sẵn"}},
    summary="Thêm phiên bản mới; phiên bản cũ không đổi",
    openapi_extra=openapi_body(NextRevisionIn),
)
@reads_its_body
async def create_revision(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    once: Annotated[Once, Depends()],
    bulletin_id: UUID,
) -> Response:
    """The next revision, a draft; approval starts anew. 202 and 201 as for a bulletin."""
    await session.commit()
    async with received_source(request, settings, NextRevisionIn) as (body, sound):
        whole = fingerprint(body, sound)
        async with db.transaction(engine(request)) as reading:
            await request.app.state.limit(request, reading)
            earlier = await once.earlier(reading, caller.account_id, whole)
            if earlier is not None:
                return earlier
            await places.require_at_bulletin(
                reading, caller, Permission.BULLETIN_WRITE, bulletin_id
            )
            bulletin = await revisions.get_bulletin(reading, bulletin_id)
            creation.require_readable(bulletin.language, sound)
            script = await creation.script_from(reading, bulletin.area_code, sound, clock.today())
        source = await creation.keep_source(sound, script, settings)

    async with creation.writing(recorded(request), engine(request), settings, source) as writing:

        async def make() -> Created:
            await places.require_at_bulletin(
                writing, caller, Permission.BULLETIN_WRITE, bulletin_id
            )
            bulletin = await revisions.get_bulletin(writing, bulletin_id, lock=True)
            revision = await creation.add_revision(
                writing, bulletin, sound, source, settings, caller, clock.now(),
                body.original_revision,
            )  # fmt: skip
            return Created(
                f"/api/v1/bulletins/{bulletin_id}/revisions/{revision.number}",
                RevisionOut.of(await details.of_revision(writing, revision)),
                _status(revision),
            )

        return await once.run(writing, caller.account_id, make, content=whole)


@router.post(
    "/bulletins/{bulletin_id}/copies",
    status_code=202,
    response_model=BulletinOut,
    responses={201: {"model": BulletinOut, "description": "âm thanh đã có sẵn"}},
    summary="Dùng lại: chép thành bản tin mới, của đài này hay đài khác",
)
async def copy_bulletin(
    session: Session,
    settings: AppSettings,
    caller: Author,
    once: Annotated[Once, Depends()],
    bulletin_id: UUID,
    body: CopyIn,
) -> Response:
    """A draft with the same sound, or the same text read by the lexicon of the other station.

    To schedule the bulletin itself again, no copy is needed: `POST /schedules`.
    """
    now = clock.now()

    async def make() -> Created:
        bulletin, revision = await library.copy(session, bulletin_id, body, settings, caller, now)
        shown = BulletinOut.of(await details.of_bulletin(session, bulletin))
        return Created(f"/api/v1/bulletins/{bulletin.id}", shown, _status(revision))

    return await once.run(session, caller.account_id, make, now=now)


def _status(revision: Revision) -> int:
    return 202 if revision.seconds is None else 201


# --- preparation -------------------------------------------------------------------------------

_PREPARATION = "/bulletins/{bulletin_id}/revisions/{number}/preparation"


@router.get(
    "/bulletins/{bulletin_id}/revisions/{number}",
    summary="Một phiên bản",
)
async def get_revision(
    session: Session, _: ContentReader, bulletin_id: UUID, number: NumberPath
) -> RevisionOut:
    """One revision with its preparation, renditions and approval steps."""
    revision = await revisions.get_revision(session, bulletin_id, number)
    return RevisionOut.of(await details.of_revision(session, revision))


@router.get(_PREPARATION, summary="Việc chuẩn bị âm thanh đã tới đâu")
async def get_preparation(
    session: Session, response: Response, _: ContentReader, bulletin_id: UUID, number: NumberPath
) -> PreparationOut:
    """State, percent and what to do; `Retry-After` while it goes on."""
    revision = await revisions.get_revision(session, bulletin_id, number)
    shown = RevisionOut.of(await details.of_revision(session, revision)).preparation
    if shown.state in UNFINISHED:
        response.headers["Retry-After"] = "1"
    return shown


@router.delete(_PREPARATION, summary="Hủy việc chuẩn bị âm thanh; phiên bản bị rút")
async def cancel_preparation(
    session: Session, caller: Author, bulletin_id: UUID, number: NumberPath
) -> PreparationOut:
    """Withdraw a revision whose sound is not ready; its preparation ends unless others need it."""
    await places.require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, bulletin_id)
    revision = await revisions.cancel_preparation(
        session, (bulletin_id, number), caller, clock.now()
    )
    return RevisionOut.of(await details.of_revision(session, revision)).preparation
