"""Steps of a revision's approval, with their consequences for the schedules that use it.

Here and not with the bulletins, because nobody may withdraw a revision without hearing what that
cancels, or approve one without hearing what goes on with the old one.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.audit import recording
from broadcast.auth.caller import Caller
from broadcast.bulletins import revisions
from broadcast.bulletins.approval import Action
from broadcast.bulletins.model import Revision, RevisionState
from broadcast.bulletins.revisions import Key
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.schedules import proposals, revision_use
from broadcast.schedules.model import Schedule
from broadcast.schedules.revision_use import Use

MOST_NAMED = 5
"""Schedules that a note names."""


class Step(NamedTuple):
    """A step that was taken.

    Attributes:
        revision: After the step.
        cancelled: Schedules that a withdrawal cancelled.
        moved: Schedules that go on with another revision instead.
        left_behind: After an approval, schedules that go on with an earlier revision.
        activated: After an approval, schedules that were proposed and begin now.
        still_proposed: After an approval, schedules that were proposed and cannot begin.
        notes: For people.
    """

    revision: Revision
    cancelled: list[Use]
    moved: list[Schedule]
    left_behind: list[Use]
    activated: list[Schedule]
    still_proposed: list[Schedule]
    notes: list[str]


class Withdrawal(NamedTuple):
    """Consequences of a withdrawal.

    Attributes:
        cancels: Schedules that it would cancel.
        newer_approved: The newest approved revision but this one, which they could go on with.
        summary: For people.
    """

    cancels: list[Use]
    newer_approved: int | None
    summary: str


async def preview_withdrawal(session: AsyncSession, key: Key, now: datetime) -> Withdrawal:
    """Return what the withdrawal of a revision would cancel; changes nothing.

    Raises:
        NotFound: There is no such revision.
    """
    await revisions.get_revision(session, *key)
    uses = await revision_use.of_revision(session, key, now)
    newer = await _newest_approved_other(session, key)
    summary = _summary("Sẽ thu hồi", uses) if uses else "Không lịch nào bị ảnh hưởng."
    if uses and newer is not None:
        summary += (
            f" Phiên bản {newer} đã duyệt: muốn các lịch đó phát tiếp bản này, hãy rút với"
            f" move_schedules_to: {newer}."
        )
    return Withdrawal(uses, newer, summary)


async def take_step(
    session: AsyncSession,
    key: Key,
    action: Action,
    note: str,
    move_schedules_to: int | None,
    caller: Caller,
    rules: Rules,
    now: datetime,
    *,
    heard_sha256: str | None = None,
) -> Step:
    """Take one step of the approval.

    Args:
        session: Open transaction.
        key: The revision.
        action: The step.
        note: Its reason.
        move_schedules_to: Of a withdrawal: the approved revision that its schedules go on with;
            None to cancel them.
        caller: The person who takes it.
        rules: Quiet hours and the horizon, for schedules that are moved.
        now: Present.
        heard_sha256: Of an approval: the rendition that was heard to its end.

    Raises:
        InvalidInput: `move_schedules_to` has no meaning here.
        BroadcastError: As `revisions.move` and `revision_use.move_here`.
    """
    bulletin_id, number = key
    cancelled: list[Use] = []
    left_behind: list[Use] = []
    moved: list[Schedule] = []
    activated: list[Schedule] = []
    still_proposed: list[Schedule] = []
    proposed = await proposals.lock(session, key) if action is Action.APPROVE else []
    notes: list[str] = []
    if move_schedules_to is not None:
        if action is not Action.WITHDRAW:
            raise InvalidInput("move_schedules_to", "chỉ dùng khi rút một phiên bản")
        if move_schedules_to == number:
            raise InvalidInput("move_schedules_to", "là chính phiên bản đang rút; chọn bản khác")
        other = (bulletin_id, move_schedules_to)
        changed = await revision_use.move_here(session, other, number, caller, rules, now)
        moved = [schedule for schedule, _ in changed]
        if moved:
            notes.append(f"Đã chuyển {len(moved)} lịch sang phiên bản {move_schedules_to}.")
    if action is Action.WITHDRAW:
        if heard_sha256 is not None:
            raise InvalidInput("heard_sha256", "chỉ dùng khi duyệt")
        revision, cancelled = await revision_use.withdraw(session, key, caller, note, now)
        if cancelled:
            notes.append(_summary("Đã thu hồi", cancelled))
    else:
        revision = await revisions.move(
            session, key, action, caller, note, now, heard_sha256=heard_sha256
        )
    if action is Action.APPROVE:
        left_behind = await revision_use.left_behind(session, key, now)
        recording.say(
            session,
            scheduled=[
                {"schedule_id": use.schedule.id, "targets": use.schedule.targets}
                for use in left_behind
            ],
        )
        if left_behind:
            notes.append(
                f"{len(left_behind)} lịch vẫn phát phiên bản cũ; hãy chuyển các lịch đó sang phiên"
                f" bản {number} (…/revisions/{number}/schedules)."
            )
        refusals = await proposals.activate(session, proposed, number, caller, rules, now)
        activated = [each for each in proposed if each.id not in refusals]
        still_proposed = [each for each in proposed if each.id in refusals]
        notes += proposals.notes(proposed, refusals)
    return Step(revision, cancelled, moved, left_behind, activated, still_proposed, notes)


async def _newest_approved_other(session: AsyncSession, key: Key) -> int | None:
    approved = [
        revision.number
        for revision in await revisions.of_bulletin(session, key[0])
        if revision.state is RevisionState.APPROVED and revision.number != key[1]
    ]
    return max(approved, default=None)


def _summary(verb: str, uses: list[Use]) -> str:
    starts: list[datetime] = sorted(at for use in uses for at in use.starts)
    names = ", ".join(f"“{use.schedule.title}”" for use in uses[:MOST_NAMED])
    more = f" và {len(uses) - MOST_NAMED} lịch khác" if len(uses) > MOST_NAMED else ""
    summary = f"{verb} {len(uses)} lịch ({names}{more}), {len(starts)} buổi phát đã lập"
    if starts:
        summary += f", gần nhất lúc {starts[0].astimezone(LOCAL):%H:%M %d/%m/%Y}"
    return summary + "."
