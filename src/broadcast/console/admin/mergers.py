"""The merger wizard: what a merger of communes will change, and then the merger."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, Request, Response, UploadFile

from broadcast.areas import scope
from broadcast.auth.caller import AreaEditor
from broadcast.auth.permissions import ROLE_NAMES, Permission
from broadcast.console.admin.imports import digest_of, received_files, sorted_areas
from broadcast.console.library import area_names
from broadcast.console.page import PageRouter, page
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.times import Day
from broadcast.mergers.carry_out import carry_out
from broadcast.stations import stations
from broadcast.web.rest import AppSettings, Session

router = PageRouter()

Files = Annotated[list[UploadFile] | None, File()]
On = Annotated[Day, Form(examples=["2025-07-01"])]


@router.get("/admin/mergers")
async def show(request: Request, session: Session, caller: AreaEditor) -> Response:
    """Ask for the day and, where the units are not on record yet, the files."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    return page(request, caller, "admin/mergers.html", today=clock.today())


@router.post("/admin/mergers/preview", summary="Xem trước một lần sáp nhập")
async def preview(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: AreaEditor,
    on: On,
    files: Files = None,
) -> Response:
    """What the merger would change; nothing is written."""
    return await _answer(request, session, settings, caller, on, files, None)


@router.post("/admin/mergers", summary="Sáp nhập xã như đã xem trước")
async def store(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: AreaEditor,
    on: On,
    files: Files = None,
    digest: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Carry out the merger that was previewed."""
    return await _answer(request, session, settings, caller, on, files, digest)


async def _answer(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: AreaEditor,
    on: Day,
    files: list[UploadFile] | None,
    digest: str | None,
) -> Response:
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    scope.require_whole(session, caller, Permission.REGISTER_WRITE)
    given = await received_files(files or ())
    present = digest_of(given)
    if digest is not None and digest != present:
        raise InvalidInput("files", "tệp không còn như lúc xem trước; hãy xem trước lại")
    areas, lineage = sorted_areas(given)
    merger = await carry_out(
        session, areas, lineage, on, settings.province, clock.now(), dry_run=digest is None
    )
    units = [*merger.dissolved, *merger.created]
    codes = {code for each in units for code in each.of}
    codes |= {each.area_code for each in merger.grants}
    codes |= {code for each in merger.undecided for code in each.candidates}
    names = {**await area_names(session, codes), **{each.code: each.name for each in units}}
    return page(
        request, caller, "admin/_merger.html", merger=merger, digest=present, names=names,
        stations=await stations.names(session, (each.code for each in merger.undecided)),
        roles=ROLE_NAMES,
    )  # fmt: skip
