"""Codes read sign by sign: addresses, numbers of documents, telephones, accounts, plates.

Pure. Functions give the words for a match, or None to leave it to the rules below.
"""

from __future__ import annotations

import re

from broadcast.bulletins.speech.context import text_before, unsaid
from broadcast.bulletins.speech.lexicon import ABBREVIATIONS, SIGNS, STANDARDS
from broadcast.bulletins.speech.names import letters
from broadcast.bulletins.speech.numbers import cardinal, decimal, digits, quantity, whole
from broadcast.bulletins.speech.syllables import has_vowel


def address(found: re.Match[str]) -> str:
    """A web or mail address."""
    written = re.sub(r"^(?:\w+://)?(?:www\.)?", "", found[0]).rstrip("/.")
    for mark, word in (("@", "a còng"), (".", "chấm"), ("/", "gạch chéo"), ("-", "gạch ngang")):
        written = written.replace(mark, f" {word} ")
    return re.sub(r"\d+|[^\W\d_]+", _part, re.sub(r"[\W_]+", " ", written))


def _part(found: re.Match[str]) -> str:
    part = found[0]
    if part[0].isdecimal():
        return f" {whole(part)} "
    return part if has_vowel(part) else letters(part)


def document(found: re.Match[str]) -> str | None:
    """*05/2024/NĐ-CP*: number, year, kind and issuer."""
    if "/" not in found[0] and found["signs"].split("-")[0] not in SIGNS | ABBREVIATIONS:
        return None
    if "/" not in found[0] and "-" not in found["signs"]:
        return None
    year = f", năm {cardinal(int(found['year']))}" if found["year"] else ""
    signs = re.split(r"[-/&]", found["signs"])
    number = f"{whole(found['number'])} {letters(found['suffix'])}".rstrip()
    return f"{number}{year}, {' '.join(map(_sign, signs))}"


def signs(found: re.Match[str]) -> str | None:
    """The signs of a document without its number: *QĐ-UBND*, *Số: /KH-UBND*."""
    parts = re.split("[-/]", found["signs"])
    if not all(part in SIGNS or part in ABBREVIATIONS for part in parts):
        return None
    return " ".join(map(_sign, parts))


def _sign(sign: str) -> str:
    alone = sign.rstrip("0123456789")
    said = SIGNS.get(alone) or ABBREVIATIONS.get(alone) or _body(alone) or letters(alone)
    return f"{said} {whole(sign[len(alone) :])}" if alone != sign else said


def _body(sign: str) -> str | None:
    """A ministry or a provincial department by the sector it is of: *BTNMT*, *SNNMT*."""
    sector, kind = ABBREVIATIONS.get(sign[1:]), {"B": "bộ", "S": "sở"}.get(sign[:1])
    return f"{kind} {sector}" if kind and sector and len(sign) > 3 else None


def standard(found: re.Match[str]) -> str:
    """*QCVN 01-1:2018/BYT*: kind, number, year and issuer of a standard."""
    number = " gạch ngang ".join(map(whole, re.findall(r"\d+", found["number"])))
    year = f", năm {cardinal(int(found['year']))}" if found["year"] else ""
    issuer = f", {_sign(found['issuer'])}" if found["issuer"] else ""
    return f"{STANDARDS[found['kind']]} {number}{year}{issuer}"


def cited(found: re.Match[str]) -> str:
    """*NĐ 168/2024*: kind, number and year of a document."""
    year = cardinal(int(found["year"]))
    return f"{_sign(found['kind'])} {whole(found['number'])}, năm {year}"


def phone(found: re.Match[str]) -> str | None:
    """A telephone number, in groups as it is written."""
    number = found[0].lstrip("(")
    groups = re.findall(r"\d+", number)
    if not 8 <= sum(map(len, groups)) - 2 * (number[0] == "+") <= 11:
        return None
    if len(groups) == 1:
        groups = re.findall(r"\d{1,4}(?=(?:\d{3})*$)", groups[0])
    return ("cộng " if number[0] == "+" else "") + ", ".join(map(digits, groups))


