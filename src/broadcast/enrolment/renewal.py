"""The next certificate of a device that has one, asked for over the connection that it opened.

The broker vouches for who asks. The one before stays valid to its end: the answer may be lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.devices.model import Device
from broadcast.enrolment import authority_files, credentials
from broadcast.enrolment.authority import key_digest, requested_key
from broadcast.enrolment.model import Certificate, RenewalRequest
from broadcast.kit.errors import InvalidInput
from broadcast.telemetry.arrival import Arrival
from broadcast.wire.events import CertificateRequest

log = structlog.get_logger()

AT_ONCE = 100

AGAIN = timedelta(days=1)
"""Within it the same key gets the same certificate again, and a device `MOST` at the most."""
MOST = 3


async def record(
    session: AsyncSession, arrivals: Sequence[Arrival[CertificateRequest]], received_at: datetime
) -> None:
    """Keep the newest request of each device, to be answered by the leader."""
    newest = {arrival.device_id: arrival.message.csr for arrival in arrivals}
    statement = insert(RenewalRequest).values(
        [
            {"device_id": device_id, "csr": csr, "received_at": received_at, "answered_at": None}
            for device_id, csr in sorted(newest.items())
        ]
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[RenewalRequest.device_id],
            set_={
                name: statement.excluded[name] for name in ("csr", "received_at", "answered_at")
            },
        )
    )


async def issue(
    session: AsyncSession, settings: config.Enrolment, now: datetime
) -> list[tuple[Device, Certificate]]:
    """Certificates for the requests that have not been answered; who may have none gets none.

    Raises:
        BroadcastError: The authority cannot be used.
    """
    rows = await session.execute(
        sa.select(RenewalRequest, Device)
        .join(Device, Device.id == RenewalRequest.device_id)
        .where(RenewalRequest.answered_at.is_(None))
        .order_by(RenewalRequest.received_at, RenewalRequest.device_id)
        .limit(AT_ONCE)
        # Who revokes meanwhile waits, or is waited for: certificates are read after that.
        .with_for_update(of=Device)
    )
    given = []
    for request, device in rows.all():
        certificate = await _renewed(session, settings, request, device, now)
        if certificate is None:
            request.answered_at = now
        else:
            given.append((device, certificate))
    return given


async def _renewed(
    session: AsyncSession,
    settings: config.Enrolment,
    request: RenewalRequest,
    device: Device,
    now: datetime,
) -> Certificate | None:
    try:
        key = requested_key(request.csr)
    except InvalidInput as error:
        log.warning("enrolment.renewal.refused", device_id=device.code, error=error.reason)
        return None
    found = await session.scalars(
        sa.select(Certificate)
        .where(
            Certificate.device_id == device.id,
            Certificate.revoked_at.is_(None),
            Certificate.expires_at > now,
        )
        .order_by(Certificate.issued_at.desc())
    )
    valid = found.all()
    recent = [each for each in valid if now - each.issued_at < AGAIN]
    for each in recent:
        if each.key_sha256 == key_digest(key):
            return each
    if device.retired_at is not None or not valid or len(recent) >= MOST:
        log.warning("enrolment.renewal.refused", device_id=device.code, recent=len(recent))
        return None
    life = timedelta(days=settings.certificate_days)
    authority = authority_files.devices(settings)
    return await credentials.sign(session, authority, device, key, now, life)


async def answered(session: AsyncSession, devices: Sequence[Device], now: datetime) -> None:
    """The broker has the answers for these devices."""
    await session.execute(
        sa.update(RenewalRequest)
        .where(RenewalRequest.device_id.in_([device.id for device in devices]))
        .values(answered_at=now)
    )
