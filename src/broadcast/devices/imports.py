"""Devices from CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.row_imports import Kind
from broadcast.devices.enrolment import device_facts, known_codes, new_device
from broadcast.devices.installations import open_installation
from broadcast.devices.model import Device, Installation
from broadcast.devices.schemas import DeviceRow
from broadcast.devices.serials import KnownSerials, Plate, known_serials
from broadcast.kit.codes import KnownCodes
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.locks import Lock, lock
from broadcast.kit.sheets import Action, Sheet
from broadcast.stations.model import Cluster
from broadcast.stations.registry import changed

DEVICES = Sheet(kind="devices", model=DeviceRow, key=("code",))


@dataclass
class _Stored:
    """Stored rows that those of a file are checked against."""

    session: AsyncSession
    now: datetime
    devices: dict[str, Device]
    clusters: dict[str, Cluster]
    codes: KnownCodes
    serials: KnownSerials
    by_device: dict[int, list[Installation]] = field(default_factory=dict)
    by_cluster: dict[int, list[Installation]] = field(default_factory=dict)

    def history(self, device: Device, cluster: Cluster) -> list[Installation]:
        """Installations of the device and those on the cluster."""
        rows = [*self.by_device.get(device.id, ()), *self.by_cluster.get(cluster.id, ())]
        return list(dict.fromkeys(rows))

    def add(self, row: Installation) -> None:
        """Add an installation to the history."""
        self.by_device.setdefault(row.device_id, []).append(row)
        self.by_cluster.setdefault(row.cluster_id, []).append(row)


def devices_kind(now: datetime) -> Kind[DeviceRow, _Stored]:
    """Kind of devices.csv; a file moves no device that is installed on another cluster."""

    async def load(session: AsyncSession, rows: Sequence[DeviceRow]) -> _Stored:
        await lock(session, Lock.REGISTRY)
        codes = [row.code for row in rows]
        named = {row.cluster_code for row in rows if row.cluster_code is not None}
        found = await session.scalars(sa.select(Device).where(Device.code.in_(codes)))
        devices = {device.code: device for device in found}
        changing = {
            row.code
            for row in rows
            if row.code in devices and Plate.of(row) != Plate.of(devices[row.code])
        }
        clusters = await session.scalars(sa.select(Cluster).where(Cluster.code.in_(named)))
        stored = _Stored(
            session=session,
            now=now,
            devices=devices,
            clusters={cluster.code: cluster for cluster in clusters},
            codes=await known_codes(session),
            serials=await known_serials(session, changing),
        )
        for row in await session.scalars(sa.select(Installation)):
            stored.add(row)
        return stored

    return Kind(DEVICES, load, [_put_device, _put_installation])


async def _put_device(stored: _Stored, row: DeviceRow) -> tuple[Action, str]:
    device = stored.devices.get(row.code)
    if device is None:
        stored.codes.admit(row.code)
        stored.serials.admit(Plate.of(row))
        device = new_device(row, stored.now)
        stored.session.add(device)
        stored.devices[row.code] = device
        return Action.ADDED, row.model
    if device.retired_at is not None:
        raise InvalidInput("code", f"thiết bị {row.code} đã ngừng dùng; mã không dùng lại")
    stored.serials.admit(Plate.of(row), Plate.of(device))
    return changed(device, device_facts(row))


async def _put_installation(stored: _Stored, row: DeviceRow) -> tuple[Action, str]:
    if row.cluster_code is None:
        return Action.UNCHANGED, ""
    cluster = stored.clusters.get(row.cluster_code)
    if cluster is None:
        raise InvalidInput("cluster_code", f"không có cụm loa mã “{row.cluster_code}”")
    at = row.installed_at or stored.now
    if at > stored.now:
        raise InvalidInput("installed_at", "ở tương lai; ghi lúc đã lắp")
    device = stored.devices[row.code]
    history = stored.history(device, cluster)
    try:
        opened = await open_installation(stored.session, history, device, cluster, at)
    except Conflict as error:
        raise InvalidInput("cluster_code", error.detail) from None
    if opened in history:
        return Action.UNCHANGED, ""
    stored.add(opened)
    return Action.CHANGED, f"lên cụm {cluster.code}"
