"""A cluster: its facts, its place on a small map, the villages that it serves, its device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.tree import Tree, Unit
from broadcast.auth.caller import Caller, Reader, RegisterEditor
from broadcast.auth.permissions import Permission
from broadcast.boundaries.drawing import Frame
from broadcast.boundaries.outlines import show_map
from broadcast.boundaries.schemas import MapOut
from broadcast.clusters import register
from broadcast.clusters.schemas import ClusterOut, VillagesIn
from broadcast.console.admin.choices import plant_choices
from broadcast.console.admin.editing import CodeIn, Line, day, filled, hold, version, written
from broadcast.console.admin.words import EVIDENCE, GRADES
from broadcast.console.formats import collated
from broadcast.console.page import PageRouter, page, redirect
from broadcast.devices import installations
from broadcast.devices.model import Installation
from broadcast.devices.schemas import InstallationOut
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.stations import plants, stations
from broadcast.stations.places import require_at_cluster, require_visible_plant
from broadcast.stations.schemas import (
    ClusterIn,
    NewClusterIn,
    ServedVillage,
    read_villages,
)
from broadcast.web.rest import Session

router = PageRouter()

Several = Annotated[list[str] | None, Form()]
"""Villages, each as `code:grade`; empty where none was chosen."""


@router.get("/admin/clusters/new")
async def ask(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    plant: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Ask for a new cluster of a plant; of which, where none is named."""
    today, tree = clock.today(), await _tree(session)
    communes: list[str] = []
    if plant:
        found = await plants.show_plant(session, plant, today)
        communes = [(await stations.show_station(session, found.station_code, today)).commune_code]
    return page(
        request, caller, "admin/cluster_new.html", plant=plant, today=today, evidence=EVIDENCE,
        grades=GRADES, villages=_villages(tree, communes),
        plants=dict(await plant_choices(session, caller)),
        place=await _place(session, tree, communes, None),
    )  # fmt: skip


@router.post("/admin/clusters", summary="Thêm cụm loa")
async def create(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: Line = "",
    name: Line = "",
    plant_code: Line = "",
    latitude: Line = "",
    longitude: Line = "",
    horns_count: Line = "",
    watts: Line = "",
    power_feed: Line = "",
    evidence: Line = "",
    installed_on: Line = "",
    villages: Several = None,
) -> Response:
    """As `POST /api/v1/clusters`."""
    facts = filled(
        ClusterIn,
        {
            "name": name, "plant_code": plant_code, "latitude": latitude, "longitude": longitude,
            "horns_count": horns_count, "watts": watts, "power_feed": power_feed,
            "evidence": evidence, "installed_on": installed_on,
        },
    )  # fmt: skip
    named = filled(CodeIn, {"code": code})
    body = NewClusterIn(**facts.model_dump(), code=named.code, villages=_served(villages))
    await scope.require(
        session, caller, Permission.REGISTER_WRITE, [each.village_code for each in body.villages]
    )
    await require_visible_plant(session, caller, body.plant_code)
    await register.create_cluster(session, body, clock.today())
    return redirect(request, f"/admin/clusters/{body.code}")


@router.get("/admin/clusters/{code}")
async def show(request: Request, session: Session, caller: Reader, code: str) -> Response:
    """As `GET /api/v1/clusters/{code}`."""
    found = await register.show_cluster(session, code, clock.today())
    return await _page(request, session, caller, found, "admin/cluster.html")


@router.post("/admin/clusters/{code}", summary="Sửa hoặc gỡ cụm loa")
async def change(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: str,
    name: Line = "",
    plant_code: Line = "",
    latitude: Line = "",
    longitude: Line = "",
    horns_count: Line = "",
    watts: Line = "",
    power_feed: Line = "",
    evidence: Line = "",
    installed_on: Line = "",
    removed_on: Line = "",
) -> Response:
    """As `PUT /api/v1/clusters/{code}`; what was can be put back."""
    body = filled(
        ClusterIn,
        {
            "name": name, "plant_code": plant_code, "latitude": latitude, "longitude": longitude,
            "horns_count": horns_count, "watts": watts, "power_feed": power_feed,
            "evidence": evidence, "installed_on": installed_on, "removed_on": removed_on,
        },
    )  # fmt: skip
    await require_at_cluster(session, caller, Permission.REGISTER_WRITE, code)
    await require_visible_plant(session, caller, body.plant_code)
    before = await _hold(request, session, code)
    found = await register.change_cluster(session, code, body, clock.today())
    undo = written(ClusterIn, before) if before != found else None
    return await _page(request, session, caller, found, "admin/_cluster.html", undo=undo)


