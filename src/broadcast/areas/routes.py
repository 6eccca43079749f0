"""REST of areas and of the village register."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, Query, Response, UploadFile

from broadcast.areas import contacts, imports, lookup, scope, village_languages, villages
from broadcast.areas.contacts import ContactIn, ContactOut
from broadcast.areas.model import Area, Level
from broadcast.areas.row_imports import import_files
from broadcast.areas.schemas import (
    AreaDetailOut,
    AreaOut,
    LineageOut,
    UnplacedOut,
    VillageIn,
    VillageOut,
)
from broadcast.areas.village_languages import VillageLanguagesIn, VillageLanguagesOut
from broadcast.auth.caller import AreaEditor, ContentReader, OutageEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import Report
from broadcast.kit.times import Day
from broadcast.web.fields import AsOf, Code, DryRun
from broadcast.web.files import received
from broadcast.web.rest import Page, PageQuery, Session, paged, require_known

router = Router(prefix="/api/v1", tags=["areas"])

Replace = Annotated[bool, Form(description="bỏ những dòng đã lưu mà tệp không có")]


@router.get("/areas", summary="Đơn vị hành chính của một ngày")
async def list_areas(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    as_of: AsOf = None,
    level: Level | None = None,
    under: Annotated[str | None, Query(description="mã đơn vị cấp trên")] = None,
) -> Page[AreaOut]:
    """The units of a day by code; `under` lists what lies in a unit, at any depth."""
    on = as_of or clock.today()
    return await lookup.list_areas(session, paging, on, level=level, under=under)


@router.get("/areas/{code}", summary="Một đơn vị, các cấp trên và số đơn vị bên dưới")
async def show_area(
    session: Session, caller: Reader, code: str, as_of: AsOf = None
) -> AreaDetailOut:
    """A unit of a day. For one that is no more, 404 names those that replaced it."""
    return await lookup.show_area(session, code, as_of or clock.today())


@router.get("/areas/{code}/lineage", summary="Nguồn gốc và đơn vị kế thừa")
async def show_lineage(
    session: Session,
    caller: Reader,
    code: str,
    as_of: AsOf = None,
    since: Annotated[Day | None, Query(description="ngày của các đơn vị nguồn gốc")] = None,
    until: Annotated[Day | None, Query(description="ngày của các đơn vị kế thừa")] = None,
) -> LineageOut:
    """Trace the unit that has this code on `as_of`, or had it last.

    Origins are units of `since` (the first day on record), successors of `until` (today).
    """
    today = clock.today()
    return await lookup.show_lineage(session, code, as_of or today, since, until or today)


@router.get("/areas/{code}/history", summary="Các tên và đơn vị cấp trên của một mã qua thời gian")
async def show_history(session: Session, caller: Reader, code: str) -> list[AreaOut]:
    """All units that ever had this code, oldest first."""
    return await lookup.show_history(session, code)


@router.get("/areas/{code}/contact", summary="Gọi cho ai ở thôn này")
async def show_contact(session: Session, caller: ContentReader, code: str) -> ContactOut:
    """Whom to call in a village of the caller's places."""
    return await contacts.contact_of(session, code)


@router.put("/areas/{code}/contact", summary="Ghi người liên hệ của một thôn")
async def put_contact(
    session: Session, caller: OutageEditor, code: str, body: ContactIn
) -> ContactOut:
    """In place of whoever was on record."""
    return await contacts.put_contact(session, code, body, caller, clock.now())


@router.post("/areas/import", summary="Nhập areas.csv và lineage.csv")
async def import_areas(
    session: Session,
    caller: AreaEditor,
    areas: Annotated[UploadFile | None, File()] = None,
    lineage: Annotated[UploadFile | None, File()] = None,
    dry_run: DryRun = False,
    replace: Replace = False,
) -> Report:
    """Store units and lineage, all or nothing; `errors` of a 422 name row, column and remedy."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    if areas is None and lineage is None:
        raise InvalidInput("areas", "gửi kèm tệp areas, tệp lineage, hoặc cả hai")
    return await imports.import_areas(
        session,
        await received(areas) if areas else None,
        await received(lineage) if lineage else None,
        replace=replace,
        dry_run=dry_run,
    )


@router.post("/areas/load", summary="Nạp các xã hiện nay của một tỉnh từ vietnam-provinces")
async def load_current(
    session: Session,
    caller: AreaEditor,
    province: Annotated[str, Query(pattern=r"^\d{2}$", examples=["51"])],
    dry_run: bool = False,
) -> Report:
    """Store the present units of a province; those on record stay as they are."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    return await imports.load_current(session, province, dry_run=dry_run)


