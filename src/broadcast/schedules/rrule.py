"""Recurrence rules as people write them: the accepted subset of RFC 5545 §3.3.10, checked.

Two parts of our own choose days of the Vietnamese lunar calendar: BYLUNARDAY and BYLUNARMONTH.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from broadcast.kit.errors import InvalidInput

MOST_CHARACTERS = 500

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
BOUNDS = {
    "BYMONTH": (1, 12), "BYMONTHDAY": (-31, 31), "BYSETPOS": (-366, 366),
    "BYHOUR": (0, 23), "BYMINUTE": (0, 59), "BYLUNARMONTH": (1, 12), "BYLUNARDAY": (-30, 30),
}  # fmt: skip
"""Lists of numbers; a part with negative numbers counts those from the end and takes no 0."""

ACCEPTED = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", *BOUNDS, "WKST")

_NUMBER = re.compile(r"[+-]?\d{1,4}")
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")


@dataclass(frozen=True)
class Rule:
    """A checked recurrence rule.

    Attributes:
        parts: Its parts as written, in the order of `ACCEPTED`, without COUNT and UNTIL.
        count: How often it fires, None for no such limit.
        until: Last local wall time at which it may fire.
        dates: Further local wall times at which it fires (RDATE), beside count and until.
    """

    parts: tuple[tuple[str, str], ...]
    count: int | None = None
    until: datetime | None = None
    dates: tuple[datetime, ...] = ()

    def __str__(self) -> str:
        ends = []
        if self.count is not None:
            ends.append(("COUNT", str(self.count)))
        if self.until is not None:
            ends.append(("UNTIL", f"{self.until:%Y%m%dT%H%M%S}"))
        return ";".join(f"{name}={value}" for name, value in (*self.parts, *ends))

    def without_dates(self) -> Rule:
        """The rule alone."""
        return replace(self, dates=()) if self.dates else self

    def get(self, name: str) -> str | None:
        """A part as written."""
        return dict(self.parts).get(name)

    def numbers(self, name: str) -> list[int] | None:
        """A part that is a list of numbers."""
        text = self.get(name)
        return None if text is None else [int(number) for number in text.split(",")]


ONCE = Rule((("FREQ", "DAILY"),), count=1)
"""A single start, for what has further dates."""


def parse(text: str, zone: ZoneInfo) -> Rule:
    """Check a rule of the accepted subset of RFC 5545 §3.3.10.

    BYLUNARDAY are days of the lunar month, -1 its last (29 or 30); BYLUNARMONTH lunar months, of
    which a leap one is none, as no memorial day is kept twice.

    Args:
        text: Rule without DTSTART, such as `FREQ=WEEKLY;BYDAY=MO,FR`. UNTIL may be a date (that
            whole day counts), a local time, or a UTC time ending in Z.
        zone: Where its wall times are.

    Raises:
        InvalidInput: It is not in the subset; says which part and what is accepted.
    """
    parts = _split(text)
    frequency = parts.get("FREQ", "")
    if frequency not in FREQUENCIES:
        raise invalid(
            f"FREQ={frequency or '?'} không được dùng; hãy chọn DAILY (hằng ngày), WEEKLY, "
            "MONTHLY hoặc YEARLY. Nhiều lần trong ngày: thêm BYHOUR, ví dụ BYHOUR=5,17"
        )
    for name in BOUNDS.keys() & parts.keys():
        _check_numbers(name, parts[name])
    _check_days(parts.get("BYDAY"), frequency)
    if "BYMONTHDAY" in parts and frequency == "WEEKLY":
        raise invalid("BYMONTHDAY không đi cùng FREQ=WEEKLY; hãy dùng FREQ=MONTHLY")
    if "BYLUNARMONTH" in parts and "BYLUNARDAY" not in parts:
        raise invalid(
            "BYLUNARMONTH (tháng âm) cần đi cùng BYLUNARDAY (ngày âm), ví dụ BYLUNARDAY=1"
        )
    if "BYLUNARDAY" in parts and frequency != "DAILY":
        raise invalid("BYLUNARDAY (ngày âm) đi cùng FREQ=DAILY, ví dụ FREQ=DAILY;BYLUNARDAY=1,15")
    if parts.get("WKST", "MO") not in WEEKDAYS:
        raise invalid(f"WKST={parts['WKST']}: cần một trong {', '.join(WEEKDAYS)}")
    if "BYSETPOS" in parts and not any(
        name in parts for name in ("BYDAY", "BYMONTHDAY", "BYMONTH", "BYHOUR", "BYMINUTE")
    ):
        raise invalid("BYSETPOS cần đi cùng BYDAY hoặc một phần BY… khác")
    if "INTERVAL" in parts:
        _natural("INTERVAL", parts["INTERVAL"])
    count = _natural("COUNT", parts["COUNT"]) if "COUNT" in parts else None
    until = _until(parts["UNTIL"], zone) if "UNTIL" in parts else None
    if count is not None and until is not None:
        raise invalid("chỉ dùng COUNT hoặc UNTIL, không dùng cả hai")
    kept = [name for name in ACCEPTED if name in parts and name not in {"COUNT", "UNTIL"}]
    return Rule(tuple((name, parts[name]) for name in kept), count, until)


def invalid(detail: str) -> InvalidInput:
    """The error about a rule."""
    return InvalidInput("rrule", detail)


def _split(text: str) -> dict[str, str]:
    text = text.strip().upper().removeprefix("RRULE:")
    if not text or len(text) > MOST_CHARACTERS:
        raise invalid(f"cần từ 1 đến {MOST_CHARACTERS} ký tự, ví dụ FREQ=DAILY;COUNT=30")
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if name not in ACCEPTED or not equals or not value:
            raise invalid(f"không hiểu “{part}”; dùng được: {', '.join(ACCEPTED)}")
        if name in parts:
            raise invalid(f"{name} xuất hiện hai lần")
        parts[name] = value
    return parts


def _natural(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 9999 or len(text) > 4:
        raise invalid(f"{name}={text}: cần số nguyên từ 1 đến 9999")
    return int(text)


def _check_numbers(name: str, text: str) -> None:
    low, high = BOUNDS[name]
    for each in text.split(","):
        if not _NUMBER.fullmatch(each) or not low <= int(each) <= high or (low < 0 == int(each)):
            accepted = f"từ {low} đến {high}" + (", trừ 0" if low < 0 else "")
            raise invalid(f"{name}={text}: cần các số {accepted}, cách nhau bằng dấu phẩy")


def _check_days(text: str | None, frequency: str) -> None:
    for each in text.split(",") if text is not None else ():
        found = _DAY.fullmatch(each)
        if found is None or (found[1] and not 1 <= abs(int(found[1])) <= 53):
            raise invalid(f"BYDAY={text}: cần thứ trong tuần, ví dụ MO,WE hoặc -1FR")
        if found[1] and frequency not in {"MONTHLY", "YEARLY"}:
            raise invalid(f"BYDAY={each}: thứ có số chỉ dùng với MONTHLY hoặc YEARLY")


def _until(text: str, zone: ZoneInfo) -> datetime:
    try:
        if re.fullmatch(r"2[01]\d{6}", text):
            return datetime.combine(date.fromisoformat(text), time(23, 59, 59))
        if re.fullmatch(r"2[01]\d{6}T\d{6}Z?", text):
            wall = datetime.fromisoformat(text.removesuffix("Z"))
            if text.endswith("Z"):
                wall = wall.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
            return wall
    except ValueError:
        pass
    raise invalid(f"UNTIL={text}: cần ngày, ví dụ UNTIL=20261231")
