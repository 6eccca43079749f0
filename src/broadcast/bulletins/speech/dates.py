"""Dates, times, weekdays, fractions and ratios as they are said.

Pure. Each function gives the words for a match, or None when it is no date or time after all; the
words before and after decide, so that *15/12* is a day and *2/3 hộ dân* is not.
"""

from __future__ import annotations

import re
from itertools import pairwise

from broadcast.bulletins.speech.context import text_after, text_before, word_after, word_before
from broadcast.bulletins.speech.numbers import cardinal, quantity, whole
from broadcast.bulletins.speech.roman import ordinal

COUNTED = re.compile(
    "ấp|ban|bản|bé|bệnh|bò|ca|cán|cái|cây|cháu|chi|chiếc|chỉ|chuyến|cơ|con|công|cụm|dân|diện|doanh"
    "|dự|đại|đảng|đàn|điểm|đoàn|đội|đồng|đơn|đối|em|gà|gia|giáo|gói|hạng|heo|hồ|hộ|hội|học|huyện"
    "|khẩu|khu|kiến|kỹ|lao|làng|liệt|lợn|loa|lớp|lô|lượt|mẫu|mét|mô|ngành|người|nhà"
    "|nhân|phần|phiếu"
    "|phòng|phường|quãng|sáng|sản|số|suất|tàu|thành|thôn|thửa|thuyền|tiêu|tiểu|tỉnh|tổ|tổng|trâu"
    "|trạm|trẻ|trường|trụ|tuyến|vị|vịt|vụ|xã|xe|ý|ổ|ha|diện|đồng|chất|sở|cử|mũi|liều|bộ|chương"
    "|phụ|nội|hạng|thủ|mục|nhiệm|lần|bàn|thẻ|gốc|viên|ống|gói|thìa|muỗng|cốc|bát|tổng|quân|kế"
    "|chặng|buổi|ngân|đoạn|chiều|bể|bình"
)
"""First syllables of what parts and numbers are counted in."""

_PARTS_OF = re.compile(
    "chiếm|có|còn|dưới|được|gần|giảm|hơn|khoảng|nhất|quá|tăng|thiểu|trên|đạt|bằng|đã|lệ|mất|độ"
    "|uống|thành"
)
_DAYTIME = frozenset(
    [
        "sáng",
        "trưa",
        "chiều",
        "tối",
        "đêm",
        "ngày",
        "đến",
        "lúc",
        "từ",
        "vào",
        "trước",
        "sau",
        "hồi",
        "khoảng",
        "tới",
        "khuya",
        "qua",
        "nay",
        "mai",
    ]
)
_EVERY = frozenset(("mỗi", "hàng", "hằng", "một", "trong"))
_NO_DATE = frozenset(
    ["số", "nhà", "ngõ", "hẻm", "kiệt", "lớp", "ngách", "thửa", "khoản", "hộp", "tổ", "phòng",
     "đoạn", "thứ", "lô", "căn", "tầng", "tờ", "áp"]
)  # fmt: skip
_HELD_ON = frozenset(
    [
        "ngày",
        "hôm",
        "sáng",
        "trưa",
        "chiều",
        "tối",
        "đêm",
        "mùng",
        "mồng",
        "lễ",
        "khánh",
        "dịp",
        "khuya",
        "rằm",
    ]
)
_DATE_CUE = re.compile(
    r"(?:(?<!\w)(?:các |những |từ |đến )?(?:ngày|sáng|trưa|chiều|tối|đêm|lễ|dịp|hôm"
    r"|mùng|mồng|khánh"
    r"|lao động|phụ nữ|giải phóng|miền nam|nhà giáo|liệt sĩ|liệt sỹ|thành lập|kỷ niệm"
    r"|kỉ niệm|quân đội"
    r"|cách mạng|thiếu nhi|thầy thuốc"
    r"|(?:sáng|chiều|tối|đêm|hôm) (?:mai|nay)"
    r"|thứ (?:\w+)[,( ]{1,2}|chủ nhật[,( ]{1,2}|t[2-7][,( ]{1,2})"
    r"|ngày \d{1,2}-\d{1,2}(?:-\d{4})?\s?(?:,|và|đến|tới|-)(?: hết)?(?: ngày)?)\s*\(?$"
)
_HOLIDAYS = frozenset(
    ["30-4", "1-5", "2-9", "8-3", "20-10", "20-11", "27-7", "19-8", "22-12", "3-2", "19-5", "1-6",
     "26-3", "27-2", "7-5", "07-5", "15-5", "21-6", "10-3", "28-6", "1-7", "25-12", "1-1", "01-5",
     "02-9", "08-3"]
)  # fmt: skip
_SCORE = re.compile(
    r"(?:(?:(?<!chiến )thắng|thua)(?:\s[^\W\d_]+){0,6}|(?:tỷ số|tỉ số|dẫn)(?:\s[^\W\d_]+){0,3}"
    r"|(?:hòa|hoà|hạ|luân lưu|(?:hiệp|vòng) \w+:|đội(?: \w+){1,4}:)(?: với)?)[\s:]*"
    r"(?:\d{1,3}[-:]\d{1,3}(?:,|;| và)\s?)*$"
)
_RATIO = re.compile(r"(?:tỷ lệ|tỉ lệ|pha|trộn|bản đồ|tỷ xích)[^.;]{0,25}$")
_DURATION = re.compile(
    r"\s*(?:ngày|giờ|phút|tuần|tháng|năm|lần|người|độ|hộ|con|m|cm|mm|km|kg|ha|tấn|triệu|nghìn|%|"
    r"trẻ|tuổi|lít|ml|suất|cây|xã|thôn|bao|đồng|mét|cấp)(?!\w)"
)


