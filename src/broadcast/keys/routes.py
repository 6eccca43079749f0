"""REST of the signing keys: which there are, and who has not pinned the newest."""

from __future__ import annotations

from broadcast.areas import scope
from broadcast.auth.caller import UpkeepReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.keys.report import report
from broadcast.keys.schemas import KeysOut
from broadcast.web.rest import Session

router = Router(prefix="/api/v1", tags=["operation"])


@router.get("/keys", summary="Khóa ký của tỉnh, và thiết bị chưa ghim khóa mới nhất")
async def show_keys(session: Session, caller: UpkeepReader) -> KeysOut:
    """Public halves and states of all keys. A key is changed by `broadcast keys` alone."""
    scope.require_whole(session, caller, Permission.UPKEEP_READ)
    async with scope.whole(session):
        return await report(session)
