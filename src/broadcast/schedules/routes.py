"""Schedules and occurrences over REST."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Self
from uuid import UUID, uuid4

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import clock
from broadcast.accounts.auth import Caller, CallerDep, require
from broadcast.accounts.model import Role
from broadcast.bulletins.revisions import get_revision
from broadcast.clock import LOCAL
from broadcast.config import Rules
from broadcast.errors import Conflict, InvalidInput, NotFound
from broadcast.schedules import grid, occurrences, planning, recurrence
from broadcast.schedules.model import (
    Occurrence,
    OccurrenceState,
    Schedule,
    ScheduleException,
    ScheduleState,
)
from broadcast.web import rest
from broadcast.web.rest import AppSettings, Created, Once, Page, PageQuery, Session
from broadcast.wire.fields import BulletinClass, OnPreempt
from broadcast.wire.topics import CODE

router = APIRouter(prefix="/api/v1", tags=["schedules"])

Planner = Annotated[Caller, Depends(require(Role.BROADCASTER, Role.APPROVER))]

CodeText = Annotated[str, Field(pattern=f"^{CODE}$")]


class Target(BaseModel):
    """An area (with everything below it) or a single cluster."""

    model_config = ConfigDict(extra="forbid")

    area: CodeText | None = Field(None, examples=["51"])
    cluster: CodeText | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.area is None) == (self.cluster is None):
            raise ValueError("cần đúng một trong area, cluster")
        return self


class ScheduleChange(BaseModel):
    """What can be changed of a schedule."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"starts_at": "2026-12-15T17:30:00+07:00"}]},
    )

    starts_at: AwareDatetime | None = None
    rrule: str | None = Field(
        None, max_length=500, description="RFC 5545 không có DTSTART", examples=["FREQ=DAILY"]
    )
    targets: Annotated[list[Target], Field(min_length=1, max_length=500)] | None = None
    title: str | None = Field(None, max_length=200)
    priority: int | None = Field(None, ge=0, le=255, description="mặc định theo mức bản tin")
    late_limit_seconds: int | None = Field(None, ge=0, le=3600)
    on_preempt: OnPreempt | None = None
    volume: int | None = Field(None, ge=0, le=100)
    bulletin_revision: int | None = Field(None, ge=1)


