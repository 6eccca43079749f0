"""Tables of readings: kind, text, expected; `(a|b)` are alternatives, `(x )?` may be missing."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
_SAME = {"lẻ": "linh", "ngàn": "nghìn", "tỉ": "tỷ"}


def table(name: str) -> list[tuple[str, str, str]]:
    """Rows of a table."""
    rows = []
    for line in (HERE / name).read_text(encoding="utf-8").splitlines()[1:]:
        kind, text, expected = line.split("\t")
        text = re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), text)
        rows.append((kind, text.replace("\\n", "\n"), expected))
    return rows


def alike(words: str) -> str:
    """Words with one spelling for what sounds right either way."""
    return " ".join(
        _SAME.get(word, word) for word in words.split() if word not in {"mùng", "mồng"}
    )


def fits(words: str, expected: str) -> bool:
    """Tell whether words are among the expected readings."""
    pattern = re.sub(r"\w+", lambda word: _SAME.get(word[0], word[0]), expected)
    return re.fullmatch(pattern, alike(words)) is not None
