"""Stations and their statuses: finding, registering, changing and deleting them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.row_imports import merge
from broadcast.areas.topology import touch
from broadcast.areas.units import codes_under, missing, require_unit
from broadcast.kit.errors import Conflict, InvalidInput, NotFound
from broadcast.kit.sheets import Action
from broadcast.stations.model import Station, StationState, StationStatus
from broadcast.stations.registry import Registry, changed, facts_of, remove
from broadcast.stations.schemas import (
    NewStationIn,
    StationIn,
    StationOut,
    StationRow,
    StationStateIn,
    StationStateOut,
)
from broadcast.web.rest import Page, Paging, paged


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


def _out(station: Station, status: StationStatus | None, status_from: date | None) -> StationOut:
    facts = facts_of(StationIn, station)
    return StationOut(code=station.code, status=status, status_from=status_from, **facts)


async def list_stations(
    session: AsyncSession,
    paging: Paging,
    on: date,
    *,
    area: str | None = None,
    status: StationStatus | None = None,
) -> Page[StationOut]:
    """Stations that exist on a day, by code.

    Raises:
        Unknown: No unit has the code `area` on that day.
    """
    statement = _stations_on(on).where(
        Station.valid_from <= on, sa.or_(Station.valid_to.is_(None), Station.valid_to >= on)
    )
    if area is not None:
        await require_unit(session, "area", area, on)
        statement = statement.where(Station.commune_code.in_(codes_under(area, on)))
    if status is not None:
        statement = statement.where(statement.selected_columns.status == status)
    found = await paged(session, statement, [Station.code], paging)
    return found.page(_out)


async def names(session: AsyncSession, codes: Iterable[str]) -> dict[str, str]:
    """Names of stations that the reader may see, by code."""
    rows = await session.execute(
        sa.select(Station.code, Station.name).where(Station.code.in_([*codes]))
    )
    return dict(rows.all())


async def show_station(session: AsyncSession, code: str, on: date) -> StationOut:
    """A station with its status on a day.

    Raises:
        NotFound: No station has this code.
    """
    row = (await session.execute(_stations_on(on).where(Station.code == code))).one_or_none()
    if row is None:
        raise NotFound(f"Không có đài mã “{code}”.")
    return _out(*row)


async def create_station(session: AsyncSession, body: NewStationIn, today: date) -> StationOut:
    """Register a station with its first status.

    Raises:
        Conflict: There is a station with this code.
        InvalidInput: As `put_station_facts`.
    """
    registry = await Registry.load(session)
    if body.code in registry.stations:
        raise Conflict(f"Đã có đài mã “{body.code}”; hãy mở đài đó để sửa.")
    await put_station_facts(registry, body.code, body)
    await put_station_state(
        session,
        registry.stations[body.code],
        body.valid_from,
        facts_of(StationStateIn, body),
    )
    await touch(session)
    await session.flush()
    return await show_station(session, body.code, today)


async def change_station(
    session: AsyncSession, code: str, body: StationIn, today: date
) -> StationOut:
    """Change a station.

    Raises:
        NotFound: No station has this code.
        InvalidInput: As `put_station_facts`.
    """
    registry = await Registry.load(session)
    _require(registry, code)
    await put_station_facts(registry, code, body)
    await touch(session)
    await session.flush()
    return await show_station(session, code, today)


async def delete_station(session: AsyncSession, code: str) -> None:
    """Delete a station that nothing refers to.

    Raises:
        NotFound: No station has this code.
        Conflict: It has plants or is on the baseline list.
    """
    station = _require(await Registry.load(session), code)
    states = await session.scalars(
        sa.select(StationState).where(StationState.station_id == station.id)
    )
    await remove(
        session,
        [*states, station],
        f"Đài {code} đã có hệ thống kỹ thuật hoặc trong danh sách gốc; hãy ghi valid_to.",
    )
    await touch(session)


async def list_states(session: AsyncSession, code: str) -> list[StationStateOut]:
    """Statuses of a station, oldest first.

    Raises:
        NotFound: No station has this code.
    """
    rows = await session.execute(
        sa.select(StationState)
        .select_from(Station)
        .outerjoin(StationState, StationState.station_id == Station.id)
        .where(Station.code == code)
        .order_by(StationState.valid_from)
    )
    states = rows.scalars().all()
    if not states:
        raise NotFound(f"Không có đài mã “{code}”.")
    return [
        StationStateOut(valid_from=state.valid_from, **facts_of(StationStateIn, state))
        for state in states
        if state is not None
    ]


async def set_state(
    session: AsyncSession, code: str, valid_from: date, body: StationStateIn
) -> StationStateOut:
    """Set the status of a station from a day on.

    Raises:
        NotFound: No station has this code.
        InvalidInput: As `put_station_state`.
    """
    station = _require(await Registry.load(session), code)
    facts = facts_of(StationStateIn, body)
    await put_station_state(session, station, valid_from, facts)
    return StationStateOut(valid_from=valid_from, **facts)


def _require(registry: Registry, code: str) -> Station:
    if code not in registry.stations:
        raise NotFound(f"Không có đài mã “{code}”.")
    return registry.stations[code]


# --- rules ---------------------------------------------------------------------------------------


async def put_station(registry: Registry, row: StationRow) -> tuple[Action, str]:
    """Store a station and its status.

    Raises:
        InvalidInput: As `put_station_facts` and `put_station_state`.
    """
    outcome = await put_station_facts(registry, row.code, row)
    state = await put_station_state(
        registry.session,
        registry.stations[row.code],
        row.status_from or row.valid_from,
        facts_of(StationStateIn, row),
    )
    return merge(outcome, state)


async def put_station_facts(registry: Registry, code: str, body: StationIn) -> tuple[Action, str]:
    """Store a station without its status.

    Raises:
        InvalidInput: No such commune on its first day, dates reversed, another station serves
            the commune at the same time, or a new code that resembles another.
    """
    if body.valid_to is not None and body.valid_to < body.valid_from:
        raise InvalidInput("valid_to", f"{body.valid_to} trước ngày bắt đầu {body.valid_from}")
    _require_commune(registry, body.commune_code, body.valid_from)
    for other in registry.stations.values():
        same = other.commune_code == body.commune_code and other.code != code
        if same and _overlap(body, other):
            raise InvalidInput(
                "commune_code",
                f"xã {body.commune_code} đã có đài {other.code} từ {other.valid_from}; "
                "mỗi xã một đài (kết thúc đài kia, hoặc nhập thêm hệ thống kỹ thuật)",
            )
    facts = facts_of(StationIn, body)
    station = registry.stations.get(code)
    if station is not None:
        return changed(station, facts)
    registry.station_codes.admit(code)
    station = Station(code=code, **facts)
    registry.session.add(station)
    await registry.session.flush()
    registry.stations[code] = station
    return Action.ADDED, f"{body.name}, xã {body.commune_code}"


def _overlap(body: StationIn, other: Station) -> bool:
    return (other.valid_to is None or body.valid_from <= other.valid_to) and (
        body.valid_to is None or other.valid_from <= body.valid_to
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
    session: AsyncSession, station: Station, valid_from: date, facts: dict[str, Any]
) -> tuple[Action, str]:
    """Store the status of a station from a day on; `facts` are the fields of `StationStateIn`.

    Raises:
        InvalidInput: The station does not exist on that day.
    """
    if valid_from < station.valid_from or (
        station.valid_to is not None and station.valid_to < valid_from
    ):
        raise InvalidInput(
            "valid_from", f"đài {station.code} có từ {station.valid_from}; sửa ngày của trạng thái"
        )
    state = await session.get(StationState, (station.id, valid_from))
    if state is not None:
        return changed(state, facts)
    session.add(StationState(station_id=station.id, valid_from=valid_from, **facts))
    return Action.ADDED, f"{facts['status'].value} từ {valid_from}"
