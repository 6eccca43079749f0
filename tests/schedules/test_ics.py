"""A schedule in the calendar of a telephone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.schedules import ics
from tests.examples import examples

NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)


def unfolded(document: bytes) -> list[str]:
    """Content lines, as RFC 5545, 3.1 has them read."""
    assert document.endswith(b"\r\n")
    assert all(len(line) <= ics.LONGEST_LINE for line in document.split(b"\r\n"))
    for line in document.split(b"\r\n"):
        line.decode()  # no character is torn apart
    return document.replace(b"\r\n ", b"").decode().split("\r\n")[:-1]


def told(value: str) -> str:
    """What a TEXT says (3.3.11)."""
    said, rest = "", iter(value)
    for each in rest:
        said += each if each != "\\" else {"n": "\n", "N": "\n"}.get(after := next(rest), after)
    return said


lines = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from("\n,;\\ếữ🔊"), max_size=120
)


@settings(max_examples=examples(60))
@given(lines, lines)
def test_whatever_a_title_says_is_read_again(title: str, note: str) -> None:
    event = ics.Event(UUID(int=1), title, NOW, 61.5, is_cancelled=bool(note), note=note)
    found = dict(line.split(":", 1) for line in unfolded(ics.calendar("Lịch", [event], NOW)))
    assert told(found["SUMMARY"]) == title
    assert told(found.get("DESCRIPTION", "")) == note
    assert found["STATUS"] == ("CANCELLED" if note else "CONFIRMED")


def test_a_calendar_has_what_readers_need() -> None:
    event = ics.Event(UUID(int=7), "Họp thôn", NOW + timedelta(hours=3), 61.2, is_cancelled=False)
    assert unfolded(ics.calendar("Lịch phát xã A", [event], NOW)) == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//broadcast//schedule//VI",
        "CALSCALE:GREGORIAN", "METHOD:PUBLISH", "NAME:Lịch phát xã A",
        "X-WR-CALNAME:Lịch phát xã A", "REFRESH-INTERVAL;VALUE=DURATION:PT3600S",
        "X-PUBLISHED-TTL:PT3600S", "BEGIN:VEVENT",
        "UID:00000000-0000-0000-0000-000000000007@broadcast", "DTSTAMP:20261130T010000Z",
        "DTSTART:20261130T040000Z", "DURATION:PT62S", "SUMMARY:Họp thôn", "STATUS:CONFIRMED",
        "TRANSP:TRANSPARENT", "END:VEVENT", "END:VCALENDAR",
    ]  # fmt: skip


@pytest.mark.parametrize("line", ["", "a" * 75, "a" * 76, "ế" * 60, "🔊" * 40])
def test_a_line_is_folded_without_tearing_a_character(line: str) -> None:
    parts = list(ics.folded(line))
    assert all(len(part) <= ics.LONGEST_LINE + 2 for part in parts)
    assert b"".join(parts).replace(b"\r\n ", b"").decode() == line + "\r\n"
