"""REST of clusters: the register, the villages they serve, the devices on them, their state."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated

import sqlalchemy as sa
from fastapi import Query, Request, Response
from pydantic import Field
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.areas.topology import touch
from broadcast.areas.tree import DAY
from broadcast.areas.units import codes_under, require_unit
from broadcast.clusters import installation_routes
from broadcast.devices.model import Device, Installation
from broadcast.kit import clock
from broadcast.kit.errors import Conflict, NotFound
from broadcast.kit.times import Day
from broadcast.stations.clusters import ClusterRow, put_cluster, serve, serves_on, stands_on
from broadcast.stations.model import (
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Plant,
    PlantState,
    Station,
)
from broadcast.stations.registry import Registry, remove
from broadcast.telemetry.model import DevicePresence, PresenceChange
from broadcast.telemetry.presence import Presence
from broadcast.web.fields import AsOf, Code, Name, example
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Body, Page, PageQuery, Session, paged, require_known

router = Router(prefix="/api/v1", tags=["clusters"])
router.include_router(installation_routes.router)


class ServedVillage(Body):
    """A village that a cluster serves."""

    village_code: Code
    grade: Grade = Grade.PRIMARY


class ClusterBody(Body):
    """What can be said of a cluster, apart from the villages it serves."""

    model_config = example(
        name="Nhà văn hóa thôn Phú Bình",
        plant_code="HT-21262-1",
        latitude=15.12,
        longitude=108.88,
        horns_count=2,
        watts=50,
        power_feed="471-E16.1",
        evidence="telemetry",
        installed_on="2024-05-01",
    )

    name: Name
    plant_code: Code
    latitude: Annotated[float | None, Field(ge=6, le=24)] = None
    longitude: Annotated[float | None, Field(ge=102, le=118)] = None
    horns_count: Annotated[int, Field(ge=1, le=99)] = 1
    watts: Annotated[int | None, Field(ge=1, le=9_999)] = None
    power_feed: Annotated[
        Name | None,
        Field(description="đường dây hoặc trạm biến áp cấp điện, theo tên của Điện lực"),
    ] = None
    evidence: Evidence = Evidence.TELEMETRY
    installed_on: Day
    removed_on: Day | None = None


class NewCluster(ClusterBody):
    """A cluster and the villages it serves from its installation on."""

    code: Code
    villages: Annotated[list[ServedVillage], Field(min_length=1)]


class ClusterView(ClusterBody):
    """A cluster as it is on a day."""

    name: str
    power_feed: str | None
    code: str
    villages: list[ServedVillage]


class ClusterState(StrEnum):
    """Presence of the device on a cluster with telemetry, or that there is none."""

    ONLINE = "online"
    SILENT = "silent"
    OFFLINE = "offline"
    NEVER_SEEN = "never_seen"
    NO_DEVICE = "no_device"


class ClusterItem(ClusterView):
    """A cluster, the device on it, and its state; the state is null without telemetry."""

    device_code: str | None
    state: ClusterState | None


class VillagesBody(Body):
    """The villages that a cluster serves from a day on, all of them."""

    model_config = example(
        valid_from="2025-07-01",
        villages=[{"village_code": "T-0001", "grade": "primary"}],
    )

    valid_from: Day
    villages: Annotated[list[ServedVillage], Field(min_length=1)]


class ServiceView(ServedVillage):
    """A village served for a span of days."""

    valid_from: Day
    valid_to: Day | None


async def cluster_views(
    session: AsyncSession, clusters: list[tuple[Cluster, str]], on: date
) -> list[ClusterView]:
    """Clusters with their plants' codes, as they are shown of a day."""
    served: dict[int, list[ServedVillage]] = {}
    ids = [cluster.id for cluster, _ in clusters]
    rows = await session.scalars(
        sa.select(ClusterVillage)
        .where(ClusterVillage.cluster_id.in_(ids), serves_on(on))
        .order_by(ClusterVillage.village_code)
    )
    for row in rows:
        village = ServedVillage(village_code=row.village_code, grade=row.grade)
        served.setdefault(row.cluster_id, []).append(village)
    return [
        ClusterView(
            code=cluster.code,
            name=cluster.name,
            plant_code=plant_code,
            latitude=cluster.latitude,
            longitude=cluster.longitude,
            horns_count=cluster.horns_count,
            watts=cluster.watts,
            power_feed=cluster.power_feed,
            evidence=cluster.evidence,
            installed_on=cluster.installed_on,
            removed_on=cluster.removed_on,
            villages=served.get(cluster.id, []),
        )
        for cluster, plant_code in clusters
    ]


