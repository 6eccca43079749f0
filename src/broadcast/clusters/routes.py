"""REST of clusters: the register, the villages they serve, the devices on them, their state."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from broadcast.areas import scope
from broadcast.auth.caller import Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.clusters import fleet, register
from broadcast.clusters.schemas import (
    ClusterItemOut,
    ClusterOut,
    ClusterState,
    FleetItemOut,
    FleetSummaryOut,
    Line,
    Power,
    ServiceOut,
    Signal,
    VillagesIn,
)
from broadcast.kit import clock
from broadcast.stations.model import Evidence
from broadcast.stations.places import require_at_cluster, require_visible_plant
from broadcast.stations.schemas import ClusterIn, NewClusterIn
from broadcast.telemetry.presence import Presence
from broadcast.web.fields import AsOf
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["clusters"])


@router.get("/clusters", summary="Cụm loa theo địa bàn và trạng thái")
async def list_clusters(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    as_of: AsOf = None,
    area: Annotated[str | None, Query(description="mã đơn vị, ở mọi cấp")] = None,
    state: ClusterState | None = None,
    evidence: Evidence | None = None,
    plant: Annotated[str | None, Query(description="mã hệ thống kỹ thuật")] = None,
    station: Annotated[str | None, Query(description="mã đài")] = None,
) -> Page[ClusterItemOut]:
    """Clusters that stand on a day, by code; `area` finds those that serve a village in it.

    The state is that of now, or of the end of a past day.
    """
    return await register.list_clusters(
        session,
        paging,
        as_of or clock.today(),
        clock.now(),
        area=area,
        state=state,
        evidence=evidence,
        plant=plant,
        station=station,
    )


@router.get("/clusters/{code}", summary="Một cụm loa")
async def show_cluster(
    session: Session, caller: Reader, code: str, as_of: AsOf = None
) -> ClusterOut:
    """A cluster with the villages it serves on a day."""
    return await register.show_cluster(session, code, as_of or clock.today())


@router.post("/clusters", status_code=201, summary="Thêm cụm loa", response_model=ClusterOut)
async def create_cluster(
    request: Request, session: Session, caller: RegisterEditor, body: NewClusterIn
) -> Response:
    """Register a cluster on its pole, with the villages it serves."""

    async def make() -> Created:
        villages = [each.village_code for each in body.villages]
        await scope.require(session, caller, Permission.REGISTER_WRITE, villages)
        await require_visible_plant(session, caller, body.plant_code)
        cluster = await register.create_cluster(session, body, clock.today())
        return Created(f"/api/v1/clusters/{body.code}", cluster)

    return await Once(request).run(session, caller.account_id, make)


@router.put("/clusters/{code}", summary="Sửa hoặc gỡ cụm loa")
async def change_cluster(
    session: Session, caller: RegisterEditor, code: str, body: ClusterIn
) -> ClusterOut:
    """Change a cluster; `removed_on` is the first day on which it is gone."""
    await require_at_cluster(session, caller, Permission.REGISTER_WRITE, code)
    await require_visible_plant(session, caller, body.plant_code)
    return await register.change_cluster(session, code, body, clock.today())


@router.delete("/clusters/{code}", status_code=204, summary="Xóa cụm loa nhập nhầm")
async def delete_cluster(session: Session, caller: RegisterEditor, code: str) -> Response:
    """Delete a cluster that never had a device. One that has worked gets `removed_on`."""
    await require_at_cluster(session, caller, Permission.REGISTER_WRITE, code)
    await register.delete_cluster(session, code)
    return Response(status_code=204)


@router.get("/clusters/{code}/villages", summary="Các thôn cụm loa phục vụ qua thời gian")
async def list_villages(session: Session, caller: Reader, code: str) -> list[ServiceOut]:
    """Villages that the cluster serves or has served, oldest first."""
    return await register.list_services(session, code)


@router.put("/clusters/{code}/villages", summary="Các thôn cụm loa phục vụ từ một ngày")
async def put_villages(
    session: Session, caller: RegisterEditor, code: str, body: VillagesIn
) -> ClusterOut:
    """Make the cluster serve exactly these villages from a day on."""
    villages = [each.village_code for each in body.villages]
    await require_at_cluster(session, caller, Permission.REGISTER_WRITE, code, also=villages)
    return await register.set_villages(session, code, body)


# --- the fleet -----------------------------------------------------------------------------------


def _fleet_filter(
    text: Annotated[
        str | None,
        Query(max_length=100, description="một phần mã, số máy, mã hoặc tên cụm loa"),
    ] = None,
    area: Annotated[str | None, Query(description="mã đơn vị, ở mọi cấp")] = None,
    presence: Presence | None = None,
    firmware: Annotated[str | None, Query(max_length=200, description="đúng phiên bản")] = None,
    signal: Signal | None = None,
    power: Power | None = None,
    line: Line | None = None,
    installed: Annotated[bool | None, Query(description="đang lắp trên một cụm hay không")] = None,
) -> fleet.FleetFilter:
    return fleet.FleetFilter(text, area, presence, firmware, signal, power, line, installed)


FleetQuery = Annotated[fleet.FleetFilter, Depends(_fleet_filter)]


@router.get("/fleet", summary="Thiết bị đang dùng và những gì chúng báo")
async def list_fleet(
    session: Session, caller: Reader, paging: PageQuery, wanted: FleetQuery
) -> Page[FleetItemOut]:
    """Devices in use, by code; what they say of signal, power and line only while online."""
    return await fleet.list_fleet(session, paging, wanted, clock.today())


@router.get("/fleet/summary", summary="Đếm thiết bị theo kết nối, phiên bản, sóng, điện, loa")
async def summarise_fleet(session: Session, caller: Reader, wanted: FleetQuery) -> FleetSummaryOut:
    """The devices that the filter finds, counted."""
    return await fleet.summarise(session, wanted, clock.today())
