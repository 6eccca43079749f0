"""REST of live speech, and the way of the microphone."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Response, WebSocket

from broadcast.auth.caller import ContentReader, Speaker
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.live import queries, steps
from broadcast.live.microphone import listen
from broadcast.live.model import LiveSession
from broadcast.live.schemas import LiveDetailOut, LiveIn, LiveOut
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Rows, Session, paged

router = Router(prefix="/api/v1", tags=["live"])

OnceDep = Annotated[Once, Depends()]


@router.get("/live-sessions", summary="Các buổi phát trực tiếp")
async def list_sessions(
    session: Session, caller: ContentReader, paging: PageQuery
) -> Page[LiveOut]:
    """Oldest first."""
    found: Rows = await paged(
        session, sa.select(LiveSession), [LiveSession.created_at, LiveSession.id], paging
    )
    rows = [live for (live,) in found.rows]
    by_id = {each.id: each for each in await queries.shown(session, rows, clock.now())}
    return found.page(lambda live: by_id[live.id])


@router.post(
    "/live-sessions",
    status_code=201,
    response_model=LiveDetailOut,
    summary="Soạn một buổi phát trực tiếp",
)
async def prepare(
    session: Session, settings: AppSettings, caller: Speaker, once: OnceDep, body: LiveIn
) -> Response:
    """Nothing sounds before the microphone is there; the answer says where it will."""
    now = clock.now()

    async def make() -> Created:
        live = await steps.prepare(session, body, caller, settings, now)
        shown = await queries.detail(session, live, now)
        return Created(f"/api/v1/live-sessions/{live.id}", shown)

    return await once.run(session, caller.account_id, make, now=now)


@router.get("/live-sessions/{live_id}", summary="Một buổi phát trực tiếp, và nơi nó phát")
async def show(session: Session, caller: ContentReader, live_id: UUID) -> LiveDetailOut:
    """A session by id."""
    return await queries.detail(session, await queries.get_session(session, live_id), clock.now())


@router.post("/live-sessions/{live_id}/end", summary="Dừng buổi phát trực tiếp")
async def stop(session: Session, caller: Speaker, live_id: UUID) -> LiveDetailOut:
    """By anybody who may speak there; loudspeakers fall silent within seconds."""
    now = clock.now()
    live = await queries.get_session(session, live_id, lock=True)
    await steps.stop(session, live, caller, now)
    return await queries.detail(session, live, now)


@router.websocket("/live-sessions/{live_id}/speech")
async def speech(websocket: WebSocket, live_id: UUID) -> None:
    """Frames of the microphone come in, how many listen goes out.

    A WebSocket: session and permission are asked for by `microphone.listen` itself.
    """
    await listen(websocket, live_id)
