"""Stations, plants and the baseline list as they are registered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.units import missing
from broadcast.kit.errors import InvalidInput
from broadcast.kit.sheets import Action
from broadcast.stations.model import (
    BaselineStation,
    Plant,
    PlantState,
    PlantStatus,
    Station,
    StationState,
    StationStatus,
    Technology,
)
from broadcast.stations.registry import Registry, changed, merge


class StationRow(NamedTuple):
    """A station, and its status from a day on."""

    code: str
    name: str
    commune_code: str
    valid_from: date
    valid_to: date | None
    status: StationStatus
    status_from: date | None
    """The station's first day when None."""
    cause: str
    document: str


class PlantRow(NamedTuple):
    """A plant, and what it is from a day on."""

    code: str
    name: str
    station_code: str
    valid_from: date
    technologies: Sequence[Technology]
    status: PlantStatus
    document: str


class BaselineRow(NamedTuple):
    """A wired or FM station that the plan began with."""

    station_code: str
    listed_on: date
    technologies: Sequence[Technology]
    document: str


class StationFacts(NamedTuple):
    """What a station is, apart from its status."""

    code: str
    name: str
    commune_code: str
    valid_from: date
    valid_to: date | None


async def put_station(registry: Registry, row: StationRow) -> tuple[Action, str]:
    """Store a station and its status.

    Raises:
        InvalidInput: As `put_station_facts` and `put_station_state`.
    """
    facts = StationFacts(row.code, row.name, row.commune_code, row.valid_from, row.valid_to)
    outcome = await put_station_facts(registry, facts)
    state = await put_station_state(
        registry.session,
        registry.stations[row.code],
        row.status_from or row.valid_from,
        row.status,
        row.cause,
        row.document,
    )
    return merge(outcome, state)


async def put_station_facts(registry: Registry, row: StationFacts) -> tuple[Action, str]:
    """Store a station without its status.

    Raises:
        InvalidInput: No such commune on its first day, dates reversed, another station serves
            the commune at the same time, or a new code that resembles another.
    """
    if row.valid_to is not None and row.valid_to < row.valid_from:
        raise InvalidInput("valid_to", f"{row.valid_to} trước ngày bắt đầu {row.valid_from}")
    _require_commune(registry, row.commune_code, row.valid_from)
    for other in registry.stations.values():
        same = other.commune_code == row.commune_code and other.code != row.code
        if same and _overlap(row, other):
            raise InvalidInput(
                "commune_code",
                f"xã {row.commune_code} đã có đài {other.code} từ {other.valid_from}; "
                "mỗi xã một đài (kết thúc đài kia, hoặc nhập thêm hệ thống kỹ thuật)",
            )
    facts = row._asdict()
    station = registry.stations.get(facts.pop("code"))
    if station is not None:
        return changed(station, facts)
    registry.station_codes.admit(row.code)
    station = Station(code=row.code, **facts)
    registry.session.add(station)
    await registry.session.flush()
    registry.stations[row.code] = station
    return Action.ADDED, f"{row.name}, xã {row.commune_code}"


def _overlap(row: StationFacts, other: Station) -> bool:
    return (other.valid_to is None or row.valid_from <= other.valid_to) and (
        row.valid_to is None or other.valid_from <= row.valid_to
    )


def _require_commune(registry: Registry, code: str, on: date) -> None:
    on = registry.on_record(on)
    if registry.lineage.tree_on(on).takes_villages(code):
        return
    unit = registry.lineage.unit(code, on)
    if unit is not None:
        raise InvalidInput("commune_code", f"{unit.name} không phải cấp xã")
    detail, codes = missing(registry.lineage, code, on)
    raise InvalidInput("commune_code", detail, replaced_by=codes)


async def put_station_state(
    session: AsyncSession,
    station: Station,
    valid_from: date,
    status: StationStatus,
    cause: str,
    document: str,
) -> tuple[Action, str]:
    """Store the status of a station from a day on.

    Raises:
        InvalidInput: The station does not exist on that day.
    """
    if valid_from < station.valid_from or (
        station.valid_to is not None and station.valid_to < valid_from
    ):
        raise InvalidInput(
            "valid_from", f"đài {station.code} có từ {station.valid_from}; sửa ngày của trạng thái"
        )
    facts = {"status": status, "cause": cause, "document": document}
    state = await session.get(StationState, (station.id, valid_from))
    if state is not None:
        return changed(state, facts)
    session.add(StationState(station_id=station.id, valid_from=valid_from, **facts))
    return Action.ADDED, f"{status.value} từ {valid_from}"


async def put_baseline(registry: Registry, row: BaselineRow) -> tuple[Action, str]:
    """Store an entry of the baseline list.

    Raises:
        InvalidInput: No such station on that day, or it was converted already.
    """
    station = registry.station("station_code", row.station_code, row.listed_on)
    if Technology.IT in row.technologies:
        raise InvalidInput("technologies", "danh sách gốc chỉ gồm đài có dây (wired) hoặc FM (fm)")
    facts = {
        "listed_on": row.listed_on,
        "technologies": sorted(set(row.technologies)),
        "document": row.document,
    }
    entry = await registry.session.get(BaselineStation, station.id)
    if entry is not None:
        return changed(entry, facts)
    registry.session.add(BaselineStation(station_id=station.id, **facts))
    return Action.ADDED, "+".join(facts["technologies"])  # type: ignore[arg-type]


async def put_plant(registry: Registry, row: PlantRow) -> tuple[Action, str]:
    """Store a plant and what it is from a day on.

    Raises:
        InvalidInput: No such station on that day, no technology, or a new code that resembles
            another.
    """
    station = registry.station("station_code", row.station_code, row.valid_from)
    if not row.technologies:
        raise InvalidInput("technologies", "cần ít nhất một công nghệ: wired, fm, it")
    plant = registry.plants.get(row.code)
    if plant is None:
        registry.plant_codes.admit(row.code)
        plant = Plant(code=row.code, name=row.name)
        registry.session.add(plant)
        await registry.session.flush()
        registry.plants[row.code] = plant
        action, said = Action.ADDED, row.name
    else:
        action, said = changed(plant, {"name": row.name})
    facts = {
        "station_id": station.id,
        "technologies": sorted(set(row.technologies)),
        "status": row.status,
        "document": row.document,
    }
    state = await registry.session.get(PlantState, (plant.id, row.valid_from))
    if state is not None:
        return merge((action, said), changed(state, facts))
    registry.session.add(PlantState(plant_id=plant.id, valid_from=row.valid_from, **facts))
    return merge((action, said), (Action.ADDED, f"đài {row.station_code} từ {row.valid_from}"))
