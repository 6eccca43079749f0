"""REST of the device on a cluster: installing one, removing it, those that have been there."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from broadcast.auth.caller import DeviceEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.clusters import installing
from broadcast.clusters.register import require_cluster
from broadcast.clusters.schemas import InstallationIn
from broadcast.devices import installations
from broadcast.devices.model import Installation
from broadcast.devices.schemas import InstallationOut
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.kit.times import Moment
from broadcast.stations.places import require_at_cluster
from broadcast.web.rest import Session

router = Router(prefix="/api/v1", tags=["clusters"])


@router.get("/clusters/{code}/history", summary="Các thiết bị đã lắp trên cụm loa")
async def cluster_history(session: Session, caller: Reader, code: str) -> list[InstallationOut]:
    """Devices that are or were installed on a cluster, oldest first."""
    cluster = await require_cluster(session, code)
    return await installations.list_installations(session, Installation.cluster_id == cluster.id)


@router.post("/clusters/{code}/device", summary="Lắp hoặc thay thiết bị của cụm loa")
async def install_device(
    session: Session, caller: DeviceEditor, code: str, body: InstallationIn
) -> InstallationOut:
    """Install a device on a cluster in place of the one there; repeating it changes nothing."""
    return await installing.install(session, caller, code, body, clock.now())


@router.delete("/clusters/{code}/device", status_code=204, summary="Tháo thiết bị khỏi cụm loa")
async def remove_device(
    session: Session,
    caller: DeviceEditor,
    code: str,
    removed_at: Annotated[
        Moment | None, Query(description="lúc đã tháo, mặc định bây giờ")
    ] = None,
) -> Response:
    """Remove the device of a cluster."""
    await require_at_cluster(session, caller, Permission.DEVICE_WRITE, code)
    cluster = await require_cluster(session, code)
    if not await installations.remove(session, cluster, installing.past(removed_at, clock.now())):
        raise NotFound(f"Cụm loa {code} không có thiết bị nào.")
    return Response(status_code=204)
