"""Enrolled devices and what they say, for tests."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.telemetry import heartbeat_rows, heartbeats
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.fast_path import FastPath
from broadcast.telemetry.presence import PresenceThresholds
from broadcast.wire.events import Boot, Clock, Gone, Heartbeat
from broadcast.wire.fields import BulletinClass, OnPreempt

EIGHT = datetime(2025, 7, 1, 1, 0, tzinfo=UTC)
"""08:00 in the province."""
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

THRESHOLDS = PresenceThresholds(silent=timedelta(seconds=150), offline=timedelta(minutes=10))


class Everyone(Container[str]):
    """Every sender with a name is enrolled."""

    def __contains__(self, code: object) -> bool:
        return bool(code)


async def record_all(
    session: AsyncSession,
    boots: Sequence[Arrival[Boot]],
    beats: Sequence[Arrival[Heartbeat]],
    wills: Sequence[Arrival[Gone]],
    received_at: datetime,
    *,
    live: bool,
    thresholds: PresenceThresholds = THRESHOLDS,
    fast_path: FastPath | None = None,
) -> None:
    """Store a batch with its raw rows, as `ingest.store` does, in one transaction."""
    columns = heartbeat_rows.columns(beats)
    await heartbeat_rows.keep_raw(session, columns, received_at)
    await heartbeats.record(
        session, boots, beats, wills, received_at,
        live=live, thresholds=thresholds, fast_path=fast_path or FastPath(), columns=columns,
    )  # fmt: skip


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


async def planned(session: AsyncSession) -> str:
    """An occurrence that devices may speak of, of a schedule that nobody asks for."""
    made = uuid4()
    await session.execute(sa.text("SET LOCAL session_replication_role = replica"))
    session.add(
        Occurrence(
            id=made, schedule_id=uuid4(), bulletin_id=uuid4(), bulletin_revision=1,
            recurrence_at=EIGHT, starts_at=EIGHT, ends_by=EIGHT + 10 * MINUTE, title="Thử",
            class_=BulletinClass.NORMAL, priority=100, late_limit_seconds=60, volume=None,
            on_preempt=OnPreempt.RESUME, state=OccurrenceState.PLANNED, cancel_reason=None,
            scopes=[], carried_scopes=[], dirty=False,
        )
    )  # fmt: skip
    await session.flush()
    await session.execute(sa.text("SET LOCAL session_replication_role = origin"))
    return str(made)
