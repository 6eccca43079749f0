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
from enum import Enum, auto
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import PlainSerializer

LOCALE = Path(__file__).with_name("locale") / "en"

is_asked_for: ContextVar[bool] = ContextVar("english", default=False)
"""Whether whoever sent the request at hand reads English (`web.language`)."""

_VALUE = re.compile(r"\{(?:[^{}]|\{[^{}]*\})*\}|%[a-zA-Z]")
"""A value in the source of a message: of an f-string, of `format`, of `strftime`."""

_SENTENCES = r"(?<=[.…!?]) (?=\S)"

_NUMBER = re.compile(r"[\d.,:/–-]+(?: [\d.,:/%–-]+)*")

_AMOUNT = re.compile(r"[−-]?\d{1,3}(?:\.\d{3})*(?:,\d+)?(?:/\d{1,3}(?:\.\d{3})*(?:,\d+)?)?(?: %)?")
"""A number as Vietnamese writes it, or one of another."""
_SWAPPED = str.maketrans(".,", ",.")

_MOMENT = re.compile(r"([\d:]+) (\D+) ([\d/]+\.?)")
"""Time, day of the week and day."""

_COUNTED = (
    " cụm loa", " thôn", " xã", " buổi phát", " lịch", " đơn vị", " giờ", " giây", " thiết bị",
    " điểm", " bản tin", " dòng", " việc", " mục",
)  # fmt: skip

_FEW, _MANY = 8, 25
"""Letters below which a form may be many things, and above which a message is known by itself."""

_LOWER = "".join(chr(each) for each in range(ord("a"), 0x1EFA) if chr(each).islower())

_NAME = re.compile(f"(?![{_LOWER}]).*", re.DOTALL)

_SEPARATORS = (_SENTENCES, "; ", ": ", r" (?=\()", ", ", " – ")
"""Where a message may be composed of several, from the widest to the closest."""

_MOST_JOINED = 24
"""Words of what may be two messages with nothing but a space between: each place is tried."""

_LONGEST = 2000
"""Letters of a message that is put into English; no message of ours is longer."""

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

    own: int
    """How many letters are its own."""
    is_loose: bool
    """It may be many things: tried only where nothing better is found."""
    words: tuple[str, ...]
    """Before, between and after its values."""
    names: tuple[int, ...]
    """Numbers of its values, in the order in which they stand."""
    first: re.Pattern[str] | None
    """What its first value has to be; None: anything."""
    quoted: frozenset[int]
    english: str

    def values(self, core: str) -> dict[int, str] | None:
        """Its values in a text; None where the text is none of it.

        Each value ends where the words after it begin for the first time. Any other way to read
        the text would end later, so there is no going back, and the time grows with the text.
        """
        first, *between, last = self.words
        if not core.startswith(first):
            return None
        at, found = len(first), []
        for word in between:
            end = core.find(word, at)
            if end < 0:
                return None
            found.append(core[at:end])
            at = end + len(word)
        if not core.endswith(last) or len(core) - len(last) < at:
            return None
        found.append(core[at : len(core) - len(last)])
        if self.first is not None and not self.first.fullmatch(found[0]):
            return None
        return dict(zip(self.names, found, strict=True))


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
        # “9 thôn” is a message, “loa ở thôn” is none; “thiết bị A-1”, and not “thiết bị mất điện”.
        first = None
        if not words[0] and words[1].startswith(_COUNTED):
            first = _NUMBER
        elif len(names) == 1 and not words[1] and len(words[0]) < 15:
            first = _NAME
        quoted = frozenset(
            int(name)
            for place, name in enumerate(names)
            if words[place].endswith("“") and words[place + 1].startswith("”")
        )
        own = sum(map(len, words))
        is_loose = own < _FEW and first is None
        numbers = tuple(map(int, names))
        found.append(_Form(own, is_loose, tuple(words), numbers, first, quoted, english))
    return sorted(found, key=lambda form: form.own, reverse=True)


def in_english(text: str) -> str:
    """A message in English; what is no message as it is.

    >>> in_english("Trang An")
    'Trang An'
    """
    return (_found(text) or text) if len(text) <= _LONGEST else text


class _Value(str):
    """What a message is filled in with; a number chooses a form, `{0} {0:village|villages}`."""

    __slots__ = ()

    def __format__(self, forms: str) -> str:
        if not forms:
            return str(self)
        one, many = forms.split("|")
        return one if self == "1" else many


