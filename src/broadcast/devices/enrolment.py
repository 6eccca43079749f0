"""Enrolling devices, hanging them on clusters, taking them down.

A swap closes one installation and opens another, so a cluster keeps its history and its proof of
play stays with the place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.topology import touch
from broadcast.devices.model import Device, Installation
from broadcast.devices.serials import KnownSerials, Plate, known_serials
from broadcast.kit import sheets
from broadcast.kit.clock import LOCAL
from broadcast.kit.codes import KnownCodes
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.locks import Lock, lock
from broadcast.kit.sheets import Action, Column, Sheet
from broadcast.stations.imports import Kind
from broadcast.stations.model import Cluster, Evidence
from broadcast.stations.registry import changed
from broadcast.wire.fields import Codec

log = structlog.get_logger()


class DeviceFacts(NamedTuple):
    """What is known of a device."""

    code: str
    model: str
    serial: str
    codecs: Sequence[Codec]
    volume: int
    alert_volume: int


async def enrol(session: AsyncSession, facts: DeviceFacts, now: datetime) -> Device:
    """A new device, not yet on any cluster.

    Raises:
        Conflict: The code is taken, also by a device that was retired: its reports bear it.
        InvalidInput: It resembles another, or another device in use bears its serial number.
    """
    await lock(session, Lock.REGISTRY)
    if await find_device(session, facts.code) is not None:
        raise Conflict(f"Đã có thiết bị mã “{facts.code}”; mã không dùng lại.")
    (await _known_codes(session)).admit(facts.code)
    (await known_serials(session)).admit(_plate(facts))
    values = facts._asdict() | {"codecs": _codecs(facts)}
    device = Device(**values, enrolled_at=now, retired_at=None)
    session.add(device)
    await touch(session)
    await session.flush()
    log.info("devices.device.enrolled", device_id=device.code)
    return device


async def _known_codes(session: AsyncSession) -> KnownCodes:
    return KnownCodes("thiết bị", await session.scalars(sa.select(Device.code)))


async def describe(
    session: AsyncSession, device: Device, facts: DeviceFacts
) -> tuple[Action, str]:
    """Change what is known of a device; its configuration is sent anew when volumes change.

    Raises:
        InvalidInput: Another device in use bears the serial number.
    """
    await lock(session, Lock.REGISTRY)
    if device.retired_at is None:
        (await known_serials(session)).admit(_plate(facts), _plate(device))
    outcome = changed(device, facts._asdict() | {"codecs": _codecs(facts)})
    if outcome[0] is not Action.UNCHANGED:
        await touch(session)
    return outcome


def _codecs(facts: DeviceFacts) -> list[str]:
    return sorted({codec.value for codec in facts.codecs})


def _plate(of: DeviceFacts | Device) -> Plate:
    return Plate(of.code, of.model, of.serial)


async def retire(session: AsyncSession, device: Device, now: datetime) -> None:
    """Take a device out of use for good; what it has reported stays."""
    if device.retired_at is not None:
        return
    present = await _open_installation(session, Installation.device_id == device.id)
    if present is not None:
        present.removed_at = max(now, present.installed_at)
    device.retired_at = now
    await touch(session)
    await session.flush()
    log.info("devices.device.retired", device_id=device.code)


async def install(
    session: AsyncSession, device: Device, cluster: Cluster, at: datetime, *, move: bool = False
) -> Installation:
    """Hang a device on a cluster; the device that hung there is taken down at the same instant.

    Repeating it changes nothing.

    Args:
        session: Transaction.
        device: Device to hang.
        cluster: Cluster it is for.
        at: When it is, or was, done.
        move: Take the device down from the cluster where it hangs now.

    Raises:
        InvalidInput: The cluster does not stand on that day, or has no telemetry.
        Conflict: The device is retired or hangs elsewhere, or something later than `at` is on
            record already.
    """
    await lock(session, Lock.REGISTRY)
    await session.refresh(device, ["retired_at"])
    statement = sa.select(Installation).where(
        sa.or_(Installation.device_id == device.id, Installation.cluster_id == cluster.id)
    )
    history = (await session.scalars(statement)).all()
    opened = await _hang(session, history, device, cluster, at, move=move)
    if opened not in history:
        await touch(session)
        await session.flush()
        log.info("devices.device.installed", device_id=device.code, cluster=cluster.code)
    return opened


async def _hang(
    session: AsyncSession,
    history: Sequence[Installation],
    device: Device,
    cluster: Cluster,
    at: datetime,
    *,
    move: bool = False,
) -> Installation:
    """The open installation of a device on a cluster, new unless it is in `history` already."""
    if device.retired_at is not None:
        raise Conflict(f"Thiết bị {device.code} đã ngừng dùng từ {_local(device.retired_at)}.")
    _require_standing(cluster, at)
    present = [row for row in history if row.removed_at is None]
    for row in present:
        if row.device_id == device.id and row.cluster_id == cluster.id:
            return row
        if row.device_id == device.id and not move:
            other = await session.get_one(Cluster, row.cluster_id)
            raise Conflict(
                f"Thiết bị {device.code} đang ở cụm {other.code}; "
                "tháo ở đó trước, hoặc gửi move: true.",
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


def _require_standing(cluster: Cluster, at: datetime) -> None:
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


async def take_down(session: AsyncSession, cluster: Cluster, at: datetime) -> bool:
    """Take down what hangs on a cluster; tells whether anything did.

    Raises:
        Conflict: It was hung up later than `at`.
    """
    present = await _open_installation(session, Installation.cluster_id == cluster.id)
    if present is None:
        return False
    if at <= present.installed_at:
        raise Conflict(f"Thiết bị mới lắp lúc {_local(present.installed_at)}; sửa thời điểm tháo.")
    present.removed_at = at
    await touch(session)
    await session.flush()
    log.info("devices.device.taken_down", cluster=cluster.code)
    return True


async def _open_installation(
    session: AsyncSession, where: sa.ColumnElement[bool]
) -> Installation | None:
    await lock(session, Lock.REGISTRY)
    found: Installation | None = await session.scalar(
        sa.select(Installation).where(where, Installation.removed_at.is_(None))
    )
    return found


async def installed(
    session: AsyncSession, at: datetime, cluster_ids: Collection[int] | None = None
) -> dict[int, Device]:
    """The device on each cluster at an instant, by cluster id."""
    statement = (
        sa.select(Installation.cluster_id, Device)
        .join(Device, Device.id == Installation.device_id)
        .where(
            Installation.installed_at <= at,
            sa.or_(Installation.removed_at.is_(None), Installation.removed_at > at),
        )
    )
    if cluster_ids is not None:
        statement = statement.where(Installation.cluster_id.in_(cluster_ids))
    return dict((await session.execute(statement)).all())


async def find_device(session: AsyncSession, code: str) -> Device | None:
    """The device with this code, also a retired one."""
    found: Device | None = await session.scalar(sa.select(Device).where(Device.code == code))
    return found


async def device_ids(session: AsyncSession) -> dict[str, int]:
    """Key of every device ever enrolled, by its code: a retired one may still report the past."""
    return dict((await session.execute(sa.select(Device.code, Device.id))).all())


# --- from a file ---------------------------------------------------------------------------------


class DeviceRow(NamedTuple):
    """A row of devices.csv: the device and, if given, the cluster it hangs on."""

    code: str
    model: str
    serial: str
    codecs: Sequence[Codec]
    volume: int
    alert_volume: int
    cluster_code: str | None
    installed_at: datetime | None


class _Enrolment(NamedTuple):
    session: AsyncSession
    now: datetime
    devices: dict[str, Device]
    codes: KnownCodes
    serials: KnownSerials
    clusters: dict[str, Cluster]
    by_device: dict[int, list[Installation]]
    by_cluster: dict[int, list[Installation]]

    def history(self, device: Device, cluster: Cluster) -> list[Installation]:
        """Installations of the device and those on the cluster."""
        rows = [*self.by_device.get(device.id, ()), *self.by_cluster.get(cluster.id, ())]
        return list(dict.fromkeys(rows))

    def remember(self, row: Installation) -> None:
        """Add an installation to the history."""
        self.by_device.setdefault(row.device_id, []).append(row)
        self.by_cluster.setdefault(row.cluster_id, []).append(row)


def devices_kind(now: datetime) -> Kind[DeviceRow, _Enrolment]:
    """How devices.csv is stored; a device that hangs on another cluster is not moved by a file."""

    async def load(session: AsyncSession, rows: Sequence[DeviceRow]) -> _Enrolment:
        await lock(session, Lock.REGISTRY)
        codes = [row.code for row in rows]
        named = {row.cluster_code for row in rows if row.cluster_code is not None}
        stored = await session.scalars(sa.select(Device).where(Device.code.in_(codes)))
        devices = {device.code: device for device in stored}
        changing = {
            row.code
            for row in rows
            if row.code in devices and Plate(*row[:3]) != _plate(devices[row.code])
        }
        clusters = await session.scalars(sa.select(Cluster).where(Cluster.code.in_(named)))
        enrolment = _Enrolment(
            session,
            now,
            devices,
            await _known_codes(session),
            await known_serials(session, changing),
            {cluster.code: cluster for cluster in clusters},
            {},
            {},
        )
        for row in await session.scalars(sa.select(Installation)):
            enrolment.remember(row)
        return enrolment

    return Kind(DEVICES, load, [_put_device, _put_installation])


DEVICES = Sheet(
    kind="devices",
    columns=[
        Column("code", sheets.code),
        Column("model", sheets.text(), required=False, default=""),
        Column("serial", sheets.text(), required=False, default=""),
        Column("codecs", sheets.several(Codec)),
        Column("volume", sheets.number(0, 100), required=False, default=70),
        Column("alert_volume", sheets.number(0, 100), required=False, default=100),
        Column("cluster_code", sheets.code, required=False),
        Column("installed_at", sheets.instant, required=False),
    ],
    row=DeviceRow,
    key=("code",),
)


async def _put_device(enrolment: _Enrolment, row: DeviceRow) -> tuple[Action, str]:
    facts = DeviceFacts(*row[:6])
    values = facts._asdict() | {"codecs": _codecs(facts)}
    device = enrolment.devices.get(row.code)
    if device is None:
        enrolment.codes.admit(row.code)
        enrolment.serials.admit(_plate(facts))
        device = Device(**values, enrolled_at=enrolment.now, retired_at=None)
        enrolment.session.add(device)
        enrolment.devices[row.code] = device
        return Action.ADDED, row.model
    if device.retired_at is not None:
        raise InvalidInput("code", f"thiết bị {row.code} đã ngừng dùng; mã không dùng lại")
    enrolment.serials.admit(_plate(facts), _plate(device))
    return changed(device, values)


async def _put_installation(enrolment: _Enrolment, row: DeviceRow) -> tuple[Action, str]:
    if row.cluster_code is None:
        return Action.UNCHANGED, ""
    cluster = enrolment.clusters.get(row.cluster_code)
    if cluster is None:
        raise InvalidInput("cluster_code", f"không có cụm loa mã “{row.cluster_code}”")
    at = row.installed_at or enrolment.now
    if at > enrolment.now:
        raise InvalidInput("installed_at", "ở tương lai; ghi lúc đã lắp")
    device = enrolment.devices[row.code]
    history = enrolment.history(device, cluster)
    try:
        opened = await _hang(enrolment.session, history, device, cluster, at)
    except Conflict as error:
        raise InvalidInput("cluster_code", error.detail) from None
    if opened in history:
        return Action.UNCHANGED, ""
    enrolment.remember(opened)
    return Action.CHANGED, f"lên cụm {cluster.code}"
