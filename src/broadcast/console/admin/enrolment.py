"""Claim codes for devices, as labels to be printed and glued on.

As `POST /api/v1/devices/{code}/claim`, for several at once: shown once, and kept nowhere.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request, Response

from broadcast.auth.caller import DeviceEditor
from broadcast.auth.permissions import Permission
from broadcast.console.page import PageRouter, page
from broadcast.devices import enrolment
from broadcast.devices.places import require_at_device
from broadcast.enrolment import enrolling
from broadcast.kit import clock
from broadcast.kit.errors import BroadcastError, InvalidInput
from broadcast.web.rest import AppSettings, Paging, Session

router = PageRouter()

MOST = 60
"""Labels of one request: five sheets of paper."""


@router.get("/admin/enrolment")
async def show(
    request: Request, session: Session, caller: DeviceEditor, cursor: str | None = None
) -> Response:
    """Devices that are on no cluster yet, to choose from, and a field for other codes."""
    devices = await enrolment.list_devices(
        session, Paging(cursor, MOST), retired=False, installed=False
    )
    return page(request, caller, "admin/enrolment.html", devices=devices)


@router.post("/admin/enrolment", summary="Tạo mã đăng ký để in nhãn")
async def open_claims(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: DeviceEditor,
    chosen: Annotated[list[str] | None, Form()] = None,
    codes: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """A label for each device; the codes of before end."""
    wanted = list(dict.fromkeys([*(chosen or ()), *codes.split()]))
    if not wanted:
        raise InvalidInput("codes", "chọn hoặc ghi mã ít nhất một thiết bị")
    if len(wanted) > MOST:
        raise InvalidInput("codes", f"in nhiều nhất {MOST} nhãn một lần; chia thành nhiều lần")
    for code in wanted:
        await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
        await enrolment.require_device(session, code)
    labels = []
    for code in wanted:
        try:
            labels.append(await enrolling.open_claim(session, settings, code, clock.now()))
        except BroadcastError as error:
            if error.status >= 500:
                raise
            raise InvalidInput("codes", f"{code}: {error.detail}") from error
    headers = {"Cache-Control": "no-store"}
    return page(request, caller, "admin/_labels.html", headers=headers, labels=labels)
