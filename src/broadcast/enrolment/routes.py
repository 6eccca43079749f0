"""REST of enrolment: a technician opens a claim, a box redeems it."""

from __future__ import annotations

import io
import time
from typing import Annotated, cast

from fastapi import Depends, Request, Response

from broadcast.audit import recording
from broadcast.audit.entry import Who
from broadcast.auth.caller import DeviceEditor, Reader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.devices.places import require_at_device
from broadcast.enrolment import bundles, enrolling
from broadcast.enrolment.attempts import Attempts
from broadcast.enrolment.claims import WrongCode
from broadcast.enrolment.schemas import (
    BundleOut,
    ClaimOut,
    ClaimsIn,
    CredentialsOut,
    CsrIn,
    EnrolmentIn,
)
from broadcast.kit import clock
from broadcast.kit.errors import TooManyRequests
from broadcast.web import origin
from broadcast.web.rest import AppSettings, Session
from broadcast.wire.codec import encode
from broadcast.wire.enrolment import Bundle

router = Router(prefix="/api/v1", tags=["enrolment"])


def _attempts(request: Request) -> Attempts:
    state = request.app.state
    if not hasattr(state, "claim_attempts"):
        state.claim_attempts = Attempts()
    return cast("Attempts", state.claim_attempts)


CountedAttempts = Annotated[Attempts, Depends(_attempts)]


def _secret(bundle: Bundle) -> Response:
    """A bundle as the contract writes it; whoever passes it on keeps no copy."""
    return Response(
        encode(bundle), 201, {"Cache-Control": "no-store"}, media_type="application/json"
    )


@router.post(
    bundles.PATH.removeprefix(router.prefix),
    status_code=201,
    summary="Thiết bị nhận chứng chỉ bằng mã đăng ký",
    response_model=BundleOut,
)
async def enrol(
    request: Request,
    session: Session,
    settings: AppSettings,
    attempts: CountedAttempts,
    body: EnrolmentIn,
) -> Response:
    """Everything that a box needs to connect, for its claim code and signing request.

    The claim code is all that is asked for. Sent again with the same key before the code has
    expired, the request has the same answer.
    """
    address = origin.of(request).address
    if wait := attempts.wait(address, time.monotonic()):
        raise TooManyRequests(
            f"Quá nhiều mã đăng ký sai từ {address}; chờ {wait:.0f} giây rồi thử lại.", wait
        )
    try:
        bundle = await enrolling.redeem(session, settings, body.claim_code, body.csr, clock.now())
    except WrongCode:
        attempts.wrong(address, time.monotonic())
        raise
    record = recording.of(session)
    if record is not None:
        record.who = Who(bundle.device_id)
    return _secret(bundle)


@router.post(
    "/devices/{code}/claim",
    status_code=201,
    summary="Tạo mã đăng ký và mã QR cho thiết bị",
    response_model=ClaimOut,
)
async def open_claim(
    session: Session, caller: DeviceEditor, settings: AppSettings, code: str, response: Response
) -> ClaimOut:
    """A claim code, shown once; the one before it ends. The box connects as before until then."""
    await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
    opened = await enrolling.open_claim(session, settings, code, clock.now())
    response.headers["Cache-Control"] = "no-store"
    return _shown(opened)


@router.post(
    "/devices/claims", status_code=201, summary="Tạo mã đăng ký cho nhiều thiết bị để in nhãn"
)
async def open_claims(
    session: Session,
    caller: DeviceEditor,
    settings: AppSettings,
    body: ClaimsIn,
    response: Response,
) -> list[ClaimOut]:
    """A claim code for each device, shown once, in the order asked for; all or none."""
    opened = await enrolling.open_claims(session, settings, caller, body.codes, clock.now())
    response.headers["Cache-Control"] = "no-store"
    return [_shown(each) for each in opened]


def _shown(opened: enrolling.Opened) -> ClaimOut:
    image = io.BytesIO()
    opened.qr.save(image, kind="svg", xmldecl=False, scale=4)
    return ClaimOut(
        device_code=opened.device_code,
        claim_code=opened.claim_code,
        expires_at=opened.expires_at,
        qr_text=opened.qr_text,
        qr_svg=image.getvalue().decode(),
    )


@router.post(
    "/devices/{code}/certificate",
    status_code=201,
    summary="Cấp chứng chỉ theo yêu cầu (CSR) lấy từ thiết bị",
    response_model=BundleOut,
)
async def sign(
    session: Session, caller: DeviceEditor, settings: AppSettings, code: str, body: CsrIn
) -> Response:
    """For a box that cannot call us; what it could connect with before ends."""
    await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
    return _secret(await enrolling.sign(session, settings, code, body.csr, clock.now()))


@router.post(
    "/devices/{code}/password",
    status_code=201,
    summary="Đặt mật khẩu cho thiết bị không tạo được khóa",
    response_model=BundleOut,
)
async def give_password(
    session: Session, caller: DeviceEditor, settings: AppSettings, code: str
) -> Response:
    """A generated password, shown once; what the box could connect with before ends."""
    await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
    return _secret(await enrolling.give_password(session, settings, code, clock.now()))


@router.get("/devices/{code}/credentials", summary="Thiết bị được kết nối bằng gì")
async def show_credentials(session: Session, caller: Reader, code: str) -> CredentialsOut:
    """Certificates, whether there is a password, whether a claim code is open; no secret."""
    return await enrolling.show(session, code, clock.now())


@router.delete(
    "/devices/{code}/credentials", status_code=204, summary="Thu hồi quyền kết nối của thiết bị"
)
async def revoke_credentials(session: Session, caller: DeviceEditor, code: str) -> Response:
    """The device may connect no longer, within a minute, and its connection is closed."""
    await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
    await enrolling.revoke(session, code, clock.now())
    return Response(status_code=204)
