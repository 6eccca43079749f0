"""Use cases of enrolment: what a route and the command line both call."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import segno
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.devices.enrolment import require_device
from broadcast.devices.places import require_at_device
from broadcast.enrolment import authority_files, bundles, claims, credentials
from broadcast.enrolment.authority import requested_key
from broadcast.enrolment.model import Because, Certificate, Claim, Password
from broadcast.enrolment.schemas import MOST_CLAIMS, CertificateOut, CredentialsOut
from broadcast.kit.errors import BroadcastError, InvalidInput
from broadcast.wire.enrolment import Bundle


class Opened(NamedTuple):
    """A claim, as it is shown once."""

    device_code: str
    claim_code: str
    expires_at: datetime
    qr_text: str

    @property
    def qr(self) -> segno.QRCode:
        """QR code, readable with a seventh of it torn off."""
        return segno.make(self.qr_text, error="m", micro=False)


async def open_claim(
    session: AsyncSession, settings: config.Settings, code: str, now: datetime
) -> Opened:
    """A claim code for a device.

    Raises:
        NotFound, Conflict: As `credentials.in_use`.
        Unavailable: The address of this server, or an authority, is missing.
    """
    device = await credentials.in_use(session, code, settings.mqtt.client_id)
    authority_files.devices(settings.enrolment)  # now, not when the technician is on the pole
    life = timedelta(minutes=settings.enrolment.claim_minutes)
    claim_code, claim = await claims.open_claim(session, device, now, life)
    text = bundles.qr_text(settings.web, code, claim_code)
    return Opened(code, claim_code, claim.expires_at, text)


async def open_claims(
    session: AsyncSession,
    settings: config.Settings,
    caller: Caller,
    codes: Iterable[str],
    now: datetime,
) -> list[Opened]:
    """A claim code for each of several devices, for labels; all or none.

    Raises:
        NotFound: The caller sees no device with one of the codes.
        Forbidden: One of them is outside of the caller's places.
        InvalidInput: None, or too many; or one cannot be claimed, which is said of `codes`.
        Unavailable: As `open_claim`.
    """
    wanted = list(dict.fromkeys(codes))
    if not wanted:
        raise InvalidInput("codes", "chọn hoặc ghi mã ít nhất một thiết bị")
    if len(wanted) > MOST_CLAIMS:
        raise InvalidInput(
            "codes", f"in nhiều nhất {MOST_CLAIMS} nhãn một lần; chia thành nhiều lần"
        )
    for code in wanted:
        await require_at_device(session, caller, Permission.DEVICE_WRITE, code)
        await require_device(session, code)
    opened = []
    for code in wanted:
        try:
            opened.append(await open_claim(session, settings, code, now))
        except BroadcastError as error:
            if error.status >= 500:
                raise
            raise InvalidInput("codes", f"{code}: {error.detail}") from error
    return opened


async def redeem(
    session: AsyncSession, settings: config.Settings, claim_code: str, csr: str, now: datetime
) -> Bundle:
    """What a box gets for its claim code and its signing request.

    Raises:
        WrongCode, InvalidInput: As `claims.redeem`.
        Unavailable: An authority is missing.
    """
    device, given = await claims.redeem(session, claim_code, csr, settings.enrolment, now)
    return await bundles.with_certificate(session, settings, device.code, given)


async def sign(
    session: AsyncSession, settings: config.Settings, code: str, csr: str, now: datetime
) -> Bundle:
    """What a box gets whose signing request somebody brings who may.

    Raises:
        NotFound, Conflict: As `credentials.in_use`.
        InvalidInput: The request cannot be signed.
        Unavailable: An authority is missing.
    """
    device = await credentials.in_use(session, code, settings.mqtt.client_id)
    authority = authority_files.devices(settings.enrolment)
    life = timedelta(days=settings.enrolment.certificate_days)
    given = await credentials.issue(session, authority, device, requested_key(csr), now, life)
    return await bundles.with_certificate(session, settings, code, given)


async def give_password(
    session: AsyncSession, settings: config.Settings, code: str, now: datetime
) -> Bundle:
    """What a box gets that cannot make a key.

    Raises:
        NotFound, Conflict: As `credentials.in_use`.
        Unavailable: The authority of the broker is missing.
    """
    device = await credentials.in_use(session, code, settings.mqtt.client_id)
    password = await credentials.set_password(session, device, now)
    return await bundles.with_password(session, settings, code, password)


async def revoke(session: AsyncSession, code: str, now: datetime) -> int:
    """End every credential of a device; returns how many there were.

    Raises:
        NotFound: No device has this code.
    """
    device = await require_device(session, code)
    await session.refresh(device, with_for_update=True)
    return await credentials.revoke(session, device, Because.ORDERED, now)


async def show(session: AsyncSession, code: str, now: datetime) -> CredentialsOut:
    """By what a device may connect.

    Raises:
        NotFound: No device has this code.
    """
    device = await require_device(session, code)
    certificates = await session.scalars(
        sa.select(Certificate)
        .where(Certificate.device_id == device.id)
        .order_by(Certificate.issued_at.desc(), Certificate.serial)
        .limit(100)
    )
    password = await session.get(Password, device.id)
    claim_until = await session.scalar(
        sa.select(sa.func.max(Claim.expires_at)).where(
            Claim.device_id == device.id, Claim.used_at.is_(None), Claim.expires_at > now
        )
    )
    return CredentialsOut(
        certificates=[
            CertificateOut.model_validate(each, from_attributes=True) for each in certificates
        ],
        password_set_at=(
            password.created_at if password is not None and password.revoked_at is None else None
        ),
        claim_until=claim_until,
    )
