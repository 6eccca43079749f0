"""A text to the words a newsreader says.

Pure. A cleaned line is read from left to right; at each place the first rule of the table for the
sign that stands there says the words and moves on, so that no rule sees what another has said.
What no rule knows is read as a word; what is no Latin letter is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from broadcast.bulletins.speech import codes, dates, names, quantities, roman, titles
from broadcast.bulletins.speech.asides import ASIDE, repeats
from broadcast.bulletins.speech.cleaning import clean
from broadcast.bulletins.speech.context import text_before, unsaid
from broadcast.bulletins.speech.lexicon import ABBREVIATIONS, STANDARDS, TITLES
from broadcast.bulletins.speech.lists import BULLET, LIST_NUMBER, list_number
from broadcast.bulletins.speech.numbers import NUMBER, cardinal, decimal, whole
from broadcast.bulletins.speech.roman import ROMAN
from broadcast.bulletins.speech.units import BARE_UNITS, PER, RATES, SYMBOLS, UNITS

Say = Callable[[re.Match[str]], str | None]
"""The words for a match, or None to leave it to the rules below."""

Rule = tuple[re.Pattern[str], Say]

Readings = Mapping[str, str]
"""How a station says certain words: written to spoken."""


@dataclass(frozen=True)
class Passage:
    """One line of a text.

    Attributes:
        words: What is said: lower-case words and the marks `, . ? !`.
        is_heading: Whether a reader pauses longer after it.
    """

    words: str
    is_heading: bool


class PartKind(StrEnum):
    """How a part of a text comes to its words."""

    PLAIN = "plain"
    """Said as it is written."""
    RULE = "rule"
    """Said in other words, by what the reader knows."""
    LEXICON = "lexicon"
    """Said as an entry of the station's lexicon has it."""


@dataclass(frozen=True)
class Part:
    """A stretch of a line with its words.

    Attributes:
        written: As it stands in the cleaned line.
        spoken: Words and marks; empty where it is left out.
        kind: Where the words come from.
    """

    written: str
    spoken: str
    kind: PartKind


class _Piece(NamedTuple):
    """What one rule has read."""

    written: str
    said: str
    is_own: bool = False


def passages(text: str, readings: Readings | None = None) -> list[Passage]:
    """Paragraphs and headings of a text that hold anything to say, in order.

    Args:
        text: As a person typed or pasted it.
        readings: Entries of the station's lexicon; they come before every rule.

    Raises:
        InvalidInput: The text is in an encoding other than Unicode; says which line.
    """
    read = ((line, _words(pieces)) for line, pieces in _lines(text, readings))
    return [Passage(words, _is_heading(line)) for line, words in read if words]


def parts(text: str, readings: Readings | None = None) -> list[tuple[Part, ...]]:
    """Each passage in the parts that it is made of: what a person sees, and what is said there.

    Parts that are said in other words and touch each other are one: a reading is corrected by
    what is written between two spaces. Arguments and errors as `passages`.

    >>> [(each.written, each.spoken) for each in parts("Đợt 2: tiêm 98% số bò.")[0]]
    [('Đợt ', 'đợt'), ('2', 'hai'), (': tiêm ', 'tiêm'), ('98%', 'chín mươi tám phần trăm'), \
(' số bò.', 'số bò.')]
    """
    read = (pieces for _, pieces in _lines(text, readings))
    return [tuple(_parts(pieces)) for pieces in read if _words(pieces)]


def _lines(text: str, readings: Readings | None) -> Iterator[tuple[str, list[_Piece]]]:
    own = _own_rule(readings or {})
    return ((line, _pieces(line, own)) for line in clean(text).split("\n") if line)


def _parts(pieces: list[_Piece]) -> Iterator[Part]:
    kind, written, said = PartKind.PLAIN, "", ""
    for piece in pieces:
        found = _kind(piece)
        if found is not kind and written:
            yield Part(written, _tidy(said), kind)
            written = said = ""
        kind = found
        written += piece.written
        said += piece.said
    if written:
        yield Part(written, _tidy(said), kind)


def _kind(piece: _Piece) -> PartKind:
    if piece.is_own:
        return PartKind.LEXICON
    as_written = re.findall(r"\w", piece.written.lower()) == re.findall(r"\w", piece.said.lower())
    return PartKind.PLAIN if as_written else PartKind.RULE


