"""Proposed schedules: made before their revision is approved, and begun with the approval.

A proposal holds no time: who is approved first has it. So it is checked twice, when it is made and
when it begins; one that cannot begin stays proposed, and says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.bulletins.revisions import Key
from broadcast.config import Rules
from broadcast.kit.errors import BroadcastError, InvalidInput
from broadcast.schedules import edits
from broadcast.schedules.locking import lock_schedule_grid, lock_schedules
from broadcast.schedules.model import Schedule, ScheduleState


async def of_revision(session: AsyncSession, key: Key) -> Sequence[Schedule]:
    """Proposals that begin with the approval of a revision, by their first start."""
    found = sa.select(Schedule).where(_begins_with(key)).order_by(Schedule.starts_at, Schedule.id)
    return (await session.scalars(found)).all()


def _begins_with(key: Key) -> sa.ColumnElement[bool]:
    return sa.and_(
        Schedule.bulletin_id == key[0],
        Schedule.bulletin_revision <= key[1],
        Schedule.state == ScheduleState.PROPOSED,
    )


async def lock(session: AsyncSession, key: Key) -> Sequence[Schedule]:
    """Lock the proposals that begin with the approval of a revision, and the grid for them.

    Those of earlier revisions, too: what was returned is corrected by a new revision, and when
    and where it sounds stays as it was proposed.
    """
    found = await lock_schedules(session, _begins_with(key))
    if found:
        await lock_schedule_grid(session)
    return found


async def activate(
    session: AsyncSession,
    proposed: Sequence[Schedule],
    number: int,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> dict[UUID, str]:
    """Let proposals begin with an approved revision, each with every check of a new schedule.

    Returns:
        Those that cannot, by id, and why.
    """
    refusals = {}
    for schedule in proposed:
        id_ = schedule.id
        try:
            async with session.begin_nested():
                await edits.change(
                    session, schedule, {"bulletin_revision": number}, caller, rules, now
                )
        except BroadcastError as error:
            refusals[id_] = error.reason if isinstance(error, InvalidInput) else error.detail
            await session.refresh(schedule)
    return refusals


def notes(proposed: Sequence[Schedule], refusals: Mapping[UUID, str]) -> list[str]:
    """Say what became of proposals."""
    begun = len(proposed) - len(refusals)
    return [
        *([f"{begun} lịch đã đề nghị nay có hiệu lực."] if begun else []),
        *(
            f"Lịch “{each.title}” chưa có hiệu lực: {refusals[each.id]}"
            for each in proposed
            if each.id in refusals
        ),
    ]
