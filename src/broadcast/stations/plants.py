"""Plants and their states: finding, registering, changing and deleting them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.row_imports import merge
from broadcast.areas.topology import touch
from broadcast.kit.errors import Conflict, NotFound
from broadcast.kit.sheets import Action
from broadcast.stations.model import Plant, PlantState, Station, Technology
from broadcast.stations.registry import Registry, changed, facts_of, remove
from broadcast.stations.schemas import NewPlantIn, PlantIn, PlantOut
from broadcast.web.rest import Page, Paging, paged, require_known


def _states() -> sa.Select[Plant, PlantState, str]:
    return (
        sa.select(Plant, PlantState, Station.code)
        .join(PlantState, PlantState.plant_id == Plant.id)
        .join(Station, Station.id == PlantState.station_id)
    )


def _plants_on(on: date) -> sa.Select[Plant, PlantState, str]:
    in_force = (
        sa.select(PlantState.plant_id, sa.func.max(PlantState.valid_from).label("valid_from"))
        .where(PlantState.valid_from <= on)
        .group_by(PlantState.plant_id)
        .subquery()
    )
    return _states().join(
        in_force,
        sa.and_(
            in_force.c.plant_id == PlantState.plant_id,
            in_force.c.valid_from == PlantState.valid_from,
        ),
    )


def _out(plant: Plant, state: PlantState, station_code: str) -> PlantOut:
    return PlantOut(
        code=plant.code,
        name=plant.name,
        station_code=station_code,
        technologies=[Technology(each) for each in state.technologies],
        status=state.status,
        document=state.document,
        valid_from=state.valid_from,
    )


async def list_plants(
    session: AsyncSession,
    paging: Paging,
    on: date,
    *,
    station: str | None = None,
    technology: Technology | None = None,
) -> Page[PlantOut]:
    """Plants by code, as they are on a day; those entered for later days are not there yet.

    Raises:
        Unknown: There is no such station.
    """
    statement = _plants_on(on)
    if station is not None:
        await require_known(session, "station", Station.code, station)
        statement = statement.where(Station.code == station)
    if technology is not None:
        statement = statement.where(PlantState.technologies.contains([technology.value]))
    found = await paged(session, statement, [Plant.code], paging)
    return found.page(_out)


async def names(session: AsyncSession, codes: Iterable[str]) -> dict[str, str]:
    """Names of plants, by code."""
    rows = await session.execute(sa.select(Plant.code, Plant.name).where(Plant.code.in_([*codes])))
    return dict(rows.all())


async def show_plant(session: AsyncSession, code: str, on: date) -> PlantOut:
    """A plant as it is on a day.

    Raises:
        NotFound: There is none on that day.
    """
    row = (await session.execute(_plants_on(on).where(Plant.code == code))).one_or_none()
    if row is None:
        raise NotFound(f"Ngày {on} chưa có hệ thống kỹ thuật mã “{code}”.")
    return _out(*row)


async def create_plant(session: AsyncSession, body: NewPlantIn, today: date) -> PlantOut:
    """Register a plant with its first state.

    Raises:
        Conflict: There is a plant with this code.
        InvalidInput: As `put_plant`.
    """
    registry = await Registry.load(session)
    if body.code in registry.plants:
        raise Conflict(f"Đã có hệ thống kỹ thuật mã “{body.code}”; hãy mở hệ thống đó để sửa.")
    await put_plant(registry, body.code, body.name, body.valid_from, body)
    await touch(session)
    await session.flush()
    return await show_plant(session, body.code, max(body.valid_from, today))


async def rename_plant(session: AsyncSession, code: str, name: str, today: date) -> PlantOut:
    """Rename a plant.

    Raises:
        NotFound: There is none today.
    """
    await show_plant(session, code, today)
    (await Registry.load(session)).plants[code].name = name
    await session.flush()
    return await show_plant(session, code, today)


async def delete_plant(session: AsyncSession, code: str, today: date) -> None:
    """Delete a plant without clusters.

    Raises:
        NotFound: There is none today.
        Conflict: It has clusters.
    """
    await show_plant(session, code, today)
    plant = (await Registry.load(session)).plants[code]
    states = await session.scalars(sa.select(PlantState).where(PlantState.plant_id == plant.id))
    await remove(
        session, [*states, plant], f"Hệ thống {code} còn cụm loa; hãy ghi decommissioned."
    )
    await touch(session)


async def list_states(session: AsyncSession, code: str) -> list[PlantOut]:
    """States of a plant, oldest first.

    Raises:
        NotFound: No plant has this code.
    """
    rows = await session.execute(
        _states().where(Plant.code == code).order_by(PlantState.valid_from)
    )
    states = [_out(*row) for row in rows]
    if not states:
        raise NotFound(f"Không có hệ thống kỹ thuật mã “{code}”.")
    return states


async def set_state(session: AsyncSession, code: str, valid_from: date, body: PlantIn) -> PlantOut:
    """Set station, technologies and status of a plant from a day on.

    Raises:
        NotFound: No plant has this code.
        InvalidInput: As `put_plant`.
    """
    registry = await Registry.load(session)
    if code not in registry.plants:
        raise NotFound(f"Không có hệ thống kỹ thuật mã “{code}”.")
    await put_plant(registry, code, registry.plants[code].name, valid_from, body)
    await touch(session)
    await session.flush()
    return await show_plant(session, code, valid_from)


async def put_plant(
    registry: Registry, code: str, name: str, valid_from: date, body: PlantIn
) -> tuple[Action, str]:
    """Store a plant and its state from a day on.

    Raises:
        InvalidInput: No such station on that day, or a new code that resembles another.
    """
    station = registry.station("station_code", body.station_code, valid_from)
    plant = registry.plants.get(code)
    if plant is None:
        registry.plant_codes.admit(code)
        plant = Plant(code=code, name=name)
        registry.session.add(plant)
        await registry.session.flush()
        registry.plants[code] = plant
        outcome = Action.ADDED, name
    else:
        outcome = changed(plant, {"name": name})
    facts = {
        "station_id": station.id,
        **facts_of(PlantIn, body, but="station_code"),
        "technologies": sorted(body.technologies),
    }
    state = await registry.session.get(PlantState, (plant.id, valid_from))
    if state is not None:
        return merge(outcome, changed(state, facts))
    registry.session.add(PlantState(plant_id=plant.id, valid_from=valid_from, **facts))
    return merge(outcome, (Action.ADDED, f"đài {body.station_code} từ {valid_from}"))