def fill(english: str, values: Iterable[str]) -> str:
    """The English of a message with its values, and nouns and verbs as their numbers have them.

    >>> fill("in {0} {0:village|villages}", ["1"]), fill("in {0} {0:village|villages}", ["1,200"])
    ('in 1 village', 'in 1,200 villages')
    """
    return english.format(*map(_Value, values))


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
    english = _whole(core)
    if english is None:
        bare = core.removesuffix(".")
        english = (bare != core and _whole(bare)) or _composed(bare) if bare else None
        english = english and english + core[len(bare) :]
    if english is None:
        return None
    begins = text.index(core)
    return text[:begins] + english + text[begins + len(core) :]


@lru_cache(20_000)
def _whole(core: str) -> str | None:
    """What is one message, or sentences each of which is one."""
    if english := catalogue().get(core) or _formed(core, _Taken.ONE):
        return english
    for separator in _SEPARATORS[:2]:
        parts = re.split(f"({separator})", core)
        told = [_found(part) for part in parts[::2]] if len(parts) > 1 else []
        if told and all(told):
            parts[::2] = [each or "" for each in told]
            return "".join(parts)
    return _formed(core, _Taken.MANY)


class _Taken(Enum):
    """Which forms are tried."""

    ONE = auto()
    """Those whose values are no sentences."""
    MANY = auto()
    LOOSE = auto()


def _formed(core: str, taken: _Taken) -> str | None:
    for form in _forms():
        if form.is_loose is not (taken is _Taken.LOOSE):
            continue
        found = form.values(core)
        if found is None:
            continue
        if taken is _Taken.ONE and any(re.search(r"; |[.…!?] ", each) for each in found.values()):
            continue
        values = (
            each if number in form.quoted else _value(each)
            for number, each in sorted(found.items())
        )
        return fill(form.english, values)
    return None


def _value(text: str) -> str:
    """What a message is filled in with: a number as English writes it, or what it says.

    >>> _value("1.200"), _value("97,2 %"), _value("1.1"), _value("26,1/30,0")
    ('1,200', '97.2 %', '1.1', '26.1/30.0')
    """
    return text.translate(_SWAPPED) if _AMOUNT.fullmatch(text) else in_english(text)


def _composed(core: str) -> str | None:
    """What several messages say, one after the other."""
    if core.startswith("(") and core.endswith(")"):
        inner = _found(core[1:-1])
        return inner and f"({inner})"
    for place in (each.start() for each in re.finditer(" ", core)):
        first = catalogue().get(core[:place]) if place >= _MANY else None
        if first and (rest := _part(core[place + 1 :]) or _joined(core[place + 1 :])):
            return f"{first} {rest}"
    found = (re.split(f"({separator})", core) for separator in _SEPARATORS)
    divided = [parts for parts in found if len(parts) > 1]
    told = [[_part(part) or _found(part) for part in parts[::2]] for parts in divided]
    for is_enough in (all, any):
        for parts, each in zip(divided, told, strict=True):
            if is_enough(each):
                parts[::2] = [said or part for said, part in zip(each, parts[::2], strict=True)]
                return "".join(parts)
        if is_enough is all and (said := _joined(core) or _formed(core, _Taken.LOOSE)):
            return said
    return None


@lru_cache(20_000)
def _joined(core: str) -> str | None:
    """Two messages, or one and what it is said of, with nothing but a space between."""
    spaces = [each.start() for each in re.finditer(" ", core)]
    if len(spaces) >= _MOST_JOINED:
        return None
    for place in reversed(spaces):
        first, rest = _part(core[:place]), core[place + 1 :]
        last = first and (_part(rest) or _joined(rest))
        if last:
            return f"{first} {last}"
    for place in spaces:
        if " " in core[place + 1 :] and (last := catalogue().get(core[place + 1 :])):
            return f"{core[:place]} {last}"
    return None


@lru_cache(20_000)
def _part(core: str) -> str | None:
    """A message, or what a message may be said of: a number, a moment."""
    if (moment := _MOMENT.fullmatch(core)) and moment[2] in catalogue():
        return f"{moment[1]} {catalogue()[moment[2]]} {moment[3]}"
    if _NUMBER.fullmatch(core):
        return _value(core) if _AMOUNT.fullmatch(core) else core
    return _whole(core) or _formed(core, _Taken.LOOSE)


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
