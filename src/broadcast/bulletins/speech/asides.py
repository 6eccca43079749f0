"""Brackets that only repeat are not said twice: *02 (hai) ngày*, *500.000đ (Bằng chữ: …)*.

Pure. A number in words, a sum, an abbreviation and what it stands for: officials write both, a
reader says it once. Brackets that say something else, even another number, are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from broadcast.bulletins.speech.context import text_before

ASIDE = re.compile(r"\(\s?([^()]{1,160})\)")
"""Pattern of brackets that may repeat something."""

_NUMBER_OF_LIST = re.compile(r"[.,:;–-]\s*\Z")
"""Pattern of what a number in brackets stands behind where it counts: *(11) tổ 12; (12) tổ 13*."""

_IN_WORDS = re.compile(r"^(?:viết )?bằng chữ:?|\bchẵn\b", re.IGNORECASE)
_ABBREVIATION = re.compile(r"[A-ZĐƯÔƠÂĂÊ]{2,8}")
_SAME = {"lẻ": "linh", "ngàn": "nghìn", "tỉ": "tỷ", "uỷ": "ủy"}


def repeats(found: re.Match[str], said: list[str], read: Callable[[str], str]) -> bool:
    """Tell whether brackets only repeat what stands before them.

    Args:
        found: What `ASIDE` matches.
        said: What was said before them, a piece for each rule: the *hai* of *12 (hai)* is no end
            of one.
        read: How a text is read.
    """
    if found[1].strip().isdecimal() and _NUMBER_OF_LIST.search(text_before(found)):
        return False
    written = _IN_WORDS.sub("", found[1])
    if _ABBREVIATION.fullmatch(written):
        before = re.findall(r"[^\W\d_]+", text_before(found))[-len(written) :]
        if "".join(word[0] for word in before) == written.lower():
            return True
    inside = _words(read(written))
    outside: list[str] = []
    for piece in reversed(said[-2 * len(inside) :]):
        outside = _words(piece) + outside
        if len(outside) >= len(inside):
            break
    return bool(inside) and outside == inside


def _words(said: str) -> list[str]:
    return [_SAME.get(word, word) for word in re.findall(r"[^\W\d_]+", said.lower())]
