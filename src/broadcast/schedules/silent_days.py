"""Starts that calendars keep silent, and the calendars that a schedule may follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.calendars.days import HOLIDAY, Kind, Silence
from broadcast.calendars.model import CalendarDay
from broadcast.kit.errors import InvalidInput
from broadcast.schedules.findings import moment
from broadcast.schedules.model import Schedule
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.targets import TargetResolver

SILENT = {
    Silence.MOURNING: "không phát vì là ngày tang, chỉ lời nói được phát",
    Silence.EXAM: "không phát vì là ngày thi",
    Silence.REGULATION: "không phát vì Quy chế không cho phát lúc này",
    Silence.HOLIDAY: "không phát vì là ngày nghỉ lễ",
    Silence.OWN_CALENDAR: "không phát vì là ngày trong lịch riêng",
    Silence.OTHER_DAY: "không phát vì không phải ngày đã chọn",
}
"""Why nothing sounds, in words."""

MOST_NAMED = 3


class Skipped(NamedTuple):
    """A start that a calendar keeps silent, at all of its clusters or at some."""

    starts_at: datetime
    reason: Silence
    cluster_count: int
    sounds_elsewhere: bool

    @property
    def text(self) -> str:
        """For people."""
        where = f" ở {self.cluster_count} cụm loa" if self.sounds_elsewhere else ""
        return f"{moment(self.starts_at)}{where}: {SILENT[self.reason]}"


async def heed_calendars(
    resolver: TargetResolver, schedule: Schedule, seconds: float, starts: Iterable[Planned]
) -> tuple[list[Planned], list[Skipped]]:
    """Starts that sound, and those that a calendar keeps silent somewhere."""
    sounding, skipped = [], []
    for each in starts:
        reached = await resolver.reach_at(schedule, each, seconds)
        if reached.silenced is None:
            sounding.append(each)
        if reached.silent:
            why = min(reached.silent.values(), key=[*Silence].index)
            count, elsewhere = len(reached.silent), reached.silenced is None
            skipped.append(Skipped(each.starts_at, why, count, elsewhere))
    return sounding, skipped


def sentences(skipped: Sequence[Skipped]) -> list[str]:
    """What calendars keep silent, a sentence for each reason."""
    said = []
    for (why, elsewhere), group in groupby(
        sorted(skipped, key=lambda each: (each.reason, each.sounds_elsewhere)),
        key=lambda each: (each.reason, each.sounds_elsewhere),
    ):
        some = list(group)
        named = ", ".join(moment(each.starts_at) for each in some[:MOST_NAMED])
        more = len(some) - MOST_NAMED
        named += f" và {more} buổi khác" if more > 0 else ""
        where = f" ở {max(each.cluster_count for each in some)} cụm loa" if elsewhere else ""
        said.append(f"{named}{where}: {SILENT[why]}.")
    return said


async def require_calendars(session: AsyncSession, schedule: Schedule) -> None:
    """Refuse calendars that there are not.

    Raises:
        InvalidInput: There are no such days, or a calendar is both followed and avoided.
    """
    named = {*schedule.except_on, *schedule.only_on}
    if not named:
        return
    own = sa.select(CalendarDay.name).where(
        CalendarDay.kind == Kind.OWN, CalendarDay.name.in_(named)
    )
    known = {HOLIDAY, *await session.scalars(own)}
    for field in ("except_on", "only_on"):
        for name in getattr(schedule, field):
            if name not in known:
                raise InvalidInput(
                    field, f"chưa có lịch riêng “{name}”; hãy đánh dấu ngày của lịch đó trước"
                )
    both = {*schedule.except_on} & {*schedule.only_on}
    if both:
        raise InvalidInput("only_on", "không thể vừa tránh vừa chỉ phát vào cùng một lịch ngày")
