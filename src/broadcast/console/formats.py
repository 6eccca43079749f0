"""How the pages write times and numbers. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal

from broadcast.console.words import Language
from broadcast.kit.clock import LOCAL

_WEEKDAYS = {
    Language.VIETNAMESE: (
        "thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật",
    ),
    Language.ENGLISH: ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}  # fmt: skip

_UNITS = {
    Language.VIETNAMESE: ("ngày", "giờ", "phút", "giây"),
    Language.ENGLISH: ("d", "h", "min", "s"),
}

_SECONDS = (86_400, 3600, 60, 1)

NOTHING = "–"
"""Where there is no value."""


def clock(value: datetime | None, language: Language = Language.VIETNAMESE) -> str:
    """Hour and minute in Việt Nam.

    >>> from datetime import UTC
    >>> clock(datetime(2026, 11, 29, 22, 30, tzinfo=UTC))
    '05:30'
    """
    return NOTHING if value is None else f"{value.astimezone(LOCAL):%H:%M}"


def clock_seconds(value: datetime | None, language: Language = Language.VIETNAMESE) -> str:
    """Hour, minute and second in Việt Nam, where things follow one another.

    >>> from datetime import UTC
    >>> clock_seconds(datetime(2026, 11, 29, 22, 30, 5, tzinfo=UTC))
    '05:30:05'
    """
    return NOTHING if value is None else f"{value.astimezone(LOCAL):%H:%M:%S}"


def day(value: date | datetime | None, language: Language = Language.VIETNAMESE) -> str:
    """Weekday and date.

    >>> day(date(2026, 11, 30))
    'thứ Hai 30/11/2026'
    """
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        value = value.astimezone(LOCAL).date()
    return f"{_WEEKDAYS[language][value.weekday()]} {value.day}/{value.month}/{value.year}"


def weekday_date(value: date, language: Language = Language.VIETNAMESE) -> str:
    """Weekday and date without the year, for the head of a column.

    >>> weekday_date(date(2026, 11, 30))
    'thứ Hai 30/11'
    """
    return f"{_WEEKDAYS[language][value.weekday()]} {value.day}/{value.month}"


def moment(value: datetime | None, language: Language = Language.VIETNAMESE) -> str:
    """Time and day, without the year.

    >>> from datetime import UTC
    >>> moment(datetime(2026, 11, 29, 22, 30, tzinfo=UTC))
    '05:30 thứ Hai 30/11'
    """
    if value is None:
        return NOTHING
    local = value.astimezone(LOCAL)
    return f"{local:%H:%M} {_WEEKDAYS[language][local.weekday()]} {local.day}/{local.month}"


def number(
    value: float | Decimal | None, digits: int = 0, language: Language = Language.VIETNAMESE
) -> str:
    """A number with its thousands apart.

    >>> number(1234.5, 1), number(1234.5, 1, Language.ENGLISH)
    ('1.234,5', '1,234.5')
    """
    if value is None:
        return NOTHING
    plain = f"{value:,.{digits}f}"
    return plain if language is Language.ENGLISH else plain.translate(_SWAPPED)


_SWAPPED = str.maketrans(",.", ".,")


def percent(
    value: float | Decimal | None, digits: int = 1, language: Language = Language.VIETNAMESE
) -> str:
    """A number that is already in per cent.

    >>> percent(97.25)
    '97,2 %'
    """
    return NOTHING if value is None else f"{number(value, digits, language)} %"


def share(value: float | None, language: Language = Language.VIETNAMESE) -> str:
    """A part of a whole (0–1) in per cent, cut after the first decimal: 99.97 % is not all.

    >>> share(0.9375), share(0.999667), share(1.0), share(None)
    ('93,7 %', '99,9 %', '100,0 %', '–')
    """
    return percent(None if value is None else int(value * 1000 + 1e-6) / 10, 1, language)


def span(value: timedelta | float | None, language: Language = Language.VIETNAMESE) -> str:
    """A duration, by its two largest units; seconds where it is a number.

    >>> span(timedelta(hours=3, minutes=5, seconds=9)), span(42)
    ('3 giờ 5 phút', '42 giây')
    """
    if value is None:
        return NOTHING
    left = round(value.total_seconds() if isinstance(value, timedelta) else value)
    parts: list[str] = []
    for unit, seconds in zip(_UNITS[language], _SECONDS, strict=True):
        amount, left = divmod(left, seconds)
        if amount and len(parts) < 2:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts) or f"0 {_UNITS[language][-1]}"


def ago(value: datetime | None, now: datetime, language: Language = Language.VIETNAMESE) -> str:
    """How long ago something was, by its largest unit.

    >>> from datetime import UTC
    >>> ago(datetime(2026, 1, 1, 3, tzinfo=UTC), datetime(2026, 1, 1, 6, 20, tzinfo=UTC))
    '3 giờ trước'
    """
    if value is None:
        return NOTHING
    seconds = max(0, round((now - value).total_seconds()))
    for unit, length in zip(_UNITS[language], _SECONDS, strict=True):
        if seconds >= length >= 60:
            amount = f"{seconds // length} {unit}"
            return f"{amount} trước" if language is Language.VIETNAMESE else f"{amount} ago"
    return "vừa xong" if language is Language.VIETNAMESE else "just now"


_LETTERS = {letter: place for place, letter in enumerate("aăâbcdđeêfghijklmnoôơpqrstuưvwxyz")}
_TONES = {"\u0300": 1, "\u0309": 2, "\u0303": 3, "\u0301": 4, "\u0323": 5}


def collated(text: str) -> tuple[list[int], list[int]]:
    """Key by which Vietnamese names are put in order: letters first, tones where these agree.

    >>> sorted(["Đức Phổ", "Dung", "Bình Sơn", "Bỉnh Sơn", "Ân", "An"], key=collated)
    ['An', 'Ân', 'Bình Sơn', 'Bỉnh Sơn', 'Dung', 'Đức Phổ']
    """
    letters, tones = [], []
    for sign in unicodedata.normalize("NFC", text.lower()):
        parts = unicodedata.normalize("NFD", sign)
        tone = next((each for each in parts if each in _TONES), "")
        letter = unicodedata.normalize("NFC", parts.replace(tone, "")) if tone else sign
        letters.append(_LETTERS.get(letter, ord(letter[0]) - 1000))
        tones.append(_TONES.get(tone, 0))
    return letters, tones


def weekday(value: date, language: Language = Language.VIETNAMESE) -> str:
    """Day of the week.

    >>> weekday(date(2026, 11, 30))
    'thứ Hai'
    """
    return _WEEKDAYS[language][value.weekday()]


def local_day(value: datetime, language: Language = Language.VIETNAMESE) -> str:
    """A day in Việt Nam as an input of a form has it.

    >>> from datetime import UTC
    >>> local_day(datetime(2026, 11, 29, 22, 30, tzinfo=UTC))
    '2026-11-30'
    """
    return f"{value.astimezone(LOCAL):%Y-%m-%d}"


def local_iso(value: datetime, language: Language = Language.VIETNAMESE) -> str:
    """A moment in Việt Nam as scripts read it.

    >>> from datetime import UTC
    >>> local_iso(datetime(2026, 11, 29, 22, 30, tzinfo=UTC))
    '2026-11-30T05:30'
    """
    return f"{value.astimezone(LOCAL):%Y-%m-%dT%H:%M}"


FILTERS: dict[str, Callable[..., str]] = {
    "clock": clock, "clock_seconds": clock_seconds, "day": day, "weekday_date": weekday_date,
    "moment": moment, "number": number, "percent": percent,
    "share": share,
    "span": span, "ago": ago,
    "weekday": weekday, "local_day": local_day, "local_iso": local_iso,
}  # fmt: skip
"""By their name in templates, which need not name the language."""
