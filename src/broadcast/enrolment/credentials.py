"""Certificates and passwords of devices: issued, renewed, revoked.

A device has one credential: what is given at enrolment takes the place of what was given before.
Only a renewal leaves the certificate before it valid, since the box may not have got the new one.
"""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.enrolment import require_device
from broadcast.devices.model import Device
from broadcast.enrolment.authority import Authority, DeviceKey, key_digest, pem
from broadcast.enrolment.codes import new_password
from broadcast.enrolment.model import Because, Certificate, Claim, Password
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict

log = structlog.get_logger()

RENEW_BEFORE = 3
"""A box renews when a third of the life is left: 30 days of 90, which it may spend off."""


def renew_at(certificate: Certificate) -> datetime:
    """From when on a box asks for its next certificate."""
    return certificate.expires_at - (certificate.expires_at - certificate.issued_at) / RENEW_BEFORE


async def in_use(session: AsyncSession, code: str, server: str) -> Device:
    """A device that may be given a credential, locked until the transaction ends.

    Args:
        session: Transaction.
        code: The device's.
        server: First client id of the server at the broker.

    Raises:
        NotFound: No device has this code.
        Conflict: It was retired, or is called like a session of the server.
    """
    device = await require_device(session, code)
    await session.refresh(device, with_for_update=True)
    if device.retired_at is not None:
        raise Conflict(
            f"Thiết bị {code} đã ngừng dùng từ {device.retired_at.astimezone(LOCAL):%Y-%m-%d};"
            " đăng ký thiết bị mã khác."
        )
    if code == server or code.startswith(f"{server}-"):
        # The broker takes the code for the client id: it would throw the server out.
        raise Conflict(
            f"Mã “{code}” trùng tên phiên của máy chủ tại broker (BROADCAST_MQTT__CLIENT_ID"
            f" {server}); đăng ký thiết bị bằng mã khác."
        )
    return device


async def issue(
    session: AsyncSession,
    authority: Authority,
    device: Device,
    key: DeviceKey,
    now: datetime,
    life: timedelta,
    *,
    claim: Claim | None = None,
) -> Certificate:
    """A certificate at enrolment: the device's other credentials end."""
    await revoke(session, device, Because.SUPERSEDED, now)
    return await sign(session, authority, device, key, now, life, claim)


async def sign(
    session: AsyncSession,
    authority: Authority,
    device: Device,
    key: DeviceKey,
    now: datetime,
    life: timedelta,
    claim: Claim | None = None,
) -> Certificate:
    """A certificate beside those that the device has."""
    signed = authority.device(device.code, key, now, life)
    row = Certificate(
        serial=f"{signed.serial_number:X}",
        device_id=device.id,
        claim_id=None if claim is None else claim.id,
        key_sha256=key_digest(key),
        pem=pem(signed),
        issued_at=now,
        expires_at=signed.not_valid_after_utc,
        revoked_at=None,
        revoked_because=None,
    )
    session.add(row)
    await session.flush()
    log.info("enrolment.certificate.issued", device_id=device.code, serial=row.serial)
    return row


async def set_password(session: AsyncSession, device: Device, now: datetime) -> str:
    """A new password, shown once; the device's other credentials end."""
    await revoke(session, device, Because.SUPERSEDED, now)
    password = new_password()
    hashed = password_hash(password, os.urandom(12))
    row = await session.get(Password, device.id)
    if row is None:
        session.add(Password(device_id=device.id, hash=hashed, created_at=now, revoked_at=None))
    else:
        row.hash, row.created_at, row.revoked_at = hashed, now, None
    await session.flush()
    log.info("enrolment.password.set", device_id=device.code)
    return password


async def revoke(session: AsyncSession, device: Device, because: Because, now: datetime) -> int:
    """End every credential of a device, and its open claims; returns how many there were."""
    certificates = await session.scalars(
        sa.select(Certificate).where(
            Certificate.device_id == device.id,
            Certificate.revoked_at.is_(None),
            Certificate.expires_at > now,
        )
    )
    ended = 0
    for certificate in certificates:
        certificate.revoked_at, certificate.revoked_because = now, because
        ended += 1
    password = await session.get(Password, device.id)
    if password is not None and password.revoked_at is None:
        password.revoked_at = now
        ended += 1
    await close_claims(session, device, now)
    if ended:
        log.info("enrolment.credentials.revoked", device_id=device.code, because=because.value)
    return ended


async def close_claims(session: AsyncSession, device: Device, now: datetime) -> None:
    """End the claim codes of a device that no box has used."""
    claims = await session.scalars(
        sa.select(Claim).where(
            Claim.device_id == device.id, Claim.used_at.is_(None), Claim.expires_at > now
        )
    )
    for claim in claims:
        claim.expires_at = now
    await session.flush()


def password_hash(password: str, salt: bytes) -> str:
    """Hash as Mosquitto's `password_file` has it: PBKDF2 with SHA-512; 12 bytes of salt."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


_ROUNDS = 101
"""As mosquitto_passwd. Few, because the broker counts them at every connect, in its only thread;
a generated password of 120 bits needs none."""
