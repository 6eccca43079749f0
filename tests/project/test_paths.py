"""Files that the documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def there(path: str) -> bool:
    roots = (ROOT, ROOT / "src/broadcast", ROOT / "src/broadcast/console")
    return any((root / path).exists() for root in roots)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`(tests/[\w./-]+)", page.read_text(encoding="utf-8"))
    assert [path for path in named if not there(path)] == []


def test_where_to_put_things_exists() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w.-]+/[\w./-]*)`", page)
    assert len(named) > 20
    assert [path for path in named if not there(path)] == []


def test_commands_of_the_page_are_targets_of_make() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = (*PAGES, ROOT / "CONTRIBUTING.md")
    named = {
        name
        for page in pages
        for name in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))
    }
    assert named <= targets


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = [page.name[:4] for page in (ROOT / "docs/decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
