"""A schedule as iCalendar (RFC 5545), for the calendar of a telephone.

Pure. Every start is an event of its own: rules on lunar days and what calendars silence cannot be
said by RRULE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

LONGEST_LINE = 75
"""Octets of a line without its end (RFC 5545, 3.1)."""

REFRESH = timedelta(hours=1)
"""How often a calendar is to ask again (RFC 7986, 5.7)."""


OF_OURS = "@broadcast"
"""What a UID of ours ends with, after the id of the occurrence."""

BULLETIN = "X-BROADCAST-BULLETIN"
"""Property of our own: bulletin and revision, by which an import knows what is to sound."""


class Event(NamedTuple):
    """One start.

    Attributes:
        id: Of the occurrence; the same when it is moved.
        note: For people; may be empty.
        bulletin: What sounds: bulletin and revision.
    """

    id: UUID
    title: str
    starts_at: datetime
    seconds: float
    is_cancelled: bool
    note: str = ""
    bulletin: tuple[UUID, int] | None = None


def calendar(name: str, events: Iterable[Event], now: datetime) -> bytes:
    """A calendar with these events.

    Args:
        name: As people see it in the list of their calendars.
        events: In any order.
        now: When it was made (DTSTAMP).
    """
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//broadcast//schedule//VI",
        "CALSCALE:GREGORIAN", "METHOD:PUBLISH",
        f"NAME:{text(name)}", f"X-WR-CALNAME:{text(name)}",
        f"REFRESH-INTERVAL;VALUE=DURATION:{_duration(REFRESH.total_seconds())}",
        f"X-PUBLISHED-TTL:{_duration(REFRESH.total_seconds())}",
        *(line for event in events for line in _event(event, now)),
        "END:VCALENDAR",
    ]  # fmt: skip
    return b"".join(part for line in lines for part in folded(line))


def _event(event: Event, now: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{event.id}{OF_OURS}"
    yield f"DTSTAMP:{_moment(now)}"
    yield f"DTSTART:{_moment(event.starts_at)}"
    yield f"DURATION:{_duration(event.seconds)}"
    yield f"SUMMARY:{text(event.title)}"
    yield f"STATUS:{'CANCELLED' if event.is_cancelled else 'CONFIRMED'}"
    if event.note:
        yield f"DESCRIPTION:{text(event.note)}"
    if event.bulletin is not None:
        yield f"{BULLETIN}:{event.bulletin[0]}/{event.bulletin[1]}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def text(value: str) -> str:
    r"""A value of type TEXT (3.3.11); what no line can hold is left out.

    >>> text("Họp thôn; 19h, nhà văn hóa\nmang theo sổ")
    'Họp thôn\\; 19h\\, nhà văn hóa\\nmang theo sổ'
    """
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    escaped = escaped.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")
    return "".join(each for each in escaped if each >= " " and each != "\x7f")


def folded(line: str) -> Iterator[bytes]:
    """A content line in parts of at most 75 octets, no character torn apart."""
    part, room = b"", LONGEST_LINE
    for character in line:
        octets = character.encode("utf-8", "replace")
        if len(octets) > room:
            yield part + b"\r\n"
            part, room = b" ", LONGEST_LINE - 1
        part += octets
        room -= len(octets)
    yield part + b"\r\n"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _duration(seconds: float) -> str:
    """Whole seconds, at least one (3.3.6).

    >>> _duration(61.2), _duration(0)
    ('PT62S', 'PT1S')
    """
    return f"PT{max(1, -int(-seconds // 1))}S"
