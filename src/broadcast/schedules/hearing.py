"""What one loudspeaker makes of all that is planned for it: docs/wire.md §8 as a table. Pure.

Of items that meet, the one of higher priority sounds; the other waits, goes on afterwards, begins
anew, or is lost. Quiet hours stop everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from broadcast.kit.quiet import OFFSET
from broadcast.wire import order
from broadcast.wire.documents import Hours
from broadcast.wire.fields import OnPreempt
from broadcast.wire.hours import next_silence


class Outcome(StrEnum):
    """How much of an item is heard."""

    WHOLE = "whole"
    PART = "part"
    NONE = "none"


class Wanted(NamedTuple):
    """An item that is planned for the loudspeaker."""

    id: UUID
    starts_at: datetime
    seconds: float
    priority: int
    late_limit_seconds: int
    ends_by: datetime
    on_preempt: OnPreempt

    @property
    def latest_at(self) -> datetime:
        """It does not begin later."""
        late = timedelta(seconds=max(1, self.late_limit_seconds))
        return min(self.ends_by, self.starts_at + late)


class Span(NamedTuple):
    """A stretch of sound."""

    begins_at: datetime
    ends_at: datetime


class Heard(NamedTuple):
    """What becomes of an item."""

    id: UUID
    spans: list[Span]
    outcome: Outcome
    kept_by: UUID | None
    """The item that kept it waiting, or interrupted it, last."""
    is_quiet: bool
    """Quiet hours kept it, or cut it off."""


@dataclass
class _Item:
    wanted: Wanted
    left: timedelta
    spans: list[Span] = field(default_factory=list)
    has_begun: bool = False
    is_over: bool = False
    kept_by: UUID | None = None
    is_quiet: bool = False

    def may_sound(self, at: datetime) -> bool:
        if self.is_over or at < self.wanted.starts_at:
            return False
        return at < self.wanted.ends_by if self.has_begun else at <= self.wanted.latest_at

    @property
    def key(self) -> tuple[int, datetime, UUID]:
        return order.first(self.wanted.priority, self.wanted.starts_at, self.wanted.id)


def hear(wanted: Iterable[Wanted], hours: Sequence[Hours]) -> list[Heard]:
    """What a loudspeaker that lacks nothing sounds, by planned start.

    Args:
        wanted: Everything that reaches it, in any order.
        hours: Windows there.
    """
    items = [
        _Item(each, timedelta(seconds=each.seconds))
        for each in sorted(wanted, key=lambda each: (each.starts_at, each.id))
    ]
    starts = sorted({each.wanted.starts_at for each in items})
    at = starts[0] if starts else None
    while at is not None:
        at = _step(items, starts, at, hours)
    return [_told(each) for each in items]


def _step(
    items: Sequence[_Item],
    starts: Sequence[datetime],
    at: datetime,
    hours: Sequence[Hours],
) -> datetime | None:
    """Let sound what may until something changes; returns when that is."""
    due = sorted((each for each in items if each.may_sound(at)), key=lambda each: each.key)
    later = next((start for start in starts if start > at), None)
    quiet = next_silence(hours, OFFSET, at)
    if quiet is not None and quiet.begins_at <= at:
        for each in due:
            each.is_quiet = True
            each.is_over = each.is_over or each.has_begun
        changes = [each for each in (later, quiet.ends_at) if each is not None]
        return min(changes) if due and changes else later
    if not due:
        return later
    sounding = due[0]
    for each in due[1:]:
        each.kept_by = sounding.wanted.id
    ends_at = min(at + sounding.left, sounding.wanted.ends_by)
    until = min(ends_at, *[quiet.begins_at] if quiet is not None else [ends_at])
    for each in items:
        is_later = at < each.wanted.starts_at < until
        if is_later and order.interrupts(each.wanted.priority, sounding.wanted.priority):
            until = each.wanted.starts_at
    for each in items:
        if at < each.wanted.starts_at < until:
            each.kept_by = sounding.wanted.id
    sounding.has_begun = True
    sounding.spans.append(Span(at, until))
    sounding.left -= until - at
    if until == ends_at or (quiet is not None and until == quiet.begins_at):
        sounding.is_over = True
        sounding.is_quiet = until != ends_at
        return until
    _interrupted(sounding, next(each for each in items if each.wanted.starts_at == until))
    return until


def _interrupted(sounding: _Item, by: _Item) -> None:
    sounding.kept_by = by.wanted.id
    if sounding.wanted.on_preempt is OnPreempt.DROP:
        sounding.is_over = True
    elif sounding.wanted.on_preempt is OnPreempt.RESTART:
        sounding.has_begun = False
        sounding.left = timedelta(seconds=sounding.wanted.seconds)


def _told(item: _Item) -> Heard:
    is_whole = bool(item.spans) and item.left <= timedelta()
    outcome = Outcome.WHOLE if is_whole else Outcome.PART if item.spans else Outcome.NONE
    return Heard(item.wanted.id, item.spans, outcome, item.kept_by, item.is_quiet)
