"""REST of what devices report: presence, faults, and what could not be taken."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import Query
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep, Technician
from broadcast.accounts.routing import Router
from broadcast.devices.model import Device
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.kit.times import Moment
from broadcast.telemetry.model import (
    DeadLetterRow,
    DevicePresence,
    Fault,
    Heartbeat,
    PresenceChange,
)
from broadcast.telemetry.online_minutes import BEHIND
from broadcast.telemetry.presence import CLOCK_SET, Presence
from broadcast.web.fields import example
from broadcast.web.rest import Page, PageQuery, Session, paged, require_known
from broadcast.wire.events import FaultKind

router = Router(prefix="/api/v1", tags=["telemetry"])

AnyFault = Literal[FaultKind, "clock_wrong"]
"""Those that devices tell, and one that the server itself opens: a clock far from its own."""


class PresenceView(BaseModel):
    """What is known of a device's connection."""

    model_config = example(
        device="QN-000417", presence="silent", since="2025-07-01T08:02:30+07:00",
        last_seen_at="2025-07-01T08:00:00+07:00", session=65541, clock_wrong=False,
        held={"area/21025/programme": 1751331600000}, heartbeat={"seq": 61, "volume": 70},
    )  # fmt: skip

    device: str
    presence: Presence
    since: Moment | None
    last_seen_at: Moment | None
    session: int | None
    clock_wrong: bool
    held: dict[str, int]
    """Revisions of documents that the device says it holds."""
    heartbeat: dict[str, Any] | None
    """The newest heartbeat of the session, as long as raw heartbeats are kept."""


class PresenceChangeView(BaseModel):
    """A change of presence, dated when it happened."""

    model_config = example(
        presence="offline", happened_at="2025-07-01T08:10:00+07:00",
        recorded_at="2025-07-01T08:10:02+07:00", cause="silence",
    )  # fmt: skip

    presence: Presence
    happened_at: Moment
    recorded_at: Moment
    cause: str


class FaultView(BaseModel):
    """A fault from its opening to its end."""

    model_config = example(
        device="QN-000417", kind="line_open", opened_at="2025-07-01T08:10:00+07:00",
        closed_at=None,
        detail="",
    )  # fmt: skip

    device: str
    kind: str
    opened_at: Moment
    closed_at: Moment | None
    detail: str


class DeadLetterView(BaseModel):
    """A message that could not be taken."""

    model_config = example(
        id=7, received_at="2025-07-01T08:10:00+07:00",
        topic="ttn/v1/device/QN-000417/event/heartbeat",
        device="QN-000417", size_bytes=21, field="$.seq", reason="Expected `int`, got `str`",
        payload_base64="eyJzZXNzaW9uIjoxLCJzZXEiOiI=", more=0,
    )  # fmt: skip

    id: int
    received_at: Moment
    topic: str
    device: str | None
    size_bytes: int
    field: str
    reason: str
    payload_base64: str
    """First 4 KiB."""
    more: int
    """Further messages of this device within the hour that were counted, not kept."""


def _presence() -> sa.Select[Device, DevicePresence, dict[str, Any]]:
    last_seen_on = sa.cast(sa.func.timezone(LOCAL.key, DevicePresence.last_seen_at), sa.Date)
    newest = (
        sa.select(Heartbeat.body)
        .where(
            # Not sent after it was received, nor longer before than is believed; a day earlier for
            # two workers at midnight.
            Heartbeat.received_on.between(last_seen_on - 1, last_seen_on + BEHIND.days),
            # A box that lost count uses a session number again, whose raw rows are the old ones.
            Heartbeat.received_at >= DevicePresence.last_seen_at - CLOCK_SET,
            Heartbeat.device_id == DevicePresence.device_id,
            Heartbeat.session == DevicePresence.session,
            Heartbeat.seq == DevicePresence.seq,
        )
        .limit(1)
        .scalar_subquery()
    )
    return sa.select(Device, DevicePresence, newest).outerjoin(
        DevicePresence, DevicePresence.device_id == Device.id
    )


def _presence_view(
    device: Device, state: DevicePresence | None, heartbeat: dict[str, Any] | None
) -> PresenceView:
    if state is None:
        return PresenceView(
            device=device.code, presence=Presence.NEVER_SEEN, since=None, last_seen_at=None,
            session=None, clock_wrong=False, held={}, heartbeat=None,
        )  # fmt: skip
    return PresenceView(
        device=device.code,
        presence=state.presence,
        since=state.since,
        last_seen_at=state.last_seen_at,
        session=state.session,
        clock_wrong=state.clock_wrong,
        held=state.held,
        heartbeat=heartbeat,
    )


