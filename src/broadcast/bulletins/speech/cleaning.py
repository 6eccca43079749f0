"""A text as it was typed or pasted, made into lines of plain Unicode.

Pure, idempotent, linear. What the eye does not see goes (tags, invisible characters), what looks
alike becomes one character, and a sentence broken over lines is put together again.
"""

from __future__ import annotations

import html
import re
import unicodedata

from broadcast.bulletins.speech.encodings import other_encoding
from broadcast.kit.errors import InvalidInput

_FLAGS = re.DOTALL | re.IGNORECASE
_UNSEEN = [
    (re.compile(rf"<{name}\b[^>]{{0,500}}>.*?</{name}\s*>", _FLAGS),
     re.compile(rf"</{name}\s*>", _FLAGS))
    for name in ("script", "style", "head", "title")
] + [(re.compile("<!--.*?-->", _FLAGS), re.compile("-->"))]  # fmt: skip
"""Elements of which nothing is seen, and how they end."""
_BLOCK = re.compile(
    r"</?(?:p|br|div|li|ul|ol|tr|td|th|table|tbody|h[1-6]|hr|blockquote|section|article)"
    r"(?:\s[^<>]{0,2000})?/?>",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"</?[a-z][a-z0-9:-]{0,30}(?:\s[^<>]{0,2000})?/?>|<![^<>]{0,2000}>", re.IGNORECASE
)
_LOOK_ALIKE = str.maketrans(
    "ÐðƉɖ₫АВЕКМНОРСТХУІЅЈаеорсухіѕјΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
    "ĐđĐđđABEKMHOPCTXYISJaeopcyxisjABEZHIKMNOPTYXo",
)
_HAS_LOOK_ALIKE = re.compile("\\b\\w*[ÐðƉɖ₫Ѐ-ӿͰ-Ͽ]\\w*")
_QUOTES = str.maketrans(dict.fromkeys("‘’′´`ʼ", "'") | dict.fromkeys("“”„«»″", '"') | {"∶": ":"})
_DASHES = re.compile("[‐-―−⁃﹘﹣－]")
_DEGREE = re.compile(r"(?<=\d)(\s?)[⁰º˚ᵒ](?!\w)|(?<=\d)(\s?)[⁰º˚ᵒ](?=\s?[CFc]\b)")
_POWER = re.compile(r"(?<=\d)([⁰¹²³⁴-⁹]+)(?!\w)")
_FOOTNOTE = re.compile(r"(?<=[^\W\d_])[⁰¹²³⁴-⁹]+")
_MEASURE = re.compile(r"(?:^|[\s\d/(.,])(?:[kcmd]?m)$", re.IGNORECASE)
_FRACTION = re.compile("(\\d?)([¼-¾⅐-⅞↉])")
_LIST_MARK = r"(?:[-+*•·●▪►→✓✔➢❖◆□■\uf000-\uf0ff]|o(?=\s))+\s*(?=\S)"
_NUMBERED = (
    r"\(?(?:[IVX]{1,5}|\d{1,2}(?:\.\d{1,2}){0,3}|[a-zđA-ZĐ])[.)/](?=\s|$)|\d{1,2}\.\d{1,2}\s"
)
_STARTS_ITEM = re.compile(rf"\s*(?:{_LIST_MARK}|{_NUMBERED})")
_UNFINISHED = re.compile(
    r"(?:[,/&(–-]|(?<!\w)(?:ngày|tháng|năm|giờ|lúc|từ|đến|vào|số|và|hoặc|của|các|những|tại|trong"
    r"|với|cho|là|về|theo|thứ|xã|thôn|tỉnh|huyện|phường|đồng|khoảng|hơn|gần|trên|dưới|được|bị|có"
    r"|ông|bà|quốc lộ|điện thoại|tài khoản|lần|mỗi|đạt|bằng|do|để|bởi|mục|điều|khoản))\s*$",
    re.IGNORECASE,
)
_LINE_END = re.compile(r"[\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_LAYERS = 20
"""How often tags may come out of tags and entities of one text."""

_DISGUISES = 5
"""How often a tag may hide in entities within wide characters within entities."""

_WRAPPED = 50
"""Characters past which a line without a full stop was broken for want of room."""


def clean(text: str) -> str:
    """Plain text of a text, one paragraph or heading a line.

    Raises:
        InvalidInput: The text is in an encoding other than Unicode; says which line.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    _refuse_other_encodings(text)
    for _ in range(_DISGUISES):
        bare = "\n".join(map(_plain, _LINE_END.split(_without_markup(text))))
        if bare == text:
            break
        text = bare
    # Entities may have hidden letters of another encoding.
    _refuse_other_encodings(text)
    return "\n\n".join(_joined(text.split("\n")))


def _refuse_other_encodings(text: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        found = other_encoding(line)
        if found:
            name, word = found
            raise InvalidInput(
                "text",
                f"Dòng {number} (“{word[:40]}”) không phải chữ Việt Unicode: {name}. Hãy chuyển"
                " văn bản sang Unicode (UniKey: Ctrl+Shift+F6, đích Unicode) rồi dán lại,"
                " hoặc gõ lại dòng đó.",
                line=number,
            )


def _without_markup(text: str) -> str:
    """Text without tags and entities, however often it was escaped."""
    for _ in range(_LAYERS):
        bare = text
        if "&" in bare:
            bare = html.unescape(re.sub(r"&(?:amp;)+(?=#?\w)", "&", bare))
        if "<" in bare:
            bare = _TAG.sub("", _BLOCK.sub("\n", _without_unseen(bare)))
        if bare == text:
            return text
        text = bare
    return re.sub("[<>&]", " ", text)  # made to have no end


def _without_unseen(text: str) -> str:
    """Text without scripts, styles and remarks; what has no end is looked for no further."""
    for element, end in _UNSEEN:
        ends = [each.end() for each in end.finditer(text)]
        if ends:
            text = element.sub(" ", text[: ends[-1]]) + text[ends[-1] :]
    return text


def _plain(line: str) -> str:
    line = unicodedata.normalize("NFC", line).replace("№", "số ")
    line = re.sub(r"(?<!\d)(\d{1,3})[⁄∕](\d{1,3})(?!\d)", r"\1 phần \2", line)
    line = _FRACTION.sub(_fraction, _DEGREE.sub(r"\1\2°", line))
    line = _FOOTNOTE.sub(_footnote, _POWER.sub(lambda power: f" mũ {power[1]}", line))
    line = _HAS_LOOK_ALIKE.sub(_latin, unicodedata.normalize("NFKC", line)).translate(_QUOTES)
    line = _DASHES.sub("-", line)
    line = "".join(map(_seen, line)) if not line.isascii() or not line.isprintable() else line
    line = unicodedata.normalize("NFC", line)
    return re.sub(r"\s+", " ", line).strip()


def _seen(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind == "Nd":
        return str(unicodedata.decimal(letter))
    if kind == "Cf" or "\ufe00" <= letter <= "\ufe0f":
        return ""
    return " " if kind in {"Cc", "Cs", "Co", "Cn"} else letter


def _latin(found: re.Match[str]) -> str:
    """A word typed with letters that only look Latin; one that is truly foreign stays."""
    word = found[0].translate(_LOOK_ALIKE)
    return found[0] if re.search("[Ѐ-ӿͰ-Ͽ]", word) else word


def _fraction(found: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", found[2]).partition("⁄")
    if not below:
        return found[0]
    return f"{found[1]} {'và ' if found[1] else ''}{above} phần {'tư' if below == '4' else below} "


def _footnote(found: re.Match[str]) -> str:
    """A raised figure after a word is a footnote's, after a metre its square or cube."""
    before = found.string[max(found.start() - 4, 0) : found.start()]
    return found[0] if _MEASURE.search(before) else ""


def _joined(lines: list[str]) -> list[str]:
    """Lines put together where a sentence runs on; an empty line parts paragraphs."""
    paragraphs: list[list[str]] = []
    last = ""
    for line in lines:
        if last and line and _runs_on(last, line):
            paragraphs[-1].append(line)
        elif line:
            paragraphs.append([line])
        last = line
    return [" ".join(parts) for parts in paragraphs]


def _runs_on(line: str, following: str) -> bool:
    if _STARTS_ITEM.match(following) or line[-1] in ".!?;:":
        return False
    if _UNFINISHED.search(line[-20:]) or following[0].islower():
        return True
    return len(line) >= _WRAPPED and not line.isupper()
