"""REST of the device on a cluster: what is on it, what was, putting one there."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.devices import enrolment
from broadcast.devices.installations import InstallationView, installations
from broadcast.devices.model import Installation
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.times import Moment
from broadcast.stations.clusters import find_cluster
from broadcast.stations.model import Cluster
from broadcast.web.fields import Code, example
from broadcast.web.rest import Body, Session

router = Router()


class InstallationBody(Body):
    """A device to hang on a cluster."""

    model_config = example(device="QN-000417", move=False)

    device: Code
    installed_at: Annotated[Moment | None, Field(description="lúc đã lắp, mặc định bây giờ")] = (
        None
    )
    move: Annotated[bool, Field(description="tháo khỏi cụm đang lắp")] = False


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
