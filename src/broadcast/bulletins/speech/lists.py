"""Marks of lists: the bullet that is not said, and the number or letter that is.

Pure. Functions give the words for a match, or None to leave it to the rules below.
"""

from __future__ import annotations

import re

from broadcast.bulletins.speech import roman
from broadcast.bulletins.speech.lexicon import TITLES
from broadcast.bulletins.speech.names import letters
from broadcast.bulletins.speech.numbers import cardinal, decimal, quantity
from broadcast.bulletins.speech.roman import ROMAN

BULLET = re.compile(
    r"(?:(?:[-*•·●▪►▶→✓✔➢❖◆□■#]|\+(?!\d)|o(?=\s))+\s*(?=[^\W\d_]|\d+[^\d,.%°]|\s|\"|\()|(?:[*#_]+))*"
)
_LONGEST_BULLET = 40
"""Characters of bullets before a list's number; keeps reading linear in the length of a line."""

LIST_NUMBER = re.compile(
    rf"(?<![^-*+•(\s])\(?(?:(?P<roman>{ROMAN}(?=[.)/]))|(?P<arabic>\d{{1,2}}(?:\.\d{{1,2}})*)"
    r"|(?P<letter>[a-zđA-ZĐ]))(?:[.)]|/(?=\s|(?![A-ZĐ]\w*-)[^\W\d_]{2}))\s?(?=\s|$|[A-ZĐ][^\W\d_]|[ÀÁẢÃẠÂĂÊÔƠƯ])\s*",
)
"""Pattern of the number or letter before an item: *1.*, *(2)*, *IV.*, *a)*, *đ/*."""


def list_number(found: re.Match[str]) -> str | None:
    """The number of an item, unless letters before it tell that it is none."""
    if found.start() > _LONGEST_BULLET or BULLET.sub("", found.string[: found.start()]):
        return None
    if re.match(
        r"\(?X\. [A-ZĐ]\w+ [A-ZĐ][^\WA-Z\d]", found.string[found.start() : found.start() + 20]
    ):
        return None  # X. Bình Châu
    if (
        found["letter"] in TITLES
        and "." in found[0]
        and not found.string[found.end() : found.end() + 2].isupper()
    ):
        return None  # P. Trần Phú
    number = found["roman"] or found["arabic"] or found["letter"]
    if found["roman"]:
        return f"{cardinal(roman.value(number))}. "
    if found["arabic"]:
        return f"{quantity(number) if number.isdecimal() else decimal(number)}. "
    return f"{letters(number)}. "
