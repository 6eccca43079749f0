"""Calendars of other programs, read: what is understood, and what is not and why."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from dateutil.rrule import rrule as dateutil_rule
from dateutil.rrule import rruleset, rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import BroadcastError, InvalidInput, TooLarge
from broadcast.kit.text import clean_line
from broadcast.schedules import ics, ics_reading
from broadcast.schedules.ics_reading import Component, Event, read
from broadcast.schedules.ics_series import coming, days_of, left_out
from tests.examples import examples

NOW = datetime(2026, 11, 30, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def file(*events: str) -> bytes:
    inside = "".join(f"BEGIN:VEVENT\n{each.strip()}\nEND:VEVENT\n" for each in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{inside}END:VCALENDAR\n".encode()


def one(text: str) -> Component:
    (found,) = read(file(text), LOCAL)
    return found


def event(text: str) -> Event:
    found = one(text)
    assert found.event is not None, found.why_not
    return found.event


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LOCAL)


@pytest.mark.parametrize(
    "start",
    [
        "DTSTART:20261201T100000Z",
        "DTSTART:20261201T170000",
        "DTSTART;TZID=Asia/Ho_Chi_Minh:20261201T170000",
        "DTSTART;TZID=Asia/Saigon:20261201T170000",
        "DTSTART;TZID=SE Asia Standard Time:20261201T170000",
        "DTSTART;TZID=Europe/Paris:20261201T110000",
    ],
)
def test_a_start_is_the_moment_that_is_meant(start: str) -> None:
    assert event(start).starts_at == local("2026-12-01T17:00")


def test_length_is_that_of_the_end_or_the_duration() -> None:
    begin = "DTSTART:20261201T170000"
    assert event(begin).seconds is None
    assert event(f"{begin}\nDTEND:20261201T173000").seconds == 1800
    assert event(f"{begin}\nDURATION:PT90S").seconds == 90


def test_a_whole_day_has_a_first_and_a_last_day() -> None:
    found = event("DTSTART;VALUE=DATE:20261201\nDTEND;VALUE=DATE:20261204")
    assert (found.starts_at, found.last_on) == (date(2026, 12, 1), date(2026, 12, 3))
    alone = event("DTSTART;VALUE=DATE:20261201")
    assert alone.last_on == alone.starts_at
    weekly = event(
        "DTSTART;VALUE=DATE:20261201\nRRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;VALUE=DATE:20261208"
    )
    assert days_of(weekly, date(2026, 11, 30), LOCAL) == [date(2026, 12, 1), date(2026, 12, 15)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SUMMARY:x", "Không ghi bắt đầu lúc nào"),
        ("DTSTART:garbage", "Không đọc được DTSTART"),
        ("DTSTART:20261201T170000\nDURATION:garbage", "Không đọc được DURATION"),
        ("DTSTART:19991201T170000", "Năm phải từ 2000"),
        ("DTSTART;TZID=Nowhere/City:20261201T170000", "Không biết múi giờ “Nowhere/City”"),
        ("DTSTART:20261201T170000\nDTSTART:20261202T170000", "Có nhiều DTSTART"),
        ("DTSTART:20261201T170000\nDTEND:20261201T160000", "Kết thúc trước khi bắt đầu"),
        ("DTSTART:20261201T170000\nDTEND;VALUE=DATE:20261202", "không cùng kiểu"),
        ("DTSTART:20261201T170000\nRDATE;VALUE=DATE:20261202", "Ngày thêm không cùng kiểu"),
        ("DTSTART:20261201T170000\nRRULE:FREQ=HOURLY", "Cách lặp chưa dùng được: FREQ=HOURLY"),
        ("DTSTART:20261201T170000\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "Có nhiều RRULE"),
        ("DTSTART:20261201T170000\nEXRULE:FREQ=DAILY", "EXRULE"),
        ("DTSTART:20261201T170000\nSTATUS:TENTATIVE", "chưa chắc chắn"),
        ("DTSTART:20261201T170000\nRRULE:FREQ=WEEKLY;BYDAY=WE", "Buổi đầu tiên không nằm trong"),
        (
            "DTSTART;TZID=Europe/Paris:20261201T110000\nRRULE:FREQ=DAILY",
            "Lặp theo múi giờ khác",
        ),
        ("DTSTART:20261201T220000Z\nRRULE:FREQ=WEEKLY;BYDAY=TU", "Lặp theo múi giờ khác"),
        (
            "DTSTART:20261201T170000\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261201T170000",
            "THISANDFUTURE",
        ),
        ("DTSTART:20261201T170000\nRECURRENCE-ID;VALUE=DATE:20261201", "chỉ ghi ngày"),
    ],
)  # fmt: skip
def test_what_is_not_understood_says_why(text: str, said: str) -> None:
    found = one(text)
    assert found.event is None
    assert said in found.why_not


def test_other_components_are_told_and_zones_are_not_read() -> None:
    text = """BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Asia/Ho_Chi_Minh
