"""Words, names and abbreviations: which capitals are a word, and which are letters.

Pure. Functions give the words for a match, or None to leave it to the rules below.
"""

from __future__ import annotations

import re
import unicodedata

from broadcast.bulletins.speech.context import text_before, word_before
from broadcast.bulletins.speech.lexicon import ABBREVIATIONS, TITLES
from broadcast.bulletins.speech.numbers import digits, whole
from broadcast.bulletins.speech.syllables import has_vowel, is_highland, is_syllable
from broadcast.bulletins.speech.units import LETTERS, UNITS

_PERSON = re.compile(
    r"(?<!\w)(?:ông|bà|anh|chị|em|cháu|cô|chú|bác|đối tượng|nạn nhân|bị cáo|bị can|thầy|nghi phạm|"
    r"bệnh nhân|tên|lê|nguyễn|trần|phạm|võ|vợ|chồng)\s*$"
)


def letters(word: str) -> str:
    """A word by the names of its letters, and of digits among them."""
    return " ".join(
        digits(sign) if sign.isdecimal() else LETTERS.get(sign, sign) for sign in word.upper()
    )


def abbreviation(found: re.Match[str]) -> str | None:
    """An abbreviation of the lexicon, unless it is a word of a heading: *ĐẦU TƯ*."""
    written = found[0]
    if written == "TƯ" and not _TU_IN_WORDS.search(_beside(found)):
        return ABBREVIATIONS[written]
    if is_syllable(written) and written.isupper() and _in_heading(found):
        return None
    return ABBREVIATIONS[written]


_TU_IN_WORDS = re.compile(
    r"(?:ĐẦU|THÔNG|VẬT|TỔ|RIÊNG|KHU|LINH|SUY|TÂM|THỨ|CHỮ|ƯU) TƯ|TƯ (?:VẤN|PHÁP|NHÂN|TƯỞNG|LIỆU"
    r"|LỆNH|CÁCH|THỤC|DUY|SẢN|TRANG|GIA|THẾ|NGHĨA)"
)
"""Words in capitals that hold the syllable TƯ, which by itself is short for *trung ương*."""


def _beside(found: re.Match[str]) -> str:
    return found.string[max(found.start() - 8, 0) : found.end() + 8]


def _in_heading(found: re.Match[str]) -> bool:
    """Tell whether the nearest word on either side is a whole word in capitals too."""
    before = re.search(
        r"([^\W\d_]+)[ ,]*$", found.string[max(found.start() - 14, 0) : found.start()]
    )
    after = re.match(r"[ ,]*([^\W\d_]+)", found.string[found.end() : found.end() + 14])
    return any(
        len(word) > 1 and word.isupper() and is_syllable(word) and word not in _NEVER_WORDS
        for word in (side[1] for side in (before, after) if side)
    )


_NEVER_WORDS = frozenset(word for word in ABBREVIATIONS if word.isupper() and is_syllable(word))


def title(found: re.Match[str]) -> str | None:
    """*P.* before a name is a ward, after *ông* an initial."""
    if _PERSON.search(text_before(found, 14)):
        return None
    return f"{TITLES[found[1]]} "


def initials(found: re.Match[str]) -> str:
    """*N.T.H.*, *T.*: letters that stand for a person."""
    signs = "".join(re.findall(r"[^\W\d_]", found[0]))
    return "y " if signs == "Y" else f"{letters(signs)} "  # xã Bờ Y


def capitals(found: re.Match[str]) -> str:
    """A word in capitals as a word, an unknown abbreviation by its letters."""
    word = found[0]
    marked = unicodedata.normalize("NFD", word)
    has_tone = any(tone in marked for tone in "\u0300\u0301\u0303\u0309\u0323")
    if is_syllable(word) or (len(word) > 5 and has_vowel(word)) or (has_tone and has_vowel(word)):
        return word
    if is_highland(word) and (
        any(mark in marked for mark in "\u0302\u0306\u031b") or _in_heading(found) or _named(found)
    ):
        return word
    return letters(word)


_KINDS = frozenset(("xã", "huyện", "tỉnh", "thôn", "làng", "buôn", "phường", "bản"))


def _named(found: re.Match[str]) -> bool:
    """Tell whether a word stands where the name of a place does."""
    before = found.string[max(found.start() - 14, 0) : found.start()]
    beside = re.search(r"([^\W\d_]{2,})\s+$", before)
    if word_before(found) in _KINDS:
        return True
    name = beside[1] if beside else ""
    return name.isupper() and is_highland(name) and name not in ABBREVIATIONS


def mixed(found: re.Match[str]) -> str:
    """Letters and digits in one word, H5N1 or QL24B: each run for itself."""
    if found[0] in UNITS:
        return UNITS[found[0]]
    runs = re.findall(r"\d+|[^\W\d_]+", found[0])
    return " ".join(_figures(run) if run[0].isdecimal() else _run(run) for run in runs)


def _figures(run: str) -> str:
    return whole(run) if len(run) <= 4 else digits(run)


_BEFORE_FIGURES = frozenset(
    [
        "QL",
        "TDP",
        "KP",
        "KDC",
        "HTX",
        "CCN",
        "KCN",
        "THCS",
        "THPT",
        "COVID",
        "Covid",
        "covid",
        "K",
        "TP",
        "UBND",
        "HĐND",
        "TT",
    ]
)
"""Abbreviations written together with a number; other letters before one are letters."""


def _run(run: str) -> str:
    known = ABBREVIATIONS.get(run)
    if known and run in _BEFORE_FIGURES:
        return known
    is_word = len(run) > 2 and (is_syllable(run) or (has_vowel(run) and not run.isupper()))
    return run if is_word else letters(run)


_CONSONANTS = "bcdđghklmnpqrstv"
"""Letters that are no word by themselves: *điểm b khoản 3*."""


def apostrophe(found: re.Match[str]) -> str:
    """*H'Leo*, *M'Gar*: a consonant with a murmured vowel before the name's first syllable."""
    return f"{found[1]}ơ {found[2]}"


def word(found: re.Match[str]) -> str:
    """Any other word; what is not Latin is left out."""
    written = found[0]
    if not all(unicodedata.name(sign, "").startswith("LATIN") for sign in written):
        return " "
    if len(written) == 1:
        named = written.isupper() or written in _CONSONANTS
        return letters(written) if named and written not in "yY" else written
    if is_syllable(written):
        return written
    known = (
        ABBREVIATIONS.get(written.upper()) if len(written) > 2 or not has_vowel(written) else None
    )
    return known or (written if has_vowel(written) else letters(written))
