"""REST of restores: the comparison, and its acceptance."""

from __future__ import annotations

from broadcast.areas import scope
from broadcast.auth.caller import RestoreDecider, UpkeepReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.restore import acceptance
from broadcast.restore.report import newest
from broadcast.restore.schemas import AcceptanceIn, RestoreOut
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["operation"])


@router.get("/restore", summary="Lần khôi phục mới nhất, và khác biệt chờ quyết định")
async def show(session: Session, settings: AppSettings, caller: UpkeepReader) -> RestoreOut:
    """What was withdrawn, moved or made after the backup, by what broker and devices hold."""
    scope.require_whole(session, caller, Permission.UPKEEP_READ)
    async with scope.whole(session):
        return await newest(session, settings)


@router.post("/restore/acceptance", summary="Quyết định sau khôi phục; từ đó máy chủ lại phát")
async def accept(
    session: Session, settings: AppSettings, caller: RestoreDecider, body: AcceptanceIn
) -> RestoreOut:
    """All differences are decided at once: each by a choice, or all others as proposed."""
    scope.require_whole(session, caller, Permission.RESTORE_DECIDE)
    await acceptance.accept(
        session,
        settings,
        body.choices,
        rest_as_proposed=body.rest_as_proposed,
        seen=body.digest,
        caller=caller,
        now=clock.now(),
    )
    return await newest(session, settings)
