"""REST of what hangs on which cluster, and of clusters by their state."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated

import sqlalchemy as sa
from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.areas.tree import DAY
from broadcast.areas.units import codes_under, require_unit
from broadcast.clusters.routes import ClusterView, cluster_views
from broadcast.devices import enrolment
from broadcast.devices.installations import InstallationView, installations
from broadcast.devices.model import Device, Installation
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.times import Moment
from broadcast.stations.clusters import find_cluster, serves_on, stands_on
from broadcast.stations.model import Cluster, ClusterVillage, Evidence, Plant, PlantState, Station
from broadcast.telemetry.model import DevicePresence, PresenceChange
from broadcast.telemetry.presence import Presence
from broadcast.web.fields import AsOf, Code, example
from broadcast.web.rest import Body, Page, PageQuery, Session, paged, require_known

router = Router()


class InstallationBody(Body):
    """A device to hang on a cluster."""

    model_config = example(device="QN-000417", move=False)

    device: Code
    installed_at: Annotated[Moment | None, Field(description="lúc đã lắp, mặc định bây giờ")] = (
        None
    )
    move: Annotated[bool, Field(description="tháo khỏi cụm đang lắp")] = False


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


async def _cluster(session: AsyncSession, code: str) -> Cluster:
    cluster = await find_cluster(session, code)
    if cluster is None:
        raise NotFound(f"Không có cụm loa mã “{code}”.")
    return cluster


@router.get("/clusters/{code}/history", summary="Các thiết bị đã lắp trên cụm loa")
async def cluster_history(
    session: Session, caller: CallerDep, code: str
) -> list[InstallationView]:
    """Devices that hang or hung on a cluster, oldest first."""
    cluster = await _cluster(session, code)
    return await installations(session, Installation.cluster_id == cluster.id)


@router.post("/clusters/{code}/device", summary="Lắp hoặc thay thiết bị của cụm loa")
async def hang_device(
    session: Session, caller: Technician, code: str, body: InstallationBody
) -> InstallationView:
    """Hang a device on a cluster in place of the one there; repeating it changes nothing."""
    cluster = await _cluster(session, code)
    device = await enrolment.find_device(session, body.device)
    if device is None:
        raise InvalidInput("device", f"không có thiết bị mã “{body.device}”; đăng ký trước")
    opened = await enrolment.install(
        session, device, cluster, _past(body.installed_at), move=body.move
    )
    return InstallationView(
        cluster_code=code,
        device_code=device.code,
        installed_at=opened.installed_at,
        removed_at=opened.removed_at,
    )


@router.delete("/clusters/{code}/device", status_code=204, summary="Tháo thiết bị khỏi cụm loa")
async def take_down_device(
    session: Session,
    caller: Technician,
    code: str,
    removed_at: Annotated[
        Moment | None, Query(description="lúc đã tháo, mặc định bây giờ")
    ] = None,
) -> Response:
    """Take down what hangs on a cluster."""
    cluster = await _cluster(session, code)
    if not await enrolment.take_down(session, cluster, _past(removed_at)):
        raise NotFound(f"Cụm loa {code} không có thiết bị nào.")
    return Response(status_code=204)


def _past(at: datetime | None) -> datetime:
    now = clock.now()
    if at is not None and at > now:
        raise InvalidInput("installed_at", "ở tương lai; ghi lúc đã lắp hoặc đã tháo")
    return at or now


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