_ACCOUNT = re.compile(
    r"(?:tài khoản|stk|số tk|tk|mã số thuế|mst|cccd|cmnd|căn cước(?: công dân)?"
    r"|chứng minh nhân dân|mã số bhxh|bảo hiểm xã hội|mã số|mã hồ sơ|mã định danh"
    r"|định danh(?: cá nhân)?|số thẻ|mã thẻ"
    r"|số hiệu|sê-ri|sê ri|imei|khách hàng|số sổ|sổ|hộ chiếu|seri|thẻ bhyt|mã vạch|mã bưu chính"
    r"|số gcn|gcn|gcnqsdđ|cnqsdđ|quyền sử dụng đất|số phát hành"
    r"|thẻ đảng viên|số đăng ký|số lô|lô sx|lô sản xuất)"
    r"(?: số| là)?[\s:.]*(?:[a-zđ]{2} )?$"
)


_LINE = re.compile(
    r"(?:điện thoại|đt|sđt|đtdđ|hotline|số máy|zalo|gọi|liên hệ|lh|đường dây nóng|fax)"
    r"(?: số| qua số| theo số| là)?[\s:.]*$"
)


def account(found: re.Match[str]) -> str | None:
    """An account, identity, tax or telephone number after its name: sign by sign."""
    before, count = text_before(found), len(re.sub(r"\D", "", found[0]))
    if not (_ACCOUNT.search(before) and count >= 5) and not (
        _LINE.search(before) and 7 <= count <= 11 and found[0][-1].isdecimal()
    ):
        return None
    return ", ".join(
        digits(run) if run[0].isdecimal() else letters(run)
        for run in re.findall(r"\d+|[^\W\d_]+", found[0])
    )


def triple(found: re.Match[str]) -> str:
    """*NPK 16-16-8-13S*: three numbers or four that are no range."""
    return f"{' '.join(map(quantity, re.findall(r'[0-9]+', found[0])))} "


def plate(found: re.Match[str]) -> str:
    """A number plate, *76A-123.45*."""
    series = re.sub(r"\d", lambda one: f" {digits(one[0])}", letters_with_digits(found["series"]))
    return f"{quantity(found['province'])} {series} {digits(found['number'])}"


def letters_with_digits(written: str) -> str:
    """Letters and digits each for itself, *C1*."""
    return " ".join(letters(sign) if sign.isalpha() else sign for sign in written)


def boat(found: re.Match[str]) -> str:
    """A fishing boat's registration: *QNg 95678 TS*."""
    home = {
        "QNG": "quảng ngãi",
        "QNA": "quảng nam",
        "ĐNA": "đà nẵng",
        "DNA": "đà nẵng",
        "BĐ": "bình định",
        "KH": "khánh hòa",
        "PY": "phú yên",
    }
    where = home.get(found["home"].upper()) or letters(found["home"])
    return f"{where} {digits(found['number'])} {letters('TS')}"


def born(found: re.Match[str]) -> str:
    """*SN 1950*."""
    return f"sinh năm {cardinal(int(found['year']))}"


def kilometre_post(found: re.Match[str]) -> str:
    """*Km12+500*, a place on a road."""
    metres = f" cộng {quantity(found['metres'])}" if found["metres"] else ""
    return f"ki lô mét {decimal(found['number'], measured=True)}{metres}"


def road_or_phone(found: re.Match[str]) -> str | None:
    """*ĐT* before the number of a road, else a telephone."""
    if re.search(r"(?:giống|lúa|ngô|đậu|lạc|mía)[\s:]*(?:\w+,\s)?$", text_before(found, 14)):
        return None
    if found["road"] is None:
        return "điện thoại "
    return unsaid("đường tỉnh", found)


def order_or_circular(found: re.Match[str]) -> str:
    """*TT* alone heads a column, before a number it is a circular."""
    return "thứ tự" if found["number"] is None else "thông tư "
