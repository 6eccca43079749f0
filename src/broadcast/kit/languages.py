"""Languages that people of the province speak, by their codes (BCP 47)."""

from __future__ import annotations

from typing import Literal, get_args

Language = Literal["vi", "hre", "cua", "sed", "bdq", "jra", "jeh"]
"""Vietnamese and the languages of the province that have a code of their own."""

LANGUAGES: tuple[Language, ...] = get_args(Language)

NAMES: dict[str, str] = {
    "vi": "tiếng Việt",
    "hre": "tiếng Hrê",
    "cua": "tiếng Cor",
    "sed": "tiếng Xơ Đăng, Ca Dong",
    "bdq": "tiếng Ba Na",
    "jra": "tiếng Gia Rai",
    "jeh": "tiếng Giẻ Triêng",
}


def named(code: str) -> str:
    """A language as a sentence calls it; the code of one that is not of the province."""
    return NAMES.get(code, code)
