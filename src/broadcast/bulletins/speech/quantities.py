"""Numbers with what they measure: units, money, rates, ranges, emergency numbers.

Pure. Functions give the words for a match, or None to leave it to the rules below.
"""

from __future__ import annotations

import re

from broadcast.bulletins.speech.context import text_after, text_before, word_after, word_before
from broadcast.bulletins.speech.dates import COUNTED
from broadcast.bulletins.speech.numbers import NUMBER, cardinal, decimal, digits, quantity
from broadcast.bulletins.speech.units import MONEY, PARALLEL, RATES, UNITS

_MEASURES = (
    r"triệu|tỷ|tỉ|nghìn|ngàn|phần|ha|héc|tấn|tạ|yến|kg|lần|độ|mét|km|ki|lít|điểm|đồng"
    r"|%|°|giờ|m|cm|mm"
    r"|sào|mẫu|tuổi|m2|m3|kWh|MW|ngày|tháng|năm|hải lý|inch|kV"
)
_MEASURED = re.compile(
    rf"(?:\s?(?:-|đến)\s?[\d.,]+)?\s?(?:{_MEASURES})(?![^\W\d_])", re.IGNORECASE
)
_SECTION = re.compile(
    r"(?:mục|điểm|khoản|chỉ tiêu|bảng|tiêu chí|phần|biểu|hình|phụ lục|phiên bản|điều|chương)\s+$"
)
_WHOLE_THINGS = re.compile(
    r"\s?(?:người|hộ|con|suất|đồng|vnđ|vnd|đ|khẩu|cây|cháu|trẻ|học|lượt|phiếu|cử|liều"
    r"|đoàn|hội|đảng"
    r"|nhân|gia|nhà|loa|thùng|bao|cuốn|tờ|bản|chiếc|cái|xe|tàu|₫)(?!\w)"
)
_CALLED = re.compile(
    r"(?<!\w)(?:gọi|tổng đài|nóng|điện thoại|sđt|đt|hotline|cấp cứu|cứu thương|cứu hỏa"
    r"|cứu hoả|cảnh sát|liên hệ|liên lạc|số máy|đầu số|nhắn tin|tin nhắn|soạn|gửi|pccc|chữa cháy"
    r"|bệnh viện|qua số|báo ngay|trung tâm|cứu nạn|công an|bảo vệ trẻ em|alo"
    r"|bấm)(?!\w)[^.;!?\d]{0,40}$"
    r"|(?<!\d)1(?:1[1-5]|022|080)\s?(?:,|và|hoặc|/|-)\s*(?:số\s)?$"
)
_DOCUMENTS = (
    r"quyết định|nghị quyết|thông báo|công văn|kế hoạch|nghị định|thông tư|chỉ thị|tờ trình"
    r"|công điện|hướng dẫn|báo cáo|giấy mời|văn bản|chương trình|kết luận|quy định"
    r"|lệnh|pháp lệnh|luật|phiếu"
)
_DOCUMENT_NUMBER = re.compile(rf"(?:{_DOCUMENTS})(?: \w+){{0,4}} số:?\s+$")
_CODE = re.compile(r"(?:mã(?: \w+)?|mật khẩu|số hiệu|số seri|seri|mã số|pin|otp)(?: là)?:?\s*$")


_ACIDITY = re.compile(r"(?<!\w)ph(?:\s[^\W\d_]+){0,2}[\s:=]*(?:\d\.\d\s?(?:-|đến)\s?)?$")


def amount(found: re.Match[str]) -> str | None:
    """A number, its unit if one follows."""
    number, unit = re.sub(r"\s", "", found["number"]), found["unit"]
    before = text_before(found)
    if not unit and number.isdecimal():
        said = _as_code(found, number, before)
        if said:
            return said
    section = _SECTION.search(before)
    measured = (
        bool(unit) or bool(_MEASURED.match(text_after(found, 16))) or bool(_ACIDITY.search(before))
    )
    if " " in found["number"]:
        return f"{quantity(number)} {UNITS[unit] if unit else ''}"
    counted = unit in MONEY or bool(_WHOLE_THINGS.match(text_after(found, 10)))
    said = decimal(number, measured=measured and not section, counted=counted)
    if number.isdecimal() and len(number) <= 2:
        said = quantity(number)
    if found["minus"]:
        said = f"âm {said}"
    return f"{said} {UNITS[unit]}" if unit else said


def _as_code(found: re.Match[str], number: str, before: str) -> str | None:
    after = word_after(found)
    is_amount = COUNTED.fullmatch(after) or _MEASURED.match(text_after(found, 16))
    if (
        re.fullmatch("11[0-9]|10[28][02]|1900", number)
        and not is_amount
        and _CALLED.search(before)
    ):
        return digits(number)
    if re.fullmatch(r"\d{4}", number) and re.search(
        r"(?:tổng đài|đầu số|gửi|hotline)(?: đến| tới)?(?: số)?:?\s*$", before
    ):
        return digits(number)
    if number[0] == "0" and len(number) == 2 and _DOCUMENT_NUMBER.search(before):
        return digits(number)
    if _CODE.search(before) and len(number) > 2:
        return digits(number)
    if len(number) >= 9 and not is_amount:
        return digits(number)
    return None


