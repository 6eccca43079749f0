"""A calendar of somebody else's (iCalendar, RFC 5545) as starts of schedules and marked days.

Pure. The package `icalendar` reads values; before it, the file is bounded and reduced to what is
used here. Definitions of time zones are left out: their rules could go on for ever, and the
package keeps them for all that it reads later. Zones are known by their names (IANA, Windows).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import icalendar

from broadcast.kit.errors import InvalidInput, TooLarge
from broadcast.kit.text import LONGEST_LINE, visible
from broadcast.schedules import rrule
from broadcast.schedules.expansion import DAY
from broadcast.schedules.ics import BULLETIN
from broadcast.schedules.recurrence import fires
from broadcast.schedules.rrule import Rule

MAX_BYTES = 2**20

MOST_COMPONENTS = 2000
"""As many as our own feed has events."""

MOST_LINES = 40_000

MOST_DEPTH = 4
"""A calendar, its events, their alarms, and one to spare."""

MOST_DATES = 366
"""Of one event, beside its rule."""

_READ = {
    "UID", "SUMMARY", "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "EXRULE",
    "RECURRENCE-ID", "STATUS", BULLETIN,
}  # fmt: skip

_LINE = re.compile(r"([A-Za-z0-9-]+)(?:;[^:]*)?:(.*)", re.DOTALL)


@dataclass(frozen=True)
class Event:
    """What one VEVENT says.

    Attributes:
        starts_at: First start, in UTC; of a whole day that day.
        last_on: Of whole days the last one.
        seconds: How long it lasts, None where it does not say.
        rule: How it recurs.
        dates: Further starts (RDATE), of its kind.
        left_out: Starts that are none (EXDATE); a day leaves out all of its starts.
        replaces: The start of the series of this UID that it stands for (RECURRENCE-ID).
        is_cancelled: STATUS says so.
        bulletin: Bulletin and revision, as our own feed names them.
        notes: What was understood otherwise than written, for people.
    """

    starts_at: datetime | date
    last_on: date | None = None
    seconds: float | None = None
    rule: Rule | None = None
    dates: tuple[datetime | date, ...] = ()
    left_out: tuple[datetime | date, ...] = ()
    replaces: datetime | None = None
    is_cancelled: bool = False
    bulletin: tuple[UUID, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Component:
    """One component of a calendar.

    Attributes:
        number: In the file, from 1.
        kind: Its name, such as VEVENT.
        uid: Empty where it has none.
        title: SUMMARY as one line.
        event: What it says, None where that is not understood.
        why_not: Then why, and what to do, for people.
    """

    number: int
    kind: str
    uid: str
    title: str
    event: Event | None = None
    why_not: str = ""


class _Unclear(Exception):
    """A component that is not understood; says why."""


# Of a component `Any`: its values are of classes that have nothing in common.


def read(data: bytes, zone: ZoneInfo) -> list[Component]:
    """The components of a calendar in the order of the file, without its time zones.

    Args:
        data: The file.
        zone: Where times without a zone are meant, and rules are to count.

    Raises:
        TooLarge: It exceeds a bound; says which.
        InvalidInput: It is no calendar.
    """
    calendars = _parsed(_reduced(_text(data)))
    given = [each for calendar in calendars for each in calendar.subcomponents]
    if len(given) > MOST_COMPONENTS:
        raise TooLarge(
            f"Tệp có {len(given)} mục, nhiều nhất {MOST_COMPONENTS}; hãy xuất lịch của ít ngày"
            " hơn rồi nhập từng tệp."
        )
    return [_component(number, each, zone) for number, each in enumerate(given, 1)]


# --- the file -----------------------------------------------------------------------------------


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise TooLarge(
            f"Tệp lịch lớn hơn {MAX_BYTES // 2**20} MB; hãy xuất lịch của ít ngày hơn rồi nhập"
            " từng tệp."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _no_calendar() from None


def _no_calendar() -> InvalidInput:
    return InvalidInput(
        "calendar", "không phải tệp lịch (.ics); hãy xuất lại từ ứng dụng lịch, dạng iCalendar"
    )


def _reduced(text: str) -> str:
    """The lines that are read, one for each property."""
    lines = re.split(r"\r?\n", re.sub(r"\r?\n[ \t]", "", text))
    if len(lines) > MOST_LINES:
        raise TooLarge(
            f"Tệp lịch có hơn {MOST_LINES} dòng; hãy xuất lịch của ít ngày hơn rồi nhập từng tệp."
        )
    return "\r\n".join([*_kept(lines), ""])


def _kept(lines: list[str]) -> Iterator[str]:
    inside: list[str] = []
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            continue
        name, value = found[1].upper(), found[2].strip().upper()
        if name == "BEGIN":
            inside.append(value)
            if len(inside) > MOST_DEPTH:
                raise InvalidInput(
                    "calendar",
                    f"có hơn {MOST_DEPTH} mục lồng nhau; hãy xuất lại từ ứng dụng lịch",
                )
        if "VTIMEZONE" not in inside and (
            name in {"BEGIN", "END"} or (name in _READ and len(inside) == 2)
        ):
            yield line
        if name == "END" and (not inside or inside.pop() != value):
            raise _no_calendar()
    if inside:
        raise _no_calendar()


def _parsed(text: str) -> list[icalendar.Calendar]:
    try:
        found = icalendar.Calendar.from_ical(text, multiple=True)
    except ValueError:
        raise _no_calendar() from None
    if not found or any(each.name != "VCALENDAR" for each in found):
        raise _no_calendar()
    return found


# --- its components -----------------------------------------------------------------------------


def _component(number: int, given: Any, zone: ZoneInfo) -> Component:
    read = Component(
        number, _line(given.name or "?"), _line(_one(given, "UID")), _line(_one(given, "SUMMARY"))
    )
    try:
        return replace(read, event=_event(given, zone))
    except _Unclear as why:
        return replace(read, why_not=str(why))
    except InvalidInput as error:
        return replace(read, why_not=f"Cách lặp chưa dùng được: {error.reason}.")


def _line(value: object) -> str:
    """A text of somebody else's as one line that can be stored."""
    text = "".join(each if each.isprintable() else " " for each in visible(str(value)))
    return " ".join(text.split())[:LONGEST_LINE]


