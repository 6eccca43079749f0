"""REST of a station's choice whether its normal bulletins need a second person."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BaseModel

from broadcast.areas import scope
from broadcast.areas.model import Area
from broadcast.auth.caller import Caller, ContentReader, require
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.bulletins import four_eyes
from broadcast.bulletins.model import ApprovalRule
from broadcast.bulletins.station_lexicon import require_station
from broadcast.kit import clock
from broadcast.kit.times import Day, Moment
from broadcast.web.fields import Code
from broadcast.web.rest import Body, Session, require_known

router = Router(prefix="/api/v1", tags=["bulletins"])

Approver = Annotated[Caller, Depends(require(Permission.BULLETIN_APPROVE))]


class ApprovalRuleIn(Body):
    """What a station chooses for its normal bulletins."""

    second_person: bool
    """Nobody approves what they made; priority and emergency never leave a choice."""


class ApprovalRuleOut(BaseModel):
    """A choice, and the day from which it holds."""

    area_code: str
    valid_from: date
    second_person: bool
    set_at: Moment

    @classmethod
    def of(cls, row: ApprovalRule) -> ApprovalRuleOut:
        """The representation of a row."""
        return cls(
            area_code=row.area_code,
            valid_from=row.valid_from,
            second_person=row.second_person,
            set_at=row.set_at,
        )


@router.get("/approval-rules", summary="Đài đã chọn: tin thường có cần người thứ hai duyệt không")
async def list_rules(
    session: Session, _: ContentReader, area: Annotated[Code, Query()]
) -> list[ApprovalRuleOut]:
    """Choices of a station, oldest first; without any a second person is needed."""
    await require_known(session, "area", Area.code, area)
    return [ApprovalRuleOut.of(row) for row in await four_eyes.rules(session, area)]


@router.put(
    "/approval-rules/{area}/{valid_from}", summary="Chọn cho tin thường, từ một ngày sau này"
)
async def put_rule(
    session: Session, caller: Approver, area: Code, valid_from: Day, body: ApprovalRuleIn
) -> ApprovalRuleOut:
    """From tomorrow at the earliest; who made a bulletin today is bound by today's."""
    await scope.require(session, caller, Permission.BULLETIN_APPROVE, [area])
    await require_station(session, area, clock.today())
    row = await four_eyes.choose(
        session,
        area,
        valid_from,
        caller.account_id,
        clock.now(),
        second_person=body.second_person,
    )
    return ApprovalRuleOut.of(row)
