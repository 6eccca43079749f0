"""The walk of a heartbeat in docs/architecture.md is the one that the code takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import broadcast
from broadcast.ingest.pipeline import Pipeline

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
WALK = TEXT.split("## A heartbeat, socket → commit")[1].split("\n## ")[0]
HOPS = re.findall(r"^\| \w+ \| `([\w/]+\.py)`(?:\\\*)? · (.+?) \|", WALK, re.MULTILINE)


def test_it_has_eight_files() -> None:
    assert len({file for file, _ in HOPS}) == 8
    assert Pipeline.walk.__name__ in WALK


@pytest.mark.parametrize(("file", "functions"), HOPS)
def test_each_function_is_in_its_file(file: str, functions: str) -> None:
    text = (Path(broadcast.__file__).parent / file).read_text(encoding="utf-8")
    for name in re.findall(r"`([\w.]+)`", functions):
        *owner, function = name.split(".")
        assert re.search(rf"def {function}\b", text), name
        assert not owner or f"class {owner[0]}" in text, name
