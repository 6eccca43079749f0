"""REST: bulletins from text or upload, their revisions, and the steps to approval.

Receiving sound takes minutes, so no transaction is open meanwhile: the request's own ends once the
caller is known, and what came is written in another. Preparing it is work for the role `prepare`:
the answer is 202, and the revision says how far its preparation is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from fastapi import Depends, Path, Query, Request, Response
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.accounts.auth import Author, Caller, CallerDep
from broadcast.accounts.routing import Router, reads_its_body
from broadcast.areas.model import Area
from broadcast.bulletins import (
    approval,
    content,
    lexicon_routes,
    preparations,
    revisions,
    scratch,
    station_lexicon,
)
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import (
    Bulletin,
    PreparationState,
    Rendition,
    Revision,
    RevisionState,
    SourceKind,
)
from broadcast.bulletins.preparations import Source
from broadcast.bulletins.representations import (
    AreaCode,
    BulletinIn,
    BulletinOut,
    BulletinSummary,
    PreparationOut,
    RevisionIn,
    RevisionOut,
    facts,
    show_bulletin,
    show_revision,
)
from broadcast.bulletins.sound import UNFINISHED
from broadcast.bulletins.speech.script import script_of
from broadcast.bulletins.station_lexicon import require_station
from broadcast.bulletins.upload import Upload, received
from broadcast.kit import clock, db
from broadcast.kit.errors import BroadcastError, Conflict, InvalidInput, NotFound, TooLarge
from broadcast.kit.validation import invalid
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Session, engine, paged, require_known
from broadcast.wire.fields import BulletinClass, Codec

REFUSED = Counter(
    "broadcast_bulletin_sources_refused", "Uploads and texts that became no revision", ["reason"]
)

JSON_BYTES = 256 * 1024
"""Largest body with text: the longest text in escapes, and room for the rest."""

api = Router(prefix="/api/v1", tags=["bulletins"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="số của phiên bản")]


# --- reading -----------------------------------------------------------------------------------


@api.get("/bulletins", summary="Danh sách bản tin, cũ trước")
async def list_bulletins(
    session: Session,
    paging: PageQuery,
    _: CallerDep,
    state: Annotated[RevisionState | None, Query(description="của phiên bản mới nhất")] = None,
    area: Annotated[AreaCode | None, Query(description="mã đơn vị, không gồm cấp dưới")] = None,
    class_: Annotated[BulletinClass | None, Query(alias="class")] = None,
) -> Page[BulletinSummary]:
    """Bulletins in the order in which they were made."""
    of_bulletin = Revision.bulletin_id == Bulletin.id
    newest = (
        sa.select(Revision.number, Revision.state)
        .where(of_bulletin)
        .order_by(Revision.number.desc())
        .limit(1)
        .lateral()
    )
    approved = (
        sa.select(sa.func.max(Revision.number))
        .where(of_bulletin, Revision.state == RevisionState.APPROVED)
        .scalar_subquery()
    )
    statement = sa.select(Bulletin, newest.c.number, newest.c.state, approved).join(
        newest, sa.true()
    )
    if state is not None:
        statement = statement.where(newest.c.state == state)
    if area is not None:
        await require_known(session, "area", Area.code, area)
        statement = statement.where(Bulletin.area_code == area)
    if class_ is not None:
        statement = statement.where(Bulletin.class_ == class_)
    rows, following = await paged(session, statement, (Bulletin.created_at, Bulletin.id), paging)
    items = [
        BulletinSummary(**facts(row), revision=number, state=at, approved_revision=on_air)
        for row, number, at, on_air in rows
    ]
    return Page(items=items, next=following)


@api.get("/bulletins/{bulletin_id}", summary="Một bản tin và mọi phiên bản của nó")
async def get_bulletin(session: Session, _: CallerDep, bulletin_id: UUID) -> BulletinOut:
    """One bulletin with its revisions, their renditions and approval steps."""
    return await show_bulletin(session, await revisions.get_bulletin(session, bulletin_id))


@api.get(
    "/bulletins/{bulletin_id}/revisions/{number}/audio",
    summary="Nghe thử một phiên bản",
    response_class=content.ByteRanges,
    responses=content.RESPONSES,
)
async def preview(
    request: Request,
    session: Session,
    settings: AppSettings,
    _: CallerDep,
    bulletin_id: UUID,
    number: Number,
    codec: Codec = Codec.OPUS,
) -> Response:
    """The sound as loudspeakers will play it, in any state; for people."""
    rendition = await session.get(Rendition, (bulletin_id, number, codec))
    if rendition is None:
        raise NotFound(
            f"Bản tin {bulletin_id} không có âm thanh của phiên bản {number} dạng {codec.value};"
            " nếu vừa tạo, hãy chờ chuẩn bị xong."
        )
    return await asyncio.to_thread(
        content.answer, request, settings.content_dir, rendition.sha256, codec
    )


# --- making ------------------------------------------------------------------------------------


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """OpenAPI of a request that is either JSON with a text or a form with a file."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)  # the answers bring these schemas into the components
    fields, required = schema.pop("properties"), schema.pop("required", [])
    text = {"text": fields.pop("text")}
    file = {"file": {"type": "string", "format": "binary", "description": "MP3, WAV, M4A …"}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        **schema,
                        "properties": fields | text,
                        "required": [*required, "text"],
                    }
                },
                "multipart/form-data": {
                    "schema": {
                        **schema,
                        "properties": fields | file,
                        "required": [*required, "file"],
                    }
                },
            },
        }
    }


