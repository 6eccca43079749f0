"""What a change of a stored schedule comes to, in numbers, before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.clock import LOCAL
from broadcast.schedules import findings, targets
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule
from broadcast.schedules.places_heard import out_of_contact, places_of
from broadcast.schedules.starts import LONGEST


class Consequence(NamedTuple):
    """What becomes of the coming starts of a schedule, as far as they are planned."""

    lost: list[datetime]
    """Starts at which nothing will sound any more, ascending."""
    gained: list[datetime]
    """Starts that are new, ascending."""
    village_count: int
    """Villages that hear it, or would have."""
    cluster_count: int
    out_of_contact: int
    """Clusters that do not hear of the change before they are in contact again."""
    summary: str


async def coming_starts(
    session: AsyncSession, schedule: Schedule, now: datetime, since: datetime | None = None
) -> list[datetime]:
    """Planned starts of a schedule that have not ended, ascending; those from `since` on."""
    rows = await session.scalars(
        sa.select(Occurrence.starts_at)
        .where(
            Occurrence.schedule_id == schedule.id,
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.starts_at > now - LONGEST,
            Occurrence.ends_by > now,
            Occurrence.starts_at >= (since or now - LONGEST),
        )
        .order_by(Occurrence.starts_at)
    )
    return list(rows)


async def of_withdrawal(session: AsyncSession, schedule: Schedule, now: datetime) -> Consequence:
    """What the withdrawal of a schedule would cancel."""
    before = await coming_starts(session, schedule, now)
    return await of_starts(session, schedule, before, [], now)


async def of_starts(
    session: AsyncSession,
    schedule: Schedule,
    before: Sequence[datetime],
    after: Sequence[datetime],
    now: datetime,
) -> Consequence:
    """Compare the starts of a schedule before and after a change.

    Args:
        session: Open transaction.
        schedule: With the targets that it has before.
        before: Its planned starts.
        after: What they become.
        now: Present.
    """
    lost = sorted(set(before) - set(after))
    gained = sorted(set(after) - set(before))
    on = (lost or gained or [now])[0].astimezone(LOCAL).date()
    places = await places_of(session, schedule.targets, schedule.targets_on, on)
    clusters = frozenset[int]().union(*(place.cluster_ids for place in places))
    resolver = await targets.target_resolver(session)
    silent = await out_of_contact(session, await resolver.equipped(clusters, on))
    villages = {place.code for place in places if place.is_village and place.cluster_ids}
    return Consequence(
        lost, gained, len(villages), len(clusters), len(silent),
        _summary(lost, gained, len(villages), len(clusters), len(silent)),
    )  # fmt: skip


def _summary(
    lost: Sequence[datetime],
    gained: Sequence[datetime],
    villages: int,
    clusters: int,
    silent: int,
) -> str:
    where = f"ở {villages} thôn ({clusters} cụm loa)" if villages else f"ở {clusters} cụm loa"
    if not lost and not gained:
        return "Không buổi phát nào đổi giờ."
    if len(lost) == len(gained) == 1:
        said = f"Buổi phát {findings.moment(lost[0])} {where} chuyển sang "
        said += f"{findings.moment(gained[0])}."
    elif len(lost) == len(gained):
        said = f"{len(lost)} buổi phát {where} đổi giờ, sớm nhất {findings.moment(gained[0])}."
    else:
        parts = []
        if lost:
            parts.append(f"{len(lost)} buổi phát {where} sẽ hủy, gần nhất ")
            parts[-1] += findings.moment(lost[0])
        if gained:
            parts.append(f"{len(gained)} buổi phát mới, gần nhất {findings.moment(gained[0])}")
        said = "; ".join(parts) + "."
    if silent:
        said += (
            f" {silent} cụm loa đang mất liên lạc chưa nhận được thay đổi: vẫn theo giờ cũ cho đến"
            " khi nối lại."
        )
    return said
