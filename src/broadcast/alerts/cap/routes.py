"""REST of CAP messages of other authorities."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from broadcast.alerts.cap import feeds, receiving
from broadcast.alerts.cap.feeds import FeedOut
from broadcast.alerts.cap.judge import Action
from broadcast.alerts.cap.reading import MAX_BYTES
from broadcast.alerts.cap.schemas import CapMessageOut
from broadcast.areas import scope
from broadcast.auth.caller import AlertSubmitter, ContentReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router, reads_its_body
from broadcast.kit import clock
from broadcast.kit.errors import Forbidden, UnsupportedMediaType
from broadcast.web.request import Bounded
from broadcast.web.rest import AppSettings, Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["alerts"])

TYPES = ("application/cap+xml", "application/xml", "text/xml")

SECONDS = 30
"""For a document to come in."""


async def document(request: Request, caller: AlertSubmitter) -> bytes:
    """The body, before a connection of the database is taken.

    Raises:
        Forbidden: The caller has the permission in a part of the province only.
        UnsupportedMediaType: It is not said to be XML.
        TooLarge: It is longer than any message that is read here.
        TooSlow: It has not come in time.
    """
    if not scope.is_whole(caller, Permission.ALERT_SUBMIT):
        raise Forbidden(scope.WHOLE_PROVINCE)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise UnsupportedMediaType(
            f"Nội dung phải là bản tin CAP; hãy ghi Content-Type: {TYPES[0]}"
        )
    return await Bounded(request, MAX_BYTES).load(SECONDS)


@router.post(
    "/alerts/cap",
    summary="Nhận một bản tin cảnh báo CAP 1.2 của cơ quan khác",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES
            },
        }
    },
)
@reads_its_body
async def receive(
    caller: AlertSubmitter,
    body: Annotated[bytes, Depends(document)],
    session: Session,
    settings: AppSettings,
) -> CapMessageOut:
    """Take a message; the answer says what becomes of it, and why. The same again: the same.

    200 for a refused one as well: it is kept, so that people here see that it came, and `action`
    is `refuse`. Nothing sounds by itself: a person here authorises it.
    """
    scope.require_whole(session, caller, Permission.ALERT_SUBMIT)
    row = await receiving.take(session, body, settings, caller, clock.now())
    return CapMessageOut.of(row)


@router.get("/alerts/cap", summary="Các bản tin cảnh báo CAP đã nhận, mới nhất trước")
async def list_messages(
    session: Session,
    caller: ContentReader,
    paging: PageQuery,
    action: Annotated[
        Action | None, Query(description="chỉ những bản tin đã xử lý như vậy")
    ] = None,
) -> Page[CapMessageOut]:
    """Messages as they came, newest first."""
    scope.require_whole(session, caller, Permission.CONTENT_READ)
    return await receiving.listed(session, paging, action)


@router.get("/alerts/cap/feeds", summary="Các nguồn CAP được đọc định kỳ, và tình trạng đọc")
async def list_feeds(session: Session, caller: ContentReader) -> list[FeedOut]:
    """Feeds of `BROADCAST_CAP__FILE` that have been read."""
    scope.require_whole(session, caller, Permission.CONTENT_READ)
    return await feeds.feeds(session)


@router.get("/alerts/cap/{message_id}", summary="Một bản tin cảnh báo CAP đã nhận")
async def show_message(session: Session, caller: ContentReader, message_id: Id) -> CapMessageOut:
    """A message, and what became of it."""
    scope.require_whole(session, caller, Permission.CONTENT_READ)
    return CapMessageOut.of(await receiving.get(session, message_id))
