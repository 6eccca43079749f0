"""Codes of stations, clusters, devices and villages that are taken for each other.

A spreadsheet takes `00123` for a number and `3-12` for a day, a hurried hand writes `qn-17` for
`QN-17`, and the eye reads `Ab-7` and `Ab-07`, or `OO123` and `00123`, as one. Each of them would
be a thing of its own. So a new code may not resemble a code that is in use, and none may have a
form that only a spreadsheet gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from broadcast.kit.errors import InvalidInput
from broadcast.wire.topics import CODE

CODE_PATTERN = f"^{CODE}$"
Code = Annotated[str, Field(pattern=CODE_PATTERN)]
"""A code that can be a level of an MQTT topic."""

_NUMBER = re.compile(r"[0-9]{1,64}(\.[0-9]*)?|[0-9](\.[0-9]{1,30})?e\+?[0-9]{1,2}")
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|thg_?[0-9]{1,2}"
_CHANGED = re.compile(
    rf"[0-9]+\.0+|[0-9]{{1,2}}-({_MONTH})(-[0-9]{{2,4}})?|({_MONTH})-[0-9]{{2,4}}"
    r"|[0-9](\.[0-9]+)?e\+[0-9]+"
)
_RUN = re.compile(r"[a-z0-9]+")
_DIGITLIKE = str.maketrans("oil", "011")
_LEADING_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def likeness(code: str) -> str:
    """The form that codes have in common which a spreadsheet or the eye takes for each other.

    1. Letters have no case, and `_` is `-`.
    2. O is 0. I and L are 1 where they stand beside digits; in a word they are letters, so that
       `IA-1` and `LA-1` are two.
    3. A number is its value; elsewhere the noughts that lead a group of digits do not count.

    >>> {likeness(code) for code in ("00123", "123", "123.0", "OO123", "oO123", "l23", "I23")}
    {'123'}
    >>> {likeness(code) for code in ("QN-017", "qn-17", "QN_017", "QN-O17", "QN-0I7")}
    {'qn-17'}
    >>> likeness("Ab7") == likeness("Ab07"), likeness("A1") == likeness("A-1")
    (True, False)
    >>> likeness("VI-1") == likeness("VL-1")
    False
    >>> likeness("12E3")
    '12e3'
    >>> likeness("1.2E4")
    '12000'
    """
    plain = _RUN.sub(_digits, code.casefold().replace("_", "-"))
    return value if (value := _value(plain)) is not None else _LEADING_ZEROS.sub("", plain)


def as_in_spreadsheet(text: str) -> str:
    """The form that texts have in common which a spreadsheet makes one of: case and numbers.

    >>> {as_in_spreadsheet(text) for text in ("0086", "86", "86.0")}, as_in_spreadsheet("SN-O1")
    ({'86'}, 'sn-o1')
    """
    plain = text.casefold()
    return value if (value := _value(plain)) is not None else plain


def refuse_changed(field: str, what: str, text: str) -> None:
    """Refuse what only a spreadsheet writes.

    Raises:
        InvalidInput: It is such a form; `field` and `what` (Vietnamese) name it.
    """
    if _CHANGED.fullmatch(text.casefold()):
        raise InvalidInput(
            field,
            f"{what} “{text}” có dạng do bảng tính tự đổi; hãy định dạng cột đó là văn bản (Text) "
            f"rồi nhập lại {what} gốc",
        )


def _digits(run: re.Match[str]) -> str:
    text = run[0]
    if _value(text) is not None:
        return text
    beside = any(each.isdigit() for each in text) or not text.strip("oil")
    return text.translate(_DIGITLIKE) if beside else text.replace("o", "0")


def _value(plain: str) -> str | None:
    if not _NUMBER.fullmatch(plain):
        return None
    number = Decimal(plain)
    whole = number == number.to_integral_value()
    return str(int(number)) if whole else format(number.normalize(), "f")


class KnownCodes:
    """The codes in use of one kind of thing."""

    def __init__(self, what: str, codes: Iterable[str]) -> None:
        """`what` names the kind in Vietnamese: đài, cụm loa."""
        self._what = what
        self._by_likeness = {likeness(code): code for code in codes}

    def admit(self, code: str) -> None:
        """Add a new code.

        Raises:
            InvalidInput: A spreadsheet has changed it, or it resembles one in use (`similar`).
        """
        refuse_changed("code", "mã", code)
        similar = self._by_likeness.setdefault(likeness(code), code)
        if similar != code:
            raise InvalidInput(
                "code",
                f"mã “{code}” dễ lẫn với {self._what} đã có “{similar}”; nếu là một thì ghi đúng "
                f"“{similar}” (bảng tính có thể đã bỏ số 0 ở đầu hoặc thêm .0; O và 0, I và 1 "
                "nhìn giống nhau), nếu khác thì đặt mã khác hẳn",
                similar=similar,
            )

    def hint(self, code: str) -> str:
        """Hint beside "no such code": the code in use that was probably meant, or nothing.

        >>> KnownCodes("đài", ["00123"]).hint("123")
        ' (có phải “00123”?)'
        """
        similar = self._by_likeness.get(likeness(code))
        return f" (có phải “{similar}”?)" if similar is not None and similar != code else ""
