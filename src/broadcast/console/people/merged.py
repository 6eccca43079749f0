"""Roles whose area was rearranged: a person says for each what follows."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from fastapi import Form, Request, Response

from broadcast.accounts import proposals
from broadcast.accounts.grant_routes import ProposalOut
from broadcast.accounts.queries import area_names
from broadcast.areas import scope
from broadcast.areas.model import Part
from broadcast.auth.caller import AccountEditor
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.web.fields import Code
from broadcast.web.rest import Id, Session

router = PageRouter()

PARTS = {
    Part.WHOLE: N_("toàn bộ đơn vị cũ nay ở đây"),
    Part.PART: N_("chỉ một phần đơn vị cũ nay ở đây"),
}


class Decision(StrEnum):
    """What a person says to a proposal."""

    CONFIRM = "confirm"
    REFUSE = "refuse"


@router.get("/admin/grants")
async def show(request: Request, session: Session, caller: AccountEditor) -> Response:
    """Proposals after mergers, the oldest grant first."""
    scope.require_whole(session, caller, Permission.ACCOUNT_WRITE)
    found = [ProposalOut.of(each) for each in await proposals.proposals(session, clock.now())]
    return page(
        request,
        caller,
        "people/merged.html",
        found=found,
        areas=await area_names(session, {each.area_code for each in found}),
        parts=PARTS,
    )


@router.post("/admin/grants/{grant_id}/{area_code}", summary="Quyết định vai trò sau sáp nhập")
async def decide(
    request: Request,
    session: Session,
    caller: AccountEditor,
    grant_id: Id,
    area_code: Code,
    decision: Annotated[Decision, Form()],
) -> Response:
    """Give the role in the successor, or leave that to others."""
    scope.require_whole(session, caller, Permission.ACCOUNT_WRITE)
    await proposals.decide(
        session, grant_id, area_code, caller, clock.now(),
        is_confirmed=decision is Decision.CONFIRM,
    )  # fmt: skip
    return redirect(request, "/admin/grants")