async def _view(session: AsyncSession, code: str, on: date) -> ClusterView:
    found = await session.execute(
        sa.select(Cluster, Plant.code)
        .join(Plant, Plant.id == Cluster.plant_id)
        .where(Cluster.code == code)
    )
    rows = [(cluster, plant_code) for cluster, plant_code in found]
    if not rows:
        raise NotFound(f"Không có cụm loa mã “{code}”.")
    return (await cluster_views(session, rows, on))[0]


def _row(code: str, body: ClusterBody, villages: list[ServedVillage] | None = None) -> ClusterRow:
    facts = {name: getattr(body, name) for name in ClusterBody.model_fields}
    grades = {each.village_code: each.grade for each in villages} if villages else None
    return ClusterRow(code=code, **facts, villages=grades, villages_from=None)


def _clusters_at(
    at: datetime, on: date, now: datetime
) -> sa.Select[Cluster, str, str | None, str]:
    """Clusters that stand on a day, with plant, device and presence at an instant of it."""
    if at == now:
        presence = (
            sa.select(DevicePresence.presence)
            .where(DevicePresence.device_id == Device.id)
            .scalar_subquery()
        )
    else:
        presence = (
            sa.select(PresenceChange.presence)
            .where(PresenceChange.device_id == Device.id, PresenceChange.happened_at <= at)
            .order_by(PresenceChange.happened_at.desc(), PresenceChange.id.desc())
            .limit(1)
            .scalar_subquery()
        )
    state = sa.case(
        (Cluster.evidence != Evidence.TELEMETRY, None),
        (Device.id.is_(None), ClusterState.NO_DEVICE.value),
        else_=sa.func.coalesce(sa.cast(presence, sa.Text), Presence.NEVER_SEEN.value),
    )
    return (
        sa.select(Cluster, Plant.code, Device.code, state.label("state"))
        .join(Plant, Plant.id == Cluster.plant_id)
        .outerjoin(
            Installation,
            sa.and_(
                Installation.cluster_id == Cluster.id,
                Installation.installed_at <= at,
                sa.or_(Installation.removed_at.is_(None), Installation.removed_at > at),
            ),
        )
        .outerjoin(Device, Device.id == Installation.device_id)
        .where(stands_on(on))
    )


@router.get("/clusters", summary="Cụm loa theo địa bàn và trạng thái")
async def list_clusters(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    as_of: AsOf = None,
    area: Annotated[str | None, Query(description="mã đơn vị, ở mọi cấp")] = None,
    state: ClusterState | None = None,
    evidence: Evidence | None = None,
    plant: Annotated[str | None, Query(description="mã hệ thống kỹ thuật")] = None,
    station: Annotated[str | None, Query(description="mã đài")] = None,
) -> Page[ClusterItem]:
    """Clusters that stand on a day, by code; `area` finds those that serve a village in it.

    The state is that of now, or of the end of a past day.
    """
    now, today = clock.now(), clock.today()
    on = as_of or today
    end = datetime.combine(on + DAY, time.min, clock.LOCAL)
    statement = _clusters_at(min(end, now), on, now)
    if area is not None:
        await require_unit(session, "area", area, on)
        served = sa.select(ClusterVillage.cluster_id).where(
            serves_on(on), ClusterVillage.village_code.in_(codes_under(area, on))
        )
        statement = statement.where(Cluster.id.in_(served))
    if state is not None:
        statement = statement.where(statement.selected_columns.state == state.value)
    if evidence is not None:
        statement = statement.where(Cluster.evidence == evidence)
    if plant is not None:
        await require_known(session, "plant", Plant.code, plant)
        statement = statement.where(Plant.code == plant)
    if station is not None:
        await require_known(session, "station", Station.code, station)
        statement = statement.where(Cluster.plant_id.in_(_plants_of(station, on)))
    rows, following = await paged(session, statement, [Cluster.code], paging)
    views = await cluster_views(session, [(row[0], row[1]) for row in rows], on)
    items = [
        ClusterItem(**view.model_dump(), device_code=row[2], state=row[3])
        for view, row in zip(views, rows, strict=True)
    ]
    return Page(items=items, next=following)


