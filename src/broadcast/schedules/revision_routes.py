"""REST of a revision's approval: below `/bulletins`, but of schedules (`revision_steps`)."""

from __future__ import annotations

from uuid import UUID

from broadcast.auth.caller import Author, ContentReader, Scheduler
from broadcast.auth.people import people
from broadcast.auth.permissions import Permission
from broadcast.auth.routing import Router
from broadcast.bulletins import details
from broadcast.bulletins.approval import Action
from broadcast.bulletins.places import require_at_bulletin
from broadcast.bulletins.schemas import NumberPath, RevisionOut
from broadcast.kit import clock
from broadcast.schedules import revision_steps, revision_use
from broadcast.schedules.schemas import (
    MovedScheduleOut,
    MoveSchedulesIn,
    PlanOut,
    RevisionStepOut,
    ScheduleOut,
    ScheduleUseOut,
    StepIn,
    WithdrawalOut,
)
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["bulletins"])


@router.get(
    "/bulletins/{bulletin_id}/revisions/{number}/withdrawal",
    summary="Xem trước: rút phiên bản này thì những lịch nào bị thu hồi",
)
async def preview_withdrawal(
    session: Session, caller: ContentReader, bulletin_id: UUID, number: NumberPath
) -> WithdrawalOut:
    """Changes nothing."""
    key = (bulletin_id, number)
    preview = await revision_steps.preview_withdrawal(session, key, clock.now())
    known = await people(session, (use.schedule.created_by for use in preview.cancels))
    return WithdrawalOut(
        cancels=[ScheduleUseOut.of(use, known) for use in preview.cancels],
        newer_approved=preview.newer_approved,
        summary=preview.summary,
    )


@router.post(
    "/bulletins/{bulletin_id}/revisions/{number}/schedules",
    summary="Chuyển các lịch của bản tin sang phiên bản này",
)
async def move_schedules(
    session: Session,
    settings: AppSettings,
    caller: Scheduler,
    bulletin_id: UUID,
    number: NumberPath,
    which: MoveSchedulesIn | None = None,
) -> list[MovedScheduleOut]:
    """All of them or none: each is checked for quiet hours, length, clashes and room.

    What has started goes on with the revision that it began with. Repeating it changes nothing.
    """
    await require_at_bulletin(session, caller, Permission.SCHEDULE_WRITE, bulletin_id)
    earlier = which.earlier if which else None
    moved = await revision_use.move_here(
        session, (bulletin_id, number), earlier, caller, settings.rules, clock.now()
    )
    known = await people(session, (schedule.created_by for schedule, _ in moved))
    return [
        MovedScheduleOut(schedule=ScheduleOut.of(schedule, known), plan=plan and PlanOut.of(plan))
        for schedule, plan in moved
    ]


@router.post(
    "/bulletins/{bulletin_id}/revisions/{number}/{action}",
    summary="Gửi duyệt, duyệt, trả lại hoặc rút một phiên bản",
)
async def take_step(
    session: Session,
    settings: AppSettings,
    caller: Author,
    bulletin_id: UUID,
    number: NumberPath,
    action: Action,
    why: StepIn | None = None,
) -> RevisionStepOut:
    """One step of the approval; `allowed` of a revision names the steps it permits.

    A withdrawal cancels the schedules that use the revision, in the same moment, and says which
    (`cancelled`); `GET …/withdrawal` tells before. After an approval `left_behind` names the
    schedules that go on with an earlier revision, `activated` those that were proposed.
    """
    await require_at_bulletin(session, caller, Permission.BULLETIN_WRITE, bulletin_id)
    why = why or StepIn(note="")
    step = await revision_steps.take_step(
        session, (bulletin_id, number), action, why.note, why.move_schedules_to,
        caller, settings.rules, clock.now(), heard_sha256=why.heard_sha256,
    )  # fmt: skip
    schedules = [
        *step.moved,
        *step.activated,
        *step.still_proposed,
        *(use.schedule for use in (*step.cancelled, *step.left_behind)),
    ]
    known = await people(session, (schedule.created_by for schedule in schedules))
    return RevisionStepOut(
        **dict(RevisionOut.of(await details.of_revision(session, step.revision))),
        cancelled=[ScheduleUseOut.of(use, known) for use in step.cancelled],
        moved=[ScheduleOut.of(schedule, known) for schedule in step.moved],
        left_behind=[ScheduleUseOut.of(use, known) for use in step.left_behind],
        activated=[ScheduleOut.of(schedule, known) for schedule in step.activated],
        still_proposed=[ScheduleOut.of(schedule, known) for schedule in step.still_proposed],
        notes=step.notes,
    )
