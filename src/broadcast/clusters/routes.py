"""REST of clusters and the villages they serve.

The list of clusters, with the devices on them and their presence, is in `devices.routes`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.areas.topology import touch
from broadcast.kit import clock
from broadcast.kit.errors import Conflict, NotFound
from broadcast.kit.times import Day
from broadcast.stations.clusters import ClusterRow, put_cluster, serve, serves_on
from broadcast.stations.model import (
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Plant,
)
from broadcast.stations.registry import Registry, remove
from broadcast.web.fields import AsOf, Code, Name, example
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Body, Session, if_match

router = Router()


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
    request: Request, session: Session, caller: Technician, code: str, body: ClusterBody
) -> ClusterView:
    """Change a cluster; `removed_on` is the first day on which it is gone."""
    if_match(request, await _view(session, code, clock.today()))
    put_cluster(await Registry.load(session, clusters=[code]), _row(code, body))
    await touch(session)
    await session.flush()
    return await _view(session, code, clock.today())


@router.delete("/clusters/{code}", status_code=204, summary="Xóa cụm loa nhập nhầm")
async def delete_cluster(
    request: Request, session: Session, caller: Technician, code: str
) -> Response:
    """Delete a cluster that never had a device. One that has worked gets `removed_on`."""
    if_match(request, await _view(session, code, clock.today()))
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
