"""Numbers as Vietnamese words, the way they are read on the radio in the centre and the north.

Pure. *Linh* for an empty ten (105), *mốt* and *lăm* after one (21, 15), *nghìn* for a thousand.
"""

from __future__ import annotations

import re

_DIGITS = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín")
_LONGEST = 15
"""Digits past which a number is read as a code."""


def cardinal(number: int) -> str:
    """Words of a whole number.

    >>> cardinal(21), cardinal(105), cardinal(1_000_015)
    ('hai mươi mốt', 'một trăm linh năm', 'một triệu không trăm mười lăm')
    """
    if number < 0:
        return f"âm {cardinal(-number)}"
    if number == 0:
        return _DIGITS[0]
    billions, rest = divmod(number, 10**9)
    said = [cardinal(billions), "tỷ"] if billions else []
    for size, name in ((10**6, "triệu"), (1000, "nghìn"), (1, "")):
        group, rest = divmod(rest, size)
        if group:
            said += [*_group(group, after_larger=bool(said)), name]
    return " ".join(filter(None, said))


def _group(number: int, *, after_larger: bool) -> list[str]:
    """Words of 1 to 999; after a larger group the hundreds are named even when there are none."""
    hundreds, rest = divmod(number, 100)
    tens, ones = divmod(rest, 10)
    named = bool(hundreds) or after_larger
    said = [_DIGITS[hundreds], "trăm"] if named else []
    if tens == 0:
        return [*said, *(["linh"] if named and ones else []), *([_DIGITS[ones]] if ones else [])]
    said += ["mười"] if tens == 1 else [_DIGITS[tens], "mươi"]
    if ones == 5:
        said.append("lăm")
    elif ones == 1 and tens > 1:
        said.append("mốt")
    elif ones:
        said.append(_DIGITS[ones])
    return said


def digits(number: str) -> str:
    """Digits one by one.

    >>> digits("0255")
    'không hai năm năm'
    """
    return " ".join(_DIGITS[int(digit)] for digit in number if digit.isdecimal())


def whole(number: str) -> str:
    """A run of digits: one by one where it is a code rather than a quantity."""
    if (number[0] == "0" and len(number) > 1) or len(number) > _LONGEST:
        return digits(number)
    return cardinal(int(number))


def quantity(number: str) -> str:
    """A run of digits that counts something: *02 hộ* are two."""
    return cardinal(int(number)) if len(number) <= _LONGEST else digits(number)


NUMBER = (
    r"\d{1,3}(?:\.\d{3}){1,20}(?:,\d+)?(?!\.?\d)|\d{1,3}(?:,\d{3}){1,20}(?:\.\d+)(?!\d)"
    r"|\d{1,3}(?:,\d{3}){2,20}(?!\d)|\d+,\d+|\d+(?:\.\d+){0,20}"
)
"""Pattern of a number as it is written here, or as a spreadsheet writes it."""


def decimal(number: str, *, measured: bool = False, counted: bool = False) -> str:
    """A number as it is written: dots between thousands and a comma before decimals, or reversed.

    Args:
        number: What `NUMBER` matches.
        measured: A unit follows, so that a lone dot stands before decimals: 1.5 km.
        counted: What follows comes whole, so that a lone comma parts thousands: 1,500 hộ.
    """
    read = quantity if measured or counted else whole
    if re.fullmatch(r"[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?", number):
        integer, _, decimals = number.replace(".", "").partition(",")
    elif re.fullmatch(r"[1-9]\d{0,2}(?:(?:,\d{3}){2,}|(?:,\d{3})+\.\d+)", number) or (
        counted and re.fullmatch(r"[1-9]\d{0,2},\d{3}", number)
    ):
        integer, _, decimals = number.replace(",", "").partition(".")
    elif re.fullmatch(r"0\.\d+", number) or (measured and re.fullmatch(r"\d+\.\d+", number)):
        integer, _, decimals = number.partition(".")
    elif re.fullmatch(r"\d+(?:\.\d+)*,\d+", number):
        integer, _, decimals = number.partition(",")
        if "." not in integer:
            read = quantity
    else:
        integer, decimals = number, ""
    said = " chấm ".join(
        (read if "." not in integer else whole)(part) for part in integer.split(".")
    )
    if not decimals or (counted and not decimals.strip("0")):
        return said
    by_digit = decimals[0] == "0" or len(decimals) > 2
    return f"{said} phẩy {digits(decimals) if by_digit else whole(decimals)}"