@api.post(
    "/bulletins",
    status_code=202,
    response_model=BulletinOut,
    responses={201: {"model": BulletinOut, "description": "âm thanh đã có sẵn"}},
    summary="Tạo bản tin từ văn bản (JSON) hoặc tệp âm thanh (multipart)",
    openapi_extra=_body(BulletinIn),
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
    async with _asked(request, settings, BulletinIn) as (wanted, sound):
        said = _said(wanted, sound)
        async with db.transaction(engine(request)) as reading:
            earlier = await once.earlier(reading, caller.credential, said)
            if earlier is not None:
                return earlier
            _check_language(wanted.language, sound)
            await require_station(reading, wanted.area_code, clock.today())
            spoken = await _spoken(reading, wanted.area_code, sound)
        source = await _keep(sound, spoken, settings)

    async with _writing(request, settings, source) as writing:

        async def make() -> Created:
            bulletin = Bulletin(
                id=uuid4(),
                title=wanted.title,
                class_=wanted.class_,
                language=wanted.language,
                area_code=wanted.area_code,
                created_by=caller.person,
                created_at=clock.now(),
            )
            writing.add(bulletin)
            await writing.flush()
            revision = await _add(writing, bulletin, sound, source, settings, caller)
            shown = await show_bulletin(writing, bulletin)
            return Created(f"/api/v1/bulletins/{bulletin.id}", shown, _status(revision))

        return await once.run(writing, caller.credential, make, content=said)


@api.post(
    "/bulletins/{bulletin_id}/revisions",
    status_code=202,
    response_model=RevisionOut,
    responses={201: {"model": RevisionOut, "description": "âm thanh đã có sẵn"}},
    summary="Thêm phiên bản mới; phiên bản cũ không đổi",
    openapi_extra=_body(RevisionIn),
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
    async with _asked(request, settings, RevisionIn) as (wanted, sound):
        said = _said(wanted, sound)
        async with db.transaction(engine(request)) as reading:
            earlier = await once.earlier(reading, caller.credential, said)
            if earlier is not None:
                return earlier
            bulletin = await revisions.get_bulletin(reading, bulletin_id)
            _check_language(bulletin.language, sound)
            spoken = await _spoken(reading, bulletin.area_code, sound)
        source = await _keep(sound, spoken, settings)

    async with _writing(request, settings, source) as writing:

        async def make() -> Created:
            bulletin = await revisions.get_bulletin(writing, bulletin_id, lock=True)
            revision = await _add(writing, bulletin, sound, source, settings, caller)
            return Created(
                f"/api/v1/bulletins/{bulletin_id}/revisions/{revision.number}",
                await show_revision(writing, revision),
                _status(revision),
            )

        return await once.run(writing, caller.credential, make, content=said)


M = TypeVar("M", bound=RevisionIn)

Sound = Upload | str
"""What a revision is made of: a file, or a text to be read aloud."""


@asynccontextmanager
async def _asked(
    request: Request, settings: config.Settings, model: type[M]
) -> AsyncIterator[tuple[M, Sound]]:
    """What the request says, and its sound; an uploaded file lives as long as the context.

    Whatever is refused in here is counted by its reason.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if kind == "multipart/form-data":
            limit_bytes = settings.web.upload_limit_bytes
            async with received(request, settings.content_dir, limit_bytes) as upload:
                wanted = model.model_validate(upload.fields)
                if wanted.text is not None:
                    raise InvalidInput("text", "hãy gửi tệp hoặc văn bản, không gửi cả hai")
                yield wanted, upload
        elif kind == "application/json":
            wanted = model.model_validate_json(await _short_body(request))
            if wanted.text is None:
                raise InvalidInput("text", "thiếu văn bản cần đọc")
            yield wanted, wanted.text
        else:
            raise InvalidInput(
                "Content-Type", "cần application/json (văn bản) hoặc multipart/form-data (tệp)"
            )
    except ValidationError as error:
        refused = invalid(error.errors())
        REFUSED.labels(_reason(refused)).inc()
        raise refused from None
    except BroadcastError as error:
        REFUSED.labels(_reason(error)).inc()
        raise


def _reason(error: BroadcastError) -> str:
    """Label of a counter: never a name that the sender chose."""
    field = getattr(error, "field", "")
    return (
        field if field in {"file", *BulletinIn.model_json_schema()["properties"]} else error.slug
    )


async def _short_body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        raise InvalidInput("Content-Length", "hãy gửi kèm độ dài của nội dung")
    if int(declared) > JSON_BYTES:
        raise TooLarge(f"Nội dung JSON dài hơn {JSON_BYTES // 1024} KB.", limit_bytes=JSON_BYTES)
    return await request.body()


def _said(wanted: RevisionIn, sound: Sound) -> str:
    """All that the request says, so that its repetition can be told from another request."""
    return wanted.model_dump_json() + (sound.sha256 if isinstance(sound, Upload) else "")


def _check_language(language: str, sound: Sound) -> None:
    if isinstance(sound, str) and language != "vi":
        raise InvalidInput(
            "language", "chỉ đọc được tiếng Việt (vi); tiếng khác hãy tải lên bản thu giọng người"
        )


async def _spoken(session: AsyncSession, area_code: str, sound: Sound) -> str | None:
    """The script of a text by the lexicon of the unit whose station speaks; None of a file."""
    if not isinstance(sound, str):
        return None
    readings = await station_lexicon.readings(session, area_code, clock.today())
    return await asyncio.to_thread(script_of, sound, readings)


async def _keep(sound: Sound, spoken: str | None, settings: config.Settings) -> Source:
    """What is to be prepared, where it outlives the request."""
    if spoken is not None:
        return Source.of_text(spoken)
    assert isinstance(sound, Upload)
    name = await asyncio.to_thread(scratch.keep, settings.content_dir, sound.path)
    return Source(sound.sha256, file=name)


@asynccontextmanager
async def _writing(
    request: Request, settings: config.Settings, source: Source
) -> AsyncIterator[AsyncSession]:
    """The transaction of a creation; a kept source that no preparation took is removed again."""
    try:
        async with db.transaction(engine(request)) as writing:
            yield writing
    finally:
        if source.file is not None:
            # Where this fails, the role `prepare` removes it a quarter of an hour later.
            with suppress(*db.AWAY):
                async with db.transaction(engine(request)) as looking:
                    needed = await preparations.kept_sources(looking)
                if source.file not in needed:
                    await asyncio.to_thread(scratch.forget, settings.content_dir, source.file)


async def _add(
    session: AsyncSession,
    bulletin: Bulletin,
    sound: Sound,
    source: Source,
    settings: config.Settings,
    caller: Caller,
) -> Revision:
    now = clock.now()
    asked = await preparations.ask(
        session, source, settings.audio, settings.content_dir, bulletin.class_, now
    )
    is_done = asked.state is PreparationState.DONE
    return await revisions.add(
        session,
        bulletin,
        preparations.outcome(asked) if is_done else None,
        kind=SourceKind.TEXT if isinstance(sound, str) else SourceKind.UPLOAD,
        name="" if isinstance(sound, str) else sound.name,
        text=sound if isinstance(sound, str) else None,
        spoken=source.text,
        preparation_id=asked.id,
        by=caller.person,
        now=now,
    )


def _status(revision: Revision) -> int:
    return 202 if revision.seconds is None else 201


# --- preparation -------------------------------------------------------------------------------

_PREPARATION = "/bulletins/{bulletin_id}/revisions/{number}/preparation"


@api.get(
    "/bulletins/{bulletin_id}/revisions/{number}",
    summary="Một phiên bản",
)
async def get_revision(
    session: Session, _: CallerDep, bulletin_id: UUID, number: Number
) -> RevisionOut:
    """One revision with its preparation, renditions and approval steps."""
    return await show_revision(session, await revisions.get_revision(session, bulletin_id, number))


@api.get(_PREPARATION, summary="Việc chuẩn bị âm thanh đã tới đâu")
async def get_preparation(
    session: Session, response: Response, _: CallerDep, bulletin_id: UUID, number: Number
) -> PreparationOut:
    """State, percent and what to do; `Retry-After` while it goes on."""
    revision = await revisions.get_revision(session, bulletin_id, number)
    shown = await show_revision(session, revision)
    if shown.preparation.state in UNFINISHED:
        response.headers["Retry-After"] = "1"
    return shown.preparation


@api.delete(_PREPARATION, summary="Hủy việc chuẩn bị âm thanh; phiên bản bị rút")
async def cancel_preparation(
    session: Session, caller: Author, bulletin_id: UUID, number: Number
) -> PreparationOut:
    """Withdraw a revision whose sound is not ready; its preparation ends unless others need it."""
    revision = await revisions.get_revision(session, bulletin_id, number, lock=True)
    if revision.seconds is not None:
        raise Conflict(
            "Âm thanh đã chuẩn bị xong; nếu không dùng phiên bản này, hãy rút nó.",
            allowed=[step.value for step in approval.allowed(revision.state)],
        )
    if revision.state is not RevisionState.WITHDRAWN:
        key = (bulletin_id, number)
        revision = await revisions.move(session, key, Action.WITHDRAW, caller, "", clock.now())
    return (await show_revision(session, revision)).preparation


router = Router()
router.include_router(api)
router.include_router(lexicon_routes.api)
router.include_router(content.router)
