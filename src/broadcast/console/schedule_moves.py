"""Moving what sounds by hand: this one, this and the following, or all; cancelling; undoing it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from fastapi import Form, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller, Scheduler
from broadcast.auth.routing import changes_nothing
from broadcast.config import Rules
from broadcast.console.page import PageRouter, local, page, redirect
from broadcast.console.timetable import described, moment_of
from broadcast.console.words import N_
from broadcast.kit import clock
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.schedules import check, edits, occurrence_edits, queries, rule_edits
from broadcast.schedules.check import Check
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.schedules.rrule import Rule
from broadcast.schedules.schemas import CheckOut
from broadcast.schedules.starts import rule_of
from broadcast.web.rest import AppSettings, Session

router = PageRouter()


class Reach(StrEnum):
    """How much of a schedule a move takes along."""

    THIS = "this"
    FOLLOWING = "following"
    ALL = "all"


REACHES = {
    Reach.THIS: N_("Chỉ buổi này"),
    Reach.FOLLOWING: N_("Buổi này và các buổi sau"),
    Reach.ALL: N_("Tất cả các buổi"),
}

DayField = Annotated[str, Form(max_length=10)]
TimeField = Annotated[str, Form(alias="time", max_length=8)]
Back = Annotated[str, Form(max_length=500)]
"""Page of ours to return to."""

MOST_SECONDS = 366 * 86_400
"""Of a move that can be undone."""


class Moved(NamedTuple):
    """A schedule all of which was moved, on the page that offers to undo it."""

    schedule: Schedule
    by: int
    """Seconds."""


MovedQuery = Annotated[UUID | None, Query()]
ByQuery = Annotated[int, Query(ge=-MOST_SECONDS, le=MOST_SECONDS)]


async def moved_of(session: AsyncSession, moved: UUID | None, by: int) -> Moved | None:
    """What the address of a page says was moved."""
    if moved is None or not by:
        return None
    return Moved(await queries.get_schedule(session, moved), by)


@router.post("/schedule/occurrences/{occurrence_id}/move/check")
@changes_nothing
async def check_move(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    occurrence_id: UUID,
    day: DayField,
    at: TimeField,
    reach: Annotated[Reach, Form()] = Reach.THIS,
    back: Back = "/schedule",
) -> Response:
    """Ask how much is to be moved, and say what that meets and comes to."""
    row = await queries.get_occurrence(session, occurrence_id)
    schedule = await queries.get_schedule(session, row.schedule_id)
    was, title = row.starts_at, row.title
    to = moment_of(day, at)
    reaches = _reaches(row, schedule, to)
    if reach not in reaches:  # chosen for another day
        reach = Reach.THIS
    checked = await _checked(
        session, row, schedule, to, reach, caller, settings.rules, clock.now()
    )
    return page(
        request, caller, "schedule/_move.html",
        occurrence_id=occurrence_id, title=title, was=was, to=to, reaches=reaches, reach=reach,
        checked=CheckOut.of(checked), names=REACHES, back=local(back), fields=described,
    )  # fmt: skip


@router.post("/schedule/occurrences/{occurrence_id}/move", summary="Dời buổi phát")
async def move(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    occurrence_id: UUID,
    day: DayField,
    at: TimeField,
    reach: Annotated[Reach, Form()] = Reach.THIS,
    back: Back = "/schedule",
) -> Response:
    """Move this one, this and the following, or all of its schedule."""
    now = clock.now()
    row = await queries.get_occurrence(session, occurrence_id)
    to = moment_of(day, at)
    if reach is Reach.THIS:
        await occurrence_edits.move(session, row, to, caller, settings.rules, now)
        return redirect(request, _with(back, undo=f"{occurrence_id}"))
    shift = to - row.starts_at
    schedule = await queries.get_schedule(session, row.schedule_id, lock=True)
    columns = _columns(schedule, _from(row, schedule, reach), shift)
    if reach is Reach.FOLLOWING:
        moved, _ = await edits.split(
            session, schedule, row.recurrence_at, columns, caller, settings.rules, now
        )
    else:
        await edits.change(session, schedule, columns, caller, settings.rules, now)
        moved = schedule
    by = round(shift.total_seconds())
    return redirect(request, _with(back, moved=f"{moved.id}", by=f"{by}"))


@router.post("/schedule/{schedule_id}/move-back", summary="Hoàn tác dời các buổi phát")
async def move_back(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    schedule_id: UUID,
    by: Annotated[int, Form(ge=-MOST_SECONDS, le=MOST_SECONDS)],
    back: Back = "/schedule",
) -> Response:
    """Undo the move of all of a schedule; `by` is how many seconds later it was put."""
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    columns = _columns(schedule, schedule.starts_at, -timedelta(seconds=by))
    await edits.change(session, schedule, columns, caller, settings.rules, clock.now())
    return redirect(request, local(back))


async def _checked(
    session: AsyncSession,
    row: Occurrence,
    schedule: Schedule,
    to: datetime,
    reach: Reach,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> Check:
    if reach is Reach.THIS:
        return await check.of_move(session, row, to, caller, rules, now)
    columns = _columns(schedule, _from(row, schedule, reach), to - row.starts_at)
    since = row.recurrence_at if reach is Reach.FOLLOWING else None
    return await check.of_change(session, schedule, since, columns, caller, rules, now)


def _from(row: Occurrence, schedule: Schedule, reach: Reach) -> datetime:
    """The first start of what is moved."""
    return row.recurrence_at if reach is Reach.FOLLOWING else schedule.starts_at


def _reaches(row: Occurrence, schedule: Schedule, to: datetime) -> list[Reach]:
    """What can be moved at once: not every rule follows its first start."""
    shift = to - row.starts_at
    return [
        each
        for each in Reach
        if each is Reach.THIS or _moved(schedule, _from(row, schedule, each), shift) is not None
    ]


def _moved(schedule: Schedule, first: datetime, shift: timedelta) -> Rule | None:
    """The rule of a schedule that sounds so much later; None where no rule says that."""
    rule = rule_of(schedule)
    if rule is None or rule.get("BYHOUR") or rule.get("BYMINUTE"):
        return None  # one with hours of its own does not follow its first start
    days = (first + shift).astimezone(LOCAL).date() - first.astimezone(LOCAL).date()
    at = schedule.starts_at.astimezone(LOCAL).time()
    return rule_edits.on_later_days(rule, at, days.days)


def _columns(schedule: Schedule, first: datetime, shift: timedelta) -> dict[str, Any]:
    """What is to change of a schedule whose starts from `first` on come so much later.

    Raises:
        Conflict: No rule says that.
    """
    rule = rule_of(schedule)
    columns: dict[str, Any] = {"starts_at": first + shift}
    if rule is None:
        return columns
    moved = _moved(schedule, first, shift)
    if moved is None:
        raise Conflict(
            "Cách lặp của lịch này không dời cả loạt sang giờ hay ngày đó được; hãy dời riêng từng"
            " buổi, hoặc sửa cách lặp của lịch."
        )
    if moved != rule:
        columns["rrule"] = str(moved)
    return columns


def _with(back: str, **done: str) -> str:
    """A page of ours, which says what was done and offers to undo it."""
    parts = urlsplit(local(back))
    kept = [pair for pair in parse_qsl(parts.query) if pair[0] not in {"undo", "moved", "by"}]
    return f"{parts.path}?{urlencode([*kept, *done.items()])}"


@router.post("/schedule/occurrences/{occurrence_id}/cancel", summary="Bỏ một buổi phát")
async def cancel(
    request: Request,
    session: Session,
    caller: Scheduler,
    occurrence_id: UUID,
    back: Back = "/schedule",
) -> Response:
    """Cancel this one; the others of its schedule stay."""
    row = await queries.get_occurrence(session, occurrence_id)
    await occurrence_edits.cancel_occurrence(session, row, caller, clock.now())
    return redirect(request, _with(back, undo=f"{occurrence_id}"))


@router.post("/schedule/occurrences/{occurrence_id}/reinstate", summary="Đưa về giờ theo lịch")
async def reinstate_occurrence(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    occurrence_id: UUID,
    back: Back = "/schedule",
) -> Response:
    """Undo the move or the cancellation of one."""
    row = await queries.get_occurrence(session, occurrence_id)
    await occurrence_edits.reinstate(session, row, caller, settings.rules, clock.now())
    return redirect(request, local(back))
