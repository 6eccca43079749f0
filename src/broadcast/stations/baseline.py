"""The baseline list: the wired and FM stations that the plan began with."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.sheets import Action
from broadcast.stations.model import BaselineStation, Station, Technology
from broadcast.stations.registry import Registry, changed, facts_of
from broadcast.stations.schemas import BaselineIn, BaselineOut
from broadcast.web.rest import Page, Paging, paged


def _entries() -> sa.Select[BaselineStation, str]:
    return sa.select(BaselineStation, Station.code).join(
        Station, Station.id == BaselineStation.station_id
    )


def _out(entry: BaselineStation, station_code: str) -> BaselineOut:
    return BaselineOut(
        station_code=station_code,
        listed_on=entry.listed_on,
        technologies=[Technology(each) for each in entry.technologies],
        document=entry.document,
    )


async def list_entries(session: AsyncSession, paging: Paging) -> Page[BaselineOut]:
    """Stations of the list, by code."""
    found = await paged(session, _entries(), [Station.code], paging)
    return found.page(_out)


async def set_entry(session: AsyncSession, station_code: str, body: BaselineIn) -> BaselineOut:
    """Put a station on the list, or correct its entry.

    Raises:
        InvalidInput: As `put_baseline`.
    """
    await put_baseline(await Registry.load(session), station_code, body)
    await session.flush()
    found = await session.execute(_entries().where(Station.code == station_code))
    return _out(*found.one())


async def delete_entry(session: AsyncSession, station_code: str) -> None:
    """Take a station off the list.

    Raises:
        NotFound: It is not on the list.
    """
    found = (await session.execute(_entries().where(Station.code == station_code))).one_or_none()
    if found is None:
        raise NotFound(f"Đài {station_code} không có trong danh sách gốc.")
    await session.delete(found[0])


async def put_baseline(
    registry: Registry, station_code: str, body: BaselineIn
) -> tuple[Action, str]:
    """Store an entry of the list.

    Raises:
        InvalidInput: No such station on that day, or it was converted already.
    """
    station = registry.station("station_code", station_code, body.listed_on)
    if Technology.IT in body.technologies:
        raise InvalidInput("technologies", "danh sách gốc chỉ gồm đài có dây (wired) hoặc FM (fm)")
    technologies = sorted(body.technologies)
    facts = facts_of(BaselineIn, body) | {"technologies": technologies}
    entry = await registry.session.get(BaselineStation, station.id)
    if entry is not None:
        return changed(entry, facts)
    registry.session.add(BaselineStation(station_id=station.id, **facts))
    return Action.ADDED, "+".join(technologies)
