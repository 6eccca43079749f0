"""REST of mergers: what one will change, and carrying it out."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, UploadFile

from broadcast.areas import scope
from broadcast.auth.caller import AreaEditor
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.times import Day
from broadcast.mergers.carry_out import carry_out
from broadcast.mergers.schemas import MergerOut
from broadcast.web.fields import DryRun
from broadcast.web.files import received
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["areas"])


@router.post("/mergers", summary="Sáp nhập xã: xem trước, hoặc thực hiện")
async def merge(
    session: Session,
    settings: AppSettings,
    caller: AreaEditor,
    on: Annotated[Day, Form(examples=["2025-07-01"], description="ngày sáp nhập")],
    areas: Annotated[
        UploadFile | None, File(description="areas.csv; bỏ khi đơn vị đã có trong sổ")
    ] = None,
    lineage: Annotated[
        UploadFile | None, File(description="lineage.csv; bỏ khi nguồn gốc đã có trong sổ")
    ] = None,
    dry_run: DryRun = False,
) -> MergerOut:
    """Units, stations, schedules, roles and indicators, before and after. All or nothing."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    scope.require_whole(session, caller, Permission.REGISTER_WRITE)
    return await carry_out(
        session,
        await received(areas) if areas else None,
        await received(lineage) if lineage else None,
        on,
        settings.province,
        clock.now(),
        dry_run=dry_run,
    )
