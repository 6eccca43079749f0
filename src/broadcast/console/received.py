"""Warnings that other authorities have sent (CAP), and what became of them.

The list is that of `/api/v1/alerts/cap`, for the people on duty.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.alerts.cap import feeds, receiving
from broadcast.alerts.cap.judge import Action
from broadcast.alerts.cap.schemas import CapMessageOut
from broadcast.areas import scope
from broadcast.auth.caller import Caller, ContentReader
from broadcast.auth.permissions import Permission
from broadcast.console.library import Blank, area_names
from broadcast.console.live import Topic
from broadcast.console.page import PageRouter, given, page
from broadcast.console.words import N_
from broadcast.web.rest import Id, Paging, Session

router = PageRouter()

ROWS = 50

Chosen = Annotated[Action | None, Blank]

LISTED = 12
"""Places that are named of a message in the list."""

BECAME = {
    Action.PROPOSE: ("partial", N_("Khẩn cấp, chờ người thứ hai duyệt")),
    Action.DRILL: ("partial", N_("Diễn tập, chờ người thứ hai duyệt")),
    Action.BULLETIN: ("ok", N_("Vào hộp tin, không tự phát")),
    Action.CANCEL: ("ok", N_("Đã hủy bản tin trước")),
    Action.RECORD: ("unknown", N_("Chỉ lưu lại, không phát")),
    Action.REFUSE: ("bad", N_("Không nhận")),
}
"""What became of a message: kind of state and words."""


@router.get("/emergency/received")
async def show(
    request: Request,
    session: Session,
    caller: ContentReader,
    cursor: str | None = None,
    action: Chosen = None,
) -> Response:
    """What came, newest first; `action` narrows it."""
    return await _list(request, session, caller, cursor, action, "received/index.html")


@router.get("/emergency/received/list")
async def show_list(
    request: Request,
    session: Session,
    caller: ContentReader,
    cursor: str | None = None,
    action: Chosen = None,
) -> Response:
    """The list alone, when something has come."""
    return await _list(request, session, caller, cursor, action, "received/_list.html")


async def _list(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    cursor: str | None,
    action: Action | None,
    template: str,
) -> Response:
    scope.require_whole(session, caller, Permission.CONTENT_READ)
    found = await receiving.listed(session, Paging(cursor, ROWS), action)
    read = await feeds.feeds(session)
    return page(
        request,
        caller,
        template,
        found=found,
        feeds=read,
        names=await area_names(session, (code for each in found.items for code in each.areas)),
        action=action,
        query=given(action=action),
        became=BECAME,
        listed=LISTED,
        topics=[Topic.ALERTS],
    )


@router.get("/emergency/received/{message_id}")
async def show_message(
    request: Request, session: Session, caller: ContentReader, message_id: Id
) -> Response:
    """One message: what it says, what became of it and why."""
    scope.require_whole(session, caller, Permission.CONTENT_READ)
    message = CapMessageOut.of(await receiving.get(session, message_id))
    names = await area_names(session, message.areas)
    return page(
        request, caller, "received/message.html", message=message, names=names, became=BECAME
    )
