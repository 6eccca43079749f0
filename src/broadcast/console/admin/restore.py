"""After a restore: what devices and broker hold that the database does not, to be decided."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import RestoreDecider, UpkeepReader
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page, redirect
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.restore import acceptance
from broadcast.restore.differences import Choice
from broadcast.restore.report import newest
from broadcast.web.rest import AppSettings, Session

router = PageRouter()

LISTED = 300
"""Differences that the page asks about one by one; more are decided as proposed, or by command."""


@router.get("/admin/restore")
async def show(
    request: Request, session: Session, settings: AppSettings, caller: UpkeepReader
) -> Response:
    """As `GET /api/v1/restore`."""
    scope.require_whole(session, caller, Permission.UPKEEP_READ)
    async with scope.whole(session):
        try:
            found = await newest(session, settings)
        except NotFound:
            found = None
    return page(request, caller, "admin/restore.html", found=found, most=LISTED)


@router.post("/admin/restore", summary="Quyết định sau khôi phục; từ đó máy chủ lại phát")
async def accept(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: RestoreDecider,
    digest: Annotated[str, Form(max_length=64)],
    choices: Annotated[list[str] | None, Form()] = None,
    rest_as_proposed: Annotated[bool, Form()] = False,
) -> Response:
    """As `POST /api/v1/restore/acceptance`; each of `choices` is `name=choice`."""
    scope.require_whole(session, caller, Permission.RESTORE_DECIDE)
    await acceptance.accept(
        session,
        settings,
        dict(_choice(each) for each in choices or () if each),
        rest_as_proposed=rest_as_proposed,
        seen=digest,
        caller=caller,
        now=clock.now(),
    )
    return redirect(request, "/admin/restore")


def _choice(text: str) -> tuple[str, Choice]:
    name, _, choice = text.rpartition("=")
    if choice not in set(Choice):
        raise InvalidInput(
            "choices", "không có cách quyết định này; hãy tải lại trang rồi chọn lại"
        )
    return name, Choice(choice)