def _month(month: str) -> str:
    return "tư" if int(month) == 4 else cardinal(int(month))


def _day(day: str) -> str:
    return f"mùng {cardinal(int(day))}" if 0 < int(day) <= 10 else cardinal(int(day))


def _is_date(day: str, month: str) -> bool:
    return 1 <= int(day) <= 31 and 1 <= int(month) <= 12


def _year(year: str) -> str:
    return f"năm {cardinal(int(year) + (2000 if len(year) == 2 else 0))}"


def _on(found: re.Match[str], day: str) -> str:
    """The day, with the word for it unless that has just been said."""
    before = word_before(found)
    if before in {"mùng", "mồng"}:
        return cardinal(int(day))
    return _day(day) if before in {"ngày", "hôm"} else f"ngày {_day(day)}"


def time(found: re.Match[str]) -> str | None:
    """Hours and minutes; `7g` alone is seven grams unless it stands where a time does."""
    hour, minute = int(found["hour"]), int(found["minute"] or 0)
    mark = found["mark"]
    if len(found["minute"] or "00") == 1 and mark in ":gG" and word_before(found) not in _DAYTIME:
        return None
    if mark == ":" and (_RATIO.search(text_before(found)) or _SCORE.search(text_before(found))):
        return None
    bare_gram = mark in "gG" and not found["minute"]
    if hour > 24 and (found["minute"] or bare_gram):
        return None
    if bare_gram and not _gram_is_hour(found):
        return None
    return f"{_clock(hour, minute)}{_half_of_day(hour, found['half'])}"


def _half_of_day(hour: int, half: str | None) -> str:
    if half is None or hour > 12:
        return ""
    if half in {"AM", "am", "SA"}:
        return " sáng"
    return " trưa" if hour == 12 else " chiều" if hour < 6 else " tối"


def _clock(hour: int, minute: int) -> str:
    return f"{cardinal(hour)} giờ" + (f" {cardinal(minute)} phút" if minute else "")


def _gram_is_hour(found: re.Match[str]) -> bool:
    return (
        not _DAYTIME.isdisjoint((word_before(found), word_after(found)))
        or re.match(r"\s?(?:-|đến)\s?\d{1,2}\s?[gh]", text_after(found, 12)) is not None
        or re.search(r"\d\s?[gh]\d{0,2}\s?(?:-|đến)\s?$", text_before(found, 12)) is not None
    ) and re.search(r"(?:uống|bón|pha|cân|nặng|rắc|trộn)[^.;]{0,30}$", text_before(found)) is None


