"""Devices: enrolling, finding, changing and retiring them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.devices.model import Device, Installation
from broadcast.devices.schemas import DeviceIn, DeviceOut, NewDeviceIn
from broadcast.devices.serials import Plate, known_serials
from broadcast.kit.codes import KnownCodes
from broadcast.kit.errors import Conflict, NotFound
from broadcast.kit.locks import Lock, lock
from broadcast.kit.sheets import Action
from broadcast.stations.model import Cluster
from broadcast.stations.registry import changed, facts_of
from broadcast.web.rest import Page, Paging, paged
from broadcast.wire.fields import Codec

log = structlog.get_logger()


def _devices() -> sa.Select[Device, str | None]:
    return (
        sa.select(Device, Cluster.code)
        .outerjoin(
            Installation,
            sa.and_(Installation.device_id == Device.id, Installation.removed_at.is_(None)),
        )
        .outerjoin(Cluster, Cluster.id == Installation.cluster_id)
    )


def _out(device: Device, cluster_code: str | None) -> DeviceOut:
    return DeviceOut(
        code=device.code,
        **facts_of(DeviceIn, device, but="codecs"),
        codecs=[Codec(codec) for codec in device.codecs],
        enrolled_at=device.enrolled_at,
        retired_at=device.retired_at,
        cluster_code=cluster_code,
    )


async def list_devices(
    session: AsyncSession, paging: Paging, *, retired: bool, installed: bool | None
) -> Page[DeviceOut]:
    """Devices by code.

    Args:
        session: Transaction.
        paging: Page.
        retired: Retired ones as well.
        installed: Those on a cluster now, or those on none; all when None.
    """
    statement = _devices()
    if not retired:
        statement = statement.where(Device.retired_at.is_(None))
    if installed is not None:
        is_installed = Installation.device_id.is_not(None)
        statement = statement.where(is_installed if installed else sa.not_(is_installed))
    found = await paged(session, statement, [Device.code], paging)
    return found.page(_out)


async def show_device(session: AsyncSession, code: str) -> DeviceOut:
    """A device, also a retired one.

    Raises:
        NotFound: No device has this code.
    """
    row = (await session.execute(_devices().where(Device.code == code))).one_or_none()
    if row is None:
        raise _no_device(code)
    return _out(*row)


def _no_device(code: str) -> NotFound:
    return NotFound(f"Không có thiết bị mã “{code}”.")


async def find_device(session: AsyncSession, code: str) -> Device | None:
    """The device with this code, also a retired one."""
    found: Device | None = await session.scalar(sa.select(Device).where(Device.code == code))
    return found


async def require_device(session: AsyncSession, code: str) -> Device:
    """The device with this code, also a retired one.

    Raises:
        NotFound: No device has this code.
    """
    device = await find_device(session, code)
    if device is None:
        raise _no_device(code)
    return device


async def create_device(session: AsyncSession, body: NewDeviceIn, now: datetime) -> DeviceOut:
    """Enrol a device.

    Raises:
        Conflict, InvalidInput: As `enrol`.
    """
    return _out(await enrol(session, body, now), None)


async def change_device(session: AsyncSession, code: str, body: DeviceIn) -> DeviceOut:
    """Change the facts of a device.

    Raises:
        NotFound: No device has this code.
        InvalidInput: As `change`.
    """
    await change(session, await require_device(session, code), body)
    await session.flush()
    return await show_device(session, code)


async def enrol(session: AsyncSession, body: NewDeviceIn, now: datetime) -> Device:
    """A new device, not yet on any cluster.

    Raises:
        Conflict: The code is taken, also by a device that was retired: its reports bear it.
        InvalidInput: It resembles another, or another device in use bears its serial number.
    """
    await lock(session, Lock.REGISTRY)
    if await find_device(session, body.code) is not None:
        raise Conflict(f"Đã có thiết bị mã “{body.code}”; mã không dùng lại.")
    (await known_codes(session)).admit(body.code)
    (await known_serials(session)).admit(Plate.of(body))
    device = new_device(body, now)
    session.add(device)
    await touch(session)
    await session.flush()
    log.info("devices.device.enrolled", device_id=device.code)
    return device


def new_device(body: NewDeviceIn, now: datetime) -> Device:
    """A row for a device that is enrolled now."""
    return Device(code=body.code, **device_facts(body), enrolled_at=now, retired_at=None)


def device_facts(body: DeviceIn) -> dict[str, Any]:
    """Columns of a device, from its fields."""
    codecs = sorted(codec.value for codec in body.codecs)
    return facts_of(DeviceIn, body) | {"codecs": codecs}


async def known_codes(session: AsyncSession) -> KnownCodes:
    """The codes of all devices ever enrolled."""
    return KnownCodes("thiết bị", await session.scalars(sa.select(Device.code)))


async def change(session: AsyncSession, device: Device, body: DeviceIn) -> tuple[Action, str]:
    """Change the facts of a device; its configuration is sent anew when volumes change.

    Raises:
        InvalidInput: Another device in use bears the serial number.
    """
    await lock(session, Lock.REGISTRY)
    if device.retired_at is None:
        plate = Plate(device.code, body.model, body.serial)
        (await known_serials(session)).admit(plate, Plate.of(device))
    outcome = changed(device, device_facts(body))
    if outcome[0] is not Action.UNCHANGED:
        await touch(session)
    return outcome


async def retire(session: AsyncSession, device: Device, now: datetime) -> None:
    """Take a device out of use for good; what it has reported stays."""
    if device.retired_at is not None:
        return
    await lock(session, Lock.REGISTRY)
    present = await session.scalar(
        sa.select(Installation).where(
            Installation.device_id == device.id, Installation.removed_at.is_(None)
        )
    )
    if present is not None:
        present.removed_at = max(now, present.installed_at)
    device.retired_at = now
    await touch(session)
    await session.flush()
    log.info("devices.device.retired", device_id=device.code)