BEGIN:STANDARD
DTSTART:19700101T000000
RRULE:FREQ=SECONDLY
TZOFFSETFROM:+0900
TZOFFSETTO:+0900
END:STANDARD
END:VTIMEZONE
BEGIN:VTODO
SUMMARY:Việc
END:VTODO
BEGIN:VEVENT
DTSTART;TZID=Asia/Ho_Chi_Minh:20261201T170000
SUMMARY:Họp\\, thôn\\nhai
BEGIN:VALARM
TRIGGER:-PT5M
END:VALARM
END:VEVENT
END:VCALENDAR
"""
    todo, meeting = read(text.encode(), LOCAL)
    assert (todo.kind, todo.title, todo.event) == ("VTODO", "Việc", None)
    assert meeting.title == "Họp, thôn hai"
    assert meeting.event is not None
    assert meeting.event.starts_at == local("2026-12-01T17:00")
    assert meeting.event.notes == ("Nhắc hẹn của sự kiện được bỏ qua.",)


def test_a_file_is_bounded() -> None:
    with pytest.raises(TooLarge):
        read(b"x" * (ics_reading.MAX_BYTES + 1), LOCAL)
    with pytest.raises(TooLarge):
        read(file(*["DTSTART:20261201T170000"] * (ics_reading.MOST_COMPONENTS + 1)), LOCAL)
    with pytest.raises(TooLarge):
        read(b"\n" * (ics_reading.MOST_LINES + 1), LOCAL)
    deep = "BEGIN:VEVENT\n" * 500 + "END:VEVENT\n" * 500
    with pytest.raises(InvalidInput, match="lồng nhau"):
        read(f"BEGIN:VCALENDAR\n{deep}END:VCALENDAR\n".encode(), LOCAL)
    dates = ",".join(f"{date(2026, 12, 1) + number * DAY:%Y%m%d}T170000" for number in range(400))
    assert "ngày thêm" in one(f"DTSTART:20261201T170000\nEXDATE:{dates}").why_not


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"a,b\n1,2\n", b"BEGIN:VCALENDAR\n", b"BEGIN:VEVENT\nEND:VEVENT\n",
     b"BEGIN:VCALENDAR\nEND:VEVENT\n"],
)  # fmt: skip
def test_what_is_no_calendar_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="không phải tệp lịch"):
        read(data, LOCAL)


pieces = st.sampled_from(
    ["BEGIN:VEVENT", "END:VEVENT", "END:VCALENDAR", "DTSTART:20261201T170000", "RRULE:FREQ=DAILY",
     "DTSTART;TZID=", "RRULE:", "EXDATE:20261201T170000,",
     "RDATE;VALUE=PERIOD:20261201T170000/PT1H",
     "DURATION:-PT1H", "RECURRENCE-ID:1", "UID:\\", "DTSTART:PT1H", "DTEND:20261201"]
)  # fmt: skip


@settings(max_examples=examples(150))
@given(st.lists(pieces | st.text(max_size=30), max_size=14))
def test_any_file_is_read_or_refused(lines: list[str]) -> None:
    text = "\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"])
    try:
        found = read(text.encode("utf-8", "replace"), LOCAL)
    except BroadcastError:
        return
    assert all((each.event is None) is bool(each.why_not) for each in found)


titles = st.text(
    st.characters(categories=["L", "N", "P"]) | st.sampled_from(" ;,\\ếữ"), max_size=80
).map(clean_line)
"""As they are stored: composed."""


@settings(max_examples=examples(60))
@given(titles, st.integers(1, 7200), st.booleans(), st.uuids())
def test_what_our_feed_writes_is_understood(
    title: str, seconds: int, is_cancelled: bool, id_: UUID
) -> None:
    written = ics.Event(id_, title, NOW, seconds, is_cancelled, "vì sao", (id_, 3))
    (found,) = read(ics.calendar("Lịch", [written], NOW), LOCAL)
    assert found.uid == f"{id_}{ics.OF_OURS}"
    assert found.title == title
    assert found.event == Event(
        NOW,
        seconds=seconds,
        is_cancelled=is_cancelled,
        bulletin=(id_, 3),
    )


RULES = (
    "FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=WEEKLY;INTERVAL=2",
    "FREQ=MONTHLY;BYMONTHDAY=1,-1", "FREQ=MONTHLY;BYDAY=2TU", "FREQ=DAILY;COUNT=40",
    "FREQ=WEEKLY;COUNT=9;BYDAY=TU,SA", "FREQ=DAILY;UNTIL=20261231T100000Z",
)  # fmt: skip
moments = st.datetimes(datetime(2026, 11, 1), datetime(2027, 1, 15)).map(  # noqa: DTZ001
    lambda at: at.replace(minute=0, second=0, microsecond=0)
)


@settings(max_examples=examples(200), deadline=None)
@given(st.sampled_from(RULES), moments, st.data())
def test_what_is_to_come_is_what_another_library_says(
    text: str, near: datetime, data: st.DataObject
) -> None:
    local_rule = text.replace("UNTIL=20261231T100000Z", "UNTIL=20261231T170000")
    first = next(iter(rrulestr(local_rule, dtstart=near)), None)  # a start of the rule itself
    if first is None:
        return
    whole = rrulestr(local_rule, dtstart=first)
    assert isinstance(whole, dateutil_rule)
    expected = rruleset()
    expected.rrule(whole)
    end = datetime(2027, 9, 1)  # noqa: DTZ001
    by_rule = list(whole.between(first, end, inc=True))
    excluded = data.draw(st.lists(st.sampled_from(by_rule), max_size=4, unique=True))
    further = data.draw(st.lists(moments, max_size=4, unique=True))
    lines = [f"DTSTART;TZID=Asia/Ho_Chi_Minh:{first:%Y%m%dT%H%M%S}", f"RRULE:{text}"]
    lines += [f"EXDATE;TZID=Asia/Ho_Chi_Minh:{at:%Y%m%dT%H%M%S}" for at in excluded]
    lines += [f"RDATE;TZID=Asia/Ho_Chi_Minh:{at:%Y%m%dT%H%M%S}" for at in further]
    for at in excluded:
        expected.exdate(at)
    for at in further:
        expected.rdate(at)
    now = NOW.astimezone(LOCAL).replace(tzinfo=None)
    wanted = {at for at in expected.between(min(first, *further, now) - DAY, end) if at > now}
    found = event("\n".join(lines))
    series = coming(found, NOW, LOCAL)
    if series is None:
        assert wanted == set()
        return
    excepted = dict.fromkeys(left_out(found, series))
    starts = series.starts(excepted, NOW, end.replace(tzinfo=LOCAL))
    assert {at.astimezone(LOCAL).replace(tzinfo=None) for at in starts} == wanted
