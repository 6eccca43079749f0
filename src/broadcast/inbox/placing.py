"""Where a priority bulletin from above goes into a commune's day. Pure.

It begins the next session of the commune, and what it meets there follows it; or it comes after
those priority items of the commune that begin the session, if the commune so orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple
from uuid import UUID

PAUSE = timedelta(seconds=5)
"""Between an item and one that was put behind it."""

APART = timedelta(minutes=5)
"""Items of a session follow one another within this."""


class Own(NamedTuple):
    """An item of the commune, as it was planned before anything was put beside it."""

    occurrence_id: UUID
    title: str
    starts_at: datetime
    seconds: float
    is_priority: bool

    @property
    def ends_at(self) -> datetime:
        """End of its sound."""
        return self.starts_at + timedelta(seconds=self.seconds)


class Arrangement(NamedTuple):
    """A session with a bulletin from above in it."""

    source_at: datetime
    starts: dict[UUID, datetime]
    """When each of the commune's items starts in it, moved or not."""


def sessions(own: Iterable[Own]) -> list[list[Own]]:
    """The items of a commune by sessions, each by time."""
    found: list[list[Own]] = []
    ends_at: datetime | None = None
    for each in sorted(own, key=lambda item: (item.starts_at, item.occurrence_id)):
        if ends_at is None or each.starts_at > ends_at + APART:
            found.append([])
        found[-1].append(each)
        ends_at = each.ends_at if ends_at is None else max(ends_at, each.ends_at)
    return found


def collides(session: Sequence[Own], seconds: float) -> bool:
    """Tell whether a source item at the begin of a session moves a priority item of the commune.

    Only then is there an order to decide: any other item gives way to a priority one.
    """
    return _moves_priority(session, _put(session, seconds, session[0].starts_at))


def arrange(session: Sequence[Own], seconds: float, *, source_first: bool) -> Arrangement:
    """Put a source item into a session of the commune: it overlaps none of them afterwards.

    Args:
        session: Items of the commune by time, at least one.
        seconds: Length of the source item.
        source_first: It begins the session; else it comes as soon as it moves no priority item of
            the commune.
    """
    first = _put(session, seconds, session[0].starts_at)
    if source_first or not _moves_priority(session, first):
        return first
    at = session[0].starts_at
    for each in session:
        if each.is_priority:
            at = max(at, _after(each.starts_at, each.seconds))
            found = _put(session, seconds, at)
            if not _moves_priority(session, found):
                return found
    raise AssertionError("behind the last priority item none is moved")


def _put(session: Sequence[Own], seconds: float, source_at: datetime) -> Arrangement:
    free_at = _after(source_at, seconds)
    starts = {}
    for each in session:
        at = each.starts_at
        if each.ends_at > source_at and at < free_at:
            at, free_at = free_at, _after(free_at, each.seconds)
        starts[each.occurrence_id] = at
    return Arrangement(source_at, starts)


def _moves_priority(session: Sequence[Own], found: Arrangement) -> bool:
    return any(
        each.is_priority and found.starts[each.occurrence_id] != each.starts_at for each in session
    )


def _after(starts_at: datetime, seconds: float) -> datetime:
    """The next full second once a sound and the pause are over."""
    return starts_at + timedelta(seconds=ceil(seconds)) + PAUSE
