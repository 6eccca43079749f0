"""Codes of stations, clusters, devices and villages that a spreadsheet has changed.

A spreadsheet takes `00123` for a number and `3-12` for a day, and a hurried hand writes `qn-17`
for `QN-17`. Each of them would be a thing of its own. So a new code may not resemble a code that
is in use, and none may have a form that only a spreadsheet gives.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal

from broadcast.errors import InvalidInput

_NUMBER = re.compile(r"[0-9]{1,64}(\.0*)?|[0-9](\.[0-9]{1,30})?e[0-9]{1,2}")
_MONTH = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|thg_?[0-9]{1,2}"
_CHANGED = re.compile(
    rf"[0-9]+\.0+|[0-9]{{1,2}}-({_MONTH})(-[0-9]{{2,4}})?|({_MONTH})-[0-9]{{2,4}}"
)


def likeness(code: str) -> str:
    """What codes have in common that are taken for each other.

    >>> {likeness(code) for code in ("00123", "123", "123.0")}
    {'123'}
    >>> likeness("QN-017") == likeness("qn-017"), likeness("QN-017") == likeness("QN-17")
    (True, False)
    >>> likeness("12E3")
    '12e3'
    >>> likeness("1.2E4")
    '12000'
    """
    plain = code.casefold()
    if _NUMBER.fullmatch(plain):
        number = Decimal(plain)
        if number == number.to_integral_value():
            return str(int(number))
    return plain


class KnownCodes:
    """The codes in use of one kind of thing."""

    def __init__(self, what: str, codes: Iterable[str]) -> None:
        """`what` names the kind in Vietnamese: đài, cụm loa."""
        self._what = what
        self._by_likeness = {likeness(code): code for code in codes}

    def admit(self, code: str) -> None:
        """Take up a new code.

        Raises:
            InvalidInput: A spreadsheet has changed it, or it resembles one in use (`similar`).
        """
        if _CHANGED.fullmatch(code.casefold()):
            raise InvalidInput(
                "code",
                f"mã “{code}” có dạng do bảng tính tự đổi; hãy định dạng cột mã là văn bản (Text) "
                "rồi nhập lại mã gốc",
            )
        similar = self._by_likeness.setdefault(likeness(code), code)
        if similar != code:
            raise InvalidInput(
                "code",
                f"mã “{code}” dễ lẫn với {self._what} đã có “{similar}”; nếu là một thì ghi đúng "
                f"“{similar}” (bảng tính có thể đã bỏ số 0 ở đầu hoặc thêm .0), nếu khác thì đặt "
                "mã khác hẳn",
                similar=similar,
            )

    def hint(self, code: str) -> str:
        """What to say beside "no such code": the code in use that was probably meant, or nothing.

        >>> KnownCodes("đài", ["00123"]).hint("123")
        ' (có phải “00123”?)'
        """
        similar = self._by_likeness.get(likeness(code))
        return f" (có phải “{similar}”?)" if similar is not None and similar != code else ""
