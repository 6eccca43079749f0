"""REST of a device's hourly health, for charts."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import sqlalchemy as sa
from fastapi import Query
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep
from broadcast.accounts.routing import Router
from broadcast.devices.model import Device
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput, NotFound
from broadcast.kit.times import Moment
from broadcast.telemetry.model import HealthHour
from broadcast.web.fields import example
from broadcast.web.rest import Page, PageQuery, Session, paged

router = Router(prefix="/api/v1", tags=["telemetry"])

SPAN = timedelta(days=7)
"""What is answered where no time is asked for."""

LONGEST = timedelta(days=366)


class HealthHourView(BaseModel):
    """What the heartbeats of one hour said; null where none had the value."""

    model_config = example(
        hour="2025-07-01T08:00:00+07:00", beats=60, minutes=60, sessions=1, playing_beats=12,
        untrusted_beats=0, unpowered_beats=0, temperature_min=41.5, temperature_avg=43.2,
        temperature_max=45.0, supply_volts_min=23.7, battery_percent_min=None,
        signal_dbm_min=-91, signal_dbm_avg=-87.5, clock_offset_ms_max=38,
        data_used_bytes=412160, storage_free_bytes_min=3221225472, journal_pending_max=0,
        line="ok", amplifier="on",
    )  # fmt: skip

    hour: Moment
    beats: int
    minutes: int
    """Minutes in which the device was heard."""
    sessions: int
    """Connections; above 1: it lost its link or restarted."""
    playing_beats: int
    untrusted_beats: int
    unpowered_beats: int
    temperature_min: float | None
    temperature_avg: float | None
    temperature_max: float | None
    supply_volts_min: float | None
    battery_percent_min: int | None
    signal_dbm_min: int | None
    signal_dbm_avg: float | None
    clock_offset_ms_max: int | None
    data_used_bytes: int | None
    storage_free_bytes_min: int | None
    journal_pending_max: int
    line: str
    """The worst of the hour."""
    amplifier: str | None
    """The worst of the hour."""


@router.get("/devices/{code}/health", summary="Sức khỏe của một thiết bị theo giờ")
async def list_health(
    session: Session,
    caller: CallerDep,
    code: str,
    paging: PageQuery,
    from_: Annotated[
        Moment | None, Query(alias="from", description="mặc định bảy ngày trước `to`")
    ] = None,
    to: Annotated[Moment | None, Query(description="mặc định bây giờ")] = None,
) -> Page[HealthHourView]:
    """Hours that begin in [from, to), oldest first; the running hour is not summed up yet."""
    until = to or clock.now()
    since = from_ or until - SPAN
    if not since < until <= since + LONGEST:
        raise InvalidInput("from", f"phải trước `to`, và không quá {LONGEST.days} ngày trước đó")
    device_id = await _device_id(session, code)
    statement = sa.select(HealthHour).where(
        HealthHour.device_id == device_id, HealthHour.hour >= since, HealthHour.hour < until
    )
    rows, following = await paged(session, statement, [HealthHour.hour], paging)
    fields = HealthHourView.model_fields
    return Page(
        items=[HealthHourView(**{name: getattr(row, name) for name in fields}) for row in rows],
        next=following,
    )


async def _device_id(session: AsyncSession, code: str) -> int:
    device_id: int | None = await session.scalar(sa.select(Device.id).where(Device.code == code))
    if device_id is None:
        raise NotFound(f"Không có thiết bị mã “{code}”.")
    return device_id
