"""The register of clusters: listing, creating, changing and deleting them, with their villages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.areas.tree import DAY
from broadcast.areas.units import codes_under, require_unit
from broadcast.clusters.schemas import (
    ClusterItemOut,
    ClusterOut,
    ClusterState,
    ServiceOut,
    VillagesIn,
)
from broadcast.devices.model import Device, Installation
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, NotFound
from broadcast.stations.clusters import (
    find_cluster,
    put_cluster,
    serve,
    serves_on,
    stands_on,
)
from broadcast.stations.model import (
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Plant,
    PlantState,
    Station,
)
from broadcast.stations.registry import Registry, facts_of, remove
from broadcast.stations.schemas import ClusterIn, NewClusterIn, ServedVillage
from broadcast.telemetry.model import DevicePresence, PresenceChange
from broadcast.telemetry.presence import Presence
from broadcast.web.rest import Page, Paging, paged, require_known

# --- reading -------------------------------------------------------------------------------------


async def list_clusters(
    session: AsyncSession,
    paging: Paging,
    on: date,
    now: datetime,
    *,
    area: str | None = None,
    state: ClusterState | None = None,
    evidence: Evidence | None = None,
    plant: str | None = None,
    station: str | None = None,
) -> Page[ClusterItemOut]:
    """Clusters that stand on a day, by code, in the state of now or of the end of a past day.

    Args:
        session: Transaction.
        paging: Page.
        on: Day.
        now: The present.
        area: Those that serve a village of a unit on that day.
        state: Those in a state.
        evidence: Those whose operation is proven so.
        plant: Those of a plant.
        station: Those of the plants that a station has on that day.

    Raises:
        Unknown: There is no such unit, plant or station.
    """
    end = datetime.combine(on + DAY, time.min, LOCAL)
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
    found = await paged(session, statement, [Cluster.code], paging)
    villages = await _villages(session, [cluster for cluster, _, _, _ in found.rows], on)

    def show(
        cluster: Cluster, plant_code: str, device_code: str | None, state: str
    ) -> ClusterItemOut:
        return ClusterItemOut(
            **_facts(cluster, plant_code),
            villages=villages.get(cluster.id, []),
            device_code=device_code,
            state=state,
        )

    return found.page(show)


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


def _facts(cluster: Cluster, plant_code: str) -> dict[str, object]:
    facts = facts_of(ClusterIn, cluster, but="plant_code")
    return {"code": cluster.code, "plant_code": plant_code, **facts}


async def _villages(
    session: AsyncSession, clusters: Sequence[Cluster], on: date
) -> dict[int, list[ServedVillage]]:
    """Villages that clusters serve on a day, by cluster id."""
    rows = await session.scalars(
        sa.select(ClusterVillage)
        .where(ClusterVillage.cluster_id.in_([cluster.id for cluster in clusters]), serves_on(on))
        .order_by(ClusterVillage.village_code)
    )
    villages: dict[int, list[ServedVillage]] = {}
    for row in rows:
        village = ServedVillage(village_code=row.village_code, grade=row.grade)
        villages.setdefault(row.cluster_id, []).append(village)
    return villages


async def show_cluster(session: AsyncSession, code: str, on: date) -> ClusterOut:
    """A cluster with the villages it serves on a day.

    Raises:
        NotFound: No cluster has this code.
    """
    found = await session.execute(
        sa.select(Cluster, Plant.code)
        .join(Plant, Plant.id == Cluster.plant_id)
        .where(Cluster.code == code)
    )
    row = found.one_or_none()
    if row is None:
        raise _no_cluster(code)
    cluster, plant_code = row
    villages = await _villages(session, [cluster], on)
    return ClusterOut(**_facts(cluster, plant_code), villages=villages.get(cluster.id, []))


async def require_cluster(session: AsyncSession, code: str) -> Cluster:
    """The cluster that an address names.

    Raises:
        NotFound: No cluster has this code.
    """
    cluster = await find_cluster(session, code)
    if cluster is None:
        raise _no_cluster(code)
    return cluster


def _no_cluster(code: str) -> NotFound:
    return NotFound(f"Không có cụm loa mã “{code}”.")


async def list_services(session: AsyncSession, code: str) -> list[ServiceOut]:
    """Villages that a cluster serves or has served, oldest first.

    Raises:
        NotFound: No cluster has this code.
    """
    cluster = await require_cluster(session, code)
    rows = await session.scalars(
        sa.select(ClusterVillage)
        .where(ClusterVillage.cluster_id == cluster.id)
        .order_by(ClusterVillage.valid_from, ClusterVillage.village_code)
    )
    return [ServiceOut(**facts_of(ServiceOut, row)) for row in rows]


# --- changing ------------------------------------------------------------------------------------


async def create_cluster(session: AsyncSession, body: NewClusterIn, today: date) -> ClusterOut:
    """Register a cluster on its pole, with the villages it serves.

    Raises:
        Conflict: There is a cluster with this code.
        InvalidInput: As `put_cluster` and `serve`.
    """
    registry = await Registry.load(session, clusters=[body.code])
    if body.code in registry.clusters:
        raise Conflict(f"Đã có cụm loa mã “{body.code}”; hãy mở cụm đó để sửa.")
    villages = _grades(body.villages)
    put_cluster(registry, body.code, body, villages)
    await session.flush()
    await serve(registry, registry.clusters[body.code], villages, body.installed_on)
    await _changed(session)
    return await show_cluster(session, body.code, max(body.installed_on, today))


async def change_cluster(
    session: AsyncSession, code: str, body: ClusterIn, today: date
) -> ClusterOut:
    """Change the facts of a cluster.

    Raises:
        NotFound: No cluster has this code.
        InvalidInput: As `put_cluster`.
    """
    registry = await _registry(session, code)
    put_cluster(registry, code, body, None)
    await _changed(session)
    return await show_cluster(session, code, today)


async def delete_cluster(session: AsyncSession, code: str) -> None:
    """Delete a cluster that never had a device.

    Raises:
        NotFound: No cluster has this code.
        Conflict: It has had a device, plays or attestations.
    """
    registry = await _registry(session, code)
    cluster = registry.clusters[code]
    await remove(
        session,
        [*registry.served.get(cluster.id, ()), cluster],
        f"Cụm {code} đã có thiết bị, lượt phát hoặc xác nhận; hãy ghi ngày tháo thay vì xóa.",
    )
    await touch(session)


async def set_villages(session: AsyncSession, code: str, body: VillagesIn) -> ClusterOut:
    """Make a cluster serve exactly these villages from a day on.

    Raises:
        NotFound: No cluster has this code.
        InvalidInput: As `serve`.
    """
    registry = await _registry(session, code)
    await serve(registry, registry.clusters[code], _grades(body.villages), body.valid_from)
    await _changed(session)
    return await show_cluster(session, code, body.valid_from)


async def _registry(session: AsyncSession, code: str) -> Registry:
    registry = await Registry.load(session, clusters=[code])
    if code not in registry.clusters:
        raise _no_cluster(code)
    return registry


async def _changed(session: AsyncSession) -> None:
    await touch(session)
    await session.flush()


def _grades(villages: Sequence[ServedVillage]) -> dict[str, Grade]:
    return {each.village_code: each.grade for each in villages}
