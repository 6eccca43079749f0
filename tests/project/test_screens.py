"""`docs/screens/` holds pictures of every page, and is small enough to live here."""

from __future__ import annotations

from pathlib import Path

from tests.console.journeys.test_every_page import PAGES
from tests.console.screens import file_names

SCREENS = Path(__file__).parents[2] / "docs" / "screens"

MOST = 6_000_000
"""Bytes of all pictures."""


def test_pictures_are_of_every_page_there_is() -> None:
    known = {name for path, _, *links in PAGES for name in file_names((path, *links))}
    assert {path.name for path in SCREENS.iterdir()} == known, "make screens"


def test_all_pictures_together_stay_small() -> None:
    assert 0 < sum(path.stat().st_size for path in SCREENS.iterdir()) <= MOST
