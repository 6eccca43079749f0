"""Installations: devices on clusters over time.

A swap closes one installation and opens another, so a cluster keeps its history and its proof of
play stays with the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.devices.model import Device, Installation
from broadcast.devices.places import code_of
from broadcast.devices.schemas import InstallationOut
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.locks import Lock, lock
from broadcast.stations.model import Cluster, Evidence

log = structlog.get_logger()


async def list_installations(
    session: AsyncSession, where: sa.ColumnElement[bool]
) -> list[InstallationOut]:
    """Installations of a device or on a cluster, oldest first."""
    rows = await session.execute(
        sa.select(
            Cluster.code.label("cluster_code"),
            code_of(Installation.device_id).label("device_code"),
            Installation.installed_at,
            Installation.removed_at,
        )
        .select_from(Installation)
        .join(Cluster, Cluster.id == Installation.cluster_id)
        .where(where)
        .order_by(Installation.installed_at)
    )
    return [InstallationOut(**row) for row in rows.mappings()]


async def install(
    session: AsyncSession, device: Device, cluster: Cluster, at: datetime, *, move: bool = False
) -> Installation:
    """Install a device on a cluster; the device that was there is removed at the same instant.

    Repeating it changes nothing.

    Args:
        session: Transaction.
        device: Device to install.
        cluster: Cluster it is for.
        at: When it is, or was, done.
        move: Remove the device from the cluster where it is installed now.

    Raises:
        InvalidInput: The cluster does not stand on that day, or has no telemetry.
        Conflict: The device is retired or installed elsewhere, or something later than `at` is on
            record already.
    """
    await lock(session, Lock.REGISTRY)
    await session.refresh(device, ["retired_at"])
    statement = sa.select(Installation).where(
        sa.or_(Installation.device_id == device.id, Installation.cluster_id == cluster.id)
    )
    history = (await session.scalars(statement)).all()
    opened = await open_installation(session, history, device, cluster, at, move=move)
    if opened not in history:
        await touch(session)
        await session.flush()
        log.info("devices.device.installed", device_id=device.code, cluster=cluster.code)
    return opened


async def open_installation(
    session: AsyncSession,
    history: Sequence[Installation],
    device: Device,
    cluster: Cluster,
    at: datetime,
    *,
    move: bool = False,
) -> Installation:
    """The open installation of a device on a cluster, new unless it is in `history` already.

    Args:
        session: Transaction; the registry is locked.
        history: Installations of the device and those on the cluster.
        device: Device to install.
        cluster: Cluster it is for.
        at: When it is, or was, done.
        move: Remove the device from the cluster where it is installed now.

    Raises:
        InvalidInput, Conflict: As `install`.
    """
    if device.retired_at is not None:
        raise Conflict(f"Thiết bị {device.code} đã ngừng dùng từ {_local(device.retired_at)}.")
    _require_telemetry_on(cluster, at)
    present = [row for row in history if row.removed_at is None]
    for row in present:
        if row.device_id == device.id and row.cluster_id == cluster.id:
            return row
        if row.device_id == device.id and not move:
            other = await session.get_one(Cluster, row.cluster_id)
            raise Conflict(
                f"Thiết bị {device.code} đang ở cụm {other.code}; "
                "hãy tháo ở đó trước, hoặc chọn tháo khỏi cụm đang lắp.",
                cluster=other.code,
            )
    for row in history:
        if at <= row.installed_at or (row.removed_at is not None and at < row.removed_at):
            last = row.removed_at or row.installed_at
            raise Conflict(
                f"Thiết bị hoặc cụm đã có thay đổi lúc {_local(last)}; thời điểm lắp phải sau đó."
            )
    for row in present:
        row.removed_at = at
    if present:
        # What is closed must be written first: a cluster has one open installation.
        await session.flush()
    opened = Installation(
        device_id=device.id, cluster_id=cluster.id, installed_at=at, removed_at=None
    )
    session.add(opened)
    return opened


def _require_telemetry_on(cluster: Cluster, at: datetime) -> None:
    on = at.astimezone(LOCAL).date()
    if on < cluster.installed_on or (cluster.removed_on is not None and cluster.removed_on <= on):
        until = cluster.removed_on or "nay"
        raise InvalidInput(
            "installed_at",
            f"cụm {cluster.code} chỉ có từ {cluster.installed_on} đến {until}; sửa thời điểm",
        )
    if cluster.evidence is not Evidence.TELEMETRY:
        raise InvalidInput(
            "cluster_code",
            f"cụm {cluster.code} ghi evidence={cluster.evidence.value}; "
            "đổi thành evidence=telemetry trước khi lắp thiết bị",
        )


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(LOCAL):%Y-%m-%d %H:%M:%S}"


async def remove(session: AsyncSession, cluster: Cluster, at: datetime) -> bool:
    """Remove the device of a cluster; tells whether there was one.

    Raises:
        Conflict: It was installed later than `at`.
    """
    await lock(session, Lock.REGISTRY)
    present = await session.scalar(
        sa.select(Installation).where(
            Installation.cluster_id == cluster.id, Installation.removed_at.is_(None)
        )
    )
    if present is None:
        return False
    if at <= present.installed_at:
        raise Conflict(f"Thiết bị mới lắp lúc {_local(present.installed_at)}; sửa thời điểm tháo.")
    present.removed_at = at
    await touch(session)
    await session.flush()
    log.info("devices.device.removed", cluster=cluster.code)
    return True
