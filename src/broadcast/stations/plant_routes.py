"""REST of plants and of the baseline list."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import sqlalchemy as sa
from fastapi import Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.areas.topology import touch
from broadcast.kit import clock
from broadcast.kit.errors import Conflict, NotFound
from broadcast.kit.times import Day
from broadcast.stations.entries import BaselineRow, PlantRow, put_baseline, put_plant
from broadcast.stations.model import (
    BaselineStation,
    Plant,
    PlantState,
    PlantStatus,
    Station,
    Technology,
)
from broadcast.stations.registry import Registry, remove
from broadcast.web.fields import AsOf, Code, Name, Text, example
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Body, Page, PageQuery, Session, paged, require_known

router = Router()


class PlantBody(Body):
    """What a plant is from a day on."""

    model_config = example(
        station_code="DTT-21220", technologies=["wired", "fm"], status="operating", document=""
    )

    station_code: Code
    technologies: Annotated[set[Technology], Field(min_length=1)]
    status: PlantStatus = PlantStatus.OPERATING
    document: Text = ""


class NewPlant(PlantBody):
    """A plant and what it is from its first day on."""

    code: Code
    name: Name
    valid_from: Day


class PlantView(BaseModel):
    """A plant as it is on a day."""

    code: str
    name: str
    station_code: str
    technologies: list[Technology]
    status: PlantStatus
    document: str
    valid_from: Day


class Renamed(Body):
    """A new name."""

    name: Name


class BaselineBody(Body):
    """A station of the list that the plan began with."""

    model_config = example(listed_on="2024-07-09", technologies=["wired"], document="148/KH-UBND")

    listed_on: Day
    technologies: Annotated[set[Technology], Field(min_length=1)]
    document: Text = ""


class BaselineView(BaseModel):
    """An entry of the baseline list."""

    station_code: str
    listed_on: Day
    technologies: list[Technology]
    document: str


def _plants_on(on: date) -> sa.Select[Plant, PlantState, str]:
    in_force = (
        sa.select(PlantState.plant_id, sa.func.max(PlantState.valid_from).label("valid_from"))
        .where(PlantState.valid_from <= on)
        .group_by(PlantState.plant_id)
        .subquery()
    )
    return (
        sa.select(Plant, PlantState, Station.code)
        .join(PlantState, PlantState.plant_id == Plant.id)
        .join(
            in_force,
            sa.and_(
                in_force.c.plant_id == PlantState.plant_id,
                in_force.c.valid_from == PlantState.valid_from,
            ),
        )
        .join(Station, Station.id == PlantState.station_id)
    )


def _plant_view(plant: Plant, state: PlantState, station_code: str) -> PlantView:
    return PlantView(
        code=plant.code,
        name=plant.name,
        station_code=station_code,
        technologies=[Technology(each) for each in state.technologies],
        status=state.status,
        document=state.document,
        valid_from=state.valid_from,
    )


@router.get("/plants", summary="Hệ thống kỹ thuật của một ngày")
async def list_plants(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    as_of: AsOf = None,
    station: Annotated[str | None, Query(description="mã đài")] = None,
    technology: Technology | None = None,
) -> Page[PlantView]:
    """Plants by code, as they are on a day; those entered for later days are not there yet."""
    statement = _plants_on(as_of or clock.today())
    if station is not None:
        await require_known(session, "station", Station.code, station)
        statement = statement.where(Station.code == station)
    if technology is not None:
        statement = statement.where(PlantState.technologies.contains([technology.value]))
    rows, following_page = await paged(session, statement, [Plant.code], paging)
    return Page(items=[_plant_view(*row) for row in rows], next=following_page)


async def _plant(session: AsyncSession, code: str, on: date) -> PlantView:
    row = (await session.execute(_plants_on(on).where(Plant.code == code))).one_or_none()
    if row is None:
        raise NotFound(f"Ngày {on} chưa có hệ thống kỹ thuật mã “{code}”.")
    return _plant_view(*row)


@router.get("/plants/{code}", summary="Một hệ thống kỹ thuật")
async def show_plant(
    session: Session, caller: CallerDep, code: str, as_of: AsOf = None
) -> PlantView:
    """A plant as it is on a day."""
    return await _plant(session, code, as_of or clock.today())


@router.post(
    "/plants", status_code=201, summary="Thêm hệ thống kỹ thuật", response_model=PlantView
)
async def create_plant(
    request: Request, session: Session, caller: Technician, body: NewPlant
) -> Response:
    """Register a plant."""

    async def make() -> Created:
        registry = await Registry.load(session)
        if body.code in registry.plants:
            raise Conflict(
                f"Đã có hệ thống kỹ thuật mã “{body.code}”; dùng PUT …/states/{{ngày}} để sửa."
            )
        await put_plant(registry, PlantRow(**body.model_dump()))
        await touch(session)
        await session.flush()
        view = await _plant(session, body.code, max(body.valid_from, clock.today()))
        return Created(f"/api/v1/plants/{body.code}", view)

    return await Once(request).run(session, caller.credential, make)


@router.put("/plants/{code}", summary="Đổi tên hệ thống kỹ thuật")
async def rename_plant(
    session: Session, caller: Technician, code: str, body: Renamed
) -> PlantView:
    """Rename a plant; what it is changes by its states."""
    await _plant(session, code, clock.today())
    (await Registry.load(session)).plants[code].name = body.name
    await session.flush()
    return await _plant(session, code, clock.today())


@router.delete("/plants/{code}", status_code=204, summary="Xóa hệ thống kỹ thuật nhập nhầm")
async def delete_plant(session: Session, caller: Technician, code: str) -> Response:
    """Delete a plant without clusters. One that has worked gets the status decommissioned."""
    await _plant(session, code, clock.today())
    plant = (await Registry.load(session)).plants[code]
    states = await session.scalars(sa.select(PlantState).where(PlantState.plant_id == plant.id))
    await remove(
        session, [*states, plant], f"Hệ thống {code} còn cụm loa; hãy ghi decommissioned."
    )
    await touch(session)
    return Response(status_code=204)


@router.get("/plants/{code}/states", summary="Hệ thống kỹ thuật qua thời gian")
async def list_plant_states(session: Session, caller: CallerDep, code: str) -> list[PlantView]:
    """What a plant was from which day on, oldest first."""
    rows = await session.execute(
        sa.select(Plant, PlantState, Station.code)
        .join(PlantState, PlantState.plant_id == Plant.id)
        .join(Station, Station.id == PlantState.station_id)
        .where(Plant.code == code)
        .order_by(PlantState.valid_from)
    )
    views = [_plant_view(*row) for row in rows]
    if not views:
        raise NotFound(f"Không có hệ thống kỹ thuật mã “{code}”.")
    return views


@router.put("/plants/{code}/states/{valid_from}", summary="Đài, công nghệ, trạng thái từ một ngày")
async def put_plant_state(
    session: Session, caller: Technician, code: str, valid_from: Day, body: PlantBody
) -> PlantView:
    """State whose plant it is, how it works and whether it does, from a day on."""
    registry = await Registry.load(session)
    if code not in registry.plants:
        raise NotFound(f"Không có hệ thống kỹ thuật mã “{code}”.")
    row = PlantRow(
        code=code, name=registry.plants[code].name, valid_from=valid_from, **body.model_dump()
    )
    await put_plant(registry, row)
    await touch(session)
    await session.flush()
    return await _plant(session, code, valid_from)


# --- the baseline list ---------------------------------------------------------------------------


def _baseline() -> sa.Select[BaselineStation, str]:
    return sa.select(BaselineStation, Station.code).join(
        Station, Station.id == BaselineStation.station_id
    )


def _baseline_view(entry: BaselineStation, station_code: str) -> BaselineView:
    return BaselineView(
        station_code=station_code,
        listed_on=entry.listed_on,
        technologies=[Technology(each) for each in entry.technologies],
        document=entry.document,
    )


@router.get("/baseline", summary="Danh sách đài có dây, FM lúc bắt đầu kế hoạch")
async def list_baseline(
    session: Session, caller: CallerDep, paging: PageQuery
) -> Page[BaselineView]:
    """The stations that indicator 1.2-GOC counts, by code."""
    rows, following = await paged(session, _baseline(), [Station.code], paging)
    return Page(items=[_baseline_view(*row) for row in rows], next=following)


@router.put("/baseline/{station_code}", summary="Thêm hoặc sửa một đài của danh sách gốc")
async def put_baseline_entry(
    session: Session, caller: Technician, station_code: str, body: BaselineBody
) -> BaselineView:
    """Put a station on the list, or correct its entry."""
    row = BaselineRow(station_code=station_code, **body.model_dump())
    await put_baseline(await Registry.load(session), row)
    await session.flush()
    found = await session.execute(_baseline().where(Station.code == station_code))
    return _baseline_view(*found.one())


@router.delete("/baseline/{station_code}", status_code=204, summary="Bỏ đài khỏi danh sách gốc")
async def delete_baseline_entry(
    session: Session, caller: Technician, station_code: str
) -> Response:
    """Take a station off the list."""
    found = (await session.execute(_baseline().where(Station.code == station_code))).one_or_none()
    if found is None:
        raise NotFound(f"Đài {station_code} không có trong danh sách gốc.")
    await session.delete(found[0])
    return Response(status_code=204)
