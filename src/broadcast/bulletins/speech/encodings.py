"""Vietnamese in an encoding other than Unicode: told by its words, so that it can be refused.

Officials still keep documents in TCVN3 (fonts named .Vn…) and VNI (VNI-…), where the letters of
another alphabet stand for Vietnamese ones. Read as they are they come out as nonsense on a
loudspeaker; guessing the right letters would be wrong now and then without anybody noticing.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import product

from broadcast.bulletins.speech.syllables import is_syllable

_ACUTE, _GRAVE, _HOOK, _TILDE, _DOT = "\u0301", "\u0300", "\u0309", "\u0303", "\u0323"
_TONES = (_GRAVE, _ACUTE, _HOOK, _TILDE, _DOT)


def _composed(base: str, tone: str) -> str:
    return unicodedata.normalize("NFC", base + tone)


def _tcvn3() -> dict[int, str]:
    rows = {
        "a": "µ¸¶·¹", "ă": "»¾¼½Æ", "â": "ÇÊÈÉË", "e": "ÌÐÎÏÑ", "ê": "ÒÕÓÔÖ", "i": "×ÝØÜÞ",
        "o": "ßãáâä", "ô": "åèæçé", "ơ": "êíëìî", "u": "ïóñòô", "ư": "õøö÷ù", "y": "úýûüþ",
    }  # fmt: skip
    toned = {
        ord(written): _composed(base, tone)
        for base, row in rows.items()
        for written, tone in zip(row, _TONES, strict=True)
    }
    plain = zip("¨©ª«¬\u00ad®¡¢£¤¥¦§", "ăâêôơưđĂÂÊÔƠƯĐ", strict=True)
    return toned | {ord(written): letter for written, letter in plain}


def _vni() -> dict[str, str]:
    marks = dict(zip(_TONES, "øùûõï", strict=True))
    circumflexed, breved = (
        dict(zip(_TONES, "àáåãä", strict=True)),
        dict(zip(_TONES, "èéúüë", strict=True)),
    )
    read = {"ñ": "đ", "ö": "ư", "ô": "ơ", "aâ": "â", "eâ": "ê", "oâ": "ô", "aê": "ă", "î": "ỵ"}
    read |= {"ì": "ì", "í": "í", "æ": "ỉ", "ó": "ĩ", "ò": "ị"}
    for base, (tone, sign) in product("aeouy", marks.items()):
        read[base + sign] = _composed(base, tone)
    for (written, letter), (tone, sign) in product((("ô", "ơ"), ("ö", "ư")), marks.items()):
        read[written + sign] = _composed(letter, tone)
    for (plain, letter), (tone, sign) in product(
        zip("aeo", "âêô", strict=True), circumflexed.items()
    ):
        read[plain + sign] = _composed(letter, tone)
    for tone, sign in breved.items():
        read["a" + sign] = _composed("ă", tone)
    return read


_TCVN3 = _tcvn3()
_VNI = _vni()
_VNI_LETTER = re.compile("|".join(sorted(_VNI, key=len, reverse=True)))
_TCVN3_WORD = re.compile(
    "(?<![0-9A-Za-z])[A-Za-z\u00a1-\u00ff\u00ad]*[\u00a1-\u00ff\u00ad]"
    "[A-Za-z\u00a1-\u00ff\u00ad]*(?![0-9])"
)
_SIGNS_TOO = "«»·§©®×÷¼½¾¶¸¨"
"""Signs that stand beside Vietnamese words as well; at the edge of one they show nothing."""
_FOREIGN_RUN = re.compile("[^\x00-\x7f]{2,}")
_LOST = re.compile(r"(?<![\w/?=&.])[^\W\d_]*(?:\?[^\W\d_]+){1,3}(?![\w=/?])")


def other_encoding(line: str) -> tuple[str, str] | None:
    """The name of the encoding a line is in, and a word of it that shows it; None for Unicode."""
    if line.isascii() and "?" not in line:
        return None
    if "\ufffd" in line:
        return "chữ bị mất (\ufffd)", _around(line, line.index("\ufffd"))
    for found in _FOREIGN_RUN.finditer(line):
        if _is_mojibake(found[0]):
            return "UTF-8 bị mở nhầm bảng mã", _around(line, found.start())
    composed = unicodedata.normalize("NFC", line)
    for found in _TCVN3_WORD.finditer(composed):
        word = found[0].strip(_SIGNS_TOO)
        if is_syllable(word) or word in {"µm", "µg", "µl"}:
            continue
        name = _font(word)
        if name:
            return name, word
    lost = [found[0] for found in _LOST.finditer(line)]
    if len(lost) > 1:
        return "chữ bị mất (dấu ?)", lost[0]
    return None


def _font(word: str) -> str | None:
    """The encoding in which a word that is none in Unicode would be one."""
    if not re.search("[A-Za-z]", word):
        return None
    if is_syllable(word.translate(_TCVN3)):
        return "TCVN3 (phông .Vn…)"
    vni = _VNI_LETTER.sub(lambda mark: _VNI[mark[0]], word.lower())
    return "VNI (phông VNI-…)" if vni != word.lower() and is_syllable(vni) else None


def _around(line: str, at: int) -> str:
    begin = max(line.rfind(" ", 0, at) + 1, at - 20)
    return line[begin : at + 20].split(" ", maxsplit=1)[0]


def _is_mojibake(run: str) -> bool:
    """Tell whether letters are the bytes of UTF-8, each shown as a letter of Windows."""
    try:
        raw = b"".join(
            bytes([ord(letter)]) if ord(letter) < 0x100 else letter.encode("cp1252")
            for letter in run
        )
    except UnicodeEncodeError:
        return False
    # The first letter's bytes suffice: the run may end in a letter cut short by a space.
    return re.match(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}", raw) is not None and (
        re.search(rb"[\xc0-\xff][\x80-\xbf]", raw) is not None
    )
