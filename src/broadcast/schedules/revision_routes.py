"""REST: the steps of a revision's approval, with what they mean for the schedules that use it.

Here and not with the bulletins, because nobody may withdraw a revision without hearing what that
cancels, or approve one without hearing what goes on with the old one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import Author, CallerDep
from broadcast.accounts.routing import Router
from broadcast.bulletins import revisions
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import RevisionState
from broadcast.bulletins.representations import Asked, NoteIn, RevisionOut, show_revision
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.times import Moment
from broadcast.schedules import revision_use
from broadcast.schedules.representations import Preview, ScheduleOut, show_schedule
from broadcast.schedules.revision_use import Use
from broadcast.web.rest import AppSettings, Session

router = Router(prefix="/api/v1", tags=["bulletins"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="số của phiên bản")]

MOST_STARTS = 200
Newer = Annotated[int, Field(ge=1, le=2**31 - 1)]


class StepIn(NoteIn):
    """Why a step is taken; for a withdrawal also what its schedules go on with."""

    move_schedules_to: Newer | None = Field(
        None,
        description="chỉ khi rút: trước hết chuyển các lịch đang dùng phiên bản này sang phiên bản"
        " đã duyệt này, thay vì thu hồi chúng",
    )


class MoveIn(Asked):
    """Which schedules to move."""

    earlier: Newer | None = Field(
        None, alias="from", description="chỉ các lịch của phiên bản này; mặc định mọi phiên bản"
    )


class ScheduleUse(BaseModel):
    """A schedule that uses a revision, and its coming starts."""

    schedule: ScheduleOut
    starts: list[Moment] = Field(
        description=f"các lần phát sắp tới đã lập, nhiều nhất {MOST_STARTS}"
    )
    starts_count: int

    @classmethod
    def of(cls, use: Use) -> ScheduleUse:
        """From a use."""
        return cls(
            schedule=show_schedule(use.schedule),
            starts=use.starts[:MOST_STARTS],
            starts_count=len(use.starts),
        )


class Withdrawal(BaseModel):
    """What withdrawing a revision would cancel."""

    cancels: list[ScheduleUse]
    newer_approved: int | None = Field(description="phiên bản đã duyệt mà các lịch có thể dùng")
    summary: str = Field(description="cho người: điều gì sẽ xảy ra, có thể làm gì khác")


class RevisionStep(RevisionOut):
    """A revision after a step, and what the step did to the schedules or left as it was."""

    cancelled: list[ScheduleUse] = Field(description="khi rút: các lịch đã thu hồi")
    moved: list[ScheduleOut] = Field(description="khi rút: các lịch đã chuyển sang bản khác")
    left_behind: list[ScheduleUse] = Field(
        description="khi duyệt: các lịch vẫn phát phiên bản cũ; chuyển bằng POST …/schedules"
    )
    notes: list[str] = Field(description="cho người")


class ScheduleMoved(BaseModel):
    """A schedule that goes on with another revision, and what it comes to."""

    schedule: ScheduleOut
    plan: Preview | None = Field(description="null: chỉ còn các lần phát đã dời")


@router.get(
    "/bulletins/{bulletin_id}/revisions/{number}/withdrawal",
    summary="Xem trước: rút phiên bản này thì những lịch nào bị thu hồi",
)
async def preview_withdrawal(
    session: Session, caller: CallerDep, bulletin_id: UUID, number: Number
) -> Withdrawal:
    """Changes nothing."""
    await revisions.get_revision(session, bulletin_id, number)
    uses = await revision_use.of_revision(session, (bulletin_id, number), clock.now())
    newer = await _newer(session, bulletin_id, number)
    said = _cancels("Sẽ thu hồi", uses) if uses else "Không lịch nào bị ảnh hưởng."
    if uses and newer is not None:
        said += (
            f" Phiên bản {newer} đã duyệt: muốn các lịch đó phát tiếp bản này, hãy rút với"
            f" move_schedules_to: {newer}."
        )
    return Withdrawal(
        cancels=[ScheduleUse.of(use) for use in uses], newer_approved=newer, summary=said
    )


@router.post(
    "/bulletins/{bulletin_id}/revisions/{number}/schedules",
    summary="Chuyển các lịch của bản tin sang phiên bản này",
)
async def move_schedules(
    session: Session,
    settings: AppSettings,
    caller: Author,
    bulletin_id: UUID,
    number: Number,
    which: MoveIn | None = None,
) -> list[ScheduleMoved]:
    """All of them or none: each is checked for quiet hours, length, clashes and room.

    What has started goes on with the revision that it began with. Repeating it changes nothing.
    """
    earlier = which.earlier if which else None
    moved = await revision_use.move_here(
        session, (bulletin_id, number), earlier, caller, settings.rules, clock.now()
    )
    return [
        ScheduleMoved(schedule=show_schedule(schedule), plan=plan and Preview.of(plan))
        for schedule, plan in moved
    ]


@router.post(
    "/bulletins/{bulletin_id}/revisions/{number}/{action}",
    summary="Gửi duyệt, duyệt, trả lại hoặc rút một phiên bản",
)
async def move_revision(
    session: Session,
    settings: AppSettings,
    caller: Author,
    bulletin_id: UUID,
    number: Number,
    action: Action,
    why: StepIn | None = None,
) -> RevisionStep:
    """One step of the approval; `allowed` of a revision names the steps it permits.

    A withdrawal cancels the schedules that use the revision, in the same moment, and says which
    (`cancelled`); `GET …/withdrawal` tells before. After an approval `left_behind` names the
    schedules that go on with an earlier revision.
    """
    why = why or StepIn(note="")
    now = clock.now()
    key = (bulletin_id, number)
    cancelled: list[Use] = []
    behind: list[Use] = []
    moved: list[ScheduleOut] = []
    notes: list[str] = []
    if why.move_schedules_to is not None:
        if action is not Action.WITHDRAW:
            raise InvalidInput("move_schedules_to", "chỉ dùng khi rút một phiên bản")
        other = (bulletin_id, why.move_schedules_to)
        if other == key:
            raise InvalidInput("move_schedules_to", "là chính phiên bản đang rút; chọn bản khác")
        changed = await revision_use.move_here(session, other, number, caller, settings.rules, now)
        moved = [show_schedule(schedule) for schedule, _ in changed]
        if moved:
            notes.append(f"Đã chuyển {len(moved)} lịch sang phiên bản {why.move_schedules_to}.")
    if action is Action.WITHDRAW:
        revision, cancelled = await revision_use.withdraw(session, key, caller, why.note, now)
        if cancelled:
            notes.append(_cancels("Đã thu hồi", cancelled))
    else:
        revision = await revisions.move(session, key, action, caller, why.note, now)
    if action is Action.APPROVE:
        behind = await revision_use.left_behind(session, key, now)
        if behind:
            notes.append(
                f"{len(behind)} lịch vẫn phát phiên bản cũ; hãy chuyển các lịch đó sang phiên bản"
                f" {number} (…/revisions/{number}/schedules)."
            )
    shown = await show_revision(session, revision)
    return RevisionStep(
        **dict(shown),
        cancelled=[ScheduleUse.of(use) for use in cancelled],
        moved=moved,
        left_behind=[ScheduleUse.of(use) for use in behind],
        notes=notes,
    )


async def _newer(session: AsyncSession, bulletin_id: UUID, number: int) -> int | None:
    """The newest approved revision but this one."""
    approved = [
        revision.number
        for revision in await revisions.of_bulletin(session, bulletin_id)
        if revision.state is RevisionState.APPROVED and revision.number != number
    ]
    return max(approved, default=None)


def _cancels(verb: str, uses: list[Use]) -> str:
    starts: list[datetime] = sorted(at for use in uses for at in use.starts)
    names = ", ".join(f"“{use.schedule.title}”" for use in uses[:5])
    more = f" và {len(uses) - 5} lịch khác" if len(uses) > 5 else ""
    said = f"{verb} {len(uses)} lịch ({names}{more}), {len(starts)} lần phát đã lập"
    if starts:
        said += f", gần nhất lúc {starts[0].astimezone(clock.LOCAL):%H:%M %d/%m/%Y}"
    return said + "."