@router.post("/admin/clusters/{code}/villages", summary="Các thôn cụm loa phục vụ từ một ngày")
async def put_villages(
    request: Request,
    session: Session,
    caller: RegisterEditor,
    code: str,
    villages_from: Line = "",
    villages: Several = None,
) -> Response:
    """As `PUT /api/v1/clusters/{code}/villages`."""
    served = _served(villages)
    body = VillagesIn(valid_from=day("villages_from", villages_from), villages=served)
    also = [each.village_code for each in served]
    await require_at_cluster(session, caller, Permission.REGISTER_WRITE, code, also=also)
    await _hold(request, session, code)
    await register.set_villages(session, code, body)
    found = await register.show_cluster(session, code, clock.today())
    return await _page(request, session, caller, found, "admin/_cluster.html")


@router.post("/admin/clusters/{code}/delete", summary="Xóa cụm loa nhập nhầm")
async def delete(
    request: Request, session: Session, caller: RegisterEditor, code: str
) -> Response:
    """As `DELETE /api/v1/clusters/{code}`."""
    await require_at_cluster(session, caller, Permission.REGISTER_WRITE, code)
    before = await _hold(request, session, code)
    await register.delete_cluster(session, code)
    return redirect(request, f"/admin/plants/{before.plant_code}")


async def _hold(request: Request, session: AsyncSession, code: str) -> ClusterOut:
    return await hold(
        request, session, f"/api/v1/clusters/{code}",
        register.show_cluster(session, code, clock.today()),
    )  # fmt: skip


def _served(villages: Sequence[str] | None) -> list[ServedVillage]:
    """Villages as a form sends them.

    Raises:
        InvalidInput: None was chosen, or what was sent is none of the choices.
    """
    try:
        found = read_villages(";".join(filter(None, villages or ())))
    except ValueError as error:
        raise InvalidInput("villages", str(error)) from None
    if not found:
        raise InvalidInput("villages", "chọn ít nhất một thôn mà cụm loa phục vụ chính")
    return [ServedVillage(village_code=code, grade=grade) for code, grade in found.items()]


async def _page(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    found: ClusterOut,
    template: str,
    *,
    undo: dict[str, Any] | None = None,
) -> Response:
    today, tree = clock.today(), await _tree(session)
    served = {each.village_code: each.grade for each in found.villages}
    communes = _communes_of(tree, served)
    named = {each.code: each.name for each in tree if each.level is Level.VILLAGE}
    tag = version(found)
    return page(
        request,
        caller,
        template,
        headers=tag,
        version=tag["ETag"],
        cluster=found,
        facts=written(ClusterIn, found),
        undo=undo,
        served=served,
        named=named,
        plants=await plant_choices(session, caller),
        plant_names=await plants.names(session, [found.plant_code]),
        history=await register.list_services(session, found.code),
        villages=_villages(tree, communes),
        place=await _place(session, tree, communes, found),
        device=await _device(session, found.code),
        evidence=EVIDENCE,
        grades=GRADES,
        today=today,
    )


async def _device(session: AsyncSession, code: str) -> InstallationOut | None:
    """The device on a cluster now."""
    cluster = await register.require_cluster(session, code)
    found = await installations.list_installations(session, Installation.cluster_id == cluster.id)
    return next((each for each in found if each.removed_at is None), None)


# --- where it stands, and whom it serves ---------------------------------------------------------


async def _tree(session: AsyncSession) -> Tree:
    return (await scope.territory_of(session)).lineage.tree_on(clock.today())


def _communes_of(tree: Tree, villages: Iterable[str]) -> list[str]:
    """Communes that villages lie in, in the order of the villages."""
    above = [
        unit.code
        for village in villages
        for unit in tree.chain(village)
        if unit.level is Level.COMMUNE
    ]
    return list(dict.fromkeys(above))


def _villages(tree: Tree, communes: Iterable[str]) -> list[Unit]:
    """Villages of communes, by name."""
    found = [unit for code in communes for unit in tree.under(code, Level.VILLAGE)]
    return sorted(found, key=lambda unit: collated(unit.name))


class _Place(NamedTuple):
    """A commune as a small map, and where the cluster stands on it."""

    map: MapOut
    x: int | None
    y: int | None


async def _place(
    session: AsyncSession, tree: Tree, communes: Sequence[str], cluster: ClusterOut | None
) -> _Place | None:
    """The first commune; None where there is none, or it has no outline."""
    if not communes or communes[0] not in tree:
        return None
    drawn = await show_map(session, communes[0], clock.today())
    if not drawn.areas:
        return None
    if cluster is None or cluster.latitude is None or cluster.longitude is None:
        return _Place(drawn, None, None)
    frame = Frame(**drawn.frame.model_dump())
    return _Place(drawn, *frame.place((cluster.longitude, cluster.latitude)))