def words_of(text: str, readings: Readings | None = None) -> str:
    """The bare words of a text, in lower case, without marks; arguments and errors as `passages`.

    >>> words_of("Họp lúc 16 giờ 00, 98% số hộ dự.")
    'họp lúc mười sáu giờ chín mươi tám phần trăm số hộ dự'
    """
    said = " ".join(passage.words for passage in passages(text, readings))
    return " ".join(re.findall(r"[^\W\d_]+", said))


def spoken(line: str) -> str:
    """Words and pauses of one line.

    >>> spoken("- 19h30 ngày 15/12: UBND xã họp, 98% số hộ dự.")
    'mười chín giờ ba mươi phút ngày mười lăm tháng mười hai, ủy ban nhân dân xã họp, \
chín mươi tám phần trăm số hộ dự.'
    """
    return " ".join(passage.words for passage in passages(line))


def _is_heading(line: str) -> bool:
    numbered = re.match(rf"(?:{ROMAN}|\d+(?:\.\d+)*)[.)]\s", line) and line[-1] not in ".;,:"
    return line.isupper() or (bool(numbered) and len(line) < 120)


def _words(pieces: list[_Piece]) -> str:
    return _tidy("".join(piece.said for piece in pieces))


def _pieces(line: str, own: Rule | None) -> list[_Piece]:
    line = re.sub(r"\s*\.?/\.?$", ".", line)
    said: list[str] = []
    bullet = BULLET.match(line)
    at = bullet.end() if bullet else 0
    pieces = [_Piece(line[:at], "")] if at else []
    while at < len(line):
        first = line[at]
        aside = ASIDE.match(line, at) if first == "(" else None
        if aside and repeats(aside, said, lambda written: _words(_pieces(written, own))):
            said.append(" ")
            pieces.append(_Piece(aside[0], " "))
            at = aside.end()
            continue
        rules = _AT_DIGIT if first.isdecimal() else _AT_LETTER if first.isalpha() else _AT_MARK
        begins_word = at == 0 or not line[at - 1].isalnum()
        for pattern, say in (own, *rules) if own and begins_word else rules:
            found = pattern.match(line, at)
            words = say(found) if found and found.end() > at else None
            if found and words is not None:
                said.append(words)
                pieces.append(_Piece(found[0], words, own is not None and pattern is own[0]))
                at = found.end()
                break
        else:
            pieces.append(_Piece(first, ""))
            at += 1
    return pieces


def _own_rule(readings: Readings) -> Rule | None:
    """The rule of a lexicon: an entry in small letters fits capitals too."""
    variants = dict(readings)
    for written, spoken_as in readings.items():
        if written.islower():
            for variant in (written.upper(), written.capitalize(), written.title()):
                variants.setdefault(variant, spoken_as)
    if not variants:
        return None
    pattern = re.compile(rf"(?:{_any_of(variants)})(?!\w)")
    return pattern, lambda found: f" {variants[found[0]]} "


def _tidy(said: str) -> str:
    """Single spaces, one mark where several met, the strongest of them."""
    said = re.sub(r"[^\w\s,.?!]|_", "", said.lower())
    said = re.sub(r"\s+", " ", said)
    said = re.sub(
        r"\s?[,.?!](?:[\s,.?!]*[,.?!])?",
        lambda marks: next(mark for mark in "?!.," if mark in marks[0]) + " ",
        said,
    )
    return re.sub(r"\s+", " ", said).strip(" ,").lstrip(".?!, ")


# What the rules say beyond the modules they come from.


def _dash(found: re.Match[str]) -> str | None:
    return " đến " if quantities.ends_in_number(found) else None


def _weekday_dash(found: re.Match[str]) -> str | None:
    named = (
        r"(?:thứ (?:\w+)|chủ nhật|t[2-7]|cn|tháng (?:\w+)|bđ\s?[123i]+|tháng \d+/\d+"
        r"|km\s?\d+(?:\+\d+)?)$"
    )
    return " đến " if re.search(named, text_before(found, 14)) else None


