"""REST: schedules, what they come to, and single occurrences."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import Depends, Query, Request, Response

from broadcast.accounts.auth import Author, CallerDep
from broadcast.accounts.routing import Router
from broadcast.bulletins.model import Bulletin
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.schedules import edits, heard, occurrence_edits
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.representations import (
    LATE_LIMIT_SECONDS,
    Code,
    OccurrenceChange,
    OccurrenceOut,
    Preview,
    ScheduleChange,
    ScheduleIn,
    ScheduleOut,
    SchedulePlanned,
    SplitIn,
    show_occurrence,
    show_planned,
    show_schedule,
)
from broadcast.stations.spans import days_of
from broadcast.web import rest
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["schedules"])

OnceDep = Annotated[Once, Depends()]

NOT_COLUMNS = {"bulletin_id", "from_"}


def _named(body: ScheduleChange) -> dict[str, Any]:
    """Columns that the request names; null stands for itself where that means something."""
    given = {name: getattr(body, name) for name in body.model_fields_set - NOT_COLUMNS}
    nullable = {"rrule", "priority", "volume", "title"}
    named = {name: value for name, value in given.items() if value is not None or name in nullable}
    if body.targets is not None:
        named["targets"] = [target.model_dump(exclude_none=True) for target in body.targets]
    return named


# --- schedules ----------------------------------------------------------------------------------


@router.post(
    "/schedules",
    status_code=201,
    response_model=SchedulePlanned,
    summary="Xếp lịch phát một bản tin đã duyệt",
)
async def create(
    session: Session, settings: AppSettings, caller: Author, once: OnceDep, body: ScheduleIn
) -> Response:
    """Nothing unapproved, nothing in quiet hours and nothing that clashes is accepted.

    What the schedule pre-empts, or is pre-empted by, is in `plan.overlaps`.
    """
    now = clock.now()

    async def make() -> Created:
        wanted = {"late_limit_seconds": LATE_LIMIT_SECONDS} | _named(body)
        schedule, plan = await edits.create(
            session, body.bulletin_id, wanted, caller, settings.rules, now
        )
        return Created(f"/api/v1/schedules/{schedule.id}", show_planned(schedule, plan))

    return await once.run(session, caller.credential, make, now=now)


@router.post("/schedules/preview", summary="Xem trước: giờ phát, số cụm loa, trùng lịch")
async def preview(
    session: Session, settings: AppSettings, caller: Author, body: ScheduleIn
) -> Preview:
    """What `POST /schedules` would do; saves nothing, and shows clashes instead of refusing."""
    wanted = {"late_limit_seconds": LATE_LIMIT_SECONDS} | _named(body)
    _, plan = await edits.draft(
        session, body.bulletin_id, wanted, caller, settings.rules, clock.now()
    )
    return Preview.of(plan)


@router.get("/schedules", summary="Danh sách lịch phát")
async def list_schedules(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    state: ScheduleState | None = None,
    bulletin: UUID | None = None,
) -> Page[ScheduleOut]:
    """Oldest first."""
    statement = sa.select(Schedule)
    if state is not None:
        statement = statement.where(Schedule.state == state)
    if bulletin is not None:
        await rest.require_known(session, "bulletin", Bulletin.id, bulletin)
        statement = statement.where(Schedule.bulletin_id == bulletin)
    key = [Schedule.created_at, Schedule.id]
    rows, following = await rest.paged(session, statement, key, paging)
    return Page(items=[show_schedule(row) for row in rows], next=following)


@router.get("/schedules/{schedule_id}", summary="Một lịch phát")
async def get_schedule(session: Session, caller: CallerDep, schedule_id: UUID) -> ScheduleOut:
    """A schedule by id."""
    return show_schedule(await edits.get_schedule(session, schedule_id))


@router.patch("/schedules/{schedule_id}", summary="Đổi cả lịch phát")
async def change(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    schedule_id: UUID,
    body: ScheduleChange,
) -> SchedulePlanned:
    """Change what has not started yet; what was left out stays left out."""
    schedule = await edits.get_schedule(session, schedule_id, lock=True)
    rest.if_match(request, show_schedule(schedule))
    plan = await edits.change(session, schedule, _named(body), caller, settings.rules, clock.now())
    return show_planned(schedule, plan)


@router.post(
    "/schedules/{schedule_id}/split",
    status_code=201,
    response_model=SchedulePlanned,
    summary="Đổi từ một lần phát trở đi",
)
async def split(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Author,
    once: OnceDep,
    schedule_id: UUID,
    body: SplitIn,
) -> Response:
    """End the schedule before `from` and go on with a changed one; answers that one."""
    now = clock.now()

    async def make() -> Created:
        schedule = await edits.get_schedule(session, schedule_id, lock=True)
        rest.if_match(request, show_schedule(schedule))
        following, plan = await edits.split(
            session, schedule, body.from_, _named(body), caller, settings.rules, now
        )
        return Created(f"/api/v1/schedules/{following.id}", show_planned(following, plan))

    return await once.run(session, caller.credential, make, now=now)


@router.post("/schedules/{schedule_id}/withdraw", summary="Thu hồi lịch phát")
async def withdraw(
    request: Request, session: Session, caller: Author, schedule_id: UUID
) -> ScheduleOut:
    """Cancel all that has not ended; devices that hold it drop it, and stop it if it sounds."""
    schedule = await edits.get_schedule(session, schedule_id, lock=True)
    rest.if_match(request, show_schedule(schedule))
    await edits.withdraw(session, schedule, caller, clock.now())
    return show_schedule(schedule)


# --- occurrences --------------------------------------------------------------------------------


@router.get("/occurrences", summary="Các lần phát trong một khoảng thời gian")
async def list_occurrences(
    session: Session,
    settings: AppSettings,
    caller: CallerDep,
    paging: PageQuery,
    since: Annotated[Moment | None, Query(alias="from", description="mặc định: bây giờ")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="mặc định: 8 ngày")] = None,
    schedule: UUID | None = None,
    area: Annotated[
        Code | None, Query(description="nghe được ở địa bàn này, kể cả lịch của cấp trên")
    ] = None,
    cluster: Annotated[Code | None, Query(description="nghe được ở cụm loa này")] = None,
    state: OccurrenceState | None = None,
) -> Page[OccurrenceOut]:
    """By start. `area` and `cluster` show what people there hear, whoever scheduled it."""
    begin = since or clock.now()
    end = until or begin + settings.rules.horizon
    statement = sa.select(Occurrence).where(
        Occurrence.starts_at >= begin, Occurrence.starts_at < end
    )
    if schedule is not None:
        await rest.require_known(session, "schedule", Schedule.id, schedule)
        statement = statement.where(Occurrence.schedule_id == schedule)
    if state is not None:
        statement = statement.where(Occurrence.state == state)
    days = days_of(begin, end)
    if area is not None:
        statement = statement.where(await heard.in_area(session, area, days))
    if cluster is not None:
        statement = statement.where(await heard.at_cluster(session, cluster, days))
    key = [Occurrence.starts_at, Occurrence.id]
    rows, following = await rest.paged(session, statement, key, paging)
    return Page(items=[show_occurrence(row) for row in rows], next=following)


@router.get("/occurrences/{occurrence_id}", summary="Một lần phát")
async def get_occurrence(
    session: Session, caller: CallerDep, occurrence_id: UUID
) -> OccurrenceOut:
    """An occurrence by id."""
    return show_occurrence(await edits.get_occurrence(session, occurrence_id))


@router.patch("/occurrences/{occurrence_id}", summary="Dời hoặc bỏ một lần phát")
async def change_occurrence(
    session: Session,
    settings: AppSettings,
    caller: Author,
    occurrence_id: UUID,
    body: OccurrenceChange,
) -> OccurrenceOut:
    """Move this one, or leave it out; the others of the schedule stay."""
    now = clock.now()
    row = await edits.get_occurrence(session, occurrence_id)
    if body.starts_at is None:
        await occurrence_edits.cancel_occurrence(session, row, caller, now)
    else:
        await occurrence_edits.move(session, row, body.starts_at, caller, settings.rules, now)
    return show_occurrence(row)
