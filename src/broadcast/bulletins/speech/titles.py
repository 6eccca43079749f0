"""Titles before a person's name: degrees, professions and honours, alone or in a chain.

Pure. *BS. CKII*, *PGS.TS*, *KS. Trần Văn A*. A title whose letters mean something else as well
(*CN*: Sunday) is one only before a name or beside a title that is certain.
"""

from __future__ import annotations

import re

from broadcast.bulletins.speech.context import word_before
from broadcast.bulletins.speech.lexicon import ABBREVIATIONS

_CERTAIN = {
    "PGS": "phó giáo sư",
    "GS": "giáo sư",
    "ThS": "thạc sĩ",
    "BS": "bác sĩ",
    "KTS": "kiến trúc sư",
    "NSND": "nghệ sĩ nhân dân",
    "NSƯT": "nghệ sĩ ưu tú",
    "NGND": "nhà giáo nhân dân",
    "NGƯT": "nhà giáo ưu tú",
    "NNND": "nghệ nhân nhân dân",
    "NNƯT": "nghệ nhân ưu tú",
    "TTƯT": "thầy thuốc ưu tú",
    "AHLĐ": "anh hùng lao động",
    "CKI": "chuyên khoa một",
    "CKII": "chuyên khoa hai",
}
_BEFORE_A_NAME = {
    "TS": "tiến sĩ",
    "TSKH": "tiến sĩ khoa học",
    "CN": "cử nhân",
    "KS": "kỹ sư",
    "LS": "luật sư",
    "DS": "dược sĩ",
    "ĐD": "điều dưỡng",
    "CNĐD": "cử nhân điều dưỡng",
    "YS": "y sĩ",
    "NHS": "nữ hộ sinh",
    "NCS": "nghiên cứu sinh",
    "CV": "chuyên viên",
    "CVC": "chuyên viên chính",
    "KSV": "kiểm sát viên",
    "ĐTV": "điều tra viên",
    "CHV": "chấp hành viên",
    "TTND": "thầy thuốc nhân dân",
}
DEGREES = _CERTAIN | _BEFORE_A_NAME

_WRITTEN = (
    r"(?:CK\s?(?:II|I|[12])|[Tt]h\.?\s?[sS]|THS|Bs|Ts|Ks|Ds|Ys|Ls"
    rf"|{'|'.join(sorted(DEGREES, key=len, reverse=True))})"
)
CHAIN = rf"{_WRITTEN}(?:(?:[.,]\s?|\s|(?=CK)|(?<=GS)(?=TS)){_WRITTEN}){{0,5}}(?!\w)\.?"
"""Pattern of titles one after another; bounded, so that reading stays linear."""

_NAME = re.compile(
    r"\s?(?:nguyễn|trần|lê|phạm|huỳnh|hoàng|phan|vũ|võ|đặng|bùi|đỗ|hồ|ngô|dương|lý|đinh|đoàn|lương"
    r"|trương|mai|trịnh|tạ|hà|phùng|châu|tăng|thái|cao|tô|tống|lâm|lưu|quách|kiều)(?!\w)",
    re.IGNORECASE,
)
_CAPITALISED = re.compile(r"\s?[^\W\d_]")


def chain(found: re.Match[str]) -> str | None:
    """The titles in full, unless the letters stand for something else here."""
    written = found[0]
    if written.rstrip(".") in ABBREVIATIONS and len(written.rstrip(".")) > 2:
        return None
    keys = [_key(part) for part in re.findall(_WRITTEN, written)]
    follows = found.string[found.end() : found.end() + 16]
    capital = _CAPITALISED.match(follows)
    named = _NAME.match(follows) or (
        written.endswith(".") and capital and capital[0][-1].isupper()
    )
    if not named and _CERTAIN.keys().isdisjoint(keys):
        return None
    if keys[0] in {"CKI", "CKII"} and word_before(found) not in {"sĩ", "sỹ"}:
        return None
    said = [DEGREES[key] for key in keys]
    return f"{re.sub(', chuyên khoa', ' chuyên khoa', ', '.join(said))} "


def _key(part: str) -> str:
    bare = re.sub(r"[\s.]", "", part)
    if bare.lower() == "ths":
        return "ThS"
    return {"CK1": "CKI", "CK2": "CKII"}.get(bare, bare if bare in DEGREES else bare.upper())