class ScheduleIn(ScheduleChange):
    """A new schedule of an approved bulletin."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "bulletin_id": "5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11",
                    "targets": [{"area": "21262"}],
                    "starts_at": "2026-12-15T17:00:00+07:00",
                    "rrule": "FREQ=WEEKLY;BYDAY=MO,TH",
                }
            ]
        },
    )

    bulletin_id: UUID
    starts_at: AwareDatetime
    targets: Annotated[list[Target], Field(min_length=1, max_length=500)]


class OverlapOut(BaseModel):
    """Another item at the same loudspeakers at the same time."""

    starts_at: datetime
    other_occurrence_id: UUID
    other_title: str
    other_starts_at: datetime
    outcome: grid.Outcome
    cluster_count: int


class OccurrenceOut(BaseModel):
    """One dated firing."""

    id: UUID
    schedule_id: UUID
    title: str
    recurrence_at: datetime
    starts_at: datetime
    ends_by: datetime
    bulletin_id: UUID
    bulletin_revision: int
    class_: BulletinClass = Field(alias="class")
    priority: int
    state: OccurrenceState
    cancel_reason: str | None
    scopes: list[str]

    model_config = ConfigDict(validate_by_name=True)


class ScheduleOut(BaseModel):
    """A schedule as stored."""

    id: UUID
    bulletin_id: UUID
    bulletin_revision: int
    title: str
    starts_at: datetime
    rrule: str | None
    targets: list[Target]
    priority: int
    late_limit_seconds: int
    on_preempt: OnPreempt
    volume: int | None
    state: ScheduleState
    created_by: str
    created_at: datetime
    changed_at: datetime


class Preview(BaseModel):
    """What a schedule comes to in the coming days."""

    starts: list[datetime]
    cluster_count: int
    overlaps: list[OverlapOut]


class SplitIn(ScheduleChange):
    """A change from one start on; what is before stays."""

    from_: AwareDatetime = Field(
        alias="from", description="recurrence_at của lần phát đầu tiên đổi"
    )


class OccurrenceChange(BaseModel):
    """Move one occurrence, or leave it out."""

    model_config = ConfigDict(extra="forbid")

    starts_at: AwareDatetime | None = None
    cancelled: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.starts_at is None) is not self.cancelled:
            raise ValueError("cần starts_at (dời giờ) hoặc cancelled: true (bỏ lần này)")
        return self


def _shown(schedule: Schedule) -> ScheduleOut:
    return ScheduleOut.model_validate(schedule, from_attributes=True)


def _occurrence(row: Occurrence) -> OccurrenceOut:
    return OccurrenceOut.model_validate(row, from_attributes=True)


# --- schedules ----------------------------------------------------------------------------------


@router.post("/schedules", status_code=201, summary="Xếp lịch phát một bản tin đã duyệt")
async def create(
    request: Request, session: Session, settings: AppSettings, caller: Planner, body: ScheduleIn
) -> ScheduleOut:
    """Nothing unapproved, nothing in quiet hours, nothing that clashes is accepted."""

    async def make() -> Created:
        now = clock.now()
        schedule, _ = await _draft(session, settings.rules, caller, body, now)
        session.add(schedule)
        await session.flush()
        await occurrences.materialise(session, now, settings.rules.horizon, [schedule.id])
        return Created(f"/api/v1/schedules/{schedule.id}", _shown(schedule))

    return await Once(request).run(session, caller.person, make)  # type: ignore[return-value]


@router.post("/schedules/preview", summary="Xem trước: giờ phát, số cụm loa, trùng lịch")
async def preview(
    session: Session, settings: AppSettings, caller: Planner, body: ScheduleIn
) -> Preview:
    """What `POST /schedules` would do; saves nothing and shows clashes instead of refusing."""
    _, plan = await _draft(session, settings.rules, caller, body, clock.now(), refuse=False)
    return Preview(
        starts=[slot.starts_at for slot in plan.slots],
        cluster_count=len(frozenset().union(*(slot.cluster_ids for slot in plan.slots))),
        overlaps=[OverlapOut(**planning.described(pair)) for pair in plan.overlaps],
    )


@router.get("/schedules", summary="Danh sách lịch phát")
async def listed(
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
        statement = statement.where(Schedule.bulletin_id == bulletin)
    rows, following = await rest.paged(
        session, statement, [Schedule.created_at, Schedule.id], paging
    )
    return Page(items=[_shown(row) for row in rows], next=following)


@router.get("/schedules/{schedule_id}", summary="Một lịch phát")
async def one(session: Session, caller: CallerDep, schedule_id: UUID) -> ScheduleOut:
    """A schedule by id."""
    return _shown(await _get(session, schedule_id))


@router.patch("/schedules/{schedule_id}", summary="Đổi cả lịch phát")
async def change(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Planner,
    schedule_id: UUID,
    body: ScheduleChange,
) -> ScheduleOut:
    """Change what has not started yet; what was left out stays left out."""
    schedule = await _get(session, schedule_id, lock=True)
    rest.if_match(request, _shown(schedule))
    if schedule.state is ScheduleState.WITHDRAWN:
        raise Conflict("Lịch phát đã thu hồi; hãy tạo lịch mới.")
    await _apply(session, settings.rules, caller, schedule, body, clock.now())
    return _shown(schedule)


@router.post(
    "/schedules/{schedule_id}/split", status_code=201, summary="Đổi từ một lần phát trở đi"
)
async def split(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Planner,
    schedule_id: UUID,
    body: SplitIn,
) -> ScheduleOut:
    """End the schedule before `from` and go on with a changed one; answers the new schedule."""

    async def make() -> Created:
        now = clock.now()
        old = await _get(session, schedule_id, lock=True)
        rule = occurrences.rule_of(old)
        if rule is None or old.state is ScheduleState.WITHDRAWN:
            raise Conflict("Chỉ lịch lặp lại đang hiệu lực mới tách được; hãy sửa cả lịch.")
        at = recurrence.first_after(rule, old.starts_at, body.from_, LOCAL)
        if at is None or at < now:
            raise InvalidInput("from", "không có lần phát nào từ đó trở đi trong tương lai")
        head, tail = recurrence.split(rule, old.starts_at, at, LOCAL)
        new = _copy(old, caller, now)
        new.starts_at, new.rrule = at, str(tail)
        session.add(new)
        await session.flush()
        for when, moved_to in (await occurrences.exceptions_of(session, old.id)).items():
            if when >= at:
                session.add(_exception(new.id, when, moved_to, caller, now))
        if head is None:
            old.state = ScheduleState.WITHDRAWN
        else:
            old.rrule = str(head)
        old.changed_at = now
        await session.flush()
        await occurrences.materialise(session, now, settings.rules.horizon, [old.id])
        await _apply(session, settings.rules, caller, new, body, now)
        return Created(f"/api/v1/schedules/{new.id}", _shown(new))

    return await Once(request).run(session, caller.person, make)  # type: ignore[return-value]


@router.post("/schedules/{schedule_id}/withdraw", summary="Thu hồi lịch phát")
async def withdraw(
    request: Request, session: Session, caller: Planner, schedule_id: UUID
) -> ScheduleOut:
    """Cancel all that has not ended; devices that hold it drop it, and stop it if it sounds."""
    schedule = await _get(session, schedule_id, lock=True)
    rest.if_match(request, _shown(schedule))
    if schedule.state is not ScheduleState.WITHDRAWN:
        now = clock.now()
        schedule.state, schedule.changed_at = ScheduleState.WITHDRAWN, now
        await occurrences.cancel_coming(session, schedule, now, occurrences.WITHDRAWN)
    return _shown(schedule)


# --- occurrences --------------------------------------------------------------------------------


@router.get("/occurrences", summary="Các lần phát trong một khoảng thời gian")
async def occurrences_listed(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    schedule: UUID | None = None,
    scope: Annotated[str | None, Query(description="area/{code} hoặc device/{id}")] = None,
    state: OccurrenceState | None = None,
) -> Page[OccurrenceOut]:
    """By start; the coming week by default."""
    begin = since or clock.now()
    statement = sa.select(Occurrence).where(
        Occurrence.starts_at >= begin,
        Occurrence.starts_at < (until or begin + timedelta(days=7)),
    )
    if schedule is not None:
        statement = statement.where(Occurrence.schedule_id == schedule)
    if scope is not None:
        statement = statement.where(Occurrence.scopes.contains([scope]))
    if state is not None:
        statement = statement.where(Occurrence.state == state)
    rows, following = await rest.paged(
        session, statement, [Occurrence.starts_at, Occurrence.id], paging
    )
    return Page(items=[_occurrence(row) for row in rows], next=following)


@router.get("/occurrences/{occurrence_id}", summary="Một lần phát")
async def one_occurrence(
    session: Session, caller: CallerDep, occurrence_id: UUID
) -> OccurrenceOut:
    """An occurrence by id."""
    return _occurrence(await _get_occurrence(session, occurrence_id))


@router.patch("/occurrences/{occurrence_id}", summary="Dời hoặc bỏ một lần phát")
async def change_occurrence(
    request: Request,
    session: Session,
    settings: AppSettings,
    caller: Planner,
    occurrence_id: UUID,
    body: OccurrenceChange,
) -> OccurrenceOut:
    """Move this start, or leave it out; the others of the schedule stay."""
    now = clock.now()
    row = await _get_occurrence(session, occurrence_id)
    schedule = await _get(session, row.schedule_id, lock=True)
    rest.if_match(request, _occurrence(row))
    if schedule.state is ScheduleState.WITHDRAWN:
        raise Conflict("Lịch phát đã thu hồi.")
    if row.starts_at <= now:
        raise Conflict("Lần phát này đã bắt đầu; chỉ còn thu hồi được cả lịch.")
    if body.starts_at is not None and body.starts_at <= now:
        raise InvalidInput("starts_at", "đã qua; hãy chọn một giờ trong tương lai")
    exception = _exception(schedule.id, row.recurrence_at, body.starts_at, caller, now)
    values = {c.key: getattr(exception, c.key) for c in sa.inspect(ScheduleException).columns}
    statement = insert(ScheduleException).values(values)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["schedule_id", "recurrence_at"],
            set_={key: values[key] for key in ("moved_to", "changed_by", "changed_at")},
        )
    )
    revision = await get_revision(session, schedule.bulletin_id, schedule.bulletin_revision)
    if body.starts_at is not None:
        grid.check_quiet([body.starts_at], revision.seconds, settings.rules.quiet_hours, LOCAL)
        plan = await planning.plan(session, schedule, revision, settings.rules, now)
        planning.refuse_clashes(pair for pair in plan.overlaps if pair.new.occurrence_id == row.id)
    await occurrences.materialise(session, now, settings.rules.horizon, [schedule.id])
    await session.refresh(row)
    return _occurrence(row)


# --- shared -------------------------------------------------------------------------------------


async def _get(session: AsyncSession, schedule_id: UUID, *, lock: bool = False) -> Schedule:
    schedule = await session.get(Schedule, schedule_id, with_for_update=lock)
    if schedule is None:
        raise NotFound(f"Không có lịch phát {schedule_id}.")
    return schedule


async def _get_occurrence(session: AsyncSession, occurrence_id: UUID) -> Occurrence:
    row = await session.get(Occurrence, occurrence_id)
    if row is None:
        raise NotFound(f"Không có lần phát {occurrence_id}.")
    return row


async def _draft(
    session: AsyncSession,
    rules: Rules,
    caller: Caller,
    body: ScheduleIn,
    now: datetime,
    *,
    refuse: bool = True,
) -> tuple[Schedule, planning.Plan]:
    bulletin, revision = await planning.airable(
        session, body.bulletin_id, body.bulletin_revision, caller
    )
    schedule = Schedule(
        id=uuid4(),
        bulletin_id=bulletin.id,
        bulletin_revision=revision.number,
        title=body.title or bulletin.title,
        starts_at=body.starts_at.replace(microsecond=0),
        rrule=None if body.rrule is None else str(recurrence.parse(body.rrule, LOCAL)),
        targets=_targets(body.targets),
        targets_on=body.starts_at.astimezone(LOCAL).date(),
        priority=grid.priority(bulletin.class_, body.priority),
        late_limit_seconds=300 if body.late_limit_seconds is None else body.late_limit_seconds,
        on_preempt=body.on_preempt or OnPreempt.RESUME,
        volume=body.volume,
        state=ScheduleState.ACTIVE,
        created_by=caller.person,
        created_at=now,
        changed_at=now,
    )
    plan = await planning.plan(session, schedule, revision, rules, now)
    if refuse:
        planning.refuse_clashes(plan.overlaps)
    return schedule, plan


async def _apply(
    session: AsyncSession,
    rules: Rules,
    caller: Caller,
    schedule: Schedule,
    body: ScheduleChange,
    now: datetime,
) -> None:
    """Change a stored schedule, with every check of a new one, and its coming occurrences."""
    given = body.model_fields_set
    number = body.bulletin_revision or schedule.bulletin_revision
    bulletin, revision = await planning.airable(session, schedule.bulletin_id, number, caller)
    old = occurrences.rule_of(schedule), schedule.starts_at
    schedule.bulletin_revision = revision.number
    if body.starts_at is not None:
        schedule.starts_at = body.starts_at.replace(microsecond=0)
    if "rrule" in given:
        schedule.rrule = None if body.rrule is None else str(recurrence.parse(body.rrule, LOCAL))
    if body.targets is not None:
        schedule.targets = _targets(body.targets)
        schedule.targets_on = now.astimezone(LOCAL).date()
    if "priority" in given:
        schedule.priority = grid.priority(bulletin.class_, body.priority)
    if "volume" in given:
        schedule.volume = body.volume
    schedule.title = body.title if body.title is not None else schedule.title
    schedule.on_preempt = body.on_preempt or schedule.on_preempt
    if body.late_limit_seconds is not None:
        schedule.late_limit_seconds = body.late_limit_seconds
    schedule.changed_at = now
    new = occurrences.rule_of(schedule), schedule.starts_at
    if new != old:
        kept = recurrence.carry_over(
            await occurrences.exceptions_of(session, schedule.id), old, new, LOCAL
        )
        await session.execute(
            sa.delete(ScheduleException).where(ScheduleException.schedule_id == schedule.id)
        )
        session.add_all(
            _exception(schedule.id, at, moved_to, caller, now) for at, moved_to in kept.items()
        )
    await session.flush()
    plan = await planning.plan(session, schedule, revision, rules, now)
    planning.refuse_clashes(plan.overlaps)
    await occurrences.materialise(session, now, rules.horizon, [schedule.id])


def _targets(wanted: list[Target]) -> list[dict[str, Any]]:
    return [target.model_dump(exclude_none=True) for target in wanted]


def _copy(old: Schedule, caller: Caller, now: datetime) -> Schedule:
    values = {column.key: getattr(old, column.key) for column in sa.inspect(Schedule).columns}
    return Schedule(
        **values
        | {"id": uuid4(), "created_by": caller.person, "created_at": now, "changed_at": now}
    )


def _exception(
    schedule_id: UUID, at: datetime, moved_to: datetime | None, caller: Caller, now: datetime
) -> ScheduleException:
    return ScheduleException(
        schedule_id=schedule_id,
        recurrence_at=at,
        moved_to=moved_to,
        changed_by=caller.person,
        changed_at=now,
    )
