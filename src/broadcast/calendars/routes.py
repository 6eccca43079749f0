"""REST of calendars: days that are marked, and the days of a span as they are."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from broadcast.auth.caller import Reader, Scheduler
from broadcast.auth.routing import Router
from broadcast.calendars import marking
from broadcast.calendars.days import Kind
from broadcast.calendars.schemas import CalendarDayIn, CalendarDayOut, DateOut
from broadcast.kit import clock
from broadcast.kit.times import Day
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import Id, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["calendars"])

From = Annotated[Day | None, Query(alias="from", description="từ ngày này; mặc định hôm nay")]
To = Annotated[Day | None, Query(alias="to", description="đến hết ngày này")]


@router.get("/calendar", summary="Các ngày: âm lịch, nghỉ lễ, ngày đánh dấu")
async def show_calendar(
    session: Session,
    caller: Reader,
    first_on: From = None,
    last_on: To = None,
    area: Annotated[Code | None, Query(description="chỉ của đơn vị này, kể cả cấp trên")] = None,
) -> list[DateOut]:
    """Each day of the span, 31 days by default; the holidays of the law are computed."""
    first = first_on or clock.today()
    return await marking.show(session, first, last_on or first + 30 * marking.DAY, area)


@router.get("/calendar-days", summary="Các ngày đã đánh dấu")
async def list_days(
    session: Session,
    caller: Reader,
    paging: PageQuery,
    first_on: Annotated[Day | None, Query(alias="from", description="còn sau ngày này")] = None,
    last_on: Annotated[Day | None, Query(alias="to", description="bắt đầu trước ngày này")] = None,
    kind: Kind | None = None,
) -> Page[CalendarDayOut]:
    """In the order in which they were entered."""
    return await marking.list_days(session, paging, first_on, last_on, kind)


@router.get("/calendar-days/{day_id}", summary="Một lần đánh dấu")
async def show_day(session: Session, caller: Reader, day_id: Id) -> CalendarDayOut:
    """One marking."""
    return await marking.show_day(session, day_id)


@router.post(
    "/calendar-days",
    status_code=201,
    summary="Đánh dấu ngày trong lịch",
    response_model=CalendarDayOut,
)
async def mark(
    request: Request, session: Session, caller: Scheduler, body: CalendarDayIn
) -> Response:
    """What is to sound on these days is planned anew within seconds."""

    async def make() -> Created:
        made = await marking.mark(session, body, caller, clock.now())
        return Created(f"/api/v1/calendar-days/{made.id}", made)

    return await Once(request).run(session, caller.account_id, make)


@router.put("/calendar-days/{day_id}", summary="Sửa ngày đánh dấu")
async def change(
    session: Session, caller: Scheduler, day_id: Id, body: CalendarDayIn
) -> CalendarDayOut:
    """Correct days, place or document."""
    return await marking.change(session, day_id, body, caller, clock.now())


@router.delete("/calendar-days/{day_id}", status_code=204, summary="Bỏ ngày đánh dấu")
async def remove(session: Session, caller: Scheduler, day_id: Id) -> Response:
    """What was kept silent and is still to come sounds again."""
    await marking.remove(session, day_id, caller)
    return Response(status_code=204)