@router.get("/presence", summary="Thiết bị theo tình trạng kết nối")
async def list_presence(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    presence: Annotated[Presence | None, Query(description="một tình trạng")] = None,
) -> Page[PresenceView]:
    """Devices in use, by code."""
    statement = _presence().where(Device.retired_at.is_(None))
    if presence is Presence.NEVER_SEEN:
        statement = statement.where(DevicePresence.device_id.is_(None))
    elif presence is not None:
        statement = statement.where(DevicePresence.presence == presence)
    rows, following = await paged(session, statement, [Device.code], paging)
    return Page(items=[_presence_view(*row) for row in rows], next=following)


async def _device(session: AsyncSession, code: str) -> Device:
    device: Device | None = await session.scalar(sa.select(Device).where(Device.code == code))
    if device is None:
        raise _unknown(code)
    return device


def _unknown(code: str) -> NotFound:
    return NotFound(f"Không có thiết bị mã “{code}”.")


@router.get("/devices/{code}/presence", summary="Kết nối của một thiết bị")
async def show_presence(session: Session, caller: CallerDep, code: str) -> PresenceView:
    """What is known of the connection of a device."""
    row = (await session.execute(_presence().where(Device.code == code))).one_or_none()
    if row is None:
        raise _unknown(code)
    return _presence_view(*row)


@router.get("/devices/{code}/presence/changes", summary="Lịch sử kết nối của một thiết bị")
async def list_presence_changes(
    session: Session, caller: CallerDep, code: str, paging: PageQuery
) -> Page[PresenceChangeView]:
    """Changes of presence, in the order in which they were found."""
    device = await _device(session, code)
    statement = sa.select(PresenceChange).where(PresenceChange.device_id == device.id)
    rows, following = await paged(session, statement, [PresenceChange.id], paging)
    items = [
        PresenceChangeView(
            presence=row.presence,
            happened_at=row.happened_at,
            recorded_at=row.recorded_at,
            cause=row.cause,
        )
        for row in rows
    ]
    return Page(items=items, next=following)


@router.get("/faults", summary="Lỗi thiết bị")
async def list_faults(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    device: Annotated[str | None, Query(description="mã thiết bị")] = None,
    kind: Annotated[
        AnyFault | None, Query(description="một loại lỗi", examples=["line_open"])
    ] = None,
    closed: Annotated[bool, Query(description="cả lỗi đã hết")] = False,
) -> Page[FaultView]:
    """Faults in the order in which they were reported."""
    statement = sa.select(Fault, Device.code).join(Device, Device.id == Fault.device_id)
    if device is not None:
        await require_known(session, "device", Device.code, device)
        statement = statement.where(Device.code == device)
    if kind is not None:
        statement = statement.where(Fault.kind == kind)
    if not closed:
        statement = statement.where(Fault.closed_at.is_(None))
    rows, following = await paged(session, statement, [Fault.id], paging)
    items = [
        FaultView(
            device=code,
            kind=fault.kind,
            opened_at=fault.opened_at,
            closed_at=fault.closed_at,
            detail=fault.detail,
        )
        for fault, code in rows
    ]
    return Page(items=items, next=following)


@router.get("/dead-letters", summary="Thông điệp không nhận được của thiết bị, kèm lý do")
async def list_dead_letters(
    session: Session,
    caller: Technician,
    paging: PageQuery,
    device: Annotated[str | None, Query(description="mã thiết bị")] = None,
) -> Page[DeadLetterView]:
    """What came from the broker and could not be taken, oldest first."""
    statement = sa.select(DeadLetterRow)
    if device is not None:
        statement = statement.where(DeadLetterRow.device_code == device)
    rows, following = await paged(session, statement, [DeadLetterRow.id], paging)
    items = [
        DeadLetterView(
            id=row.id,
            received_at=row.received_at,
            topic=row.topic,
            device=row.device_code,
            size_bytes=row.size_bytes,
            field=row.field,
            reason=row.reason,
            payload_base64=base64.b64encode(row.payload).decode(),
            more=row.more,
        )
        for row in rows
    ]
    return Page(items=items, next=following)
