"""Places of devices: where they are installed, or were last."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.devices.model import Device, Installation
from broadcast.kit.errors import BroadcastError, NotFound
from broadcast.stations.places import villages_of


def code_of(device_id: sa.orm.InstrumentedAttribute[int]) -> sa.ScalarSelect[str]:
    """Code of a device that is named by what happened at a place, wherever it is by now."""
    box = Device.__table__
    return sa.select(box.c.code).where(box.c.id == device_id).scalar_subquery()


async def require_at_device(
    session: AsyncSession,
    caller: Caller,
    permission: Permission,
    code: str,
    missing: BroadcastError | None = None,
) -> None:
    """Refuse a change of a device outside of the caller's places.

    One that was never installed is in no place yet: whoever has the permission anywhere may take
    it from stock.

    Raises:
        BroadcastError: As `areas.scope.require`.
    """
    thing = sa.select(Device.id).where(Device.code == code)
    missing = missing or NotFound(f"Không có thiết bị mã “{code}”.")
    device_id = await session.scalar(thing)
    last = await session.scalar(
        sa.select(Installation.cluster_id)
        .where(Installation.device_id == device_id)
        .order_by(Installation.installed_at.desc())
        .limit(1)
    )
    if device_id is not None and last is None:
        await scope.require_somewhere(session, caller, permission)
        return
    villages = set() if last is None else await villages_of(session, [last])
    await scope.require(session, caller, permission, villages, thing, missing)