def _alarm(found: re.Match[str]) -> str:
    level = found["level"]
    return f"báo động {cardinal(int(level) if level.isdecimal() else len(level))}"


def _road(found: re.Match[str]) -> str:
    kinds = {"TL": "tỉnh lộ", "ĐH": "đường huyện", "HL": "hương lộ", "ĐX": "đường xã"}
    return unsaid(kinds[found[1]], found)


def _any_of(words: Mapping[str, str] | tuple[str, ...]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def _always(words: str) -> Say:
    return lambda _: words


def _rule(pattern: str, say: Say, flags: int = 0) -> Rule:
    return re.compile(pattern, flags), say


_ADDRESS = _rule(
    r"(?:https?://|www\.)[^\s,;]+|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"
    r"|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\.(?:vn|com|net|org)(?!\w)(?:/[^\s,;]*)?",
    codes.address,
)
_PHONE = _rule(
    r"\(?(?:\+84|0\d{2,3})\)?[ .-]?\d{0,3}[ .-]?\d\.\d{3}\.\d{3}(?!\d)"
    r"|\(?(?:\+84[ .-]?|0)\)?[ .]?\d{2,4}\)?(?:[ .-]?\d{2,4}){1,3}(?!\d)"
    r"|1[89]00(?:[ .]?\d{4}|(?:[ .]?\d{3}){2})(?!\d)"
    r"|1[89]00[ .]?\d{2}[ .]\d{2}(?!\d)",
    codes.phone,
)
_CODE = _rule(
    r"(?:[A-ZĐ]{1,4}\s?)?\d[\dA-ZĐ]{0,30}(?:[ .-][A-ZĐ]?\d[\dA-ZĐ]{0,30}){0,8}(?!\w)",
    codes.account,
)
_UNIT = rf"(?:\s?(?P<unit>{_any_of(UNITS)})(?:(?!\w|[²³])|(?=[x×]\s?\d)))?"
_AMOUNT = _rule(
    rf"(?P<minus>(?<![\w)%])-)?(?P<number>\d{{1,3}}(?:\s\d{{3}}){{1,4}}(?=\s?(?:đ|đồng|VNĐ|VND)(?!\w))|{NUMBER})(?!,\d)"
    rf"(?:{_UNIT}(?:(?!\w)|(?=[x×]\s?\d))|(?=[x×*]\s?\d)|(?!\w))",
    quantities.amount,
)
_PER = _rule(
    rf"\s?/\s?(?:(?P<rate>{_any_of(RATES)})(?!\w)|(?P<word>{_any_of(PER)})(?!\w)|(?=\d))",
    quantities.per,
)
_DATE_END = r"(?![\w/]|[.,-]\d)"

_AT_DIGIT: tuple[Rule, ...] = (
    (LIST_NUMBER, list_number),
    _ADDRESS,
    _rule(
        r"(?P<province>\d{2})\s?-?\s?(?P<series>[A-ZĐ]{1,2}\d?)\s?[-. ]\s?"
        r"(?P<number>\d{3}\.?\d{2}|\d{4})(?!\w|\.\d)",
        codes.plate,
    ),
    _rule(
        r"(?P<number>\d+)(?P<suffix>[a-z]?)(?:/(?P<year>(?:19|20)\d\d))?\s?[/-]\s?"
        r"(?P<signs>[A-ZĐ]{2}\w*(?:\s?[-/&]\s?[A-ZĐ]\w+)*)(?!\w)",
        codes.document,
    ),
    _PHONE,
    _CODE,
    _rule(r"(?P<first>\d{1,2})\s?-\s?(?=\d{1,2}(?:[hH]|\sgiờ)(?!\w))", dates.hour_range),
    _rule(
        r"(?P<hour>\d{1,2})\s?(?P<mark>[hHgG])(?:(?:(?:\s|[:.](?=[0-5]\d))?(?P<minute>(?:[0-5]\d|(?<=[hHgG])\d"
        r"|\d(?=\s?(?:phút|ph|p|'))))(?:\s?(?:phút|ph|p|')(?:\s?00\"|\s?00'')?)?))?"
        r"(?:\s?(?P<half>AM|PM|am|pm|SA))?(?![\w/])",
        dates.time,
    ),
    _rule(
        r"(?P<hour>\d{1,2})\s?giờ(?:\s?(?P<minute>[0-5]?\d)\s?(?:phút|ph|p|')(?!\w)|\s(?P<bare>[0-5]\d)"
        r"(?![\w/:%]|[.,]\d|\s?(?:-|người|hộ|con|xã|thôn|giây|ngày mai)))?(?!\w)",
        dates.written_time,
    ),
    _rule(
        r"(?P<hour>[01]?\d|2[0-4])(?P<mark>:)(?P<minute>[0-5]?\d)(?::00)?"
        r"(?:\s?(?P<half>AM|PM|am|pm|SA))?(?![\w:])",
        dates.time,
    ),
    _rule(r"\d+(?:(?:\s:\s|:)\d+(?:\.\d{3}){0,4}){1,4}(?![\w:])", dates.ratio),
    _rule(r"(?P<number>\d{1,2})T/(?P<year>20\d\d)(?!\w)", dates.months_of),
    _rule(
        r"(\d)\s?in\s?(\d)(?!\w)",
        lambda found: f"{cardinal(int(found[1]))} trong {cardinal(int(found[2]))}",
    ),
    _rule(
        r"(?P<day>\d{1,2})(?P<by>\s?[/.-]\s?)(?P<month>\d{1,2})(?P=by)(?P<year>\d{4})(?!\w)",
        dates.full_date,
    ),
    _rule(
        r"(?P<day>\d{1,2})(?P<by>[/-])(?P<month>\d{1,2})(?P=by)(?P<year>\d\d)(?!\w)",
        dates.full_date,
    ),
    _rule(r"(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)(?!\w)", dates.full_date),
    _rule(r"(?P<day>\d{1,2})\s+tháng\s+(?P<month>\d{1,2})(?![\w/]|[.,-]\d)", dates.written_date),
    _rule(
        r"(?P<first>\d{1,2})\s?-\s?(?P<day>\d{1,2})/(?P<month>\d{1,2})(?:/(?P<year>\d{4}))?(?![\w/])",
        dates.day_range,
    ),
    _rule(r"(?P<month>\d{1,2})\s?[/-]\s?(?P<year>(?:19|20)\d\d)(?!\w)", dates.month_year),
    _rule(
        r"(?P<hour>\d{1,2})[hg](?:(?P<minute>[0-5]\d))?/(?P<day>\d{1,2})/(?P<month>\d{1,2})(?![\w/])",
        dates.time_of_day_on,
    ),
    _rule(r"(?P<above>1)/(?P<below>\d{1,3}\.000)(?!\w|[.,]\d)", dates.scale),
    _rule(
        r"(?P<days>\d{1,2}(?:,\s?\d{1,2}){0,30}),\s?(?P<day>\d{1,2})/(?P<month>\d{1,2})(?![\w/])",
        dates.days_of,
    ),
    _rule(r"(?P<day>\d{1,7})\s?/\s?(?P<month>\d{1,7})(?![\w/]|[.,]\d)", dates.stroke),
    _rule(r"\d{1,2}(?:-\d{1,2}){2,3}(?![\da-zđ/-])", codes.triple),
    _rule(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})(?![\w/%]|[.,-]\d)", dates.dotted),
    _rule(r"(?P<day>\d{1,2})\s?-\s?(?P<month>\d{1,2})(?![\w/%]|[.,-]\d)", dates.dashed),
    _rule(
        r"(?P<degree>\d{1,3})°(?:\s?(?P<minute>\d{1,2})')\s?(?P<side>[NSEBĐ])?(?!\w)",
        quantities.coordinate,
    ),
    _rule(
        r"(?P<degree>\d{1,3})[.,](?P<tenths>\d{1,2})\s?(?P<side>[NE])(?!\w)",
        quantities.bare_coordinate,
    ),
    _rule(r"(?P<number>\d{2})0C(?!\w)", quantities.lost_degree),
    _rule(
        r"(?P<number>\d{1,2}(?:,\d)?)\s0C(?!\w)", lambda found: f"{decimal(found['number'])} độ xê"
    ),
    _rule(r"(?P<number>\d{1,2})(?P<unit>m)(?P<rest>\d{1,2})(?!\w)", quantities.with_remainder),
    _rule(r"(?P<number>\d{1,3})(?P<unit>tr)(?P<rest>\d{1,3})(?!\w)", quantities.with_remainder),
    _rule(rf"(?P<number>{NUMBER})T(?!\w)", quantities.tons),
    _rule(r"(?P<number>\d{2,4})K(?!\w)", lambda found: f"{whole(found['number'])} nghìn"),
    _AMOUNT,
    _rule(r"\d+,\d+(?=[^\W\d_])", lambda found: f"{decimal(found[0])} "),
    _rule(r"[^\W_]+", names.mixed),
)