def _one(given: Any, name: str) -> Any:
    """A property that may be there once; what is broken or repeated is empty."""
    value = given.get(name, "")
    broken = {each for each, _ in given.errors}
    return "" if isinstance(value, list) or name in broken else value


def _refuse_unread(given: Any) -> None:
    if given.name != "VEVENT":
        raise _Unclear(
            "Không phải sự kiện có giờ (việc cần làm, ghi chú, giờ bận), nên không thành buổi"
            " phát; muốn phát, hãy tạo sự kiện trong ứng dụng lịch."
        )
    broken = sorted({_line(name) for name, _ in given.errors})
    if broken:
        raise _Unclear(
            f"Không đọc được {', '.join(broken)}; hãy sửa sự kiện này trong ứng dụng lịch rồi xuất"
            " lại."
        )
    for name in ("DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "STATUS", "UID"):
        if isinstance(given.get(name), list):
            raise _Unclear(
                f"Có nhiều {name} trong một sự kiện; hãy tách thành các sự kiện riêng rồi xuất"
                " lại."
            )
    if "EXRULE" in given:
        raise _Unclear(
            "Có quy tắc trừ ngày (EXRULE), không còn được dùng; hãy xóa riêng từng buổi trong ứng"
            " dụng lịch rồi xuất lại."
        )
    if "DTSTART" not in given:
        raise _Unclear("Không ghi bắt đầu lúc nào; hãy đặt ngày giờ cho sự kiện rồi xuất lại.")
    if _status(given) == "TENTATIVE":
        raise _Unclear(
            "Sự kiện còn để “chưa chắc chắn”; hãy xác nhận trong ứng dụng lịch rồi xuất lại."
        )


def _status(given: Any) -> str:
    return str(given.get("STATUS", "")).upper()


def _event(given: Any, zone: ZoneInfo) -> Event:
    _refuse_unread(given)
    starts_at = _when(given["DTSTART"].dt, given["DTSTART"].params, zone)
    dates, left_out = (tuple(_each(given, name, zone)) for name in ("RDATE", "EXDATE"))
    if len(dates) > MOST_DATES or len(left_out) > MOST_DATES:
        raise _Unclear(
            f"Có hơn {MOST_DATES} ngày thêm hoặc ngày trừ; hãy chia thành nhiều sự kiện."
        )
    is_whole = not isinstance(starts_at, datetime)
    if any(is_whole is isinstance(each, datetime) for each in dates):
        raise _Unclear("Ngày thêm không cùng kiểu với ngày bắt đầu; hãy lập sự kiện riêng cho nó.")
    seconds = _seconds(given, zone)
    read = Event(
        starts_at=starts_at,
        seconds=None if is_whole else seconds,
        dates=dates,
        left_out=left_out,
        replaces=_replaces(given, zone),
        is_cancelled=_status(given) == "CANCELLED",
        bulletin=_bulletin(str(_one(given, BULLETIN))),
        notes=("Nhắc hẹn của sự kiện được bỏ qua.",) if given.subcomponents else (),
    )
    if is_whole:
        days = max(1, round((seconds or 0) / DAY.total_seconds()))
        read = replace(read, last_on=starts_at + (days - 1) * DAY)
    return replace(read, rule=_rule(given, read, zone))


def _when(value: object, params: Any, zone: ZoneInfo) -> datetime | date:
    """A moment in UTC, to the second, or a day."""
    if isinstance(value, tuple):  # a period: its begin
        value = value[0]
    if not isinstance(value, date):
        raise _Unclear("Ngày giờ ghi theo kiểu lạ; hãy sửa trong ứng dụng lịch rồi xuất lại.")
    if not 2000 <= value.year < 2100:
        raise _Unclear("Năm phải từ 2000 đến 2099; hãy sửa ngày rồi xuất lại.")
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        if "TZID" in params:
            raise _Unclear(
                f"Không biết múi giờ “{_line(params['TZID'])}”; hãy đặt múi giờ Việt Nam"
                " (Asia/Ho_Chi_Minh) trong ứng dụng lịch rồi xuất lại."
            )
        value = value.replace(tzinfo=zone)
    return value.astimezone(UTC).replace(microsecond=0)


def _each(given: Any, name: str, zone: ZoneInfo) -> Iterator[datetime | date]:
    values = given.get(name, [])
    for each in values if isinstance(values, list) else [values]:
        for value in each.dts:
            yield _when(value.dt, each.params, zone)


def _seconds(given: Any, zone: ZoneInfo) -> float | None:
    span: object = None
    if "DURATION" in given:
        span = given["DURATION"].dt
    elif "DTEND" in given:
        begin, end = (
            _when(given[name].dt, given[name].params, zone) for name in ("DTSTART", "DTEND")
        )
        if isinstance(begin, datetime) is not isinstance(end, datetime):
            raise _Unclear("Bắt đầu và kết thúc không cùng kiểu; hãy sửa sự kiện rồi xuất lại.")
        span = end - begin
    if span is None:
        return None
    if not isinstance(span, timedelta) or span < timedelta():
        raise _Unclear("Kết thúc trước khi bắt đầu; hãy sửa giờ của sự kiện rồi xuất lại.")
    return span.total_seconds()


def _replaces(given: Any, zone: ZoneInfo) -> datetime | None:
    value = given.get("RECURRENCE-ID")
    if value is None:
        return None
    if str(value.params.get("RANGE", "")).upper() == "THISANDFUTURE":
        raise _Unclear(
            "Đổi từ một buổi trở đi (THISANDFUTURE) không nhập được; hãy kết thúc sự kiện cũ"
            " trước buổi đó và lập sự kiện mới từ buổi đó."
        )
    at = _when(value.dt, value.params, zone)
    if not isinstance(at, datetime):
        raise _Unclear(
            "Buổi được đổi chỉ ghi ngày, không ghi giờ; hãy đổi lại buổi đó trong ứng dụng lịch"
            " rồi xuất lại."
        )
    return at


def _bulletin(text: str) -> tuple[UUID, int] | None:
    bulletin, _, number = text.partition("/")
    try:
        return UUID(bulletin), int(number[:6])
    except ValueError:
        return None


def _rule(given: Any, read: Event, zone: ZoneInfo) -> Rule | None:
    """How it recurs, its wall times in `zone`."""
    if "RRULE" not in given or read.replaces is not None:
        return None
    text = given["RRULE"].to_ical().decode()
    rule = rrule.parse(text, zone)
    starts_at = read.starts_at
    if not isinstance(starts_at, datetime):
        if rule.get("BYHOUR") or rule.get("BYMINUTE"):
            raise _Unclear(
                "Sự kiện cả ngày mà lặp theo giờ; hãy đặt giờ bắt đầu cho sự kiện rồi xuất lại."
            )
        return rule
    _require_same_days(given["DTSTART"].dt, rule, zone)
    if not fires(rule, starts_at, starts_at, zone):
        raise _Unclear(
            "Buổi đầu tiên không nằm trong cách lặp của chính sự kiện; hãy dời ngày bắt đầu vào"
            " một ngày có phát rồi xuất lại."
        )
    return rule


def _require_same_days(first: datetime, rule: Rule, zone: ZoneInfo) -> None:
    """Refuse a rule of another zone where its days or times are not those of `zone`."""
    if first.tzinfo is None:
        return
    moments = [first + number * 30 * DAY for number in range(25)]
    apart = {
        (at.utcoffset() or timedelta()) - (at.replace(tzinfo=zone).utcoffset() or timedelta())
        for at in moments
    }
    is_same = apart == {timedelta()}
    is_like = len(apart) == 1 and first.astimezone(zone).date() == first.date()
    if is_same or (is_like and not rule.get("BYHOUR") and not rule.get("BYMINUTE")):
        return
    raise _Unclear(
        "Lặp theo múi giờ khác, ngày giờ không trùng với giờ Việt Nam; hãy đặt múi giờ Việt Nam"
        " (Asia/Ho_Chi_Minh) cho sự kiện rồi xuất lại."
    )
