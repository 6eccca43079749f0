"""Words of the pages: Vietnamese in the code and the templates, English in catalogues.

A message is its own key (GNU gettext); `locale/en/*.po` has the English of each family of pages.
What a use case says to people (`BroadcastError.detail`) has its English in `kit.english`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from broadcast.kit.english import in_english

LOCALE = Path(__file__).with_name("locale")


class Language(StrEnum):
    """Languages of the pages; the first is what somebody gets who has not chosen."""

    VIETNAMESE = "vi"
    ENGLISH = "en"


def N_(message: str) -> str:  # noqa: N802  the name that gettext's tools look for
    """Mark a message in Python; it is translated where a template shows it (`|tr`)."""
    return message


@cache
def catalogue(language: Language) -> Mapping[str, str | tuple[str, ...]]:
    """Translations by message; of messages with a plural by the Vietnamese singular."""
    from babel.messages.pofile import read_po  # noqa: PLC0415  half of all pages never ask

    found: dict[str, str | tuple[str, ...]] = {}
    for path in sorted((LOCALE / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file):
                if message.id and message.string:
                    key = message.id if isinstance(message.id, str) else message.id[0]
                    found[key] = _string(message.string)
    return found


def _string(given: str | list[str] | tuple[str, ...]) -> str | tuple[str, ...]:
    return given if isinstance(given, str) else tuple(given)


def translate(language: Language, message: str) -> str:
    """A message in a language; itself where there is no other.

    >>> translate(Language.VIETNAMESE, "Hôm nay")
    'Hôm nay'
    """
    if language is Language.VIETNAMESE:
        return message
    found = catalogue(language).get(message) or in_english(message)
    return found if isinstance(found, str) else found[0]


_FORMS = re.compile(r"\{(\w+):([^{}|]*)\|([^{}|]*)\}")

_TAGS = re.compile("<[^>]*>")


def formed(message: str, values: Mapping[str, object]) -> str:
    """English nouns and verbs as their numbers have them; written as in `kit.english`.

    >>> formed("%(n)s {n:row is|rows are} left", {"n": "1"})
    '%(n)s row is left'
    """

    def choose(match: re.Match[str]) -> str:
        number, one, many = match.groups()
        return one if _TAGS.sub("", str(values[number])) == "1" else many

    return _FORMS.sub(choose, message)


def translate_number(language: Language, one: str, many: str, number: int) -> str:
    """A message that depends on a number; Vietnamese nouns have no plural."""
    if language is Language.VIETNAMESE:
        return one if number == 1 else many
    found = catalogue(language).get(one)
    if not isinstance(found, tuple):
        return one if number == 1 else many
    return found[0 if number == 1 else 1]
