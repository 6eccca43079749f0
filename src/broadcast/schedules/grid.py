"""Rules of the grid: which of two items at one loudspeaker sounds, and quiet hours.

Pure: values in, values out. The device decides by the same table (docs/wire.md); here the answer
is known before anything is saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from broadcast.kit.errors import InvalidInput
from broadcast.wire import order
from broadcast.wire.documents import Hours
from broadcast.wire.hours import silent_window


class Slot(NamedTuple):
    """A stretch of sound at some clusters."""

    occurrence_id: UUID
    title: str
    starts_at: datetime
    ends_at: datetime
    priority: int
    cluster_ids: frozenset[int]


class Outcome(StrEnum):
    """Outcome of two overlapping slots."""

    CLASH = "clash"
    """Equal priority: the later start waits, and may come too late."""
    PREEMPTS = "preempts"
    """The new slot takes the loudspeaker from the other."""
    PREEMPTED = "preempted"
    """The other takes it from the new slot."""


class Overlap(NamedTuple):
    """Two slots that want the same clusters at the same time."""

    new: Slot
    other: Slot
    outcome: Outcome
    cluster_count: int


def overlaps(new: Iterable[Slot], others: Iterable[Slot]) -> list[Overlap]:
    """Every pair of a new slot and another one that meet in time and place, by time."""
    found = []
    known = sorted(others, key=lambda slot: slot.starts_at)
    for slot in new:
        for other in known:
            if other.starts_at >= slot.ends_at:
                break
            if other.ends_at <= slot.starts_at or other.occurrence_id == slot.occurrence_id:
                continue
            shared = len(slot.cluster_ids & other.cluster_ids)
            if shared:
                found.append(Overlap(slot, other, outcome(slot, other), shared))
    return sorted(found, key=lambda pair: (pair.new.starts_at, pair.other.starts_at))


def may_meet(
    mine: Sequence[time], seconds: float, theirs: Sequence[time], other_seconds: float
) -> bool:
    """Tell whether sounds at these times of day can overlap, on whatever days they are.

    >>> may_meet([time(5)], 600, [time(5, 9)], 60), may_meet([time(5)], 600, [time(5, 10)], 60)
    (True, False)
    """
    gaps = [_seconds(later) - _seconds(earlier) for earlier in mine for later in theirs]
    return any(gap % 86_400 < seconds or -gap % 86_400 < other_seconds for gap in gaps)


def _seconds(at: time) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def described(pair: Overlap) -> dict[str, object]:
    """An overlap as an answer shows it."""
    return {
        "starts_at": pair.new.starts_at,
        "other_occurrence_id": pair.other.occurrence_id,
        "other_title": pair.other.title,
        "other_starts_at": pair.other.starts_at,
        "other_priority": pair.other.priority,
        "outcome": pair.outcome,
        "cluster_count": pair.cluster_count,
    }


def outcome(new: Slot, other: Slot) -> Outcome:
    """Return the outcome of two slots that overlap at one loudspeaker."""
    if new.priority == other.priority:
        return Outcome.CLASH
    is_first = order.interrupts(new.priority, other.priority)
    return Outcome.PREEMPTS if is_first else Outcome.PREEMPTED


def check_quiet(
    starts: Iterable[datetime], seconds: float, hours: Sequence[Hours], zone: ZoneInfo
) -> None:
    """Refuse starts that would sound in silent hours (R-CUR-01).

    Raises:
        InvalidInput: One does; says which, and which hours are silent.
    """
    for starts_at in starts:
        offset = starts_at.astimezone(zone).utcoffset() or timedelta()
        window = silent_window(hours, offset, starts_at, seconds)
        if window is not None:
            raise InvalidInput("starts_at", forbidden_text(starts_at, window, zone))


def forbidden_text(starts_at: datetime, window: Hours, zone: ZoneInfo, where: str = "") -> str:
    """Why a start is refused, and what to do; `where`: at which of its clusters."""
    local = starts_at.astimezone(zone)
    if window.days:
        return (
            f"{local:%H:%M ngày %d/%m/%Y} là cuối tuần, Quy chế không cho phát{where}; hãy chọn"
            " ngày khác, hoặc đánh dấu ngày được phát trong Lịch ngày nếu có văn bản cho phép"
        )
    return (
        f"{local:%H:%M ngày %d/%m/%Y} rơi vào giờ yên tĩnh {window.from_}–{window.until}{where};"
        " hãy chọn giờ khác. Chỉ cảnh báo khẩn cấp được phát lúc này"
    )
