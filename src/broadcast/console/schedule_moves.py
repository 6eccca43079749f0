"""Moving what sounds by hand: this one, this and the following, or all; cancelling; undoing it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple
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
from broadcast.schedules import check, edits, occurrence_edits, queries
from broadcast.schedules.check import Check
from broadcast.schedules.model import Occurrence, Schedule
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
    reaches = _reaches(schedule)
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
    if reach is Reach.FOLLOWING:
        columns = {"starts_at": row.recurrence_at + shift}
        moved, _ = await edits.split(
            session, schedule, row.recurrence_at, columns, caller, settings.rules, now
        )
    else:
        columns = {"starts_at": schedule.starts_at + shift}
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
    columns = {"starts_at": schedule.starts_at - timedelta(seconds=by)}
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
    shift = to - row.starts_at
    if reach is Reach.THIS:
        return await check.of_move(session, row, to, caller, rules, now)
    if reach is Reach.FOLLOWING:
        columns = {"starts_at": row.recurrence_at + shift}
        return await check.of_change(
            session, schedule, row.recurrence_at, columns, caller, rules, now
        )
    columns = {"starts_at": schedule.starts_at + shift}
    return await check.of_change(session, schedule, None, columns, caller, rules, now)


def _reaches(schedule: Schedule) -> list[Reach]:
    """What can be moved at once: a rule with hours of its own does not follow its first start."""
    rule = rule_of(schedule)
    if rule is None or rule.get("BYHOUR") or rule.get("BYMINUTE"):
        return [Reach.THIS]
    return list(Reach)


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