_AT_LETTER: tuple[Rule, ...] = (
    (LIST_NUMBER, list_number),
    _rule(titles.CHAIN, titles.chain),
    _rule(
        rf"(?P<kind>{_any_of(STANDARDS)})\s?(?P<number>\d+(?:-\d+)?)(?:[:/](?P<year>(?:19|20)\d\d))?"
        r"(?:/(?P<issuer>[A-ZĐ]+))?(?!\w)",
        codes.standard,
    ),
    _rule(r"Q\.?\s?(?P<number>[1-4]|I{1,3}|IV)\s?/\s?(?P<year>20\d\d)(?!\w)", dates.quarter),
    _rule(
        rf"(?P<sign>VNĐ|VND|USD|EUR)\s?(?P<number>(?=\d[\d.,]{{3}}){NUMBER})(?!\w)",
        quantities.dollars,
    ),
    _rule(
        r"(?P<letters>[A-ZĐ]{2})(?P<number>\d[.,]\d)(?!\w|[.,]\d)",
        lambda found: (
            f"{names.letters(found['letters'])} {decimal(found['number'], measured=True)}"
        ),
    ),
    _rule(r"([BCDGHKMNPRTbcdghkmnprt])'([^\W\d_]{2,})", names.apostrophe),
    _rule(r"TT\s(?=(?:PVHCC|HCC|DV|VH|GDTX|GDNN|KN)\w{0,4}(?!\w))", _always("trung tâm ")),
    _rule(r"DT[:.]?\s?(?=\d[\d.,]*\s?(?:m2|ha)(?!\w))", _always("diện tích ")),
    _rule(r"x\s?(?=\d|dài|rộng|cao|sâu)", quantities.times),
    _ADDRESS,
    _CODE,
    _rule(
        r"(?P<home>QNg|QNG|QNa|BĐ|KH|PY|ĐNa|ĐNA|DNa)[\s-]?(?P<number>\d{5})[\s-]?TS(?!\w)",
        codes.boat,
    ),
    _rule(r"SN[:.]?\s?(?P<year>(?:19|20)\d\d)(?!\w)", codes.born),
    _rule(
        r"(?![Kk][Mm][23](?![\w+]))[Kk][Mm]\.?\s?(?P<number>\d+(?:[.,]\d+)?)(?:\s?\+\s?(?P<metres>\d+))?(?!\w)",
        codes.kilometre_post,
    ),
    _rule(r"BĐ\s?(?P<level>[123]|I{1,3})(?!\w)", _alarm),
    _rule(r"([AB])/(?=H\d)", lambda found: f"{found[1]} "),
    _rule(r"T\.?([2-7])(?=\s?(?:[,;:]|\.(?!\d)|-|và|đến|\)|$|\())", dates.weekday),
    _rule(r"T\s?(?P<month>\d{1,2})/(?P<year>20\d\d)(?!\w)", dates.month_year),
    _rule(
        r"(?P<word>thứ|tháng)\s+(?P<number>0?[1-9]|1[0-2])(?P<more>(?:\s?(?:,|và|-)\s?[2-7](?![\w/%]|[.,]\d))*)"
        r"(?![\w/%]|[.,-]\d)",
        dates.numbered,
        re.IGNORECASE,
    ),
    _rule(rf"(?P<roman>(?=[IVX]){ROMAN})(?!\w|')", roman.numeral),
    _rule(r"(?P<signs>[A-ZĐ]\w*-[A-ZĐ]\w+)(?![\w&])", codes.signs),
    _rule(
        r"(?:[A-ZĐ]\.\s?){2,4}(?![^\W\d_]\w)|(?<![\w.])[A-ZĐ]\.(?=\s*(?:[^\W\d_A-ZĐÀ-Ỹ]|[,;(]|$))",
        names.initials,
    ),
    _rule(rf"({_any_of(TITLES)})\.\s?(?=[^\W\d_]|\d)", names.title),
    _rule(r"(TT|TX|TP)\s(?=[A-ZĐ]\w*[^\WA-Z\d])", names.title),
    _rule(r"ĐT[.: ]?\s?(?P<road>(?=\d{3}[A-Z]?(?!\d|\.\d)))|ĐT(?!\w)", codes.road_or_phone),
    _rule(r"(TL|ĐH|HL|ĐX)[. ]?\s?(?=\d{1,3}[A-Z]?(?!\d|\.\d))", _road),
    _rule(
        r"(?P<kind>NĐ|NQ|QĐ|TT|CT|KH|CV|TB)\s?(?P<number>\d+)/(?P<year>(?:19|20)\d\d)(?![\w/])",
        codes.cited,
    ),
    _rule(r"TT\s?(?P<number>(?=\d))|^TT$", codes.order_or_circular),
    _rule(rf"(?:{_any_of(ABBREVIATIONS)})(?!\w)", names.abbreviation),
    _rule(rf"(?:{_any_of(BARE_UNITS)})(?!\w)", lambda found: UNITS[found[0]]),
    _rule(r"[^\W_]*\d[^\W_]*", names.mixed),
    _rule(
        r"[A-ZĐĂÂÊÔƠƯÀ-Ỹ]{2,}(?!\w)",
        lambda found: names.capitals(found) if found[0].isupper() else None,
    ),
    _rule(r"[^\W\d_]+", names.word),
)

