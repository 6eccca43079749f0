"""The signing keys: which are in force, who has not pinned the newest, what to do next."""

from __future__ import annotations

from fastapi import Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import UpkeepReader
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page
from broadcast.console.words import N_
from broadcast.keys.report import report
from broadcast.keys.states import State
from broadcast.web.rest import Session

router = PageRouter()

STATES = {
    State.ANNOUNCED: ("waiting", N_("đã công bố, chưa ký")),
    State.SIGNING: ("ok", N_("đang ký")),
    State.REPLACED: ("partial", N_("đã thay, còn công bố")),
    State.RETIRED: ("unknown", N_("thôi công bố")),
}
USES = {
    "programme": N_("chương trình, cấu hình, lệnh"),
    "alert": N_("cảnh báo khẩn cấp"),
}


@router.get("/admin/keys")
async def show(request: Request, session: Session, caller: UpkeepReader) -> Response:
    """As `GET /api/v1/keys`. A key is changed on the server alone: the page says by what line."""
    scope.require_whole(session, caller, Permission.UPKEEP_READ)
    async with scope.whole(session):
        found = await report(session)
    return page(request, caller, "admin/keys.html", found=found, states=STATES, uses=USES)