def lost_degree(found: re.Match[str]) -> str | None:
    """*370C*: the raised sign of a degree came through as a nought."""
    if word_before(found) in {"lớp", "số", "phòng", "nhà", "xe"}:
        return None
    return f"{cardinal(int(found['number']))} độ xê"


def coordinate(found: re.Match[str]) -> str:
    """*15°30'N*."""
    side = {"N": "vĩ bắc", "B": "vĩ bắc", "S": "vĩ nam", "E": "kinh đông", "Đ": "kinh đông"}
    minute = f" {quantity(found['minute'])} phút" if found["minute"] else ""
    return f"{quantity(found['degree'])} độ{minute} {side.get(found['side'] or '', '')}"


def bare_coordinate(found: re.Match[str]) -> str | None:
    """*15,5N*, *110.2E*, where the sign of a degree was left out."""
    north = found["side"] == "N"
    if not (5 <= int(found["degree"]) <= 25 if north else 100 <= int(found["degree"]) <= 125):
        return None
    said = decimal(f"{found['degree']},{found['tenths']}")
    return f"{said} độ {'vĩ bắc' if north else 'kinh đông'}"


_HIGH = re.compile(r"(?:cao|sâu|dài|rộng|ngập|nước|lũ)(?:\s(?:hơn|gần|khoảng|đến|trên|dưới))?\s+$")


def with_remainder(found: re.Match[str]) -> str | None:
    """*1m5*, *2tr5*, *1m50*; *50m2* and *1m2* are square metres unless something is that high."""
    rest = found["rest"]
    if found["unit"] == "m":
        if rest in {"2", "3"} and not (len(found["number"]) == 1 and _is_high(found)):
            return None
        return f"{quantity(found['number'])} mét {quantity(rest)}"
    return f"{quantity(found['number'])} triệu {quantity(rest.ljust(3, '0'))} nghìn"


def _is_high(found: re.Match[str]) -> bool:
    return _HIGH.search(text_before(found, 12)) is not None and not text_after(
        found, 2
    ).startswith("/")


def tons(found: re.Match[str]) -> str | None:
    """*xe tải 3,5T*."""
    if not re.search(
        r"(?:xe|tải|trọng lượng|tàu|cầu|cẩu)(?:\s\w+){0,3}\s+$", text_before(found, 30)
    ):
        return None
    return f"{decimal(found['number'], measured=True)} tấn"


def dollars(found: re.Match[str]) -> str:
    """*$100*, *VNĐ 500.000*: the sign stands before what is said first."""
    return f"{decimal(found['number'], measured=True, counted=True)} {UNITS[found['sign']]}"


_SHARED = re.compile(
    rf"(?:(?:{NUMBER})\s?(?:[^\W\d_]+\s){{0,3}}[^\W\d_]*[23]?"
    r"|(?<![^\W_])(?:đồng|đ|vnđ|vnd|nghìn|ngàn|triệu|tỷ|kg|tấn|tạ|lít|ml|m3|usd)|%)"
    r"(?:\s?/\s?[^\W\d_]+(?:\s[^\W\d_]+)?)*\s?\)?$",
)


def per(found: re.Match[str]) -> str | None:
    """A stroke that shares out: *đồng/người/tháng*, *km/h*."""
    before = text_before(found, 40)
    if not _SHARED.search(before):
        return None
    rate, word = found["rate"], found["word"]
    if rate:
        return f" trên {RATES[rate]}"
    if not word and word_before(found) in {"tháng", "quý", "vụ", "kỳ", "t"}:
        return None
    if word:
        return None if word_before(found) in PARALLEL else f" một {word}"
    return ", " if word_before(found) in {"hộ", "thôn", "xã", "người", "trường"} else " trên "


_MONEY_BEFORE = re.compile(
    r"(?:\d\s?|(?<![^\W_]))(?:đ|k|tr|triệu|nghìn|ngàn|tỷ|tỉ|đồng|vnđ|vnd)(?:\s?/\s?\w+)*\s?$"
)


def priced(found: re.Match[str]) -> str | None:
    """A stroke after money, whatever there is one of: *đồng/lượng*."""
    return " một " if _MONEY_BEFORE.search(text_before(found, 30)) else None


def ends_in_number(found: re.Match[str]) -> bool:
    """Tell whether a dash follows a number with its unit or mark: 15%-20%, 7h30-9h."""
    return bool(
        re.search(
            r"\d\s?(?:[^\W\d_]{1,4}[23]?|[%°'‰]|°[CNEBĐ])?$", text_before(found, 10), re.IGNORECASE
        )
    )


def times(found: re.Match[str]) -> str | None:
    """The *x* between two measures: *3m dài x 4m*, *2 viên/lần x 3 lần*."""
    return " nhân " if _FACTOR.search(text_before(found, 24)) else None


_FACTOR = re.compile(
    r"\d\s?(?:[^\W\d_]{1,4}[23]?|[%°])?(?:\s(?:dài|rộng|cao|sâu))?(?:\s?/\s?[^\W\d_]{1,5}[23]?){0,2}$"
)
