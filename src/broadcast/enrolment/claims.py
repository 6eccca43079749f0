"""Claim codes: one box may ask for its certificate by one, once and soon."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.devices.model import Device
from broadcast.enrolment import authority_files, credentials
from broadcast.enrolment.authority import key_digest, requested_key
from broadcast.enrolment.codes import code_digest, new_code
from broadcast.enrolment.model import Certificate, Claim
from broadcast.kit.errors import Forbidden

log = structlog.get_logger()


class WrongCode(Forbidden):
    """No claim has this code, or it holds no longer: the sender learns no more than that."""

    slug = "wrong-claim-code"

    def __init__(self) -> None:
        super().__init__(
            "Mã đăng ký không đúng, đã dùng hoặc đã hết hạn; xem lại từng ký tự, hoặc xin mã mới."
        )


async def open_claim(
    session: AsyncSession, device: Device, now: datetime, life: timedelta
) -> tuple[str, Claim]:
    """A new code, shown once; the device's codes before it end.

    Its certificate goes on until a box has used the code.
    """
    await credentials.close_claims(session, device, now)
    code = new_code()
    claim = Claim(
        device_id=device.id,
        code_sha256=code_digest(code),
        created_at=now,
        expires_at=now + life,
        used_at=None,
        key_sha256=None,
    )
    session.add(claim)
    await session.flush()
    log.info("enrolment.claim.opened", device_id=device.code)
    return code, claim


async def redeem(
    session: AsyncSession,
    code: str,
    csr: str,
    settings: config.Enrolment,
    now: datetime,
) -> tuple[Device, Certificate]:
    """Certificate for the key of a box that knows a code.

    Asked again with the same key, because the answer was lost, it is the same certificate.

    Raises:
        WrongCode: The code is unknown, over, used by another key, or of a device that is retired.
        InvalidInput: The request cannot be signed.
        Unavailable: The authority is missing.
    """
    claim = await session.scalar(
        sa.select(Claim).where(Claim.code_sha256 == code_digest(code)).with_for_update()
    )
    if claim is None or claim.expires_at <= now:
        raise WrongCode
    device = await session.get_one(Device, claim.device_id, with_for_update=True)
    if device.retired_at is not None:
        raise WrongCode
    key = requested_key(csr)
    if claim.used_at is not None:
        given = await session.scalar(
            sa.select(Certificate).where(
                Certificate.claim_id == claim.id,
                Certificate.key_sha256 == key_digest(key),
                Certificate.revoked_at.is_(None),
            )
        )
        if given is None:
            raise WrongCode
        return device, given
    claim.used_at, claim.key_sha256 = now, key_digest(key)
    authority = authority_files.devices(settings)
    life = timedelta(days=settings.certificate_days)
    given = await credentials.issue(session, authority, device, key, now, life, claim=claim)
    return device, given