def written_time(found: re.Match[str]) -> str | None:
    """*16 giờ 00 phút*: minutes of nought are not said."""
    minute = int(found["minute"] or found["bare"] or 0)
    if int(found["hour"]) > 24:
        return None
    return _clock(int(found["hour"]), minute)


def hour_range(found: re.Match[str]) -> str:
    """*7-11h*: both numbers are hours."""
    return f"{cardinal(int(found['first']))} đến "


def full_date(found: re.Match[str]) -> str | None:
    """Day, month and year."""
    day, month = found["day"], found["month"]
    if not _is_date(day, month):
        return None
    return f"{_on(found, day)} tháng {_month(month)} {_year(found['year'])}"


def written_date(found: re.Match[str]) -> str | None:
    """*ngày 09 tháng 7*, where the first ten days are said with *mùng*."""
    if not _is_date(found["day"], found["month"]):
        return None
    return f"{_on(found, found['day'])} tháng {_month(found['month'])}"


def day_range(found: re.Match[str]) -> str | None:
    """Two days of one month, or a list of them."""
    first, last, month = found["first"], found["day"], found["month"]
    if not _is_date(last, month) or not 0 < int(first) < int(last):
        return None
    year = f" {_year(found['year'])}" if found["year"] else ""
    return f"{_on(found, first)} đến ngày {_day(last)} tháng {_month(month)}{year}"


def dashed(found: re.Match[str]) -> str | None:
    """Two numbers around a dash: a day and month after a word for one, else a score or a range."""
    day, month = found["day"], found["month"]
    before = text_before(found)
    after = text_after(found, 12)
    lasts = _DURATION.match(after) or re.match(r"\s(?:trận|ván|bàn|sào|lô|điểm|phần)", after)
    falls = int(day) > int(month) and re.search(r"(?:tỷ|tỉ) lệ[^.;]{0,25}$", before)
    if falls or (_SCORE.search(before) and not lasts and not _DATE_CUE.search(before)):
        return f"{quantity(day)} {quantity(month)}"
    if not _is_date(day, month) or lasts:
        return None
    if re.search(r"từ $", before) and re.match(
        r"\s?đến(?: hết)?(?: ngày)? \d{1,2}-\d{1,2}(?!\w)", text_after(found, 24)
    ):
        return f"{_on(found, day)} tháng {_month(month)}"
    if re.search(r"từ \d{1,2}-\d{1,2} đến(?: hết)? $", before):
        return f"{_on(found, day)} tháng {_month(month)}"
    if (
        not _DATE_CUE.search(before)
        and not (
            found[0] in _HOLIDAYS
            and re.search(
                r"(?<!\w)(?:ngày|lễ|dịp|kỷ niệm|mừng|chiến thắng)(?!\w)[^.;\d]{0,45}$", before
            )
        )
        and not re.search(r"(?<!\w)ngày \d{1,2}(?:, ?\d{1,2})*(?: và| đến| tới|,) $", before)
    ):
        return None
    return f"{_on(found, day)} tháng {_month(month)}"


def dotted(found: re.Match[str]) -> str | None:
    """*ngày 8.3*: a day and month only after a word for a day."""
    day, month = found["day"], found["month"]
    lasts = _DURATION.match(text_after(found, 12)) is not None
    if word_before(found) not in _HELD_ON or not _is_date(day, month) or lasts:
        return None
    return f"{_on(found, day)} tháng {_month(month)}"


def time_of_day_on(found: re.Match[str]) -> str | None:
    """*13h/27/11*: an hour of a day."""
    if int(found["hour"]) > 24 or not _is_date(found["day"], found["month"]):
        return None
    clock = _clock(int(found["hour"]), int(found["minute"] or 0))
    return f"{clock} ngày {_day(found['day'])} tháng {_month(found['month'])}"


