"""Certificates that devices have asked for, on their way to the broker: signed, not retained.

The request is the outbox: it is answered until the broker has confirmed the answer. A device that
gets the same certificate twice keeps it once.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.delivery.outbox import Publisher
from broadcast.enrolment import credentials, renewal
from broadcast.keys.keyring import Keys
from broadcast.kit import db
from broadcast.wire.commands import NEVER_LATE, NewCertificate
from broadcast.wire.topics import DEVICE_COMMAND


async def renew(
    engine: AsyncEngine, link: Publisher, settings: config.Settings, keys: Keys, now: datetime
) -> bool:
    """Issue and publish; returns whether more may be waiting.

    Raises:
        Unavailable: The broker is away; the requests stay.
        BroadcastError: The authority of devices cannot be used.
    """
    async with db.transaction(engine) as session:
        given = await renewal.issue(session, settings.enrolment, now)
    if not given:
        return False
    for device, certificate in given:
        scope = f"device/{device.code}"
        command = NewCertificate(
            command_id=str(uuid4()),
            scope=scope,
            not_after=now + NEVER_LATE,
            certificate=certificate.pem,
            renew_at=credentials.renew_at(certificate),
            expires_at=certificate.expires_at,
        )
        topic = DEVICE_COMMAND.build(device_id=device.code, kind="certificate")
        payload = await asyncio.to_thread(keys.signer(scope).sign, command)
        await link.publish(f"{settings.mqtt.prefix}/{topic}", payload)
        async with db.transaction(engine) as session:
            await renewal.answered(session, [device], now)
    return len(given) == renewal.AT_ONCE
