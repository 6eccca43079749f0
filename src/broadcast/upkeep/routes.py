"""REST of the store's state."""

from __future__ import annotations

from broadcast.areas import scope
from broadcast.auth.caller import UpkeepReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.upkeep.report import Report, report
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["operation"])


@router.get("/upkeep", summary="Tình trạng lưu trữ: phân vùng, dung lượng, cảnh báo")
async def show_upkeep(session: Session, settings: AppSettings, caller: UpkeepReader) -> Report:
    """Partitions, sizes, free room, what is kept for how long, and what somebody has to act on."""
    scope.require_whole(session, caller, Permission.UPKEEP_READ)
    async with scope.whole(session):
        return await report(session, settings, clock.now())
