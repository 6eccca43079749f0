"""What is said to people, in English.

A rule says a message in Vietnamese, ready: the audit, the logs and the command line have that.
Who asks in English gets it from a catalogue (`locale/en/*.po`, one for each package) whose key is
the message with its values numbered: `Không có bản tin {0}.`. The values are found again by the
words around them, and what they say is put into English in its turn, except in quotation marks.
Words that no catalogue has stay as they are, names above all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import PlainSerializer

LOCALE = Path(__file__).with_name("locale") / "en"

is_asked_for: ContextVar[bool] = ContextVar("english", default=False)
"""Whether whoever sent the request at hand reads English (`web.language`)."""

_VALUE = re.compile(r"\{(?:[^{}]|\{[^{}]*\})*\}|%[a-zA-Z]")
"""A value in the source of a message: of an f-string, of `format`, of `strftime`."""

_SEPARATORS = (r"(?<=[.…!?]) (?=\S)", "; ", ": ", ", ", r" (?=\()", " – ")
"""Where a message may be composed of several, from the widest to the closest."""

_EDGES = " ,;"
"""What stands around a message that is a part of another."""


def key(source: str) -> str:
    """The key of a message as it stands in a source.

    >>> key("Không có bản tin {bulletin_id}."), key(", {count} xã"), key("%H:%M ngày %d/%m/%Y")
    ('Không có bản tin {0}.', '{0} xã', '{0}:{1} ngày {2}/{3}/{4}')
    """
    numbers = iter(range(100))
    return _VALUE.sub(lambda _: f"{{{next(numbers)}}}", source).strip(_EDGES)


class _Form(NamedTuple):
    """A message with values."""

    begins: str
    pattern: re.Pattern[str]
    quoted: frozenset[int]
    english: str


@cache
def catalogue() -> dict[str, str]:
    """English by key."""
    from babel.messages.pofile import read_po  # noqa: PLC0415  whoever reads Vietnamese needs none

    found: dict[str, str] = {}
    for path in sorted(LOCALE.glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file):
                if message.id and isinstance(message.string, str):
                    found[str(message.id)] = message.string
    return found


@cache
def _forms() -> list[_Form]:
    """Messages with values; the one with the most words of its own first."""
    found = []
    for message, english in catalogue().items():
        parts = re.split(r"\{(\d+)\}", message)
        words, names = parts[::2], parts[1::2]
        if not names:
            continue
        pattern = re.escape(words[0])
        for name, word in zip(names, words[1:], strict=True):
            pattern += f"(?P<v{name}>.*?)" + re.escape(word)
        quoted = frozenset(
            int(name)
            for place, name in enumerate(names)
            if words[place].endswith("“") and words[place + 1].startswith("”")
        )
        own = sum(map(len, words))
        found.append((own, _Form(words[0], re.compile(pattern, re.DOTALL), quoted, english)))
    return [form for _, form in sorted(found, key=lambda each: each[0], reverse=True)]


def in_english(text: str) -> str:
    """A message in English; what is no message as it is.

    >>> in_english("Trang An")
    'Trang An'
    """
    return _found(text) or text


def as_asked(text: str) -> str:
    """A message in the language of who sent the request at hand."""
    return in_english(text) if is_asked_for.get() else text


Said = Annotated[str, PlainSerializer(as_asked, return_type=str)]
"""A field that holds a message: an answer of REST has it in the language that is asked for."""


@lru_cache(20_000)
def _found(text: str) -> str | None:
    """A message in English; None for what is none."""
    core = text.strip(_EDGES)
    if not core:
        return None
    english = catalogue().get(core) or _formed(core) or _composed(core)
    if english is None:
        return None
    begins = text.index(core)
    return text[:begins] + english + text[begins + len(core) :]


def _formed(core: str) -> str | None:
    for form in _forms():
        if core.startswith(form.begins) and (match := form.pattern.fullmatch(core)):
            values = {
                int(name[1:]): value if int(name[1:]) in form.quoted else in_english(value)
                for name, value in match.groupdict().items()
            }
            return form.english.format(*(values[number] for number in sorted(values)))
    return None


def _composed(core: str) -> str | None:
    """What several messages say, one after the other."""
    if core.startswith("(") and core.endswith(")"):
        inner = _found(core[1:-1])
        return inner and f"({inner})"
    for separator in _SEPARATORS:
        parts = re.split(f"({separator})", core)
        if len(parts) > 1:
            told = [_found(part) for part in parts[::2]]
            if any(told):
                parts[::2] = [said or part for said, part in zip(told, parts[::2], strict=True)]
                return "".join(parts)
    for place in reversed([each.start() for each in re.finditer(" ", core)]):
        first = catalogue().get(core[:place])
        if first and (rest := _found(core[place + 1 :])):
            return f"{first} {rest}"
    return None


def missing(messages: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Entries that a catalogue lacks, ready to be translated.

    Args:
        messages: Place and source of each.
    """
    known = catalogue()
    for place, source in messages:
        lacked = key(source)
        if lacked not in known and re.search(r"[^\W\d_]", lacked):
            quoted = lacked.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
            yield f'#: {place}\nmsgid "{quoted}"\nmsgstr ""\n'
