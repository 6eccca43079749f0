"""REST of schedules, their plans, and single occurrences."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import ContentReader, Scheduler
from broadcast.auth.people import people
from broadcast.auth.routing import Router, changes_nothing
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.schedules import (
    availability,
    check,
    consequences,
    edits,
    occurrence_edits,
    queries,
    relays,
)
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.schemas import (
    LATE_LIMIT_SECONDS,
    CheckChangeIn,
    CheckOut,
    ConsequenceOut,
    FreeDayOut,
    FreeTimesIn,
    OccurrenceChangeIn,
    OccurrenceOut,
    PlannedScheduleOut,
    PlanOut,
    ScheduleChangeIn,
    ScheduleIn,
    ScheduleOut,
    SplitIn,
)
from broadcast.web import rest
from broadcast.web.fields import Code
from broadcast.web.idempotency import Created, Once
from broadcast.web.rest import AppSettings, Page, PageQuery, Session

router = Router(prefix="/api/v1", tags=["schedules"])

OnceDep = Annotated[Once, Depends()]

NOT_COLUMNS = {"bulletin_id", "from_", "when_approved"}


def _named(body: ScheduleChangeIn) -> dict[str, Any]:
    """Columns that the request names; null stands for itself where that means something."""
    given = {name: getattr(body, name) for name in body.model_fields_set - NOT_COLUMNS}
    nullable = {"rrule", "priority", "volume", "title"}
    named = {name: value for name, value in given.items() if value is not None or name in nullable}
    if body.targets is not None:
        named["targets"] = [target.model_dump(exclude_none=True) for target in body.targets]
    return named


async def _bulletin(session: AsyncSession, body: ScheduleIn) -> UUID:
    """What is to sound, or of a relay its fallback."""
    return body.bulletin_id or await relays.fallback_of(session, body.relay_source_id)


# --- schedules ----------------------------------------------------------------------------------


@router.post(
    "/schedules",
    status_code=201,
    response_model=PlannedScheduleOut,
    summary="Xếp lịch phát một bản tin đã duyệt",
)
async def create(
    session: Session, settings: AppSettings, caller: Scheduler, once: OnceDep, body: ScheduleIn
) -> Response:
    """Nothing unapproved, nothing in quiet hours and nothing that clashes is accepted.

    With `when_approved` a bulletin may await its approval: the schedule is proposed meanwhile.

    What the schedule pre-empts, or is pre-empted by, is in `plan.overlaps`.
    """
    now = clock.now()

    async def make() -> Created:
        columns = {"late_limit_seconds": LATE_LIMIT_SECONDS} | _named(body)
        schedule, plan = await edits.create(
            session, await _bulletin(session, body), columns, caller, settings.rules, now,
            when_approved=body.when_approved,
        )  # fmt: skip
        known = await people(session, [schedule.created_by])
        return Created(
            f"/api/v1/schedules/{schedule.id}",
            PlannedScheduleOut.with_plan(schedule, plan, known),
        )

    return await once.run(session, caller.account_id, make, now=now)


@router.post("/schedules/preview", summary="Xem trước: giờ phát, số cụm loa, trùng lịch")
@changes_nothing
async def preview(
    session: Session, settings: AppSettings, caller: Scheduler, body: ScheduleIn
) -> PlanOut:
    """The plan of `POST /schedules`; saves nothing, and shows clashes instead of refusing."""
    columns = {"late_limit_seconds": LATE_LIMIT_SECONDS} | _named(body)
    _, plan = await edits.preview(
        session, await _bulletin(session, body), columns, caller, settings.rules, clock.now()
    )
    return PlanOut.of(plan)


@router.post("/schedules/check", summary="Kiểm tra trước khi lưu, kèm cách khắc phục")
@changes_nothing
async def check_new(
    session: Session, settings: AppSettings, caller: Scheduler, body: ScheduleIn
) -> CheckOut:
    """Everything that saving would refuse, and what the author should know, each with remedies.

    Saves nothing. The bulletin need not be approved yet.
    """
    columns = {"late_limit_seconds": LATE_LIMIT_SECONDS} | _named(body)
    bulletin_id = await _bulletin(session, body)
    return CheckOut.of(
        await check.of_new(session, bulletin_id, columns, caller, settings.rules, clock.now())
    )


@router.post("/schedules/free-times", summary="Các giờ còn trống cho một bản tin")
@changes_nothing
async def free_times(
    session: Session, settings: AppSettings, caller: Scheduler, body: FreeTimesIn
) -> list[FreeDayOut]:
    """Of each day: when the bulletin would meet nothing there, and what sounds already."""
    now = clock.now()
    columns = {
        "bulletin_revision": body.bulletin_revision,
        "targets": [target.model_dump(exclude_none=True) for target in body.targets],
    }
    first_on = body.first_on or now.astimezone(clock.LOCAL).date()
    found = await availability.of_bulletin(
        session, body.bulletin_id, columns, first_on, body.days, caller, settings.rules, now
    )
    return [FreeDayOut.of(day) for day in found]


@router.get("/schedules", summary="Danh sách lịch phát")
async def list_schedules(
    session: Session,
    caller: ContentReader,
    paging: PageQuery,
    state: ScheduleState | None = None,
    bulletin: UUID | None = None,
) -> Page[ScheduleOut]:
    """Oldest first."""
    statement = await queries.select_schedules(session, state, bulletin)
    key = [Schedule.created_at, Schedule.id]
    found = await rest.paged(session, statement, key, paging)
    known = await people(session, (row[0].created_by for row in found.rows))
    return found.page(partial(ScheduleOut.of, people=known))


@router.get("/schedules/{schedule_id}", summary="Một lịch phát")
async def get_schedule(session: Session, caller: ContentReader, schedule_id: UUID) -> ScheduleOut:
    """A schedule by id."""
    schedule = await queries.get_schedule(session, schedule_id)
    return ScheduleOut.of(schedule, await people(session, [schedule.created_by]))


@router.patch("/schedules/{schedule_id}", summary="Đổi cả lịch phát")
async def change(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    schedule_id: UUID,
    body: ScheduleChangeIn,
) -> PlannedScheduleOut:
    """Change what has not started yet; what was cancelled by itself stays so."""
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    known = await people(session, [schedule.created_by])
    rest.if_match(request, ScheduleOut.of(schedule, known))
    plan = await edits.change(session, schedule, _named(body), caller, settings.rules, clock.now())
    return PlannedScheduleOut.with_plan(schedule, plan, known)


@router.post("/schedules/{schedule_id}/check", summary="Kiểm tra một thay đổi trước khi lưu")
@changes_nothing
async def check_change(
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    schedule_id: UUID,
    body: CheckChangeIn,
) -> CheckOut:
    """As `POST /schedules/check`, with what the change does to the starts that are planned."""
    schedule = await queries.get_schedule(session, schedule_id)
    return CheckOut.of(
        await check.of_change(
            session, schedule, body.from_, _named(body), caller, settings.rules, clock.now()
        )
    )


@router.get("/schedules/{schedule_id}/withdrawal", summary="Xem trước: thu hồi thì hủy những gì")
async def preview_withdrawal(
    session: Session, caller: ContentReader, schedule_id: UUID
) -> ConsequenceOut:
    """Changes nothing."""
    schedule = await queries.get_schedule(session, schedule_id)
    found = await consequences.of_withdrawal(session, schedule, clock.now())
    return ConsequenceOut.model_validate(found)


@router.post(
    "/schedules/{schedule_id}/split",
    status_code=201,
    response_model=PlannedScheduleOut,
    summary="Đổi từ một buổi phát trở đi",
)
async def split(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    once: OnceDep,
    schedule_id: UUID,
    body: SplitIn,
) -> Response:
    """End the schedule before `from` and go on with a changed one; answers that one."""
    now = clock.now()

    async def make() -> Created:
        schedule = await queries.get_schedule(session, schedule_id, lock=True)
        known = await people(session, [schedule.created_by])
        rest.if_match(request, ScheduleOut.of(schedule, known))
        following, plan = await edits.split(
            session, schedule, body.from_, _named(body), caller, settings.rules, now
        )
        known = await people(session, [following.created_by])
        return Created(
            f"/api/v1/schedules/{following.id}",
            PlannedScheduleOut.with_plan(following, plan, known),
        )

    return await once.run(session, caller.account_id, make, now=now)


@router.post("/schedules/{schedule_id}/withdraw", summary="Thu hồi lịch phát")
async def withdraw(
    request: Request, session: Session, caller: Scheduler, schedule_id: UUID
) -> ScheduleOut:
    """Cancel all that has not ended; devices that hold it drop it, and stop it if it sounds."""
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    known = await people(session, [schedule.created_by])
    rest.if_match(request, ScheduleOut.of(schedule, known))
    await edits.withdraw(session, schedule, caller, clock.now())
    return ScheduleOut.of(schedule, known)


@router.post("/schedules/{schedule_id}/reinstate", summary="Phát lại một lịch đã thu hồi")
async def reinstate(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    schedule_id: UUID,
) -> ScheduleOut:
    """Undo a withdrawal, with every check of a new schedule; what has passed stays cancelled."""
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    known = await people(session, [schedule.created_by])
    rest.if_match(request, ScheduleOut.of(schedule, known))
    await edits.reinstate(session, schedule, caller, settings.rules, clock.now())
    return ScheduleOut.of(schedule, known)


# --- occurrences --------------------------------------------------------------------------------


@router.get("/occurrences", summary="Các buổi phát trong một khoảng thời gian")
async def list_occurrences(
    session: Session,
    settings: AppSettings,
    caller: ContentReader,
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
    statement = await queries.select_occurrences(
        session, begin, end, schedule_id=schedule, area=area, cluster=cluster, state=state
    )
    key = [Occurrence.starts_at, Occurrence.id]
    found = await rest.paged(session, statement, key, paging)
    return found.page(OccurrenceOut.of)


@router.get("/occurrences/{occurrence_id}", summary="Một buổi phát")
async def get_occurrence(
    session: Session, caller: ContentReader, occurrence_id: UUID
) -> OccurrenceOut:
    """An occurrence by id."""
    return OccurrenceOut.of(await queries.get_occurrence(session, occurrence_id))


@router.patch("/occurrences/{occurrence_id}", summary="Dời hoặc bỏ một buổi phát")
async def change_occurrence(
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    occurrence_id: UUID,
    body: OccurrenceChangeIn,
) -> OccurrenceOut:
    """Move this one, or cancel it; the others of the schedule stay."""
    now = clock.now()
    row = await queries.get_occurrence(session, occurrence_id)
    if body.starts_at is None:
        await occurrence_edits.cancel_occurrence(session, row, caller, now)
    else:
        await occurrence_edits.move(session, row, body.starts_at, caller, settings.rules, now)
    return OccurrenceOut.of(row)


@router.post("/occurrences/{occurrence_id}/check", summary="Kiểm tra trước khi dời hoặc bỏ")
@changes_nothing
async def check_occurrence(
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    occurrence_id: UUID,
    body: OccurrenceChangeIn,
) -> CheckOut:
    """What the move meets, and what it comes to for the villages; saves nothing."""
    now = clock.now()
    row = await queries.get_occurrence(session, occurrence_id)
    if body.starts_at is None:
        found = await check.of_cancellation(session, row, caller, now)
    else:
        found = await check.of_move(session, row, body.starts_at, caller, settings.rules, now)
    return CheckOut.of(found)


@router.post(
    "/occurrences/{occurrence_id}/reinstate", summary="Đưa một buổi phát về giờ theo lịch"
)
async def reinstate_occurrence(
    session: Session, settings: AppSettings, caller: Scheduler, occurrence_id: UUID
) -> OccurrenceOut:
    """Undo its move or its cancellation, with every check of a move."""
    row = await queries.get_occurrence(session, occurrence_id)
    await occurrence_edits.reinstate(session, row, caller, settings.rules, clock.now())
    return OccurrenceOut.of(row)