# --- the village register ------------------------------------------------------------------------


@router.post("/villages/import", summary="Nhập sổ thôn, tổ dân phố")
async def import_villages(
    session: Session,
    caller: AreaEditor,
    villages_file: Annotated[UploadFile, File(alias="villages")],
    dry_run: DryRun = False,
    replace: Replace = False,
) -> Report:
    """Store the register, all or nothing; `errors` of a 422 name row, column and remedy."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    file = await received(villages_file)
    return await villages.import_villages(session, file, replace=replace, dry_run=dry_run)


@router.get("/village-languages", summary="Tiếng của người dân các thôn")
async def list_languages(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    as_of: AsOf = None,
    area: Annotated[Code | None, Query(description="thôn của đơn vị này")] = None,
) -> Page[VillageLanguagesOut]:
    """Every village, by code; those without any on record, too."""
    codes = None
    if area is not None:
        await require_known(session, "area", Area.code, area)
        codes = (await scope.territory_of(session)).inside(area)
    statement = village_languages.select_villages(as_of or clock.today(), codes)
    found = await paged(session, statement, [Area.code], paging)
    return found.page(lambda *row: VillageLanguagesOut.of(row[0], row[1]))


@router.get("/village-languages/{code}", summary="Tiếng của người dân một thôn")
async def show_languages(
    session: Session, caller: Reader, code: Code, as_of: AsOf = None
) -> VillageLanguagesOut:
    """As on record for a day."""
    return await village_languages.show(session, code, as_of or clock.today())


@router.put("/village-languages/{code}", summary="Ghi tiếng của người dân một thôn")
async def put_languages(
    session: Session, caller: AreaEditor, code: Code, body: VillageLanguagesIn
) -> VillageLanguagesOut:
    """From a day on; loudspeakers of the village speak in this order."""
    return await village_languages.put(session, code, body, caller, clock.now())


@router.post("/village-languages/import", summary="Nhập village_languages.csv")
async def import_languages(
    session: Session,
    caller: AreaEditor,
    file: Annotated[UploadFile, File(alias="village_languages")],
    dry_run: DryRun = False,
) -> Report:
    """Store the rows, all or nothing; `errors` of a 422 name row, column and remedy."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    kinds = [village_languages.kind(caller, clock.now())]
    return await import_files(session, [await received(file)], kinds, dry_run=dry_run)


@router.get("/villages/unplaced", summary="Thôn chưa xếp được vào xã nào")
async def list_unplaced(session: Session, caller: Reader, as_of: AsOf = None) -> list[UnplacedOut]:
    """Villages whose commune was divided and that the register has not placed since."""
    found = await villages.unplaced(session, as_of or clock.today())
    return [UnplacedOut(**village._asdict()) for village in found]


@router.get("/villages/{code}", summary="Các dòng của một thôn trong sổ")
async def show_register(session: Session, caller: Reader, code: str) -> list[VillageOut]:
    """Rows of one village, oldest first. Where it lies on each day: `/areas/{code}/history`."""
    return await villages.list_rows(session, code)


@router.get("/villages/{code}/{valid_from}", summary="Một dòng của sổ thôn")
async def show_row(session: Session, caller: Reader, code: str, valid_from: Day) -> VillageOut:
    """One row of the register."""
    return await villages.show_row(session, code, valid_from)


@router.put("/villages/{code}/{valid_from}", summary="Xếp thôn vào xã từ một ngày")
async def put_row(
    session: Session,
    caller: AreaEditor,
    code: str,
    valid_from: Day,
    body: VillageIn,
) -> VillageOut:
    """State where a village lies from a day on, new or in place of the row from that day."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    return await villages.put_row(session, code, valid_from, body)


@router.delete("/villages/{code}/{valid_from}", status_code=204, summary="Bỏ một dòng của sổ thôn")
async def delete_row(session: Session, caller: AreaEditor, code: str, valid_from: Day) -> Response:
    """Remove a row; the row before it holds again."""
    scope.require_whole(session, caller, Permission.AREA_WRITE)
    await villages.withdraw(session, code, valid_from)
    return Response(status_code=204)
