"""REST of the situation."""

from __future__ import annotations

from broadcast.auth.caller import Reader
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.situation.overview import situation
from broadcast.situation.recent import RecentDep
from broadcast.situation.schemas import SituationOut
from broadcast.web.rest import Session

router = Router(prefix="/api/v1", tags=["areas"])


@router.get("/areas/{code}/situation", summary="Tình hình bây giờ của một đơn vị")
async def show_situation(
    session: Session, caller: Reader, recent: RecentDep, code: str
) -> SituationOut:
    """Working, partly, not or not known: the unit, what lies in it, and its clusters."""
    return await situation(session, caller, code, clock.now(), recent)
