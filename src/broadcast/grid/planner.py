"""When the items of a session start on one day, and which find no room. Pure.

A session (*buổi phát thanh*) begins at its hour; its items follow one another in their order. What
does not fit is left out, the lowest rank first (docs/decisions/0069).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import NamedTuple
from uuid import UUID

PAUSE = timedelta(seconds=2)
"""Between two items: a device may begin one a moment late, and the next must not cut it."""


class Kind(StrEnum):
    """What an item is in its session."""

    SIGNATURE = "signature"
    """The signature tune (nhạc hiệu)."""
    RELAY = "relay"
    """A programme of another station: it is over when the session is, whatever is allowed."""
    ABOVE = "above"
    """Of the province or district, out of the inbox."""
    OWN = "own"
    """Of the commune."""
    CLOSING = "closing"


FRAME = frozenset({Kind.SIGNATURE, Kind.CLOSING})
"""What a session is known by: it goes before all else that wants room."""


class Reason(StrEnum):
    """Why an item is not in the session of a day."""

    NO_TIME = "no_time"
    QUIET_HOURS = "quiet_hours"


class Entry(NamedTuple):
    """An item that is to sound in a session."""

    id: UUID
    kind: Kind
    seconds: float
    priority: int
    """Of its schedule: by class and authority (`schedules.priority`)."""

    @property
    def rank(self) -> tuple[bool, int]:
        """The higher one keeps its place."""
        return self.kind in FRAME, self.priority


class Bounds(NamedTuple):
    """The room that a session has on a day."""

    begins_at: datetime
    ends_at: datetime
    may_overrun: bool
    """The last item may sound on past the end, if it begins before."""
    silent_from: datetime | None
    """Begin of the next quiet hours, in which nothing sounds."""


class Filled(NamedTuple):
    """A session of one day."""

    starts: dict[UUID, datetime]
    """Of the items that sound, in their order."""
    dropped: dict[UUID, Reason]


def fill(entries: Sequence[Entry], bounds: Bounds) -> Filled:
    """Give each item its start, or leave it out.

    Items get room by rank, of equals the earlier one in the session; each that fits beside those
    before it stays. So what is left out would not fit beside what goes before it, and nothing of
    a lower rank keeps it out.

    Args:
        entries: In the order of the session.
        bounds: Of the day.
    """
    by_rank = sorted(
        range(len(entries)), key=lambda i: (-entries[i].rank[0], -entries[i].rank[1], i)
    )
    kept: set[int] = set()
    dropped: dict[UUID, Reason] = {}
    for index in by_rank:
        wanted = kept | {index}
        if _fits(entries, wanted, bounds):
            kept = wanted
        else:
            is_quiet = _fits(entries, wanted, bounds._replace(silent_from=None))
            dropped[entries[index].id] = Reason.QUIET_HOURS if is_quiet else Reason.NO_TIME
    starts = {entries[i].id: at for i, at in _starts(entries, kept, bounds.begins_at).items()}
    return Filled(starts, dropped)


def _starts(
    entries: Sequence[Entry], kept: Collection[int], begins_at: datetime
) -> dict[int, datetime]:
    """Starts of some entries, one after the other, in full seconds."""
    found: dict[int, datetime] = {}
    at = begins_at
    for index, each in enumerate(entries):
        if index in kept:
            found[index] = at
            at += timedelta(seconds=ceil(each.seconds)) + PAUSE
    return found


def _fits(entries: Sequence[Entry], kept: Collection[int], bounds: Bounds) -> bool:
    for index, at in _starts(entries, kept, bounds.begins_at).items():
        each = entries[index]
        ends_at = at + timedelta(seconds=each.seconds)
        if bounds.silent_from is not None and ends_at > bounds.silent_from:
            return False
        overruns = bounds.may_overrun and each.kind is not Kind.RELAY
        if at >= bounds.ends_at if overruns else ends_at > bounds.ends_at:
            return False
    return True


def first_gap(
    taken: Iterable[tuple[datetime, datetime]], at: datetime, seconds: float, until: datetime
) -> datetime | None:
    """The first moment from `at` to `until` at which a sound meets nothing, in full seconds.

    Args:
        taken: Begin and end of what sounds, in any order.
        at: The earliest.
        seconds: Length of the sound.
        until: The latest start.
    """
    length = timedelta(seconds=seconds) + PAUSE
    for begins_at, ends_at in sorted(taken):
        if begins_at >= at + length:
            break
        if ends_at > at:
            ceiled = ends_at + timedelta(microseconds=-ends_at.microsecond % 1_000_000)
            at = max(at, ceiled + PAUSE)
    return at if at <= until else None
