"""Roman numerals, and where one is meant: the same letters are words in a heading."""

from __future__ import annotations

import re

from broadcast.bulletins.speech.context import text_after, text_before, word_before
from broadcast.bulletins.speech.numbers import cardinal

ROMAN = r"X{0,3}(?:IX|IV|V?I{1,3}|V|(?<=X))"
"""Pattern of a numeral up to 39."""

_CUES = (
    r"(?:dự án|vòng|tiết|chương|điều|mục"
    r"|phần|quý|khóa|khoá|kỳ|kì|thứ|hạng|cấp|loại|thế kỷ|thế kỉ|đại hội"
    r"|giai đoạn|nhóm|vùng|khu vực|đợt|bậc|tập|hội nghị|phụ lục|lần|học kỳ|học kì"
    r"|báo động|mức|bđ|cột|bảng"
    r"|dạng|tuyến|ban|tháng|xã|độ|pha|quyển|trung ương|tw|kv|đô thị|ii|iii|iv|số|tiểu khu"
    r"|mẫu|biểu)"
)
_AFTER_CUE = re.compile(rf"(?<!\w){_CUES}[\s:]*$")
_BESIDE = re.compile(r"(?<![^\W\d_])(?:[ivx]{2,})\s?(?:,|/|-|và|hoặc|đến)\s*$")
_BEFORE_ANOTHER = re.compile(r"\s?(?:,|/|-|và|hoặc|đến)\s?[ivx]+(?!\w)")


def value(numeral: str) -> int:
    """Number that a numeral stands for.

    >>> value("XIV")
    14
    """
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in numeral]
    following = [*values[1:], 0]
    return sum(-now if now < then else now for now, then in zip(values, following, strict=True))


def numeral(found: re.Match[str]) -> str | None:
    """A numeral after what is numbered (*chương VI*, *lần thứ I*); else letters."""
    written = found["roman"]
    if not written:
        return None
    before = text_before(found, 30)
    cued = _AFTER_CUE.search(before) is not None
    chained = _BESIDE.search(before) or re.search(
        rf"{_CUES}\s+[ivx]+(?:\s?(?:,|/|-|và|hoặc|đến)\s?[ivx]+)*\s?(?:,|/|-|và|hoặc|đến)\s?$",
        before,
    )
    listed = _BEFORE_ANOTHER.match(text_after(found, 10)) and len(written) > 1
    ambiguous = written in {"I", "V", "X", "VI", "XI"}
    if ambiguous and not (cued or chained or listed):
        return None
    number = value(written)
    if word_before(found) == "thứ":
        return ordinal(number)
    return cardinal(number)


def ordinal(number: int) -> str:
    """The number after *thứ*."""
    return {1: "nhất", 4: "tư"}.get(number) or cardinal(number)
