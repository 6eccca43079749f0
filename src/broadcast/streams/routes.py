"""REST of stream sources; what relies on them is in `schedules.relay_routes`."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query, Request, Response

from broadcast.auth.caller import Reader, Scheduler
from broadcast.auth.routing import Router
from broadcast.config import Settings
from broadcast.kit import clock
from broadcast.kit.errors import Unavailable
from broadcast.streams import probing, register
from broadcast.streams.fetching import Unreachable
from broadcast.streams.schemas import SourceIn, SourceOut
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["streams"])


@router.get("/stream-sources", summary="Các nguồn tiếp âm")
async def list_sources(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    ended: Annotated[bool | None, Query(description="đã ngừng, hoặc chưa")] = None,
) -> Page[SourceOut]:
    """In the order in which they were entered."""
    return await register.list_sources(session, paging, ended=ended)


@router.get("/stream-sources/{source_id}", summary="Một nguồn tiếp âm")
async def show(session: Session, caller: Reader, source_id: Id) -> SourceOut:
    """One source; whether it answers is in …/state."""
    return await register.show(session, source_id)


@router.post(
    "/stream-sources", status_code=201, response_model=SourceOut, summary="Thêm nguồn tiếp âm"
)
async def create(
    request: Request, session: Session, caller: Scheduler, body: SourceIn
) -> Response:
    """Whether it answers is looked at within minutes."""

    async def make() -> Created:
        made = await register.create(session, body, caller, clock.now())
        return Created(f"/api/v1/stream-sources/{made.id}", made)

    return await Once(request).run(session, caller.account_id, make)


@router.delete("/stream-sources/{source_id}", status_code=204, summary="Ngừng nguồn tiếp âm")
async def end(session: Session, caller: Scheduler, source_id: Id) -> Response:
    """No new schedule relays it; those that do go on."""
    await register.end(session, source_id, caller, clock.now())
    return Response(status_code=204)


@router.get(
    "/stream-sources/{source_id}/sound",
    summary="Nghe thử vài giây của nguồn",
    response_class=Response,
    responses={200: {"content": {each: {} for each in probing.MEDIA_TYPES.values()}}},
)
async def hear(
    session: Session, settings: AppSettings, caller: Scheduler, source_id: Id
) -> Response:
    """Some seconds as they come from the first address with sound, at most 512 KiB."""
    source = await register.show(session, source_id)
    await session.rollback()  # no connection is held while a stranger takes its time
    found = await listen(source, settings)
    return Response(found.sound, media_type=probing.MEDIA_TYPES[found.codec])


_LISTENING = asyncio.Semaphore(3)
"""People of one process who listen at once: each takes half a minute of a stranger at the most."""


async def listen(source: SourceOut, settings: Settings) -> probing.Found:
    """Some seconds of a source.

    Raises:
        Unavailable: It has no sound, or too many listen already.
    """
    if _LISTENING.locked():
        raise Unavailable("Đang có nhiều người nghe thử; hãy thử lại sau ít giây.")
    async with _LISTENING:
        try:
            return await probing.hear(source.urls, settings.streams.private_networks)
        except Unreachable as refused:
            why = str(refused)
            raise Unavailable(f"Nguồn không có âm thanh: {why}.") from None
