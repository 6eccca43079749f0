"""Places of stations, plants and clusters, for who wants to change something there."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.kit import clock
from broadcast.kit.errors import BroadcastError, NotFound, Unknown
from broadcast.stations.model import Cluster, ClusterVillage, Grade, Plant, PlantState, Station
from broadcast.web.rest import LIMITED


async def clusters_found(session: AsyncSession) -> list[int] | None:
    """Ids of the clusters that this transaction finds; None where it finds all there are.

    For statements in SQL, which are not limited by themselves.
    """
    if session.info.get(LIMITED) is None:
        return None
    return list(await session.scalars(sa.select(Cluster.id)))


async def villages_of(session: AsyncSession, cluster_ids: Collection[int]) -> set[str]:
    """Villages that clusters serve as primary ones, today or later."""
    rows = await session.scalars(
        sa.select(ClusterVillage.village_code).where(
            ClusterVillage.cluster_id.in_(cluster_ids),
            ClusterVillage.grade == Grade.PRIMARY,
            sa.or_(ClusterVillage.valid_to.is_(None), ClusterVillage.valid_to >= clock.today()),
        )
    )
    return set(rows)


async def require_at_station(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    code: str,
    missing: BroadcastError | None = None,
    also: Iterable[str] = (),
) -> None:
    """Refuse a change of a station outside of the caller's places.

    Args:
        session: Transaction.
        caller: Who makes it.
        permission: What it needs.
        code: Of the station.
        missing: Raised where the caller cannot see it; by default as in an address.
        also: Further units that the change touches.

    Raises:
        BroadcastError: As `areas.scope.require`.
    """
    thing = sa.select(Station.commune_code).where(Station.code == code)
    communes = set(await session.scalars(thing))
    missing = missing or NotFound(f"Không có đài mã “{code}”.")
    # An unknown one is in no place: only who may do it everywhere hears more of it.
    await scope.require(
        session, caller, permission, {*communes, *also} if communes else (), thing, missing
    )


async def require_at_named_station(session: AsyncSession, caller: Caller, code: str) -> None:
    """Refuse a plant for a station that is not in the caller's places.

    Raises:
        Unknown: The caller cannot see it.
        Forbidden: The caller may change nothing there.
    """
    missing = Unknown("station_code", f"không có đài mã “{code}”; nhập đài trước")
    await require_at_station(session, caller, Permission.REGISTER_WRITE, code, missing)


async def require_at_plant(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    code: str,
    missing: BroadcastError | None = None,
) -> None:
    """Refuse a change of a plant outside of the caller's places; as `require_at_station`.

    It lies where the station is that it belongs to, or is to belong to later.
    """
    thing = sa.select(Plant.id).where(Plant.code == code)
    rows = (
        await session.execute(
            sa.select(Station.commune_code, PlantState.valid_from)
            .join(PlantState, PlantState.station_id == Station.id)
            .join(Plant, Plant.id == PlantState.plant_id)
            .where(Plant.code == code)
            .order_by(PlantState.valid_from)
        )
    ).all()
    past = [commune for commune, valid_from in rows if valid_from <= clock.today()][-1:]
    coming = [commune for commune, valid_from in rows if valid_from > clock.today()]
    missing = missing or NotFound(f"Không có hệ thống kỹ thuật mã “{code}”.")
    await scope.require(session, caller, permission, {*past, *coming}, thing, missing)


async def require_visible_plant(session: AsyncSession, caller: Caller, code: str) -> None:
    """Refuse to hang a cluster on a plant that the caller cannot see.

    Raises:
        Unknown: So it is.
    """
    thing = sa.select(Plant.id).where(Plant.code == code)
    missing = Unknown("plant_code", f"không có hệ thống kỹ thuật mã “{code}”; nhập nó trước")
    await scope.require_visible(session, caller, Permission.READ, thing, missing)


async def require_at_cluster(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    code: str,
    missing: BroadcastError | None = None,
    also: Iterable[str] = (),
) -> None:
    """Refuse a change of a cluster outside of the caller's places; as `require_at_station`.

    It lies in its primary villages: a change needs the permission in each.
    """
    thing = sa.select(Cluster.id).where(Cluster.code == code)
    villages = await villages_of(session, list(await session.scalars(thing)))
    missing = missing or NotFound(f"Không có cụm loa mã “{code}”.")
    await scope.require(
        session, caller, permission, {*villages, *also} if villages else (), thing, missing
    )


async def require_at(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    cluster_code: str | None,
    area_code: str | None,
) -> None:
    """Refuse a change at a cluster or in a unit, whichever is named, as a body names them.

    Raises:
        BroadcastError: As `areas.scope.require`.
    """
    if cluster_code is not None:
        missing = Unknown("cluster_code", f"không có cụm loa mã “{cluster_code}”")
        await require_at_cluster(session, caller, permission, cluster_code, missing)
    if area_code is not None:
        await scope.require(session, caller, permission, [area_code])
    if cluster_code is None and area_code is None:
        await scope.require_somewhere(session, caller, permission)
