"""REST of plants and of the baseline list."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.times import Day
from broadcast.stations import baseline, plants
from broadcast.stations.model import Technology
from broadcast.stations.places import require_at_named_station, require_at_plant
from broadcast.stations.schemas import (
    BaselineIn,
    BaselineOut,
    NewPlantIn,
    PlantIn,
    PlantNameIn,
    PlantOut,
)
from broadcast.web.fields import AsOf
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["stations"])


@router.get("/plants", summary="Hệ thống kỹ thuật của một ngày")
async def list_plants(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    as_of: AsOf = None,
    station: Annotated[str | None, Query(description="mã đài")] = None,
    technology: Technology | None = None,
) -> Page[PlantOut]:
    """Plants by code, as they are on a day; those entered for later days are not there yet."""
    on = as_of or clock.today()
    return await plants.list_plants(session, paging, on, station=station, technology=technology)


@router.get("/plants/{code}", summary="Một hệ thống kỹ thuật")
async def show_plant(session: Session, caller: Reader, code: str, as_of: AsOf = None) -> PlantOut:
    """A plant as it is on a day."""
    return await plants.show_plant(session, code, as_of or clock.today())


@router.post("/plants", status_code=201, summary="Thêm hệ thống kỹ thuật", response_model=PlantOut)
async def create_plant(
    request: Request, session: Session, caller: RegisterEditor, body: NewPlantIn
) -> Response:
    """Register a plant."""

    async def make() -> Created:
        await require_at_named_station(session, caller, body.station_code)
        plant = await plants.create_plant(session, body, clock.today())
        return Created(f"/api/v1/plants/{body.code}", plant)

    return await Once(request).run(session, caller.account_id, make)


@router.put("/plants/{code}", summary="Đổi tên hệ thống kỹ thuật")
async def rename_plant(
    session: Session, caller: RegisterEditor, code: str, body: PlantNameIn
) -> PlantOut:
    """Rename a plant; what it is changes by its states."""
    await require_at_plant(session, caller, Permission.REGISTER_WRITE, code)
    return await plants.rename_plant(session, code, body.name, clock.today())


@router.delete("/plants/{code}", status_code=204, summary="Xóa hệ thống kỹ thuật nhập nhầm")
async def delete_plant(session: Session, caller: RegisterEditor, code: str) -> Response:
    """Delete a plant without clusters. One that has worked gets the status decommissioned."""
    await require_at_plant(session, caller, Permission.REGISTER_WRITE, code)
    await plants.delete_plant(session, code, clock.today())
    return Response(status_code=204)


@router.get("/plants/{code}/states", summary="Hệ thống kỹ thuật qua thời gian")
async def list_plant_states(session: Session, caller: Reader, code: str) -> list[PlantOut]:
    """States of a plant with the days from which they hold, oldest first."""
    return await plants.list_states(session, code)


@router.put("/plants/{code}/states/{valid_from}", summary="Đài, công nghệ, trạng thái từ một ngày")
async def put_plant_state(
    session: Session, caller: RegisterEditor, code: str, valid_from: Day, body: PlantIn
) -> PlantOut:
    """State whose plant it is, how it works and whether it does, from a day on."""
    await require_at_plant(session, caller, Permission.REGISTER_WRITE, code)
    await require_at_named_station(session, caller, body.station_code)
    return await plants.set_state(session, code, valid_from, body)


# --- the baseline list ---------------------------------------------------------------------------


@router.get("/baseline", summary="Danh sách đài có dây, FM lúc bắt đầu kế hoạch")
async def list_baseline(session: Session, caller: Reader, paging: PageQuery) -> Page[BaselineOut]:
    """The stations that indicator 1.2-GOC counts, by code."""
    return await baseline.list_entries(session, paging)


@router.put("/baseline/{station_code}", summary="Thêm hoặc sửa một đài của danh sách gốc")
async def put_baseline_entry(
    session: Session, caller: RegisterEditor, station_code: str, body: BaselineIn
) -> BaselineOut:
    """Put a station on the list, or correct its entry."""
    scope.require_whole(session, caller, Permission.REGISTER_WRITE)
    return await baseline.set_entry(session, station_code, body)


@router.delete("/baseline/{station_code}", status_code=204, summary="Bỏ đài khỏi danh sách gốc")
async def delete_baseline_entry(
    session: Session, caller: RegisterEditor, station_code: str
) -> Response:
    """Take a station off the list."""
    scope.require_whole(session, caller, Permission.REGISTER_WRITE)
    await baseline.delete_entry(session, station_code)
    return Response(status_code=204)
