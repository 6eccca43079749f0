"""The coming months of a schedule: which days it sounds, and single days changed by hand."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Scheduler
from broadcast.calendars import marking
from broadcast.console import months
from broadcast.console.months import Fate
from broadcast.console.page import PageRouter, redirect
from broadcast.console.schedule_words import SILENT
from broadcast.console.timetable import moment_of
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.times import Day, Moment
from broadcast.schedules import coming, queries, start_edits
from broadcast.schedules.coming import Start
from broadcast.schedules.model import Schedule
from broadcast.schedules.starts import exceptions_of
from broadcast.web.rest import AppSettings, Session

router = PageRouter()


class Change(StrEnum):
    """What a person does to one start of a schedule."""

    LEAVE_OUT = "leave-out"
    RESTORE = "restore"
    ADD = "add"
    DROP = "drop"


UNDONE_BY = {
    Change.LEAVE_OUT: Change.RESTORE, Change.RESTORE: Change.LEAVE_OUT,
    Change.ADD: Change.DROP, Change.DROP: Change.ADD,
}  # fmt: skip

DONE = {
    Change.LEAVE_OUT: N_("Đã bỏ buổi %(at)s."),
    Change.RESTORE: N_("Buổi %(at)s lại phát như lịch."),
    Change.ADD: N_("Đã thêm buổi %(at)s."),
    Change.DROP: N_("Đã bỏ buổi thêm %(at)s."),
}

WORDS: dict[str, str] = {
    Fate.SOUNDS: N_("phát"),
    Fate.ADDED: N_("phát thêm"),
    Fate.MOVED: N_("đã dời"),
    Fate.LEFT_OUT: N_("đã bỏ"),
    **{each.value: words for each, words in SILENT.items()},
}

HEADS = [
    (N_("T2"), N_("thứ Hai")), (N_("T3"), N_("thứ Ba")), (N_("T4"), N_("thứ Tư")),
    (N_("T5"), N_("thứ Năm")), (N_("T6"), N_("thứ Sáu")), (N_("T7"), N_("thứ Bảy")),
    (N_("CN"), N_("Chủ nhật")),
]  # fmt: skip

DayQuery = Annotated[Day | None, Query()]
DoneQuery = Annotated[Change | None, Query()]
AtQuery = Annotated[Moment | None, Query()]


def sheet(first: date, starts: Iterable[Start]) -> dict[str, Any]:
    """What `schedule/_months.html` shows."""
    return {
        "months": months.months(first, starts), "heads": HEADS, "words": WORDS,
        "today": clock.today(), "chosen": None, "days": "",
    }  # fmt: skip


async def shown(
    session: AsyncSession, schedule: Schedule, begin: date | None, chosen: date | None
) -> dict[str, Any]:
    """The months of a stored schedule from the one of a day, or from now."""
    now = clock.now()
    today = now.astimezone(LOCAL).date()
    first = max(begin or today, today).replace(day=1)
    since, until = months.span(first)
    starts = await coming.between(session, schedule, max(since, now), until)
    found = sheet(first, starts)
    address = f"/schedule/{schedule.id}?"
    here = {"from": f"{first:%Y-%m-%d}"}
    earlier = first
    for _ in range(months.COUNT):
        earlier = months.before(earlier)
    entries = [each for month in found["months"] for each in month.entries]
    return found | {
        "chosen": chosen,
        "of_day": [each for each in entries if each.day == chosen],
        "marks": [] if chosen is None else (await marking.show(session, chosen, chosen))[0].marks,
        "days": address + urlencode(here) + "&day=",
        "back_days": f"/schedule/{schedule.id}/days/",
        "first": first,
        "earlier": None if first <= today else f"{address}from={max(earlier, today)}#coming",
        "later": f"{address}from={until.astimezone(LOCAL).date()}#coming",
    }


@router.post("/schedule/{schedule_id}/days/{change}", summary="Bỏ, thêm, phát lại một ngày")
async def change_day(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    schedule_id: UUID,
    change: Change,
    start: Annotated[Moment | None, Form(alias="at")] = None,
    day: Annotated[str, Form(max_length=10)] = "",
    time: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Leave a start out, put it back, add one or take an added one away, however far ahead."""
    at = start or moment_of(day, time)
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    rules, now = settings.rules, clock.now()
    was = (await exceptions_of(session, [schedule_id]))[schedule_id].get(at)
    if change is Change.LEAVE_OUT:
        await start_edits.change(session, schedule, at, None, caller, rules, now)
    elif change is Change.RESTORE:
        await start_edits.put_back(session, schedule, at, caller, rules, now)
    elif change is Change.ADD:
        await start_edits.add(session, schedule, at, caller, rules, now)
    else:
        await start_edits.drop(session, schedule, at, caller, rules, now)
    return redirect(request, _address(schedule_id, at, change, was))


def _address(schedule_id: UUID, at: datetime, change: Change, was: datetime | None) -> str:
    """The page of the schedule at this day; what was at another time is not undone by a button."""
    local = at.astimezone(LOCAL)
    query = {"from": f"{local:%Y-%m}-01", "day": f"{local:%Y-%m-%d}"}
    if was is None:
        query |= {"done": change.value, "at": local.isoformat()}
    return f"/schedule/{schedule_id}?{urlencode(query)}#day"
