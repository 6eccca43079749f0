"""Play now (*phát ngay*): a bulletin at once, or as soon as nothing else sounds there.

It is an ordinary schedule with one start, checked like any other: quiet hours, places, capacity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.caller import Caller
from broadcast.bulletins.revisions import get_bulletin
from broadcast.config import Rules
from broadcast.grid.planner import PAUSE, first_gap
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.schedules import availability, edits
from broadcast.schedules.expansion import DAY
from broadcast.schedules.grid import Slot
from broadcast.schedules.locking import lock_schedule_grid
from broadcast.schedules.model import Schedule
from broadcast.schedules.planning import Plan
from broadcast.schedules.priority import HIGHEST

LEAD = timedelta(seconds=10)
"""From the request to the start: time to sign, to publish, and for devices to have the audio."""

LATE_LIMIT_SECONDS = 600
"""A device on a slow link may begin so much later."""

LONGEST_WAIT = timedelta(hours=1)
"""For what sounds already to end."""


class When(StrEnum):
    """When it is to sound."""

    AT_ONCE = "at_once"
    """What sounds of the same class is interrupted, and goes on afterwards."""
    AFTER = "after"
    """Once nothing else sounds there for as long as it takes."""


async def play(
    session: AsyncSession,
    bulletin_id: UUID,
    targets: list[dict[str, str]],
    when: When,
    volume: int | None,
    caller: Caller,
    rules: Rules,
    now: datetime,
) -> tuple[Schedule, Plan]:
    """Schedule a bulletin for now.

    Args:
        session: Open transaction.
        bulletin_id: Approved.
        targets: Where.
        when: At once or after.
        volume: None: as devices are set.
        caller: Who plays it.
        rules: Quiet hours and the horizon.
        now: Present.

    Raises:
        Conflict: It is not approved; something of a higher class sounds there; nothing is free
            within an hour.
        InvalidInput: It would sound in quiet hours.
        BroadcastError: As `edits.create`.
    """
    await lock_schedule_grid(session)
    at = now.replace(microsecond=0) + LEAD
    columns: dict[str, Any] = {
        "targets": targets, "volume": volume, "late_limit_seconds": LATE_LIMIT_SECONDS,
        "starts_at": at,
    }  # fmt: skip
    drafted, revision = await edits.draft(session, bulletin_id, columns, caller, now)
    seconds = drafted.seconds_of(revision)
    today = at.astimezone(LOCAL).date()
    days = await availability.free_days(
        session, drafted, seconds, [today, today + DAY], rules, now
    )
    taken = {slot.occurrence_id: slot for day in days for slot in day.occupied}.values()
    if when is When.AFTER:
        spans = [(slot.starts_at, slot.ends_at) for slot in taken]
        free = first_gap(spans, at, seconds, at + LONGEST_WAIT)
        if free is None:
            raise Conflict(
                "Trong một giờ tới nơi này không lúc nào trống đủ dài cho bản tin; hãy phát ngay"
                " (chen) hoặc xếp lịch giờ khác."
            )
        columns["starts_at"] = free
    else:
        bulletin_class = (await get_bulletin(session, bulletin_id)).class_
        ends_at = at + timedelta(seconds=seconds) + PAUSE
        met = [slot for slot in taken if slot.starts_at < ends_at and slot.ends_at > at]
        columns["priority"] = above(drafted.priority, met, at, HIGHEST[bulletin_class])
    return await edits.create(session, bulletin_id, columns, caller, rules, now)


def above(own: int, met: Iterable[Slot], at: datetime, highest: int) -> int:
    """The priority by which a bulletin interrupts what it meets of its class.

    Raises:
        Conflict: Something of a higher class sounds, or the class has no number left.
    """
    others: Sequence[Slot] = [slot for slot in met if slot.priority >= own]
    sounding = [slot for slot in others if slot.priority >= highest and slot.starts_at <= at]
    for slot in sounding:
        raise Conflict(
            f"Nơi này đang phát “{slot.title}” mức cao hơn, đến"
            f" {slot.ends_at.astimezone(LOCAL):%H:%M:%S}; hãy chọn phát sau khi hết."
        )
    return max([own, *(slot.priority + 1 for slot in others if slot.priority < highest)])
