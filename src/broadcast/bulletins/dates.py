"""Dates, times and fractions as they are said, from what the rules of `vietnamese` matched.

Pure. Each function gives the words for a match, or None when it is no date or time after all; the
words before and after decide, so that *15/12* is a day and *2/3 hộ dân* is not.
"""

from __future__ import annotations

import re

from broadcast.bulletins.number_words import cardinal, whole

COUNTED = re.compile(
    "cơ|cụm|diện|dân|hộ|hội|huyện|khu|lớp|loa|người|nhà|phiếu|phường|quãng|số|thành|thôn|tổ|tổng"
    "|trẻ|trường|tuyến|xã"
)
"""First syllables of what parts and numbers are counted in."""

_PARTS_OF = re.compile("chiếm|còn|dưới|được|gần|giảm|hơn|khoảng|nhất|quá|tăng|thiểu|trên|đạt|bằng")
_DAYTIME = frozenset(
    ["sáng", "trưa", "chiều", "tối", "đêm", "ngày", "đến", "lúc", "từ", "vào", "trước"]
)
_EVERY = frozenset(("mỗi", "hàng", "hằng", "một", "trong"))


def _month(month: str) -> str:
    return "tư" if int(month) == 4 else cardinal(int(month))


def _day(day: str) -> str:
    return f"mùng {cardinal(int(day))}" if int(day) <= 10 else cardinal(int(day))


def _is_date(day: str, month: str) -> bool:
    return 1 <= int(day) <= 31 and 1 <= int(month) <= 12


def word_before(found: re.Match[str]) -> str:
    """The word that stands directly before a match, in lower case."""
    word = re.search(r"(\w+)[\s:]*$", found.string[max(found.start() - 20, 0) : found.start()])
    return word[1].lower() if word else ""


def word_after(found: re.Match[str]) -> str:
    """The word that stands directly after a match, in lower case."""
    word = re.match(r"\s+(\w+)", found.string[found.end() : found.end() + 20])
    return word[1].lower() if word else ""


def time(found: re.Match[str]) -> str | None:
    """Hours and minutes; `7g` alone is seven grams unless it stands where a time does."""
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    bare_gram = found["mark"] in "gG" and not found["minute"]
    if hour > 24 and (found["minute"] or bare_gram):
        return None
    if bare_gram and _DAYTIME.isdisjoint((word_before(found), word_after(found))):
        return None
    return f"{cardinal(hour)} giờ" + (f" {cardinal(minute)} phút" if minute else "")


def full_date(found: re.Match[str]) -> str | None:
    """Day, month and year."""
    day, month, year = found["day"], found["month"], found["year"]
    if not _is_date(day, month):
        return None
    if len(year) == 2:
        year = f"20{year}"
    return f"{_on(found, day)} tháng {_month(month)} năm {cardinal(int(year))}"


def _on(found: re.Match[str], day: str) -> str:
    """The day, with the word for it unless that has just been said."""
    before = word_before(found)
    if before in {"mùng", "mồng"}:
        return cardinal(int(day))
    return _day(day) if before in {"ngày", "hôm"} else f"ngày {_day(day)}"


def day_range(found: re.Match[str]) -> str | None:
    """Two days of one month."""
    first, last, month = found["first"], found["day"], found["month"]
    if not _is_date(last, month) or not 0 < int(first) < int(last):
        return None
    year = f" năm {cardinal(int(found['year']))}" if found["year"] else ""
    return f"{_on(found, first)} đến ngày {_day(last)} tháng {_month(month)}{year}"


def month_year(found: re.Match[str]) -> str | None:
    """Month and year; after *số* or *quý* the first number is no month."""
    number, before = found["month"], word_before(found)
    year = f"năm {cardinal(int(found['year']))}"
    if before in {"số", "quý", "kỳ", "đợt", "khóa", "khoá", "vụ", "lần"}:
        return f"{whole(number)} {year}"
    if not 1 <= int(number) <= 12:
        return None
    return f"{'' if before == 'tháng' else 'tháng '}{_month(number)} {year}"


def stroke(found: re.Match[str]) -> str:
    """Two numbers around a stroke: a day and month unless the neighbours count parts."""
    above, below = found["day"], found["month"]
    before, part = word_before(found), int(above) < int(below)
    on_day = before in {"ngày", "hôm", "sáng", "trưa", "chiều", "tối", "đêm", "mùng", "mồng"}
    counts = _PARTS_OF.fullmatch(before) or (part and COUNTED.fullmatch(word_after(found)))
    no_date = before in {"số", "nhà", "ngõ", "hẻm", "kiệt", "lớp"} or found[0] == "24/7"
    if _is_date(above, below) and (on_day or not (counts or no_date)):
        return f"{_on(found, above)} tháng {_month(below)}"
    over = "phần" if part and (int(below) <= 10 or above == "1") else "trên"
    return f"{whole(above)} {over} {'tư' if over == 'phần' and below == '4' else whole(below)}"


def day_before_month(found: re.Match[str]) -> str | None:
    """*ngày 9 tháng 7*, where the day is said with *mùng*."""
    return f"{found[1]} {_day(found[2])}" if 1 <= int(found[2]) <= 31 else None


def ordinal(found: re.Match[str]) -> str | None:
    """Weekdays, ranks and the fourth month: *thứ tư*, *thứ nhất*, *tháng tư*."""
    word, number = found[1], int(found[2])
    if word.lower() == "tháng":
        return f"{word} tư" if number == 4 and word_before(found) not in _EVERY else None
    return f"{word} { {1: 'nhất', 4: 'tư'}.get(number) or cardinal(number) }"
