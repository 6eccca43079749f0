"""The public feed of our alerts as CAP 1.2."""

from __future__ import annotations

from fastapi import Request, Response

from broadcast.alerts.cap import publishing
from broadcast.areas import scope
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.web.rest import AppSettings, Session

router = Router(tags=["alerts"])

HEADERS = {"Cache-Control": "public, max-age=10"}
"""Whoever polls in between is answered by what stands before us."""


@router.get("/cap/feed.atom", summary="Các cảnh báo của tỉnh, dạng Atom", response_class=Response)
async def show_feed(request: Request, session: Session, settings: AppSettings) -> Response:
    """The alerts of the last seven days, newest first; each entry links to its CAP 1.2 message."""
    origin = settings.web.public_url or str(request.base_url).rstrip("/")
    async with scope.whole(session):
        body = await publishing.feed(session, settings, origin, clock.now())
    return Response(body, media_type="application/atom+xml", headers=HEADERS)


@router.get(
    "/cap/{identifier}.xml", summary="Một cảnh báo của tỉnh, dạng CAP 1.2", response_class=Response
)
async def show_alert(identifier: str, session: Session, settings: AppSettings) -> Response:
    """One alert, or its cancellation (`…-cancel`), signed where there is a certificate."""
    async with scope.whole(session):
        body = await publishing.document(session, identifier, settings, clock.now())
    return Response(body, media_type="application/cap+xml", headers=HEADERS)
