"""What the server could not take from devices, and what devices would not take, in words."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import UpkeepReader
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, given, page
from broadcast.telemetry import queries
from broadcast.web.rest import Paging, Session

router = PageRouter()

ROWS = 50


@router.get("/admin/refused")
async def show(
    request: Request,
    session: Session,
    caller: UpkeepReader,
    device: str = "",
    cursor: str | None = None,
    refused: str | None = None,
) -> Response:
    """Dead letters and refusals; `cursor` and `refused` are those of the two lists."""
    scope.require_whole(session, caller, Permission.UPKEEP_READ)
    code = device.strip() or None
    return page(
        request,
        caller,
        "admin/refused.html",
        device=code,
        query=given(device=code),
        rest="/api/v1/dead-letters?" + urlencode(given(limit=ROWS, device=code, cursor=cursor)),
        letters=await queries.list_dead_letters(session, Paging(cursor, ROWS), code),
        refusals=await queries.list_refusals(session, Paging(refused, ROWS), code),
    )
