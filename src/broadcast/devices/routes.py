"""REST of devices: enrolling them, their facts, where they have been."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import File, Query, Request, Response, UploadFile
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.devices import enrolment
from broadcast.devices.enrolment import DeviceFacts
from broadcast.devices.installations import InstallationView, installations
from broadcast.devices.model import Device, Installation
from broadcast.kit import clock
from broadcast.kit.errors import NotFound
from broadcast.kit.sheets import Report
from broadcast.kit.times import Moment
from broadcast.stations.imports import KINDS, import_files
from broadcast.stations.model import Cluster
from broadcast.web.fields import Code, DryRun, Text, example
from broadcast.web.files import received
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Body, Page, PageQuery, Session, paged
from broadcast.wire.fields import Codec

router = Router(prefix="/api/v1", tags=["devices"])


class DeviceBody(Body):
    """What is known of a device."""

    model_config = example(
        model="TTX-4G", serial="860000000000017", codecs=["opus", "mp3"], volume=70,
        alert_volume=100,
    )  # fmt: skip

    model: Text = ""
    serial: Text = ""
    codecs: Annotated[set[Codec], Field(min_length=1)]
    volume: Annotated[int, Field(ge=0, le=100, description="phần trăm")] = 70
    alert_volume: Annotated[int, Field(ge=0, le=100, description="khi khẩn cấp")] = 100


class NewDevice(DeviceBody):
    """A device to enrol; its code is its MQTT client id and is never used again."""

    code: Code


class DeviceView(BaseModel):
    """A device and the cluster where it hangs now."""

    code: str
    model: str
    serial: str
    codecs: list[Codec]
    volume: int
    alert_volume: int
    enrolled_at: Moment
    retired_at: Moment | None
    cluster_code: str | None


def _devices() -> sa.Select[Device, str | None]:
    return (
        sa.select(Device, Cluster.code)
        .outerjoin(
            Installation,
            sa.and_(Installation.device_id == Device.id, Installation.removed_at.is_(None)),
        )
        .outerjoin(Cluster, Cluster.id == Installation.cluster_id)
    )


def _device_view(device: Device, cluster_code: str | None) -> DeviceView:
    return DeviceView(
        code=device.code,
        model=device.model,
        serial=device.serial,
        codecs=[Codec(codec) for codec in device.codecs],
        volume=device.volume,
        alert_volume=device.alert_volume,
        enrolled_at=device.enrolled_at,
        retired_at=device.retired_at,
        cluster_code=cluster_code,
    )


async def _device(session: AsyncSession, code: str) -> tuple[Device, DeviceView]:
    row = (await session.execute(_devices().where(Device.code == code))).one_or_none()
    if row is None:
        raise NotFound(f"Không có thiết bị mã “{code}”.")
    return row[0], _device_view(*row)


def _facts(code: str, body: DeviceBody) -> DeviceFacts:
    return DeviceFacts(
        code, body.model, body.serial, list(body.codecs), body.volume, body.alert_volume
    )


@router.get("/devices", summary="Thiết bị")
async def list_devices(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    retired: Annotated[bool, Query(description="cả thiết bị đã ngừng dùng")] = False,
    hanging: Annotated[bool | None, Query(description="đang lắp trên một cụm hay không")] = None,
) -> Page[DeviceView]:
    """Devices by code, with the clusters where they hang."""
    statement = _devices()
    if not retired:
        statement = statement.where(Device.retired_at.is_(None))
    if hanging is not None:
        hangs = Installation.device_id.is_not(None)
        statement = statement.where(hangs if hanging else sa.not_(hangs))
    rows, following = await paged(session, statement, [Device.code], paging)
    return Page(items=[_device_view(*row) for row in rows], next=following)


@router.get("/devices/{code}", summary="Một thiết bị")
async def show_device(session: Session, caller: CallerDep, code: str) -> DeviceView:
    """A device; its telemetry has addresses of its own below this one."""
    return (await _device(session, code))[1]


@router.post("/devices", status_code=201, summary="Đăng ký thiết bị", response_model=DeviceView)
async def enrol_device(
    request: Request, session: Session, caller: Technician, body: NewDevice
) -> Response:
    """Enrol a device. It plays nothing until it hangs on a cluster."""

    async def make() -> Created:
        device = await enrolment.enrol(session, _facts(body.code, body), clock.now())
        return Created(f"/api/v1/devices/{body.code}", _device_view(device, None))

    return await Once(request).run(session, caller.credential, make)


@router.put("/devices/{code}", summary="Sửa thiết bị")
async def change_device(
    session: Session, caller: Technician, code: str, body: DeviceBody
) -> DeviceView:
    """Change what is known of a device; new volumes reach it with its configuration."""
    device, _ = await _device(session, code)
    await enrolment.describe(session, device, _facts(code, body))
    await session.flush()
    return (await _device(session, code))[1]


@router.delete("/devices/{code}", status_code=204, summary="Ngừng dùng thiết bị")
async def retire_device(session: Session, caller: Technician, code: str) -> Response:
    """Take a device out of use for good. What it has reported stays."""
    device, _ = await _device(session, code)
    await enrolment.retire(session, device, clock.now())
    return Response(status_code=204)


@router.get("/devices/{code}/installations", summary="Các cụm loa mà thiết bị đã ở")
async def list_installations(
    session: Session, caller: CallerDep, code: str
) -> list[InstallationView]:
    """Where a device has hung, oldest first."""
    await _device(session, code)
    return await installations(session, Device.code == code)


@router.post("/devices/import", summary="Nhập CSV thiết bị; nhận cả CSV đài và cụm loa")
async def import_csv(
    session: Session,
    caller: Technician,
    files: Annotated[list[UploadFile], File(description="loại tệp nhận theo dòng tên cột")],
    dry_run: DryRun = False,
) -> Report:
    """Store any number of files, all or nothing; `errors` of a 422 name row, column, remedy."""
    kinds = [*KINDS, enrolment.devices_kind(clock.now())]
    return await import_files(
        session, [await received(file) for file in files], kinds, dry_run=dry_run
    )
