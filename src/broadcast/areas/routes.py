"""REST of areas and of the village register."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import sqlalchemy as sa
from fastapi import File, Form, Query, Response, UploadFile

from broadcast.accounts.auth import Admin, CallerDep
from broadcast.accounts.routing import Router
from broadcast.areas import imports, units, villages
from broadcast.areas.model import Area, Level
from broadcast.areas.placement import Registered
from broadcast.areas.schemas import (
    ActOut,
    AreaDetailOut,
    AreaOut,
    LineageOut,
    SuccessorOut,
    UnplacedOut,
    VillageIn,
    VillageOut,
)
from broadcast.areas.tree import Lineage, Successor
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.sheets import Report
from broadcast.kit.times import Day
from broadcast.web.fields import AsOf, DryRun
from broadcast.web.files import received
from broadcast.web.rest import Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["areas"])

Replace = Annotated[bool, Form(description="bỏ những dòng đã lưu mà tệp không có")]


@router.get("/areas", summary="Đơn vị hành chính của một ngày")
async def list_areas(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    as_of: AsOf = None,
    level: Level | None = None,
    under: Annotated[str | None, Query(description="mã đơn vị cấp trên")] = None,
) -> Page[AreaOut]:
    """The units of a day by code; `under` lists what lies in a unit, at any depth."""
    on = as_of or clock.today()
    if under is not None:
        await units.require_unit(session, "under", under, on)
    statement = units.units_statement(on, level=level, under=under)
    rows, following = await paged(session, statement, [Area.code], paging)
    return Page(items=[AreaOut.model_validate(row) for row in rows], next=following)


@router.get("/areas/{code}", summary="Một đơn vị, các cấp trên và số đơn vị bên dưới")
async def show_area(
    session: Session, caller: CallerDep, code: str, as_of: AsOf = None
) -> AreaDetailOut:
    """A unit of a day. For one that is no more, 404 names those that replaced it."""
    on = as_of or clock.today()
    tree = await units.load_tree(session, on)
    if code not in tree:
        detail, codes = units.missing(await units.load_lineage(session), code, on)
        raise NotFound(detail, replaced_by=codes)
    unit, *above = tree.chain(code)
    below = tree.under(code)
    return AreaDetailOut(
        **unit._asdict(),
        chain=[AreaOut.model_validate(each) for each in above],
        counts={
            level: count for level in Level if (count := sum(u.level is level for u in below))
        },
    )


@router.get("/areas/{code}/lineage", summary="Nguồn gốc và đơn vị kế thừa")
async def show_lineage(
    session: Session,
    caller: CallerDep,
    code: str,
    as_of: AsOf = None,
    since: Annotated[Day | None, Query(description="ngày của các đơn vị nguồn gốc")] = None,
    until: Annotated[Day | None, Query(description="ngày của các đơn vị kế thừa")] = None,
) -> LineageOut:
    """Trace the unit that has this code on `as_of`, or had it last.

    Origins are units of `since` (the first day on record), successors of `until` (today).
    """
    today = clock.today()
    lineage = await units.load_lineage(session)
    unit = lineage.last(code, as_of or today)
    if unit is None:
        raise NotFound(units.missing(lineage, code, as_of or today)[0])
    on = min(as_of or today, unit.valid_to or date.max)
    origins_on = min(since or lineage.first_day, on)
    successors_on = max(until or today, on)
    return LineageOut(
        unit=AreaOut.model_validate(unit),
        origins_on=origins_on,
        origins=_successors(lineage, lineage.origins(code, on, origins_on), origins_on),
        successors_on=successors_on,
        successors=_successors(
            lineage, lineage.successors(code, on, successors_on), successors_on
        ),
        acts=[ActOut(**step._asdict()) for step in lineage.acts(code)],
    )


def _successors(lineage: Lineage, found: list[Successor], on: date) -> list[SuccessorOut]:
    tree = lineage.tree_on(on)
    return [SuccessorOut(code=s.code, name=tree[s.code].name, part=s.part) for s in found]


@router.get("/areas/{code}/history", summary="Các tên và đơn vị cấp trên của một mã qua thời gian")
async def show_history(session: Session, caller: CallerDep, code: str) -> list[AreaOut]:
    """All units that ever had this code, oldest first."""
    statement = sa.select(Area).where(Area.code == code).order_by(Area.valid_from)
    rows = (await session.scalars(statement)).all()
    if not rows:
        raise NotFound(f"Không có đơn vị nào mang mã “{code}”.")
    return [AreaOut.model_validate(row) for row in rows]


@router.post("/areas/import", summary="Nhập areas.csv và lineage.csv")
async def import_areas(
    session: Session,
    caller: Admin,
    areas: Annotated[UploadFile | None, File()] = None,
    lineage: Annotated[UploadFile | None, File()] = None,
    dry_run: DryRun = False,
    replace: Replace = False,
) -> Report:
    """Store units and lineage, all or nothing; `errors` of a 422 name row, column and remedy."""
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
    caller: Admin,
    province: Annotated[str, Query(pattern=r"^\d{2}$", examples=["51"])],
    dry_run: bool = False,
) -> Report:
    """Store the present units of a province; those on record stay as they are."""
    return await imports.load_current(session, province, dry_run=dry_run)


# --- the village register ------------------------------------------------------------------------


@router.post("/villages/import", summary="Nhập sổ thôn, tổ dân phố")
async def import_villages(
    session: Session,
    caller: Admin,
    villages_file: Annotated[UploadFile, File(alias="villages")],
    dry_run: DryRun = False,
    replace: Replace = False,
) -> Report:
    """Store the register, all or nothing; `errors` of a 422 name row, column and remedy."""
    file = await received(villages_file)
    return await villages.import_villages(session, file, replace=replace, dry_run=dry_run)


@router.get("/villages/unplaced", summary="Thôn chưa xếp được vào xã nào")
async def list_unplaced(
    session: Session, caller: CallerDep, as_of: AsOf = None
) -> list[UnplacedOut]:
    """Villages whose commune was divided and that the register has not placed since."""
    found = await villages.unplaced(session, as_of or clock.today())
    return [UnplacedOut(**village._asdict()) for village in found]


@router.get("/villages/{code}", summary="Các dòng của một thôn trong sổ")
async def show_register(session: Session, caller: CallerDep, code: str) -> list[VillageOut]:
    """Rows of one village, oldest first. Where it lies on each day: `/areas/{code}/history`."""
    rows = sorted(await villages.load_register(session, [code]))
    if not rows:
        raise NotFound(f"Sổ thôn không có mã “{code}”.")
    return [VillageOut(**row._asdict()) for row in rows]


@router.get("/villages/{code}/{valid_from}", summary="Một dòng của sổ thôn")
async def show_row(session: Session, caller: CallerDep, code: str, valid_from: Day) -> VillageOut:
    """One row of the register."""
    for row in await villages.load_register(session, [code]):
        if row.valid_from == valid_from:
            return VillageOut(**row._asdict())
    raise NotFound(f"Sổ thôn không có dòng {code} từ ngày {valid_from}.")


@router.put("/villages/{code}/{valid_from}", summary="Xếp thôn vào xã từ một ngày")
async def put_row(
    session: Session,
    caller: Admin,
    code: str,
    valid_from: Day,
    body: VillageIn,
) -> VillageOut:
    """State where a village lies from a day on, new or in place of the row from that day."""
    row = Registered(code=code, valid_from=valid_from, **body.model_dump())
    await villages.register(session, row)
    return VillageOut(**row._asdict())


@router.delete("/villages/{code}/{valid_from}", status_code=204, summary="Bỏ một dòng của sổ thôn")
async def delete_row(session: Session, caller: Admin, code: str, valid_from: Day) -> Response:
    """Remove a row; the row before it holds again."""
    await show_row(session, caller, code, valid_from)
    await villages.withdraw(session, code, valid_from)
    return Response(status_code=204)
