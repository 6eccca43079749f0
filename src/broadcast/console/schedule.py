"""The calendar: what sounds when, moved and cancelled by hand, and how a day sounds."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.tree import Unit
from broadcast.areas.units import load_tree
from broadcast.auth.caller import Caller, ContentReader, Scheduler
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.calendars import marking
from broadcast.calendars.days import Silence
from broadcast.console.bulletin_words import OUTLOOKS
from broadcast.console.formats import collated
from broadcast.console.page import PageRouter, page, redirect
from broadcast.console.schedule_days import DONE, UNDONE_BY, AtQuery, DayQuery, DoneQuery, shown
from broadcast.console.schedule_moves import ByQuery, MovedQuery, moved_of
from broadcast.console.schedule_words import SILENT
from broadcast.console.timetable import (
    DAY,
    Proof,
    View,
    days_of,
    neighbour,
    proof_of,
    recurrence_of,
    sheet,
)
from broadcast.console.words import N_
from broadcast.grid.schemas import VillageHeardOut
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.languages import NAMES
from broadcast.kit.times import Day
from broadcast.plays.coming import next_of
from broadcast.plays.days import MOST, occurrences_between
from broadcast.plays.schemas import OccurrenceCountsOut
from broadcast.schedules import (
    consequences,
    edits,
    feed_routes,
    listening,
    places_heard,
    queries,
    relays,
)
from broadcast.schedules.model import OccurrenceState, ScheduleState
from broadcast.schedules.schemas import ConsequenceOut, ScheduleOut
from broadcast.schedules.starts import rule_of
from broadcast.schedules.targets import SILENCES
from broadcast.web.fields import Code
from broadcast.web.rest import AppSettings, Session

router = PageRouter()

AreaQuery = Annotated[Code | None, Query()]
ViewQuery = Annotated[View, Query()]


class Block(NamedTuple):
    """One occurrence on the sheet."""

    occurrence: OccurrenceCountsOut
    proof: Proof | None
    """None before it begins."""
    can_move: bool
    silent: str = ""
    """Why a calendar keeps it silent, if one does."""


def _block(each: OccurrenceCountsOut, caller: Caller, now: datetime) -> Block:
    has_begun = each.starts_at <= now
    is_planned = each.state is OccurrenceState.PLANNED
    may = Permission.SCHEDULE_WRITE in caller.permissions
    proof = proof_of(each.counts, each.clusters_count) if has_begun and is_planned else None
    silent = SILENT.get(Silence(each.cancel_reason)) if each.cancel_reason in SILENCES else None
    can_move = may and not has_begun and (is_planned or silent is not None)
    return Block(each, proof, can_move, silent or "")


STATES = {
    ScheduleState.PROPOSED: ("unknown", N_("Chờ duyệt")),
    ScheduleState.ACTIVE: ("ok", N_("Đang hiệu lực")),
    ScheduleState.ALERT: ("bad", N_("Khẩn cấp")),
    ScheduleState.LIVE: ("waiting", N_("Phát trực tiếp")),
    ScheduleState.ENDED: ("unknown", N_("Đã phát xong")),
    ScheduleState.WITHDRAWN: ("bad", N_("Đã thu hồi")),
}

WEEKDAY_NAMES = {
    "MO": N_("thứ Hai"), "TU": N_("thứ Ba"), "WE": N_("thứ Tư"), "TH": N_("thứ Năm"),
    "FR": N_("thứ Sáu"), "SA": N_("thứ Bảy"), "SU": N_("Chủ nhật"),
}  # fmt: skip


# --- the calendar --------------------------------------------------------------------------------


@router.get("/schedule")
async def show(
    request: Request,
    session: Session,
    caller: ContentReader,
    view: ViewQuery = View.WEEK,
    on: Day | None = None,
    area: AreaQuery = None,
    undo: UUID | None = None,
    moved: MovedQuery = None,
    by: ByQuery = 0,
) -> Response:
    """The calendar of a day, a week or a month; the address holds what is shown."""
    done = {
        "undo": None if undo is None else await queries.get_occurrence(session, undo),
        "moved": await moved_of(session, moved, by),
    }
    return await _calendar(request, session, caller, view, on, area, "schedule/index.html", done)


@router.get("/schedule/sheet")
async def show_sheet(
    request: Request,
    session: Session,
    caller: ContentReader,
    view: ViewQuery = View.WEEK,
    on: Day | None = None,
    area: AreaQuery = None,
) -> Response:
    """The sheet alone, fetched again when something has changed."""
    return await _calendar(request, session, caller, view, on, area, "schedule/_sheet.html", {})


async def _calendar(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    view: View,
    on: date | None,
    area: str | None,
    template: str,
    done: dict[str, Any],
) -> Response:
    now = clock.now()
    today = now.astimezone(LOCAL).date()
    on = on or today
    days = days_of(view, on)
    begin, end = _midnight(days[0]), _midnight(days[-1] + DAY)
    found = await occurrences_between(session, begin, end, area=area)
    blocks = [_block(each, caller, now) for each in found]
    coming = [each for each in blocks if each.occurrence.starts_at > now]
    next_ = next(
        (each for each in coming if each.occurrence.state is OccurrenceState.PLANNED), None
    )
    query = {"view": view.value, "on": str(on)} | ({"area": area} if area else {})
    return page(
        request,
        caller,
        template,
        view=view,
        on=on,
        today=today,
        days=days,
        rows=sheet(((each.occurrence.starts_at, each) for each in blocks), days),
        by_day={day: [b for b in blocks if _day(b.occurrence.starts_at) == day] for day in days},
        blocks=blocks,
        next=next_,
        more=len(found) >= MOST,
        dates={each.day: each for each in await marking.show(session, days[0], days[-1], area)},
        area=area,
        communes=await _communes(session, caller, today),
        query=query,
        back="/schedule?" + urlencode(query),
        address="/schedule/sheet?" + urlencode(query),
        before=neighbour(view, on, -1),
        after=neighbour(view, on, 1),
        clock_now=now.astimezone(LOCAL),
        **done,
    )


@router.get("/schedule/feed")
async def ask_feed(
    request: Request, session: Session, caller: ContentReader, area: AreaQuery = None
) -> Response:
    """How to have the schedule in the calendar of a telephone."""
    return await _feed(request, session, caller, area, None)


@router.post("/schedule/feed", summary="Lấy địa chỉ lịch phát (iCalendar) cho điện thoại")
async def make_feed(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    area: Annotated[Code, Form()],
) -> Response:
    """As `POST /calendar-feeds` of REST: an address, shown this once."""
    made = await feed_routes.issue(
        session, area, caller, feed_routes.origin_of(request, settings), clock.now()
    )
    return await _feed(request, session, caller, area, made)


async def _feed(
    request: Request,
    session: AsyncSession,
    caller: Caller,
    area: str | None,
    made: feed_routes.CalendarFeedOut | None,
) -> Response:
    today = clock.today()
    tree = await load_tree(session, today)
    places = [(unit.code, unit.called) for unit in await _communes(session, caller, today)]
    places = [
        (unit.code, unit.called)
        for unit in tree
        if unit.level is Level.PROVINCE and scope.is_whole(caller, Permission.CONTENT_READ)
    ] + places
    return page(
        request, caller, "schedule/feed.html", places=places, area=area, made=made,
        headers={"Cache-Control": "no-store"},
    )  # fmt: skip


async def _communes(session: AsyncSession, caller: Caller, on: date) -> list[Unit]:
    """Communes whose calendar the caller can ask for."""
    readable = await scope.readable_scope(session, caller, Permission.CONTENT_READ)
    tree = await load_tree(session, on)
    found = [unit for unit in tree if unit.level is Level.COMMUNE and unit.code in readable]
    return sorted(found, key=lambda unit: collated(unit.name))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LOCAL)


def _day(at: datetime) -> date:
    return at.astimezone(LOCAL).date()


@router.get("/schedule/heard")
async def show_heard(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    on: Day | None = None,
    area: AreaQuery = None,
) -> Response:
    """How a day sounds, village by village; tomorrow unless another is asked for."""
    now = clock.now()
    day = on or _day(now) + DAY
    communes = await _communes(session, caller, day)
    if area is None and communes:
        area = communes[0].code
    heard = (
        [] if area is None
        else await listening.heard(session, caller, area, day, settings.rules)
    )  # fmt: skip
    return page(
        request, caller, "schedule/heard.html",
        on=day, area=area, communes=communes,
        villages=[VillageHeardOut.of(each) for each in heard], before=day - DAY, after=day + DAY,
        languages=NAMES,
    )  # fmt: skip


# --- one schedule --------------------------------------------------------------------------------


@router.get("/schedule/{schedule_id}")
async def show_schedule(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
    schedule_id: UUID,
    undo: UUID | None = None,
    moved: MovedQuery = None,
    by: ByQuery = 0,
    begin: Annotated[Day | None, Query(alias="from")] = None,
    day: DayQuery = None,
    done: DoneQuery = None,
    at: AtQuery = None,
) -> Response:
    """What it is, where and when it sounds, and what its withdrawal would cancel."""
    now = clock.now()
    schedule = await queries.get_schedule(session, schedule_id)
    known = await people(session, [schedule.created_by])
    mine = await occurrences_between(
        session, now - 7 * DAY, now + settings.rules.horizon, schedule_id=schedule_id
    )
    consequence = await consequences.of_withdrawal(session, schedule, now)
    places = await places_heard.places_of(
        session, schedule.targets, schedule.targets_on, max(_day(schedule.starts_at), _day(now))
    )
    may_write = Permission.SCHEDULE_WRITE in caller.permissions
    return page(
        request,
        caller,
        "schedule/detail.html",
        forecast=await next_of(session, settings.rules, now, schedule_id=schedule_id),
        outlooks=OUTLOOKS,
        schedule=ScheduleOut.of(schedule, known),
        state=STATES[schedule.state],
        recurrence=recurrence_of(rule_of(schedule), schedule.starts_at),
        weekday_names=WEEKDAY_NAMES,
        places=places,
        warnings=await relays.ending(session, schedule, now),
        blocks=[_block(each, caller, now) for each in mine],
        withdrawal=ConsequenceOut.model_validate(consequence),
        can_change=may_write and schedule.state is not ScheduleState.WITHDRAWN,
        can_reinstate=may_write and schedule.state is ScheduleState.WITHDRAWN,
        undo=None if undo is None else await queries.get_occurrence(session, undo),
        moved=await moved_of(session, moved, by),
        back=f"/schedule/{schedule_id}",
        done=None if done is None or at is None else DONE[done],
        undo_by=None if done is None else UNDONE_BY[done],
        at=at,
        **await shown(session, schedule, begin, day),
    )


@router.post("/schedule/{schedule_id}/withdraw", summary="Thu hồi lịch phát")
async def withdraw(
    request: Request, session: Session, caller: Scheduler, schedule_id: UUID
) -> Response:
    """Cancel all that has not ended."""
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    await edits.withdraw(session, schedule, caller, clock.now())
    return redirect(request, f"/schedule/{schedule_id}")


@router.post("/schedule/{schedule_id}/reinstate", summary="Phát lại lịch đã thu hồi")
async def reinstate(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    schedule_id: UUID,
) -> Response:
    """Undo a withdrawal."""
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    await edits.reinstate(session, schedule, caller, settings.rules, clock.now())
    return redirect(request, f"/schedule/{schedule_id}")
