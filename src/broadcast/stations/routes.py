"""REST of stations: their statuses, imports and mergers."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import sqlalchemy as sa
from fastapi import File, Form, Query, Request, Response, UploadFile
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.areas.topology import touch
from broadcast.areas.units import codes_under, require_unit
from broadcast.kit import clock
from broadcast.kit.errors import Conflict, NotFound
from broadcast.kit.sheets import Report
from broadcast.kit.times import Day
from broadcast.stations import entries, outage_routes, plant_routes, succession
from broadcast.stations.entries import StationFacts, StationRow
from broadcast.stations.imports import KINDS, import_files
from broadcast.stations.model import (
    Station,
    StationState,
    StationStatus,
)
from broadcast.stations.registry import Registry, remove
from broadcast.web.fields import AsOf, Code, DryRun, Name, Text, example
from broadcast.web.files import received
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Body, Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["stations"])
router.include_router(plant_routes.router)
router.include_router(outage_routes.router)


class StationBody(Body):
    """What can be said of a station."""

    model_config = example(
        name="Đài truyền thanh xã Sơn Tịnh", commune_code="21220", valid_from="2025-07-01"
    )

    name: Name
    commune_code: Code
    valid_from: Day
    valid_to: Day | None = None


class StateBody(Body):
    """Status of a station from a day on, why, and by which document."""

    model_config = example(
        status="operating", cause="nghiệm thu", document="12/BB-UBND ngày 30/6/2025"
    )

    status: StationStatus
    cause: Name
    document: Text = ""


class NewStation(StationBody, StateBody):
    """A station with its first status."""

    model_config = example(
        code="DTT-21220",
        name="Đài truyền thanh xã Sơn Tịnh",
        commune_code="21220",
        valid_from="2025-07-01",
        status="operating",
        cause="thành lập",
        document="1677/NQ-UBTVQH15",
    )

    code: Code


class StationView(StationBody):
    """A station as it is on a day."""

    name: str
    code: str
    status: StationStatus | None
    """None before its first status."""
    status_from: Day | None


class StateView(StateBody):
    """A status with its first day."""

    cause: str
    document: str
    valid_from: Day


def _stations_on(on: date) -> sa.Select[Station, StationStatus | None, date | None]:
    state = (
        sa.select(StationState)
        .where(StationState.valid_from <= on)
        .ext(distinct_on(StationState.station_id))
        .order_by(StationState.station_id, StationState.valid_from.desc())
        .subquery()
    )
    return sa.select(Station, state.c.status, state.c.valid_from).outerjoin(
        state, state.c.station_id == Station.id
    )


def _station_view(
    station: Station, status: StationStatus | None, status_from: date | None
) -> StationView:
    return StationView(
        code=station.code,
        name=station.name,
        commune_code=station.commune_code,
        valid_from=station.valid_from,
        valid_to=station.valid_to,
        status=status,
        status_from=status_from,
    )


@router.get("/stations", summary="Đài truyền thanh cấp xã của một ngày")
async def list_stations(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    as_of: AsOf = None,
    area: Annotated[str | None, Query(description="mã đơn vị, ở mọi cấp")] = None,
    status: StationStatus | None = None,
) -> Page[StationView]:
    """Stations that exist on a day, by code."""
    on = as_of or clock.today()
    statement = _stations_on(on).where(
        Station.valid_from <= on, sa.or_(Station.valid_to.is_(None), Station.valid_to >= on)
    )
    if area is not None:
        await require_unit(session, "area", area, on)
        statement = statement.where(Station.commune_code.in_(codes_under(area, on)))
    if status is not None:
        statement = statement.where(statement.selected_columns.status == status)
    rows, following_page = await paged(session, statement, [Station.code], paging)
    return Page(items=[_station_view(*row) for row in rows], next=following_page)


async def _station(session: AsyncSession, code: str, on: date) -> StationView:
    row = (await session.execute(_stations_on(on).where(Station.code == code))).one_or_none()
    if row is None:
        raise NotFound(f"Không có đài mã “{code}”.")
    return _station_view(*row)


@router.get("/stations/{code}", summary="Một đài")
async def show_station(
    session: Session, caller: CallerDep, code: str, as_of: AsOf = None
) -> StationView:
    """A station, with its status on a day."""
    return await _station(session, code, as_of or clock.today())


@router.post("/stations", status_code=201, summary="Thêm đài", response_model=StationView)
async def create_station(
    request: Request, session: Session, caller: Technician, body: NewStation
) -> Response:
    """Register a station."""

    async def make() -> Created:
        registry = await Registry.load(session)
        if body.code in registry.stations:
            raise Conflict(f"Đã có đài mã “{body.code}”; dùng PUT để sửa.")
        await entries.put_station(
            registry, StationRow(**body.model_dump(), status_from=body.valid_from)
        )
        await touch(session)
        await session.flush()
        return Created(
            f"/api/v1/stations/{body.code}", await _station(session, body.code, clock.today())
        )

    return await Once(request).run(session, caller.credential, make)


@router.put("/stations/{code}", summary="Sửa hoặc kết thúc đài")
async def change_station(
    session: Session, caller: Technician, code: str, body: StationBody
) -> StationView:
    """Change a station; `valid_to` is its last day."""
    await _station(session, code, clock.today())
    await entries.put_station_facts(
        await Registry.load(session), StationFacts(code, **body.model_dump())
    )
    await touch(session)
    await session.flush()
    return await _station(session, code, clock.today())


@router.delete("/stations/{code}", status_code=204, summary="Xóa đài nhập nhầm")
async def delete_station(session: Session, caller: Technician, code: str) -> Response:
    """Delete a station that nothing refers to. One that has worked is closed by `valid_to`."""
    await _station(session, code, clock.today())
    station = (await Registry.load(session)).stations[code]
    states = await session.scalars(
        sa.select(StationState).where(StationState.station_id == station.id)
    )
    await remove(
        session,
        [*states, station],
        f"Đài {code} đã có hệ thống kỹ thuật hoặc trong danh sách gốc; hãy ghi valid_to.",
    )
    await touch(session)
    return Response(status_code=204)


@router.get("/stations/{code}/states", summary="Các trạng thái của đài qua thời gian")
async def list_states(session: Session, caller: CallerDep, code: str) -> list[StateView]:
    """Statuses of a station, oldest first."""
    await _station(session, code, clock.today())
    rows = await session.scalars(
        sa.select(StationState)
        .join(Station, Station.id == StationState.station_id)
        .where(Station.code == code)
        .order_by(StationState.valid_from)
    )
    return [
        StateView(
            valid_from=row.valid_from, status=row.status, cause=row.cause, document=row.document
        )
        for row in rows
    ]


@router.put("/stations/{code}/states/{valid_from}", summary="Trạng thái của đài từ một ngày")
async def put_state(
    session: Session, caller: Technician, code: str, valid_from: Day, body: StateBody
) -> StateView:
    """State what a station is from a day on, with cause and document."""
    await _station(session, code, clock.today())
    station = (await Registry.load(session)).stations[code]
    await entries.put_station_state(session, station, valid_from, **body.model_dump())
    return StateView(valid_from=valid_from, **body.model_dump())


@router.post("/stations/import", summary="Nhập CSV đài, hệ thống kỹ thuật, cụm loa, danh sách gốc")
async def import_csv(
    session: Session,
    caller: Technician,
    files: Annotated[list[UploadFile], File(description="loại tệp nhận theo dòng tên cột")],
    dry_run: DryRun = False,
) -> Report:
    """Store any number of files, all or nothing; `errors` of a 422 name row, column, remedy."""
    return await import_files(
        session, [await received(file) for file in files], KINDS, dry_run=dry_run
    )


class UndecidedView(BaseModel):
    """A station whose commune was divided: a person moves its plants and closes it."""

    code: str
    commune_code: str
    candidates: list[str]


class FollowView(BaseModel):
    """What following a merger did, and what it left to a person."""

    report: Report
    undecided: list[UndecidedView]


@router.post("/stations/follow", summary="Sắp xếp đài theo sáp nhập xã")
async def follow(
    session: Session,
    caller: Technician,
    on: Annotated[Day, Form(examples=["2025-07-01"])],
    dry_run: DryRun = False,
) -> FollowView:
    """Give each new commune one station with the plants of the old ones; harmless to repeat."""
    report, undecided = await succession.follow(session, on, dry_run=dry_run)
    return FollowView(
        report=report, undecided=[UndecidedView(**each._asdict()) for each in undecided]
    )
