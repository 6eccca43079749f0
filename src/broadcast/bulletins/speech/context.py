"""The words around a match on its line; never more than a few."""

from __future__ import annotations

import re

_NEAR = 60
"""Characters on either side that a reading may depend on; keeps reading linear in its length."""


def text_before(found: re.Match[str], chars: int = _NEAR) -> str:
    """The text directly before a match, in lower case."""
    return found.string[max(found.start() - chars, 0) : found.start()].lower()


def text_after(found: re.Match[str], chars: int = _NEAR) -> str:
    """The text directly after a match, in lower case."""
    return found.string[found.end() : found.end() + chars].lower()


def word_before(found: re.Match[str]) -> str:
    """The word that stands directly before a match, in lower case."""
    word = re.search(r"([^\W_]+)[\s:]*$", text_before(found, 20))
    return word[1] if word else ""


def word_after(found: re.Match[str]) -> str:
    """The word that stands after a match, in lower case; a number in words may stand between.

    The *số* of *1/3 (một phần ba) số hộ*.
    """
    word = re.match(
        r"\s*(?:\((?:một|hai|ba|bốn|năm|sáu|bảy|tám|chín|mười)[^()]*\)\s?|\()?([^\W_]+)",
        text_after(found, 40),
    )
    return word[1] if word else ""


def unsaid(words: str, found: re.Match[str]) -> str:
    """Words without the first of them that stand directly before a match already.

    *đường ĐT.622*, *hương lộ HL5*: the writer said in full what the sign says again.
    """
    before, parts = text_before(found).rstrip(), words.split(" ")
    for count in range(len(parts), 0, -1):
        if re.search(rf"(?<!\w){re.escape(' '.join(parts[:count]))}$", before):
            return "".join(f"{part} " for part in parts[count:])
    return f"{words} "
