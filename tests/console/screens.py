"""The pictures of `docs/screens/`: which there are, and what their files are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

DESKTOP, PHONE = (1366, 768), (360, 740)


class View(NamedTuple):
    """How a page is looked at."""

    name: str
    size: tuple[int, int]
    theme: Literal["light", "dark"]
    language: str


VIEWS = (
    View("desktop", DESKTOP, "light", "vi"),
    View("phone-dark", PHONE, "dark", "vi"),
    View("desktop-dark-en", DESKTOP, "dark", "en"),
    View("phone-en", PHONE, "light", "en"),
)
"""Both languages, both themes and both sizes, each in half of the pictures."""


def file_name(place: tuple[str, ...], view: View) -> str:
    """Of the picture of a page.

    >>> file_name(("/bulletins", "tbody a"), VIEWS[1])
    'bulletins-tbody-a.phone-dark.webp'
    """
    page = re.sub(r"[^a-z0-9]+", "-", " ".join(place).lower()).strip("-") or "today"
    return f"{page}.{view.name}.webp"


def file_names(place: tuple[str, ...]) -> Iterator[str]:
    """All pictures of a page."""
    return (file_name(place, view) for view in VIEWS)
