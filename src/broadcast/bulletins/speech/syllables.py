"""The shape of a Vietnamese syllable: tells words in capitals from abbreviations."""

from __future__ import annotations

import re
import unicodedata

_SYLLABLE = re.compile(
    r"(?:ngh|ng|nh|ch|gh|gi|kh|ph|qu|th|tr|[bcdđghklmnpqrstvx])?"
    r"(?:uyê|uya|uyu|uôi|uây|uay|ươi|ươu|iêu|yêu|oai|oay|oeo|oao|ia|iê|iu|yê|ua|uâ|uê|uô|uơ|ui|uy"
    r"|ưa|ưi|ươ|ưu|oa|oă|oe|oi|oo|ôi|ơi|ai|ao|au|ay|âu|ây|eo|êu|[aăâeêioôơuưy])"
    r"(?P<end>ch|c|p|t|ng|nh|n|m)?",
    re.IGNORECASE,
)
_TONES = {"\u0300", "\u0301", "\u0303", "\u0309", "\u0323"}


def is_syllable(word: str) -> bool:
    """Tell whether a word could be Vietnamese: a stopped syllable bears an acute or a dot."""
    marked = unicodedata.normalize("NFD", word)
    toneless = "".join(letter for letter in marked if letter not in _TONES)
    found = _SYLLABLE.fullmatch(unicodedata.normalize("NFC", toneless))
    if not found or sum(letter in _TONES for letter in marked) > 1:
        return False
    stopped = (found["end"] or "").lower() in {"c", "ch", "p", "t"}
    return not stopped or "\u0301" in marked or "\u0323" in marked


def has_vowel(word: str) -> bool:
    """Tell whether a word has anything to sing."""
    return not set("aeiouy").isdisjoint(unicodedata.normalize("NFD", word).lower())


_HIGHLAND = re.compile(
    r"(?:(?:[bcdđghjklmnprstvxyw]|[cgknpt]h|ng|ngh|qu|tr|[bcdđghkmpst][lr]|[bhmrpk][jvyx]?|rv|px|mn"
    r"|mđr|mdr|hđr)?[aăâeêioôơuưy]{1,3}(?:[chkmnprstl]|ch|ng|nh|ih|h)?){1,2}",
    re.IGNORECASE,
)


def is_highland(word: str) -> bool:
    """Tell whether a word could be a name of the highlands, *Plông* or *Gleh*."""
    marked = unicodedata.normalize("NFD", word)
    toneless = "".join(letter for letter in marked if letter not in _TONES)
    return _HIGHLAND.fullmatch(unicodedata.normalize("NFC", toneless)) is not None
