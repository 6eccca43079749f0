"""Finds what an answer says in Vietnamese to who has asked for English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx2 as httpx

from broadcast.console.words import Language, catalogue
from broadcast.kit.english import in_english

ASKING = {"Accept-Language": "en"}
CHOSEN = {"Cookie": "language=en"}


class _Texts(HTMLParser):
    """What people read of a page."""

    SAID = ("aria-label", "alt", "placeholder", "title")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.found += [(name, value) for name, value in attrs if name in self.SAID and value]

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.found.append((">".join(self._open[-3:]), " ".join(data.split())))


def _members(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _members(each, f"{path}/{name}")
    elif isinstance(value, list):
        for each in value:
            yield from _members(each, f"{path}/*")


def texts(answer: httpx.Response) -> list[tuple[str, str]]:
    """Places and texts of an answer."""
    kind = answer.headers.get("content-type", "")
    if kind.endswith("json") and answer.content:
        return list(_members(answer.json()))
    return _Texts(answer.text).found if "html" in kind else []


KEPT = {"Tiếng Việt", "/kind", "/changes/*/detail"}
"""What stays: the name of a language; the kind of a unit, a part of its name; what is stored."""


_NAME = re.compile(r"\b(xã|tỉnh) \d+")
"""What the units of `tests.visibility.world` are called."""


def left(answer: httpx.Response) -> set[tuple[str, str]]:
    """Places and messages that are not in English."""
    pages = catalogue(Language.ENGLISH)
    return {
        (place, text)
        for place, text in ((place, _NAME.sub("X", text)) for place, text in texts(answer))
        if text
        and not any(text == kept or place.endswith(kept) for kept in KEPT)
        and text not in (pages.get(text) or in_english(text))
    }
