"""Text that people write: one cleaning for REST, CSV files and the command line.

The same characters are stored however they were typed or copied: composed (Unicode NFC), without
what cannot be seen (Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties), with single
ordinary spaces. What no keyboard makes is refused rather than repaired: control characters, the
replacement character and private letters are the traces of a wrong encoding.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST_LINE = 200
LONGEST_NAME = 100
LONGEST_REFERENCE = 500
LONGEST_NOTE = 2000
"""Default limits, in characters as they were sent."""

_REFUSED = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffd\ue000-\uf8ff"
_LETTER = r"0-9A-Za-z\u00c0-\u024f\u1e00-\u1eff"

LINE = rf"^[^\t\n\r{_REFUSED}]*$"
"""One line, perhaps empty. For JSON Schema as well as for us: no look-ahead, no named classes."""
FILLED_LINE = rf"^[^\t\n\r{_REFUSED}]*[{_LETTER}][^\t\n\r{_REFUSED}]*$"
"""One line that says something: it has a Latin letter or a digit."""
PERSON = rf"^[{_LETTER} .,'()_@-]*[{_LETTER}][{_LETTER} .,'()_@-]*$"
"""Name of a person or a system, with Latin letters only, so that no two look alike."""
PROSE = rf"^[^{_REFUSED}]*$"
"""Several lines, perhaps none."""
FILLED_PROSE = rf"^[^{_REFUSED}]*[{_LETTER}][^{_REFUSED}]*$"
"""Several lines that say something."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Bytes of the command line that are not UTF-8; JSON and CSV refuse them before."""


def clean_line(text: str) -> str:
    """One line as it is stored; it may be empty.

    Raises:
        ValueError: It holds a line break, a control character or the trace of a wrong encoding.
    """
    _refuse(text, LINE)
    return " ".join(visible(text).split())


def clean_prose(text: str) -> str:
    r"""Several lines as they are stored: `\n` between them, each without spaces at its end.

    Raises:
        ValueError: It holds a control character or the trace of a wrong encoding.
    """
    _refuse(text, PROSE)
    lines = visible(text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip()


def visible(text: str) -> str:
    """Composed text without what cannot be seen."""
    # Twice: what an invisible character kept apart is composed once that is gone.
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", unicodedata.normalize("NFC", text)))


def folded(text: str) -> str:
    """Small letters without accents and marks, by which Vietnamese is looked for.

    `folded_words` does the same in PostgreSQL (migration 0028).

    >>> folded("Đợt 2: TIÊM PHÒNG")
    'dot 2: tiem phong'
    """
    plain = "".join(
        letter
        for letter in unicodedata.normalize("NFD", text)
        if not "\u0300" <= letter <= "\u036f"
    )
    return plain.replace("đ", "d").replace("Đ", "D").lower()


_ALPHABET = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
_TONES = "\u0300\u0309\u0303\u0301\u0323"
"""Of equal letters: none, huyền, hỏi, ngã, sắc, nặng."""


def in_order(text: str) -> tuple[list[tuple[int, str]], list[int]]:
    """Key by which a Vietnamese dictionary sorts: letters first, tones where these are equal.

    >>> sorted(["Đức Phổ", "Dung Quất", "Ân Nghĩa", "An Phú", "Ấn", "Ăn"], key=in_order)
    ['An Phú', 'Ăn', 'Ấn', 'Ân Nghĩa', 'Dung Quất', 'Đức Phổ']
    """
    letters: list[tuple[int, str]] = []
    tones: list[int] = []
    for sign in unicodedata.normalize("NFC", text.lower()):
        parts = unicodedata.normalize("NFD", sign)
        tone = next((each for each in parts if each in _TONES), "")
        letter = unicodedata.normalize("NFC", parts.replace(tone, "")) if tone else sign
        letters.append((_ALPHABET.find(letter), letter))
        tones.append(_TONES.find(tone) + 1 if tone else 0)
    return letters, tones


def _refuse(text: str, pattern: str) -> None:
    if re.fullmatch(pattern[1:-1], text) and not _SURROGATE.search(text):
        return
    if pattern == LINE and re.search(r"[\t\n\r\u2028\u2029]", text):
        raise ValueError("phải viết trên một dòng; hãy xóa chỗ xuống dòng hoặc phím Tab")
    raise ValueError(
        "có ký tự điều khiển hoặc chữ bị hỏng do sai bảng mã; hãy gõ lại bằng Unicode"
    )


def clean_filled_line(text: str) -> str:
    """One line that says something.

    Raises:
        ValueError: As `clean_line`, or it has neither a letter nor a digit.
    """
    return _filled(clean_line(text))


def clean_filled_prose(text: str) -> str:
    """Several lines that say something.

    Raises:
        ValueError: As `clean_prose`, or they have neither a letter nor a digit.
    """
    return _filled(clean_prose(text))


def _filled(text: str) -> str:
    if not re.search(f"[{_LETTER}]", text):
        raise ValueError("còn trống; cần ít nhất một chữ cái hoặc chữ số")
    return text


def clean_person(text: str) -> str:
    """Name of a person or a system, as changes are signed with it.

    Only Latin letters, so that no name looks like another and is a different one.

    Raises:
        ValueError: As `clean_filled_line`, or it holds a letter of another script or a symbol.
    """
    name = clean_filled_line(text)
    for character in name:
        latin = character.isalpha() and unicodedata.name(character, "").startswith("LATIN ")
        if not (
            latin or (character.isascii() and (character.isdigit() or character in " .,'()-_@"))
        ):
            raise ValueError(
                f"có ký tự “{character}” không dùng trong tên; chỉ dùng chữ cái tiếng Việt, "
                "chữ số, dấu cách và . , ' ( ) - _ @"
            )
    return name


Line = Annotated[
    str,
    Field(max_length=LONGEST_LINE, json_schema_extra={"pattern": LINE}),
    AfterValidator(clean_line),
]
"""A line that may be empty."""

FilledLine = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_LINE, json_schema_extra={"pattern": FILLED_LINE}),
    AfterValidator(clean_filled_line),
]
"""A name or a title."""

Reference = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_REFERENCE, json_schema_extra={"pattern": FILLED_LINE}),
    AfterValidator(clean_filled_line),
]
"""A document, or where one is kept."""

Person = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME, json_schema_extra={"pattern": PERSON}),
    AfterValidator(clean_person),
]
"""Name of a person or a system."""

Note = Annotated[
    str,
    Field(max_length=LONGEST_NOTE, json_schema_extra={"pattern": PROSE}),
    AfterValidator(clean_prose),
]
"""A remark of several lines that may be empty."""

FilledNote = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NOTE, json_schema_extra={"pattern": FILLED_PROSE}),
    AfterValidator(clean_filled_prose),
]
"""A remark of several lines that says something."""