def _plants_of(station_code: str, on: date) -> sa.Select[int]:
    in_force = (
        sa.select(PlantState)
        .where(PlantState.valid_from <= on)
        .ext(distinct_on(PlantState.plant_id))
        .order_by(PlantState.plant_id, PlantState.valid_from.desc())
        .subquery()
    )
    return (
        sa.select(in_force.c.plant_id)
        .join(Station, Station.id == in_force.c.station_id)
        .where(Station.code == station_code)
    )


@router.get("/clusters/{code}", summary="Một cụm loa")
async def show_cluster(
    session: Session, caller: CallerDep, code: str, as_of: AsOf = None
) -> ClusterView:
    """A cluster with the villages it serves on a day."""
    return await _view(session, code, as_of or clock.today())


@router.post("/clusters", status_code=201, summary="Thêm cụm loa", response_model=ClusterView)
async def create_cluster(
    request: Request, session: Session, caller: Technician, body: NewCluster
) -> Response:
    """Register a cluster on its pole, with the villages it serves."""

    async def make() -> Created:
        registry = await Registry.load(session, clusters=[body.code])
        if body.code in registry.clusters:
            raise Conflict(f"Đã có cụm loa mã “{body.code}”; dùng PUT để sửa.")
        row = _row(body.code, body, body.villages)
        put_cluster(registry, row)
        await session.flush()
        assert row.villages is not None
        await serve(registry, registry.clusters[body.code], row.villages, body.installed_on)
        await touch(session)
        await session.flush()
        view = await _view(session, body.code, max(body.installed_on, clock.today()))
        return Created(f"/api/v1/clusters/{body.code}", view)

    return await Once(request).run(session, caller.credential, make)


@router.put("/clusters/{code}", summary="Sửa hoặc gỡ cụm loa")
async def change_cluster(
    session: Session, caller: Technician, code: str, body: ClusterBody
) -> ClusterView:
    """Change a cluster; `removed_on` is the first day on which it is gone."""
    await _view(session, code, clock.today())
    put_cluster(await Registry.load(session, clusters=[code]), _row(code, body))
    await touch(session)
    await session.flush()
    return await _view(session, code, clock.today())


@router.delete("/clusters/{code}", status_code=204, summary="Xóa cụm loa nhập nhầm")
async def delete_cluster(session: Session, caller: Technician, code: str) -> Response:
    """Delete a cluster that never had a device. One that has worked gets `removed_on`."""
    await _view(session, code, clock.today())
    registry = await Registry.load(session, clusters=[code])
    cluster = registry.clusters[code]
    await remove(
        session,
        [*registry.served.get(cluster.id, ()), cluster],
        f"Cụm {code} đã có thiết bị, lượt phát hoặc xác nhận; hãy ghi removed_on.",
    )
    await touch(session)
    return Response(status_code=204)


@router.get("/clusters/{code}/villages", summary="Các thôn cụm loa phục vụ qua thời gian")
async def list_villages(session: Session, caller: CallerDep, code: str) -> list[ServiceView]:
    """Villages that the cluster serves or has served, oldest first."""
    await _view(session, code, clock.today())
    rows = await session.scalars(
        sa.select(ClusterVillage)
        .join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        .where(Cluster.code == code)
        .order_by(ClusterVillage.valid_from, ClusterVillage.village_code)
    )
    return [
        ServiceView(
            village_code=row.village_code,
            grade=row.grade,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
        )
        for row in rows
    ]


@router.put("/clusters/{code}/villages", summary="Các thôn cụm loa phục vụ từ một ngày")
async def put_villages(
    session: Session, caller: Technician, code: str, body: VillagesBody
) -> ClusterView:
    """Make the cluster serve exactly these villages from a day on."""
    await _view(session, code, clock.today())
    registry = await Registry.load(session, clusters=[code])
    villages = {each.village_code: each.grade for each in body.villages}
    await serve(registry, registry.clusters[code], villages, body.valid_from)
    await touch(session)
    await session.flush()
    return await _view(session, code, body.valid_from)
