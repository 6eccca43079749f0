"""Enrolled devices and what they say, for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.arrival import Arrival
from broadcast.devices.model import Device
from broadcast.devices.presence import Patience
from broadcast.wire.events import Boot, Clock, Gone, Heartbeat

EIGHT = datetime(2025, 7, 1, 1, 0, tzinfo=UTC)
"""08:00 in the province."""
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

PATIENCE = Patience(silent=timedelta(seconds=150), offline=timedelta(minutes=10))


async def enrol(session: AsyncSession, *codes: str) -> list[Device]:
    """Devices of these codes."""
    devices = [Device(code=code, codecs=["opus"], enrolled_at=EIGHT) for code in codes]
    session.add_all(devices)
    await session.flush()
    return devices


def boot(
    device: Device, session: int = 1, sent_at: datetime = EIGHT, **more: Any
) -> Arrival[Boot]:
    fields: dict[str, Any] = {"reason": "power_on", "clock": Clock(trusted=True)} | more
    message = Boot(session=session, sent_at=sent_at, codecs=["opus"], journal_id="j", **fields)
    return Arrival(device.id, device.code, message)


def beat(
    device: Device, session: int = 1, seq: int = 1, sent_at: datetime = EIGHT, **more: Any
) -> Arrival[Heartbeat]:
    fields: dict[str, Any] = {"clock": Clock(trusted=True)} | more
    message = Heartbeat(session=session, seq=seq, sent_at=sent_at, **fields)
    return Arrival(device.id, device.code, message)


def will(device: Device, session: int = 1) -> Arrival[Gone]:
    return Arrival(device.id, device.code, Gone(session=session))
