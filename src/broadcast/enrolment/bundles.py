"""Everything that a box is given, in one piece (docs/wire.md §2)."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.enrolment import authority_files
from broadcast.enrolment.credentials import renew_at
from broadcast.enrolment.model import Certificate
from broadcast.keys.report import named
from broadcast.kit.errors import Unavailable
from broadcast.wire.codec import encode
from broadcast.wire.enrolment import Broker, Bundle, Claim

PATH = "/api/v1/enrolments"
"""Where a box sends its request."""


async def with_certificate(
    session: AsyncSession, settings: config.Settings, device_code: str, certificate: Certificate
) -> Bundle:
    """Bundle of a box that has a key."""
    return await _bundle(
        session,
        settings,
        device_code,
        settings.enrolment.broker_port,
        certificate=certificate.pem,
        renew_at=renew_at(certificate),
        expires_at=certificate.expires_at,
    )


async def with_password(
    session: AsyncSession, settings: config.Settings, device_code: str, password: str
) -> Bundle:
    """Bundle of a box that has none."""
    port = settings.enrolment.password_port
    return await _bundle(
        session, settings, device_code, port, username=device_code, password=password
    )


async def _bundle(
    session: AsyncSession,
    settings: config.Settings,
    device_code: str,
    port: int,
    **credential: Any,
) -> Bundle:
    enrolment = settings.enrolment
    authority = authority_files.certificate(enrolment.authority_dir, authority_files.BROKER_CA)
    return Bundle(
        device_id=device_code,
        prefix=settings.mqtt.prefix,
        broker=Broker(
            host=enrolment.broker_host or settings.mqtt.host, port=port, authority=authority
        ),
        keys=await named(session),
        **credential,
    )


def qr_text(settings: config.Web, device_code: str, claim_code: str) -> str:
    """What the QR code of a claim says.

    Raises:
        Unavailable: Nobody has said under which address boxes reach this server.
    """
    if settings.public_url is None:
        raise Unavailable(
            "Chưa đặt BROADCAST_WEB__PUBLIC_URL: địa chỉ https mà thiết bị gọi tới máy chủ này;"
            " quản trị hệ thống cần đặt rồi khởi động lại."
        )
    url = settings.public_url + PATH
    return encode(Claim(url=url, device_id=device_code, claim_code=claim_code)).decode()
