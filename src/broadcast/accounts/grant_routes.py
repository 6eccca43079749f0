"""REST of what grants could follow after a merger."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel

from broadcast.accounts import proposals
from broadcast.accounts.proposals import Proposal
from broadcast.areas import scope
from broadcast.areas.model import Part
from broadcast.auth.caller import AccountEditor
from broadcast.auth.permissions import Permission, Role
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.web.fields import Code
from broadcast.web.rest import Id, Session

router = Router(prefix="/api/v1", tags=["accounts"])


class ProposalOut(BaseModel):
    """A role whose area was rearranged, and a unit that it could hold for now."""

    grant_id: int
    account_id: int
    account: str
    role: Role
    area_code: str
    """As it was granted."""
    since: date
    """Day of the merger; since then the role shows what it showed, and changes nothing."""
    successor_code: str
    successor_name: str
    part: Part
    """Whether all of the old unit is there."""

    @classmethod
    def of(cls, proposal: Proposal) -> ProposalOut:
        """The representation of a proposal."""
        held = proposal.held
        assert held.area_code is not None
        return cls(
            grant_id=held.id,
            account_id=held.account_id,
            account=proposal.account,
            role=held.role,
            area_code=held.area_code,
            since=proposal.since,
            successor_code=proposal.area_code,
            successor_name=proposal.area_name,
            part=proposal.part,
        )


class DecidedOut(BaseModel):
    """What came of a decision."""

    grant_id: int | None
    """The new grant; null where it was refused."""


@router.get("/grants/proposals", summary="Vai trò ở đơn vị đã sáp nhập, chờ xác nhận đơn vị mới")
async def list_proposals(session: Session, caller: AccountEditor) -> list[ProposalOut]:
    """Of all accounts, the oldest grant first."""
    scope.require_whole(session, caller, Permission.ACCOUNT_WRITE)
    return [ProposalOut.of(each) for each in await proposals.proposals(session, clock.now())]


@router.post(
    "/grants/proposals/{grant_id}/{area_code}/confirm", summary="Xác nhận vai trò ở đơn vị mới"
)
async def confirm(
    session: Session, caller: AccountEditor, grant_id: Id, area_code: Code
) -> DecidedOut:
    """Give the role in the successor; the old grant ends with the last one decided on."""
    scope.require_whole(session, caller, Permission.ACCOUNT_WRITE)
    following = await proposals.decide(
        session, grant_id, area_code, caller, clock.now(), is_confirmed=True
    )
    return DecidedOut(grant_id=None if following is None else following.id)


@router.post(
    "/grants/proposals/{grant_id}/{area_code}/refuse", summary="Không cấp vai trò ở đơn vị mới"
)
async def refuse(
    session: Session, caller: AccountEditor, grant_id: Id, area_code: Code
) -> DecidedOut:
    """Leave the successor to others; the old grant ends with the last one decided on."""
    scope.require_whole(session, caller, Permission.ACCOUNT_WRITE)
    await proposals.decide(session, grant_id, area_code, caller, clock.now(), is_confirmed=False)
    return DecidedOut(grant_id=None)
