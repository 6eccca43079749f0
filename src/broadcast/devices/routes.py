"""REST of devices: enrolling them, their facts, the clusters where they have been."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Query, Request, Response, UploadFile

from broadcast.areas import scope
from broadcast.areas.row_imports import import_files
from broadcast.auth.caller import DeviceEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.devices import enrolment, installations
from broadcast.devices.imports import devices_kind
from broadcast.devices.model import Installation
from broadcast.devices.places import require_at_device
from broadcast.devices.schemas import DeviceIn, DeviceOut, InstallationOut, NewDeviceIn
from broadcast.kit import clock
from broadcast.kit.sheets import Report
from broadcast.stations.imports import KINDS
from broadcast.web.fields import DryRun
from broadcast.web.files import received
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["devices"])


@router.get("/devices", summary="Thiết bị")
async def list_devices(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    retired: Annotated[bool, Query(description="cả thiết bị đã ngừng dùng")] = False,
    installed: Annotated[bool | None, Query(description="đang lắp trên một cụm hay không")] = None,
) -> Page[DeviceOut]:
    """Devices by code, with the clusters where they are installed."""
    return await enrolment.list_devices(session, paging, retired=retired, installed=installed)


@router.get("/devices/{code}", summary="Một thiết bị")
async def show_device(session: Session, caller: Reader, code: str) -> DeviceOut:
    """A device; its telemetry has addresses of its own below this one."""
    return await enrolment.show_device(session, code)


@router.post("/devices", status_code=201, summary="Đăng ký thiết bị", response_model=DeviceOut)
async def enrol_device(
    request: Request, session: Session, caller: DeviceEditor, body: NewDeviceIn
) -> Response:
    """Enrol a device. It plays nothing until it is installed on a cluster."""

    async def make() -> Created:
        await scope.require_somewhere(session, caller, Permission.DEVICE_WRITE)
        device = await enrolment.create_device(session, body, clock.now())
        return Created(f"/api/v1/devices/{body.code}", device)

    return await Once(request).run(session, caller.account_id, make)


@router.put("/devices/{code}", summary="Sửa thiết bị")
async def change_device(
    session: Session, caller: DeviceEditor, code: str, body: DeviceIn
) -> DeviceOut:
    """Change what is known of a device; new volumes reach it with its configuration."""
    await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
    return await enrolment.change_device(session, code, body)


@router.delete("/devices/{code}", status_code=204, summary="Ngừng dùng thiết bị")
async def retire_device(session: Session, caller: DeviceEditor, code: str) -> Response:
    """Take a device out of use for good. What it has reported stays."""
    await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
    await enrolment.retire(session, await enrolment.require_device(session, code), clock.now())
    return Response(status_code=204)


@router.get("/devices/{code}/installations", summary="Các cụm loa mà thiết bị đã ở")
async def list_installations(session: Session, caller: Reader, code: str) -> list[InstallationOut]:
    """Clusters where a device has been installed, oldest first."""
    device = await enrolment.require_device(session, code)
    return await installations.list_installations(session, Installation.device_id == device.id)


@router.post("/devices/import", summary="Nhập CSV thiết bị; nhận cả CSV đài và cụm loa")
async def import_csv(
    session: Session,
    caller: DeviceEditor,
    files: Annotated[list[UploadFile], File(description="loại tệp nhận theo dòng tên cột")],
    dry_run: DryRun = False,
) -> Report:
    """Store any number of files, all or nothing; `errors` of a 422 name row, column, remedy."""
    scope.require_whole(session, caller, Permission.DEVICE_WRITE)
    kinds = [*KINDS, devices_kind(clock.now())]
    return await import_files(
        session, [await received(file) for file in files], kinds, dry_run=dry_run
    )