_AT_MARK: tuple[Rule, ...] = (
    _rule(
        r"\((?P<roman>i{1,3}|iv|v|vi{1,3})\)",
        lambda found: f" {cardinal(roman.value(found[1].upper()))} ",
    ),
    (LIST_NUMBER, list_number),
    _PHONE,
    _rule(rf"(?P<sign>[$€£¥])\s?(?P<number>{NUMBER})(?!\w)", quantities.dollars),
    _rule(r"(?<=\dG)\s?/\s?(?=\dG)", _always(", ")),
    _PER,
    _rule(r"(?<=\d)/(?=[A-Z]\d)", _always(" ")),
    _rule(
        r"(?<=\w)\s?/(?P<year>(?:19|20)\d\d)(?!\w)", lambda found: f" năm {whole(found['year'])}"
    ),
    _rule(r"(?<=[IVX])\s?-\s?(?=[IVX])", _always(" đến ")),
    _rule(r"(?<=[IVX])\.(?=\d)", _always(" chấm ")),
    _rule(r"(?<=\d)\s?~\s?(?=\d)", _always(" đến ")),
    _rule(
        r"\s?-\s?(?=(?:thứ|chủ nhật|tháng|T[2-7]|CN|BĐ|Km)(?:\b|\d))", _weekday_dash, re.IGNORECASE
    ),
    _rule(r"(?<=\d[NB])\s?-\s?(?=\d{3})", _always(", ")),
    _rule(r"\s?-{1,3}\s?(?=\d)", _dash),
    _rule(r"\s?[x×*]\s?(?=\d|dài|rộng|cao|sâu)", quantities.times),
    _AMOUNT,
    _rule(r"\s?/\s?(?=[^\W\d_])", quantities.priced),
    _rule(r"(?<=\w)\s?/\s?(?=\w)", _always(" hoặc ")),
    _rule(r"\s+-+\s+|[;:()\[\]{}|]|\.\.\.|-+>|=+>|→|\s-+(?=[^\W\d_])|-+(?=\s)", _always(", ")),
    _rule(r"[,.?!\s]", lambda found: found[0]),
    _rule(r">=|=>", _always(" lớn hơn hoặc bằng ")),
    _rule(r"<=", _always(" nhỏ hơn hoặc bằng ")),
    _rule(rf"[{re.escape(''.join(SYMBOLS))}]", lambda found: f" {SYMBOLS[found[0]]} "),
    _rule(r"[^\w]", _always(" ")),
)
