"""Written Vietnamese to the words a reader says: numbers, dates, times, units, abbreviations.

Pure. A line is read from left to right; at each place the first rule that applies says the words
and moves on, so that no rule sees what another has said. What no rule knows is read as a word;
what is no Latin letter is left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from broadcast.bulletins import dates
from broadcast.bulletins.lexicon import (
    ABBREVIATIONS,
    LETTERS,
    RATES,
    SIGNS,
    SYMBOLS,
    TITLES,
    UNITS,
)
from broadcast.bulletins.number_words import cardinal, decimal, digits, whole
from broadcast.bulletins.syllables import has_vowel, is_syllable


@dataclass(frozen=True)
class Passage:
    """One line of a text.

    Attributes:
        words: What is said: lower-case words and the marks `, . ? !`.
        is_heading: Whether a reader pauses longer after it.
    """

    words: str
    is_heading: bool


def passages(text: str) -> list[Passage]:
    """Lines of a text that hold anything to say, in order."""
    read = ((line.strip(), spoken(line)) for line in text.splitlines())
    return [Passage(words, _is_heading(line)) for line, words in read if words]


def _is_heading(line: str) -> bool:
    numbered = re.match(rf"(?:{_ROMAN}|\d+(?:\.\d+)*)[.)]\s", line) and line[-1] not in ".;,:"
    return line.isupper() or (bool(numbered) and len(line) < 120)


def spoken(line: str) -> str:
    """Words of one line.

    >>> spoken("- 19h30 ngày 15/12: UBND xã họp, 98% số hộ dự.")
    'mười chín giờ ba mươi phút ngày mười lăm tháng mười hai, ủy ban nhân dân xã họp, \
chín mươi tám phần trăm số hộ dự.'
    """
    line = _plain(line)
    said: list[str] = []
    at = 0
    while at < len(line):
        for pattern, say in _RULES:
            found = pattern.match(line, at)
            words = say(found) if found and found.end() > at else None
            if found and words is not None:
                said.append(words)
                at = found.end()
                break
        else:
            at += 1
    return _tidy("".join(said))


# One function for each rule: the words for a match, or None to leave it to the rules below.


def _list_number(found: re.Match[str]) -> str:
    number = found["roman"] or found["arabic"] or found["letter"]
    if found["roman"]:
        return f"{cardinal(_roman(number))}. "
    return f"{decimal(number) if found['arabic'] else number}. "


def _address(found: re.Match[str]) -> str:
    written = re.sub(r"^\w+://", "", found[0]).rstrip("/")
    for mark, word in (("@", "a còng"), (".", "chấm"), ("/", "gạch chéo"), ("-", "gạch ngang")):
        written = written.replace(mark, f" {word} ")
    return re.sub(r"\d+", lambda run: whole(run[0]), re.sub(r"[\W_]+", " ", written))


def _document(found: re.Match[str]) -> str:
    year = f", năm {cardinal(int(found['year']))}" if found["year"] else ""
    signs = re.split(r"[-/&]", found["signs"])
    number = f"{whole(found['number'])} {found['suffix']}".rstrip()
    return f"{number}{year}, {' '.join(map(_sign, signs))}"


def _sign(sign: str) -> str:
    letters = sign.rstrip("0123456789")
    said = SIGNS.get(letters) or ABBREVIATIONS.get(letters) or _letters(letters)
    return f"{said} {whole(sign[len(letters) :])}" if letters != sign else said


def _phone(found: re.Match[str]) -> str | None:
    number = found[0]
    groups = re.findall(r"\d+", number)
    if not 8 <= sum(map(len, groups)) - 2 * (number[0] == "+") <= 11:
        return None
    if len(groups) == 1:
        groups = re.findall(r"\d{1,4}(?=(?:\d{3})*$)", groups[0])
    return ("cộng " if number[0] == "+" else "") + ", ".join(map(digits, groups))


def _quantity(found: re.Match[str]) -> str | None:
    number, unit, rate = found["number"], found["unit"], found["rate"]
    if re.fullmatch("11[1-5]", number) and not (
        unit or dates.COUNTED.fullmatch(dates.word_after(found))
    ):
        said_before = found.string[max(found.start() - 80, 0) : found.start()].lower()
        if re.search(r"\b(?:gọi|tổng đài|nóng|điện thoại)\b", said_before):
            return digits(number)
    said = ("âm " if found["minus"] else "") + decimal(number)
    if unit:
        said += f" {UNITS[unit]}"
    return said + (f" trên {RATES[rate]}" if rate else "")


def _per(found: re.Match[str]) -> str | None:
    parallel = dates.word_before(found) in {"ngày", "tháng", "năm", "xã", "thôn", "tỉnh", "cấp"}
    return None if parallel else " một "


def _numeral(found: re.Match[str]) -> str | None:
    value = _roman(found["roman"])
    return f"{found['cue'] or ''}{cardinal(value)}" if value else None


def _roman(numeral: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10}[letter] for letter in numeral]
    following = [*values[1:], 0]
    return sum(-now if now < then else now for now, then in zip(values, following, strict=True))


def _abbreviation(found: re.Match[str]) -> str:
    return ABBREVIATIONS[found[0]]


def _title(found: re.Match[str]) -> str:
    return f"{TITLES[found[1]]} "


def _road_or_phone(found: re.Match[str]) -> str:
    return "điện thoại " if found["road"] is None else "đường tỉnh "


def _order_or_circular(found: re.Match[str]) -> str:
    return "thứ tự" if found["number"] is None else "thông tư "


def _capitals(found: re.Match[str]) -> str:
    """A word in capitals as a word, an unknown abbreviation by its letters."""
    word = found[0]
    if is_syllable(word) or (len(word) > 5 and has_vowel(word)):
        return word
    return _letters(word)


def _letters(word: str) -> str:
    return " ".join(LETTERS.get(letter, letter) for letter in word.upper())


def _mixed(found: re.Match[str]) -> str:
    """Letters and digits in one word, H5N1 or QL24B: each run for itself."""
    runs = re.findall(r"\d+|[^\W\d_]+", found[0])
    return " ".join(
        whole(run) if run[0].isdecimal() else ABBREVIATIONS.get(run) or _letters(run)
        for run in runs
    )


def _word(found: re.Match[str]) -> str:
    word = found[0]
    if not unicodedata.name(word[0], "").startswith("LATIN"):
        return " "
    if len(word) == 1 or is_syllable(word):
        return word
    known = ABBREVIATIONS.get(word.upper())
    return known or (word if has_vowel(word) else _letters(word))


_ROMAN = r"X{0,3}(?:IX|IV|V?I{1,3}|V|(?<=X))"
_NUMBER = r"\d{1,3}(?:\.\d{3})+(?:,\d+)?(?!\.?\d)|\d+,\d+|\d+(?:\.\d+)*"
_CUE = (
    r"(?:chương|điều|mục|phần|quý|khóa|khoá|kỳ|thứ|hạng|cấp|loại|thế kỷ|đại hội|giai đoạn|nhóm"
    r"|vùng|đợt|bậc|tập|hội nghị|phụ lục)\s+"
)
_PER = (
    r"ngày|tuần|tháng|quý|năm|giờ|phút|đầu người|người|hộ|suất|lần|lượt|con|cây|cái|chiếc|buổi|ca"
    r"|xã|thôn|sào"
)


def _any_of(words: dict[str, str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


def _always(words: str) -> Callable[[re.Match[str]], str]:
    return lambda _: words


def _rule(
    pattern: str, say: Callable[[re.Match[str]], str | None], flags: int = 0
) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str | None]]:
    return re.compile(pattern, flags), say


_RULES = (
    _rule(
        rf"^(?:(?P<roman>{_ROMAN})[.)/]|(?P<arabic>\d{{1,2}}(?:\.\d{{1,2}})*)[.)]"
        r"|(?P<letter>[a-zđ])\))(?=\s|$)\s*",
        _list_number,
    ),
    _rule(
        r"(?:https?://|www\.)[^\s,;]+|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"
        r"|[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\.(?:vn|com|net|org)(?!\w)(?:/[^\s,;]*)?",
        _address,
    ),
    _rule(
        r"(?P<number>\d+)(?P<suffix>[a-z]?)(?:/(?P<year>(?:19|20)\d\d))?[/-]"
        r"(?P<signs>[A-ZĐ]{2}\w*(?:[-/&][A-ZĐ]\w+)*)(?!\w)",
        lambda found: _document(found) if "/" in found[0] else None,
    ),
    _rule(
        r"\(?(?:\+84|0)[ .]?\d{2,4}\)?(?:[ .-]?\d{2,4}){1,3}(?!\d)|1[89]00[ .]?\d{4}(?!\d)", _phone
    ),
    _rule(
        r"(?P<hour>\d{1,2})\s?(?P<mark>[hHgG])(?:\s?(?P<minute>[0-5]\d)"
        r"(?:\s?(?:phút|ph|p|'))?)?(?![\w/])",
        dates.time,
    ),
    _rule(r"(?P<hour>[01]?\d|2[0-4])(?P<mark>:)(?P<minute>[0-5]\d)(?![\w:])", dates.time),
    _rule(
        r"(?P<day>\d{1,2})(?P<by>[/.-])(?P<month>\d{1,2})(?P=by)(?P<year>\d{4})(?!\w)",
        dates.full_date,
    ),
    _rule(r"(?P<day>\d{1,2})/(?P<month>\d{1,2})/(?P<year>\d\d)(?!\w)", dates.full_date),
    _rule(r"(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)(?!\w)", dates.full_date),
    _rule(
        r"(?P<first>\d{1,2})\s?-\s?(?P<day>\d{1,2})/(?P<month>\d{1,2})(?:/(?P<year>\d{4}))?(?![\w/])",
        dates.day_range,
    ),
    _rule(r"(?P<month>\d{1,2})/(?P<year>(?:19|20)\d\d)(?!\w)", dates.month_year),
    _rule(r"(?P<day>\d{1,7})/(?P<month>\d{1,7})(?![\w/])", dates.stroke),
    _rule(r"(ngày)\s+(\d{1,2})(?=\s+tháng\b)", dates.day_before_month, re.IGNORECASE),
    _rule(r"(thứ|tháng)\s+(0?[1-9])(?![\w/%]|[.,-]\d)", dates.ordinal, re.IGNORECASE),
    _rule(rf"(?P<cue>)(?P<roman>(?=[IVX]{{2}}){_ROMAN})(?!\w)", _numeral),
    _rule(rf"(?P<cue>{_CUE})(?P<roman>(?-i:(?=[IVX]){_ROMAN}))(?!\w)", _numeral, re.IGNORECASE),
    _rule(r"(?<=\w)/(?P<year>(?:19|20)\d\d)(?!\w)", lambda found: f" năm {whole(found['year'])}"),
    _rule(rf"({_any_of(TITLES)})\.\s?(?=[^\W\d_]|\d)", _title),
    _rule(r"(TT|TX|TP)\s(?=[A-ZĐ]\w*[^\WA-Z\d])", _title),
    _rule(r"ĐT[.: ]?\s?(?P<road>(?=\d{3}[A-Z]?(?![\d.])))|ĐT(?!\w)", _road_or_phone),
    _rule(r"TT\s?(?P<number>(?=\d))|^TT$", _order_or_circular),
    _rule(rf"(?:{_any_of(ABBREVIATIONS)})(?!\w)", _abbreviation),
    _rule(r"(?<=\d)\s?-\s?(?=\d)|(?<=[IVX])\s?-\s?(?=[IVX])", _always(" đến ")),
    _rule(r"\s?-\s?(?=\d)", lambda found: " đến " if _ends_in_number(found) else None),
    _rule(r"(?<=\d)\s?[x×]\s?(?=\d)", _always(" nhân ")),
    _rule(
        rf"(?P<minus>(?<![\w)])-)?(?P<number>{_NUMBER})"
        rf"(?:\s?(?P<unit>{_any_of(UNITS)})(?:/(?P<rate>{_any_of(RATES)}))?(?!\w))?(?:(?!\w)|(?=[x×]\d))",
        _quantity,
    ),
    _rule(r"[^\W_]*\d[^\W_]*", _mixed),
    _rule(
        rf"(?<=\w)/(?P<rate>{_any_of(RATES)})(?!\w)", lambda found: f" trên {RATES[found['rate']]}"
    ),
    _rule(rf"(?<=\w)/(?={_PER})", _per),
    _rule(r"(?<=\w)\s?/\s?(?=\w)", _always(" hoặc ")),
    _rule(r"\s+-\s+|[;:()\[\]{}]|\.\.\.", _always(", ")),
    _rule(r"[A-ZĐĂÂÊÔƠƯ]{2,}(?!\w)", _capitals),
    _rule(r"[^\W\d_]+", _word),
    _rule(r"[,.?!\s]", lambda found: found[0]),
    _rule(rf"[{re.escape(''.join(SYMBOLS))}]", lambda found: f" {SYMBOLS[found[0]]} "),
    _rule(r"[^\w]", _always(" ")),
)


def _ends_in_number(found: re.Match[str]) -> bool:
    """Tell whether a dash follows a number with its unit or mark: 15%-20%, 7h30-9h."""
    return bool(
        re.search(r"\d\s?[\w%°']{1,3}$", found.string[max(found.start() - 8, 0) : found.start()])
    )


def _plain(line: str) -> str:
    """One spelling for what looks the same: composed letters, one dash, one quote, no bullet."""
    for written, words in (("½", " một phần hai"), ("¼", " một phần tư"), ("¾", " ba phần tư")):
        line = line.replace(written, words)
    line = unicodedata.normalize("NFKC", line)
    line = re.sub(r"[‐-―−⁃]", "-", line)
    line = re.sub(r"[‘’′]", "'", line)
    line = re.sub(r"\s+", " ", line).strip()
    line = re.sub(r"^[-+*•·o▪►→]\s+", "", line)
    return re.sub(r"\s*\.?/\.?$", ".", line)


def _tidy(said: str) -> str:
    """Single spaces, one mark where several met, the strongest of them."""
    said = re.sub(r"\s+", " ", said).lower()
    said = re.sub(
        r"\s?[,.?!](?:[\s,.?!]*[,.?!])?",
        lambda marks: next(mark for mark in "?!.," if mark in marks[0]) + " ",
        said,
    )
    return re.sub(r"\s+", " ", said).strip(" ,").lstrip(".?! ")