def scale(found: re.Match[str]) -> str:
    """*1/25.000*, the scale of a map or of a dilution."""
    return f"một phần {cardinal(int(found['below'].replace('.', '')))}"


def days_of(found: re.Match[str]) -> str | None:
    """*ngày 1,2,3/12*: days of one month."""
    if word_before(found) not in _HELD_ON or not _is_date(found["day"], found["month"]):
        return None
    days = [*re.findall(r"\d+", found["days"]), found["day"]]
    if not all(0 < int(one) < int(other) for one, other in pairwise(days)):
        return None
    said = ", ".join([_on(found, days[0]), *map(_day, days[1:])])
    return f"{said} tháng {_month(found['month'])}"


def quarter(found: re.Match[str]) -> str:
    """*Q1/2025*, *Q.IV/2025*."""
    number = found["number"]
    count = int(number) if number.isdecimal() else ["I", "II", "III", "IV"].index(number) + 1
    return f"quý {cardinal(count)} {_year(found['year'])}"


def months_of(found: re.Match[str]) -> str:
    """*6T/2025*: so many months of a year."""
    return f"{quantity(found['number'])} tháng {_year(found['year'])}"


def month_year(found: re.Match[str]) -> str | None:
    """Month and year; after *số* or *quý* the first number is no month."""
    number, before = found["month"], word_before(found)
    if re.search(r"quý \d-$", text_before(found, 8)):
        before = "quý"
    if before in {"số", "quý", "kỳ", "đợt", "khóa", "khoá", "vụ", "lần"}:
        return f"{quantity(number) if before == 'quý' else whole(number)} {_year(found['year'])}"
    if not 1 <= int(number) <= 12 or (
        found[0] == "1/2000"
        and re.search(r"(?:tỷ lệ|tỉ lệ|bản đồ|quy hoạch)", text_before(found, 30))
    ):
        return None
    return f"{'' if before == 'tháng' else 'tháng '}{_month(number)} {_year(found['year'])}"


def stroke(found: re.Match[str]) -> str:
    """Two numbers around a stroke: a day and month unless the neighbours count parts."""
    above, below = found["day"], found["month"]
    before, part = word_before(found), int(above) <= int(below)
    on_day = before in _HELD_ON
    after = word_after(found)
    counts = part and bool(_PARTS_OF.fullmatch(before) or COUNTED.fullmatch(after))
    if part and after in {"ngày", "giờ", "tháng"} and not on_day:
        counts = True
    no_date = before in _NO_DATE or found[0] == "24/7" or _RATIO.search(text_before(found, 30))
    if _is_date(above, below) and (on_day or not (counts or no_date)):
        return f"{_on(found, above)} tháng {_month(below)}"
    over = "phần" if part and (int(below) <= 10 or above == "1") else "trên"
    return (
        f"{quantity(above)} {over} {'tư' if over == 'phần' and below == '4' else quantity(below)}"
    )


def ratio(found: re.Match[str]) -> str:
    """*1:10*, *1:1:8*; a score is two numbers."""
    numbers = [quantity(number.strip()) for number in found[0].replace(".", "").split(":")]
    return (" " if _SCORE.search(text_before(found)) else " trên ").join(numbers)


def weekday(found: re.Match[str]) -> str:
    """*T2*: a day of the week."""
    return f"thứ {ordinal(int(found[1]))}"


def numbered(found: re.Match[str]) -> str | None:
    """Weekdays, ranks and the fourth month: *thứ tư*, *thứ nhất*, *tháng tư*."""
    word, number = found["word"], int(found["number"])
    if word.lower() == "tháng":
        if found["more"] or number > 12:
            return None
        said = "tư" if number == 4 and word_before(found) not in _EVERY else cardinal(number)
        return f"{word} {said}"
    between = ", " if found["more"].count("-") > 1 else " đến thứ "  # thứ 2-4-6
    more = re.sub(
        r"\d+",
        lambda other: ordinal(int(other[0])),
        re.sub(r"\s?-\s?", between, found["more"]),
    )
    return f"{word} {ordinal(number)}{more}"
