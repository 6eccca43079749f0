"""What devices reported, as REST and the pages answer it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.devices.enrolment import require_device
from broadcast.devices.model import Device
from broadcast.telemetry import charts, dead_letters, faults, refusals
from broadcast.telemetry.charts import ChartSpan
from broadcast.telemetry.model import DeadLetterRow, Fault, Refusal
from broadcast.telemetry.schemas import ChartOut, DeadLetterOut, FaultOut, RefusalOut
from broadcast.web.rest import Page, Paging, paged, require_known


async def list_faults(
    session: AsyncSession,
    paging: Paging,
    device: str | None = None,
    kind: str | None = None,
    *,
    closed: bool,
) -> Page[FaultOut]:
    """Faults in the order in which they were reported.

    Args:
        session: Transaction.
        paging: Page.
        device: Of this device only.
        kind: Of this kind only.
        closed: Closed faults too.

    Raises:
        Unknown: No device has this code.
    """
    if device is not None:
        await require_known(session, "device", Device.code, device)
    statement = faults.select_faults(device, kind, closed=closed)
    found = await paged(session, statement, [Fault.id], paging)
    return found.page(FaultOut.of)


async def list_refusals(
    session: AsyncSession, paging: Paging, device: str | None = None
) -> Page[RefusalOut]:
    """Documents and commands that devices would not accept, in the order in which they came.

    Raises:
        Unknown: No device has this code.
    """
    if device is not None:
        await require_known(session, "device", Device.code, device)
    found = await paged(session, refusals.select_refusals(device), [Refusal.id], paging)
    return found.page(RefusalOut.of)


async def list_dead_letters(
    session: AsyncSession, paging: Paging, device: str | None = None
) -> Page[DeadLetterOut]:
    """Messages from the broker that could not be taken, oldest first."""
    statement = dead_letters.select_letters(device)
    found = await paged(session, statement, [DeadLetterRow.id], paging)
    return found.page(DeadLetterOut.of)


async def show_chart(
    session: AsyncSession,
    code: str,
    span: ChartSpan,
    until: datetime,
    now: datetime,
    raw_days: int,
) -> ChartOut:
    """What a device reported in the span before `until`.

    Raises:
        NotFound: No device has this code.
    """
    device = await require_device(session, code)
    async with scope.whole(session):
        found = await charts.chart(session, device.id, span, until, now, raw_days)
    return ChartOut.of(code, span, found)
