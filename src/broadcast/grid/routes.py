"""REST of the programme grid: sessions, their items, and what they come to day by day."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import ContentReader, Scheduler
from broadcast.auth.people import people
from broadcast.auth.routing import Router
from broadcast.config import Rules
from broadcast.grid import play_now, sessions
from broadcast.grid.filling import AHEAD, days_of, hours_of, parts_of, rooms_of
from broadcast.grid.model import AirSession
from broadcast.grid.schemas import (
    AirDayOut,
    AirSessionChangeIn,
    AirSessionIn,
    AirSessionOut,
    PlayNowIn,
    VillageHeardOut,
)
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.times import Day
from broadcast.schedules import listening
from broadcast.schedules.expansion import DAY
from broadcast.schedules.schemas import PlannedScheduleOut
from broadcast.schedules.starts import exceptions_of
from broadcast.web import rest
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["grid"])

OnceDep = Annotated[Once, Depends()]


async def shown(session: AsyncSession, air: AirSession) -> AirSessionOut:
    """A session as REST shows it."""
    parts = (await parts_of(session, [air.id])).get(air.id, [])
    return AirSessionOut.of(air, parts, await people(session, [air.created_by]))


async def coming_days(
    session: AsyncSession, air: AirSession, days: int, rules: Rules, now: datetime
) -> list[AirDayOut]:
    """The coming days of a session as REST shows them."""
    parts = (await parts_of(session, [air.id])).get(air.id, [])
    exceptions = await exceptions_of(session, [each.schedule.id for each in parts])
    until = datetime.combine(now.astimezone(LOCAL).date(), time(), LOCAL) + timedelta(days=days)
    on = now.astimezone(LOCAL).date()
    hours = await hours_of(session, air, rules, on, until.astimezone(LOCAL).date())
    rooms = await rooms_of(session, air, parts, now, until)
    found = days_of(air, parts, exceptions, hours, rooms, now, until)
    return [AirDayOut.of(each, parts) for each in found]


@router.get("/air-sessions", summary="Các buổi phát thanh của khung chương trình")
async def list_sessions(
    session: Session,
    caller: ContentReader,
    paging: PageQuery,
    area: Annotated[Code | None, Query(description="của đài ở địa bàn này")] = None,
) -> Page[AirSessionOut]:
    """Those that have not ended, oldest first."""
    statement = await sessions.select_sessions(session, area)
    key = [AirSession.created_at, AirSession.id]
    found = await rest.paged(session, statement, key, paging)
    parts = await parts_of(session, (row[0].id for row in found.rows))
    known = await people(session, (row[0].created_by for row in found.rows))
    return found.page(lambda air: AirSessionOut.of(air, parts.get(air.id, []), known))


@router.post(
    "/air-sessions", status_code=201, response_model=AirSessionOut, summary="Lập buổi phát thanh"
)
async def create(
    session: Session, settings: AppSettings, caller: Scheduler, once: OnceDep, body: AirSessionIn
) -> Response:
    """Its items sound one after the other; what does not fit is left out, lowest first."""
    now = clock.now()

    async def make() -> Created:
        air = await sessions.create(
            session, body.area_code, body.columns(), body.changes() or [], caller,
            settings.rules, now,
        )  # fmt: skip
        return Created(f"/api/v1/air-sessions/{air.id}", await shown(session, air))

    return await once.run(session, caller.account_id, make, now=now)


@router.get("/air-sessions/{air_session_id}", summary="Một buổi phát thanh")
async def get_session(
    session: Session, caller: ContentReader, air_session_id: UUID
) -> AirSessionOut:
    """With its items, in order."""
    return await shown(session, await sessions.get(session, air_session_id))


@router.patch("/air-sessions/{air_session_id}", summary="Sửa buổi phát thanh và các mục")
async def change(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    air_session_id: UUID,
    body: AirSessionChangeIn,
) -> AirSessionOut:
    """Changes what has not begun; what somebody has moved or left out by itself stays so."""
    air = await sessions.hold(session, air_session_id, caller)
    rest.if_match(request, await shown(session, air))
    await sessions.change(
        session, air, body.columns(), body.changes(), caller, settings.rules, clock.now()
    )
    return await shown(session, air)


@router.get("/air-sessions/{air_session_id}/days", summary="Buổi phát thanh những ngày tới")
async def list_days(
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    air_session_id: UUID,
    days: Annotated[int, Query(ge=1, le=AHEAD.days, description="kể từ hôm nay")] = 7,
) -> list[AirDayOut]:
    """When each item starts, and what finds no room, of sessions that have not begun."""
    air = await sessions.get(session, air_session_id)
    return await coming_days(session, air, days, settings.rules, clock.now())


@router.post("/air-sessions/{air_session_id}/end", summary="Kết thúc buổi phát thanh")
async def end(
    request: Request, session: Session, caller: Scheduler, air_session_id: UUID
) -> AirSessionOut:
    """It begins no more; its items are withdrawn."""
    air = await sessions.hold(session, air_session_id, caller)
    rest.if_match(request, await shown(session, air))
    await sessions.end(session, air, caller, clock.now())
    return await shown(session, air)


# --- now, and tomorrow --------------------------------------------------------------------------


@router.post(
    "/play-now",
    status_code=201,
    response_model=PlannedScheduleOut,
    summary="Phát ngay một bản tin",
)
async def play(
    session: Session, settings: AppSettings, caller: Scheduler, once: OnceDep, body: PlayNowIn
) -> Response:
    """A schedule with one start within seconds, or once nothing else sounds there."""
    now = clock.now()

    async def make() -> Created:
        targets = [each.model_dump(exclude_none=True) for each in body.targets]
        schedule, plan = await play_now.play(
            session, body.bulletin_id, targets, body.when, body.volume, caller, settings.rules,
            now,
        )  # fmt: skip
        known = await people(session, [schedule.created_by])
        return Created(
            f"/api/v1/schedules/{schedule.id}",
            PlannedScheduleOut.with_plan(schedule, plan, known),
        )

    return await once.run(session, caller.account_id, make, now=now)


@router.get("/heard", summary="Mỗi thôn nghe gì trong một ngày")
async def list_heard(
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    area: Annotated[Code, Query(description="mã xã hoặc thôn")],
    on: Annotated[Day | None, Query(description="mặc định ngày mai")] = None,
) -> list[VillageHeardOut]:
    """All that is planned there, whoever has scheduled it, and what is heard of it.

    After priorities, calendars and quiet hours, by loudspeakers that lack nothing.
    """
    day = on or clock.today() + DAY
    found = await listening.heard(session, caller, area, day, settings.rules)
    return [VillageHeardOut.of(each) for each in found]
