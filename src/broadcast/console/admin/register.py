"""The register as lists: stations, clusters, units."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from broadcast.areas import lookup
from broadcast.areas.model import Level
from broadcast.auth.caller import Reader
from broadcast.clusters import register
from broadcast.clusters.schemas import ClusterState
from broadcast.console.admin.words import LEVELS, STATES, STATUSES
from broadcast.console.library import area_names
from broadcast.console.page import PageRouter, given, page
from broadcast.kit import clock
from broadcast.stations import plants, stations
from broadcast.stations.model import StationStatus
from broadcast.web.rest import Paging, Session

router = PageRouter()

ROWS = 50

Code = Annotated[str, Query(max_length=20)]


@router.get("/admin/stations")
async def show_stations(
    request: Request,
    session: Session,
    caller: Reader,
    area: Code = "",
    status: StationStatus | Literal[""] = "",
    cursor: str | None = None,
) -> Response:
    """Stations of today."""
    found = await stations.list_stations(
        session, Paging(cursor, ROWS), clock.today(), area=area or None, status=status or None
    )
    return page(
        request, caller, "admin/stations.html", found=found, statuses=STATUSES, area=area,
        names=await area_names(session, (each.commune_code for each in found.items)),
        chosen=status, query=given(area=area, status=status),
    )  # fmt: skip


@router.get("/admin/clusters")
async def show_clusters(
    request: Request,
    session: Session,
    caller: Reader,
    area: Code = "",
    state: ClusterState | Literal[""] = "",
    cursor: str | None = None,
) -> Response:
    """Clusters of today."""
    found = await register.list_clusters(
        session, Paging(cursor, ROWS), clock.today(), clock.now(), area=area or None,
        state=state or None,
    )  # fmt: skip
    return page(
        request, caller, "admin/clusters.html", found=found,
        names=await area_names(
            session, (each.village_code for one in found.items for each in one.villages)
        ),
        plants=await plants.names(session, (each.plant_code for each in found.items)),
        states=STATES, area=area, state=state, query=given(area=area, state=state),
    )  # fmt: skip


@router.get("/admin/areas")
async def show_areas(
    request: Request,
    session: Session,
    caller: Reader,
    under: Code = "",
    level: Level | Literal[""] = Level.COMMUNE,
    cursor: str | None = None,
) -> Response:
    """Units of today."""
    found = await lookup.list_areas(
        session, Paging(cursor, ROWS), clock.today(), level=level or None, under=under or None
    )
    return page(
        request, caller, "admin/areas.html", found=found,
        names=await area_names(session, (each.parent_code or "" for each in found.items)),
        levels=LEVELS, under=under, level=level, query={"level": level, **given(under=under)},
    )  # fmt: skip
