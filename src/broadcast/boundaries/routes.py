"""REST of the map: outlines of units, and their import."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, UploadFile

from broadcast.areas import scope
from broadcast.auth.caller import AreaEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.boundaries import imports, outlines
from broadcast.boundaries.schemas import MapOut
from broadcast.kit import clock, sheets
from broadcast.kit.sheets import Report
from broadcast.kit.text import FilledLine
from broadcast.web.fields import AsOf, DryRun
from broadcast.web.rest import Session

router = Router(prefix="/api/v1", tags=["areas"])


@router.get("/areas/{code}/map", summary="Bản đồ các xã của một đơn vị, vẽ sẵn cho SVG")
async def show_map(session: Session, caller: Reader, code: str, as_of: AsOf = None) -> MapOut:
    """The communes below a unit as paths of an SVG, or one commune."""
    return await outlines.show_map(session, code, as_of or clock.today())


@router.post("/boundaries/import", summary="Nhập ranh giới các xã (GeoJSON, TopoJSON)")
async def import_boundaries(
    session: Session,
    caller: AreaEditor,
    boundaries: Annotated[UploadFile, File(description="mỗi xã một đối tượng, có mã")],
    code_property: Annotated[
        FilledLine | None, Form(description="thuộc tính chứa mã xã, nếu khác “id”, “code”")
    ] = None,
    dry_run: DryRun = False,
    replace: Annotated[bool, Form(description="bỏ ranh giới mà tệp không có")] = False,
) -> Report:
    """Store outlines, all or nothing; `errors` of a 422 name the feature and the remedy."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    data = await boundaries.read(imports.MAX_BYTES + 1)
    return await imports.import_boundaries(
        session,
        sheets.File(boundaries.filename or "tệp", data),
        clock.now(),
        code_property=code_property,
        replace=replace,
        dry_run=dry_run,
    )
