"""What the forms of the register offer: communes, stations, plants that the caller may see."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.units import units_on
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.console.formats import collated
from broadcast.kit import clock
from broadcast.stations import plants, stations
from broadcast.stations.schemas import PlantOut, StationOut
from broadcast.web.rest import Paging

Choice = tuple[str, str]
"""A code, and the name with the code."""

ALL = Paging(None, 5000)


async def commune_choices(session: AsyncSession, caller: Caller) -> list[Choice]:
    """Communes of today, by name."""
    seen = await scope.readable_scope(session, caller, Permission.READ)
    found = await units_on(session, clock.today(), level=Level.COMMUNE)
    return _sorted((each.code, each.name) for each in found if each.code in seen)


async def station_choices(session: AsyncSession, caller: Caller) -> list[Choice]:
    """Stations of today, by name."""
    found = await _stations(session, caller)
    return _sorted((each.code, each.name) for each in found)


async def plant_choices(session: AsyncSession, caller: Caller) -> list[Choice]:
    """Plants of today, by the names of the station and the plant."""
    names = {each.code: each.name for each in await _stations(session, caller)}
    found = (await plants.list_plants(session, ALL, clock.today())).items
    return _sorted(
        (each.code, _plant_name(each, names[each.station_code]))
        for each in found
        if each.station_code in names
    )


def _plant_name(plant: PlantOut, station: str) -> str:
    return plant.name if station in plant.name else f"{station}: {plant.name}"


async def _stations(session: AsyncSession, caller: Caller) -> list[StationOut]:
    seen = await scope.readable_scope(session, caller, Permission.READ)
    found = (await stations.list_stations(session, ALL, clock.today())).items
    return [each for each in found if each.commune_code in seen]


def _sorted(found: Iterable[Choice]) -> list[Choice]:
    named = ((code, f"{name} ({code})") for code, name in found)
    return sorted(named, key=lambda each: collated(each[1]))
