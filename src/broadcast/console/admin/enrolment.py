"""Claim codes for devices, as labels to be printed and glued on.

As `POST /api/v1/devices/claims`: shown once, and kept nowhere.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Request, Response

from broadcast.auth.caller import DeviceEditor
from broadcast.console.page import PageRouter, page
from broadcast.devices import enrolment
from broadcast.enrolment import enrolling
from broadcast.enrolment.schemas import MOST_CLAIMS
from broadcast.kit import clock
from broadcast.web.rest import AppSettings, Paging, Session

router = PageRouter()


@router.get("/admin/enrolment")
async def show(
    request: Request, session: Session, caller: DeviceEditor, cursor: str | None = None
) -> Response:
    """Devices that are on no cluster yet, to choose from, and a field for other codes."""
    devices = await enrolment.list_devices(
        session, Paging(cursor, MOST_CLAIMS), retired=False, installed=False
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
    wanted = [*(chosen or ()), *codes.split()]
    labels = await enrolling.open_claims(session, settings, caller, wanted, clock.now())
    headers = {"Cache-Control": "no-store"}
    return page(request, caller, "admin/_labels.html", headers=headers, labels=labels)
