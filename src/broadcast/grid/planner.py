"""When the items of a session start on one day, and which find no room. Pure.

A session (*buổi phát thanh*) begins at its hour; its items follow one another in their order,
around the relays whose hour is fixed. What does not fit is left out, the lowest rank first
(docs/decisions/0069, 0077).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import NamedTuple
from uuid import UUID

from broadcast.grid.room import Room
from broadcast.wire.quotas import Sound

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
    RELAY = "relay"
    """It would sound into a relay whose hour is fixed, and finds no room behind it."""
    QUOTA = "quota"
    """With it the day would exceed a quota of a Quy chế."""


class Entry(NamedTuple):
    """An item that is to sound in a session."""

    id: UUID
    kind: Kind
    seconds: float
    priority: int
    """Of its schedule: by class and authority (`schedules.priority`)."""
    at: datetime | None = None
    """Of a relay: its fixed start, whatever stands before it; a relay ends `seconds` later."""

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """The higher one keeps its place."""
        return self.at is not None, self.kind in FRAME, self.priority


class Bounds(NamedTuple):
    """The room that a session has on a day."""

    begins_at: datetime
    ends_at: datetime
    may_overrun: bool
    """The last item may sound on past the end, if it begins before."""
    silent_from: datetime | None
    """Begin of the next quiet hours, in which nothing sounds."""
    rooms: tuple[Room, ...] = ()
    """What Quy chế leave, where its loudspeakers have some."""


class Filled(NamedTuple):
    """A session of one day."""

    starts: dict[UUID, datetime]
    """Of the items that sound, in their order."""
    dropped: dict[UUID, Reason]


def fill(entries: Sequence[Entry], bounds: Bounds) -> Filled:
    """Give each item its start, or leave it out.

    Items get room by rank, of equals the earlier one in the session; each that fits beside those
    before it stays. So what is left out would not fit beside what goes before it, and nothing of
    a lower rank keeps it out. What would sound into a relay with a fixed start comes after it; a
    signature tune never does.

    Args:
        entries: In the order of the session.
        bounds: Of the day.
    """
    by_rank = sorted(range(len(entries)), key=lambda i: entries[i].rank, reverse=True)
    kept: set[int] = set()
    dropped: dict[UUID, Reason] = {}
    for index in by_rank:
        wanted = kept | {index}
        if _fits(entries, wanted, bounds):
            kept = wanted
        else:
            dropped[entries[index].id] = _why_not(entries, kept, index, bounds)
    starts = _starts(entries, kept, bounds.begins_at)
    in_order = sorted(starts.items(), key=lambda pair: pair[1])
    return Filled({entries[i].id: at for i, at in in_order}, dropped)


def _starts(
    entries: Sequence[Entry], kept: Collection[int], begins_at: datetime
) -> dict[int, datetime]:
    """Starts of some entries, one after the other, in full seconds, around what is fixed."""
    fixed = sorted(
        (at, at + _takes(entries[i])) for i in kept if (at := entries[i].at) is not None
    )
    found: dict[int, datetime] = {}
    cursor = begins_at
    for index in sorted(kept):
        each = entries[index]
        at = each.at
        if at is None:
            at = cursor
            for begin, end in fixed if each.kind is not Kind.SIGNATURE else ():
                if begin < at + _takes(each) and at < end:
                    at = end
        found[index] = at
        cursor = max(cursor, at + _takes(each))
    return found


def _takes(entry: Entry) -> timedelta:
    return timedelta(seconds=ceil(entry.seconds)) + PAUSE


def _fits(entries: Sequence[Entry], kept: Collection[int], bounds: Bounds) -> bool:
    starts = _starts(entries, kept, bounds.begins_at)
    free_from = bounds.begins_at
    sounds: dict[UUID, Sound] = {}
    for index, at in sorted(starts.items(), key=lambda pair: pair[1]):
        each = entries[index]
        if at < free_from:
            return False
        free_from = at + _takes(each)
        ends_at = at + timedelta(seconds=each.seconds)
        sounds[each.id] = Sound(at, ends_at)
        if bounds.silent_from is not None and ends_at > bounds.silent_from:
            return False
        overruns = bounds.may_overrun and each.kind is not Kind.RELAY
        if at >= bounds.ends_at if overruns else ends_at > bounds.ends_at:
            return False
    return all(room.holds(sounds) for room in bounds.rooms)


def _why_not(entries: Sequence[Entry], kept: set[int], index: int, bounds: Bounds) -> Reason:
    wanted = kept | {index}
    if _fits(entries, wanted, bounds._replace(silent_from=None)):
        return Reason.QUIET_HOURS
    if _fits(entries, wanted, bounds._replace(rooms=())):
        return Reason.QUOTA
    flowing = {i for i in wanted if i == index or entries[i].at is None}
    return Reason.RELAY if _fits(entries, flowing, bounds) else Reason.NO_TIME


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
