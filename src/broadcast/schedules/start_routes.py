"""REST of the starts of one schedule, however far ahead."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

from broadcast.auth.caller import ContentReader, Scheduler
from broadcast.auth.people import people
from broadcast.auth.routing import Router
from broadcast.kit import clock
from broadcast.kit.times import Moment
from broadcast.schedules import coming, queries, start_edits
from broadcast.schedules.expansion import DAY
from broadcast.schedules.schemas import ScheduleOut, StartChangeIn, StartOut
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["schedules"])


@router.get("/schedules/{schedule_id}/starts", summary="Các buổi phát nhiều tháng tới")
async def list_starts(
    session: Session,
    caller: ContentReader,
    schedule_id: UUID,
    since: Annotated[Moment | None, Query(alias="from", description="mặc định: bây giờ")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="mặc định: 90 ngày")] = None,
) -> list[StartOut]:
    """By the rule and its dates: what was moved or cancelled, and what calendars keep silent."""
    schedule = await queries.get_schedule(session, schedule_id)
    begin = since or clock.now()
    found = await coming.between(session, schedule, begin, until or begin + 90 * DAY)
    return [StartOut.model_validate(each) for each in found]


@router.post("/schedules/{schedule_id}/starts", summary="Dời, bỏ, thêm một buổi phát dù còn xa")
async def change_start(
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    schedule_id: UUID,
    body: StartChangeIn,
) -> ScheduleOut:
    """As `PATCH /occurrences/{occurrence_id}`, for starts that are no occurrence yet, too.

    One that is added sounds beside the rule, or in spite of a calendar that the schedule follows.
    """
    schedule = await queries.get_schedule(session, schedule_id, lock=True)
    at, rules, now = body.recurrence_at, settings.rules, clock.now()
    if body.restored:
        await start_edits.put_back(session, schedule, at, caller, rules, now)
    elif body.added:
        await start_edits.add(session, schedule, at, caller, rules, now)
    elif body.dropped:
        await start_edits.drop(session, schedule, at, caller, rules, now)
    else:
        await start_edits.change(session, schedule, at, body.starts_at, caller, rules, now)
    return ScheduleOut.of(schedule, await people(session, [schedule.created_by]))
