"""REST of what marking days in a calendar does to schedules."""

from __future__ import annotations

from broadcast.auth.caller import Scheduler
from broadcast.auth.routing import Router, changes_nothing
from broadcast.calendars.schemas import CalendarDayIn
from broadcast.kit import clock
from broadcast.schedules import calendar_effects
from broadcast.schedules.schemas import EffectOut
from broadcast.web.rest import Id, Session

router = Router(prefix="/api/v1", tags=["calendars"])


@router.post("/calendar-days/check", summary="Đánh dấu như vậy thì buổi nào im")
@changes_nothing
async def check_marking(session: Session, caller: Scheduler, body: CalendarDayIn) -> EffectOut:
    """Starts that would be silent, or sound again; saves nothing."""
    found = await calendar_effects.of_marking(session, body, None, caller, clock.now())
    return EffectOut.model_validate(found)


@router.get("/calendar-days/{day_id}/removal", summary="Bỏ đánh dấu thì buổi nào lại phát")
async def check_removal(session: Session, caller: Scheduler, day_id: Id) -> EffectOut:
    """Changes nothing."""
    found = await calendar_effects.of_removal(session, day_id, caller, clock.now())
    return EffectOut.model_validate(found)
