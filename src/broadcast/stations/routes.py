"""REST of stations: their statuses, imports and mergers."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, Query, Request, Response, UploadFile

from broadcast.areas import scope
from broadcast.areas.row_imports import import_files
from broadcast.auth.caller import Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.sheets import Report
from broadcast.kit.times import Day
from broadcast.stations import stations, succession
from broadcast.stations.imports import KINDS
from broadcast.stations.model import StationStatus
from broadcast.stations.places import require_at_station
from broadcast.stations.schemas import (
    MergerOut,
    NewStationIn,
    StationIn,
    StationOut,
    StationStateIn,
    StationStateOut,
    UndecidedOut,
)
from broadcast.web.fields import AsOf, DryRun
from broadcast.web.files import received
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["stations"])


@router.get("/stations", summary="Đài truyền thanh cấp xã của một ngày")
async def list_stations(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    as_of: AsOf = None,
    area: Annotated[str | None, Query(description="mã đơn vị, ở mọi cấp")] = None,
    status: StationStatus | None = None,
) -> Page[StationOut]:
    """Stations that exist on a day, by code."""
    on = as_of or clock.today()
    return await stations.list_stations(session, paging, on, area=area, status=status)


@router.get("/stations/{code}", summary="Một đài")
async def show_station(
    session: Session, caller: Reader, code: str, as_of: AsOf = None
) -> StationOut:
    """A station, with its status on a day."""
    return await stations.show_station(session, code, as_of or clock.today())


@router.post("/stations", status_code=201, summary="Thêm đài", response_model=StationOut)
async def create_station(
    request: Request, session: Session, caller: RegisterEditor, body: NewStationIn
) -> Response:
    """Register a station."""

    async def make() -> Created:
        await scope.require(session, caller, Permission.REGISTER_WRITE, [body.commune_code])
        station = await stations.create_station(session, body, clock.today())
        return Created(f"/api/v1/stations/{body.code}", station)

    return await Once(request).run(session, caller.account_id, make)


@router.put("/stations/{code}", summary="Sửa hoặc kết thúc đài")
async def change_station(
    session: Session, caller: RegisterEditor, code: str, body: StationIn
) -> StationOut:
    """Change a station; `valid_to` is its last day."""
    await require_at_station(
        session, caller, Permission.REGISTER_WRITE, code, also=[body.commune_code]
    )
    return await stations.change_station(session, code, body, clock.today())


@router.delete("/stations/{code}", status_code=204, summary="Xóa đài nhập nhầm")
async def delete_station(session: Session, caller: RegisterEditor, code: str) -> Response:
    """Delete a station that nothing refers to. One that has worked is closed by `valid_to`."""
    await require_at_station(session, caller, Permission.REGISTER_WRITE, code)
    await stations.delete_station(session, code)
    return Response(status_code=204)


@router.get("/stations/{code}/states", summary="Các trạng thái của đài qua thời gian")
async def list_states(session: Session, caller: Reader, code: str) -> list[StationStateOut]:
    """Statuses of a station, oldest first."""
    return await stations.list_states(session, code)


@router.put("/stations/{code}/states/{valid_from}", summary="Trạng thái của đài từ một ngày")
async def put_state(
    session: Session, caller: RegisterEditor, code: str, valid_from: Day, body: StationStateIn
) -> StationStateOut:
    """State what a station is from a day on, with cause and document."""
    await require_at_station(session, caller, Permission.REGISTER_WRITE, code)
    return await stations.set_state(session, code, valid_from, body)


@router.post("/stations/import", summary="Nhập CSV đài, hệ thống kỹ thuật, cụm loa, danh sách gốc")
async def import_csv(
    session: Session,
    caller: RegisterEditor,
    files: Annotated[list[UploadFile], File(description="loại tệp nhận theo dòng tên cột")],
    dry_run: DryRun = False,
) -> Report:
    """Store any number of files, all or nothing; `errors` of a 422 name row, column, remedy."""
    scope.require_whole(session, caller, Permission.REGISTER_WRITE)
    return await import_files(
        session, [await received(file) for file in files], KINDS, dry_run=dry_run
    )


@router.post("/stations/follow", summary="Sắp xếp đài theo sáp nhập xã")
async def follow(
    session: Session,
    caller: RegisterEditor,
    on: Annotated[Day, Form(examples=["2025-07-01"])],
    dry_run: DryRun = False,
) -> MergerOut:
    """Give each new commune one station with the plants of the old ones; harmless to repeat."""
    scope.require_whole(session, caller, Permission.REGISTER_WRITE)
    report, undecided = await succession.follow(session, on, dry_run=dry_run)
    return MergerOut(
        report=report, undecided=[UndecidedOut(**each._asdict()) for each in undecided]
    )
