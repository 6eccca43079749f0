"""Installing a device on a cluster, for REST and the pages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.clusters.register import require_cluster
from broadcast.clusters.schemas import InstallationIn
from broadcast.devices import installations
from broadcast.devices.enrolment import find_device
from broadcast.devices.places import require_at_device
from broadcast.devices.schemas import InstallationOut
from broadcast.kit.errors import InvalidInput
from broadcast.stations.places import require_at_cluster


async def install(
    session: AsyncSession, caller: Caller, code: str, body: InstallationIn, now: datetime
) -> InstallationOut:
    """Install a device on a cluster in place of the one there; repeating it changes nothing.

    Raises:
        NotFound, Forbidden: The caller may not do that at this cluster or with this device.
        InvalidInput: No such device, or a time to come.
        Conflict: As `installations.install`.
    """
    await require_at_cluster(session, caller, Permission.DEVICE_WRITE, code)
    missing = InvalidInput("device", f"không có thiết bị mã “{body.device}”; đăng ký trước")
    await require_at_device(session, caller, Permission.DEVICE_WRITE, body.device, missing)
    cluster = await require_cluster(session, code)
    device = await find_device(session, body.device)
    if device is None:
        raise missing
    opened = await installations.install(
        session, device, cluster, past(body.installed_at, now), move=body.move
    )
    return InstallationOut(
        cluster_code=code,
        device_code=device.code,
        installed_at=opened.installed_at,
        removed_at=opened.removed_at,
    )


def past(at: datetime | None, now: datetime) -> datetime:
    """The time that was given; now, where none was.

    Raises:
        InvalidInput: It is to come.
    """
    if at is not None and at > now:
        raise InvalidInput("installed_at", "ở tương lai; ghi lúc đã lắp hoặc đã tháo")
    return at or now
