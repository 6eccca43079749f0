"""The commands of docs/operations.md, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/operations.md"

EXECUTED = ("Install", "Back up", "Restore", "Upgrade", "Roll back")
"""The parts whose every block is run."""


def commands(part: str, step: int | None = None) -> str:
    """The blocks of a part, or of one numbered step of it, one after the other."""
    text = _between(PAGE.read_text(), rf"^## {part}$", r"^## ")
    if step is not None:
        text = _between(text, rf"^### {step}\. .*$", r"^### ")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, f"{PAGE.name} has no commands in {part}"
    return "".join(blocks)


def steps(part: str) -> list[int]:
    """Numbers of the steps of a part."""
    text = _between(PAGE.read_text(), rf"^## {part}$", r"^## ")
    return [int(number) for number in re.findall(r"^### (\d+)\. ", text, re.MULTILINE)]


def _between(text: str, begin: str, end: str) -> str:
    found = re.search(begin, text, re.MULTILINE)
    assert found, f"{PAGE.name} has no {begin}"
    rest = text[found.end() :]
    until = re.search(end, rest, re.MULTILINE)
    return rest[: until.start()] if until else rest
