"""REST of the situation."""

from __future__ import annotations

from broadcast.areas import scope
from broadcast.auth.caller import Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.situation import overview
from broadcast.situation.schemas import SituationOut
from broadcast.web.rest import Session

router = Router(prefix="/api/v1", tags=["areas"])


@router.get("/areas/{code}/situation", summary="Tình hình bây giờ của một đơn vị")
async def show_situation(session: Session, caller: Reader, code: str) -> SituationOut:
    """Working, partly, not or not known: the unit, what lies in it, and its clusters."""
    await scope.require_readable_unit(session, caller, Permission.READ, code, clock.today())
    return await overview.situation(session, code, clock.now())
