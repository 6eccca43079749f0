"""The list of the domain's cases names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIST = (ROOT / "docs/cases.md").read_text()


def test_every_case_is_there_and_names_tests_that_exist() -> None:
    assert [int(each) for each in re.findall(r"^\| (\d+) \|", LIST, re.MULTILINE)] == [
        *range(1, 23)
    ]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", LIST)
    assert len(named) > 22
    for path, name in named:
        assert re.search(rf"def {name}\b", (ROOT / path).read_text()), f"{path}::{name}"
