"""REST of what devices report: presence, faults, hourly health and dead letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.auth.caller import Reader, UpkeepReader
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.devices.enrolment import find_device
from broadcast.devices.model import Device
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.times import Moment
from broadcast.telemetry import health, presence_rows, queries
from broadcast.telemetry.charts import ChartSpan
from broadcast.telemetry.model import HealthHour, PresenceChange
from broadcast.telemetry.presence import Presence
from broadcast.telemetry.schemas import (
    AnyFault,
    ChartOut,
    DeadLetterOut,
    FaultOut,
    HealthHourOut,
    PresenceChangeOut,
    PresenceOut,
    RefusalOut,
)
from broadcast.web.rest import AppSettings, Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["telemetry"])

HEALTH_SPAN = timedelta(days=7)
"""Hours answered where no time is asked for."""
LONGEST_HEALTH_SPAN = timedelta(days=366)


@router.get("/presence", summary="Thiết bị theo tình trạng kết nối")
async def list_presence(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    presence: Annotated[Presence | None, Query(description="một tình trạng")] = None,
) -> Page[PresenceOut]:
    """Devices in use, by code."""
    statement = presence_rows.select_in_use(presence)
    found = await paged(session, statement, [Device.code], paging)
    return found.page(PresenceOut.of)


@router.get("/devices/{code}/presence", summary="Kết nối của một thiết bị")
async def show_presence(session: Session, caller: Reader, code: str) -> PresenceOut:
    """State of the connection of a device."""
    statement = presence_rows.select_latest().where(Device.code == code)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise _unknown(code)
    return PresenceOut.of(*row)


@router.get("/devices/{code}/presence/changes", summary="Lịch sử kết nối của một thiết bị")
async def list_presence_changes(
    session: Session, caller: Reader, code: str, paging: PageQuery
) -> Page[PresenceChangeOut]:
    """Changes of presence, in the order in which they were found."""
    device = await _device(session, code)
    statement = presence_rows.select_changes(device.id)
    found = await paged(session, statement, [PresenceChange.id], paging)
    return found.page(PresenceChangeOut.of)


@router.get("/faults", summary="Lỗi thiết bị")
async def list_faults(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    device: Annotated[str | None, Query(description="mã thiết bị")] = None,
    kind: Annotated[
        AnyFault | None, Query(description="một loại lỗi", examples=["line_open"])
    ] = None,
    closed: Annotated[bool, Query(description="cả lỗi đã hết")] = False,
) -> Page[FaultOut]:
    """Faults in the order in which they were reported."""
    return await queries.list_faults(session, paging, device, kind, closed=closed)


@router.get("/dead-letters", summary="Thông điệp không nhận được của thiết bị, kèm lý do")
async def list_dead_letters(
    session: Session,
    caller: UpkeepReader,
    paging: PageQuery,
    device: Annotated[str | None, Query(description="mã thiết bị")] = None,
) -> Page[DeadLetterOut]:
    """Messages from the broker that could not be taken, oldest first."""
    scope.require_whole(session, caller, Permission.UPKEEP_READ)
    return await queries.list_dead_letters(session, paging, device)


@router.get("/devices/{code}/health", summary="Sức khỏe của một thiết bị theo giờ")
async def list_health(
    session: Session,
    caller: Reader,
    code: str,
    paging: PageQuery,
    from_: Annotated[
        Moment | None, Query(alias="from", description="mặc định bảy ngày trước `to`")
    ] = None,
    to: Annotated[Moment | None, Query(description="mặc định bây giờ")] = None,
) -> Page[HealthHourOut]:
    """Hours that begin in [from, to), oldest first; the running hour is not summed up yet."""
    until = to or clock.now()
    since = from_ or until - HEALTH_SPAN
    if not since < until <= since + LONGEST_HEALTH_SPAN:
        days = LONGEST_HEALTH_SPAN.days
        raise InvalidInput("from", f"phải trước `to`, và không quá {days} ngày trước đó")
    device = await _device(session, code)
    statement = health.select_hours(device.id, since, until)
    found = await paged(session, statement, [HealthHour.hour], paging)
    return found.page(HealthHourOut.of)


@router.get("/devices/{code}/chart", summary="Diễn biến của một thiết bị trong ngày, tuần, tháng")
async def show_chart(
    session: Session,
    settings: AppSettings,
    caller: Reader,
    code: str,
    span: ChartSpan = ChartSpan.DAY,
    to: Annotated[Moment | None, Query(description="mặc định bây giờ")] = None,
) -> ChartOut:
    """What the device reported in the span before `to`, in at most 186 steps, and its presence."""
    now = clock.now()
    return await queries.show_chart(session, code, span, to or now, now, settings.upkeep.raw_days)


@router.get("/refusals", summary="Điều thiết bị từ chối nhận, kèm lý do")
async def list_refusals(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    device: Annotated[str | None, Query(description="mã thiết bị")] = None,
) -> Page[RefusalOut]:
    """Documents and commands that devices would not accept, in the order in which they came."""
    return await queries.list_refusals(session, paging, device)


async def _device(session: AsyncSession, code: str) -> Device:
    device = await find_device(session, code)
    if device is None:
        raise _unknown(code)
    return device


def _unknown(code: str) -> NotFound:
    return NotFound(f"Không có thiết bị mã “{code}”.")
