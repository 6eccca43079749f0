"""Figures on pages compared with the answers of REST.

A part of a page names the answer that it shows (`data-rest="/api/v1/…"`), and each figure in it
the place in that answer (`data-figure="/value"`, RFC 6901). `compare` asks REST and says what
differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from html.parser import HTMLParser
from typing import Any, NamedTuple

from broadcast.console import formats
from tests.console.conftest import Pages

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
SHAPES = {"circle", "line", "path", "polyline", "rect"}


class Figure(NamedTuple):
    """A figure as a page shows it."""

    rest: str
    pointer: str
    text: str


class Figures(HTMLParser):
    """The figures of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._open: list[tuple[str, str, str | None]] = []
        self._texts: list[list[str]] = []
        self.found: list[Figure] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID or tag in SHAPES:
            return
        given = dict(attrs)
        rest = given.get("data-rest") or (self._open[-1][1] if self._open else "")
        pointer = given.get("data-figure")
        self._open.append((tag, rest, pointer))
        if pointer is not None:
            self._texts.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""

    def handle_data(self, data: str) -> None:
        for texts in self._texts:
            texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            name, rest, pointer = self._open.pop()
            if pointer is not None:
                text = " ".join("".join(self._texts.pop()).split())
                self.found.append(Figure(rest, pointer, text))
            if name == tag:
                break


def resolve(answer: Any, pointer: str) -> Any:
    """What a pointer names in an answer."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        answer = answer[int(name)] if isinstance(answer, list) else answer[name]
    return answer


def readings(value: Any) -> Iterator[str]:
    """Ways in which a page may write a value."""
    if value is None:
        yield formats.NOTHING
        yield ""
    elif isinstance(value, str):
        yield " ".join(value.split())
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return
        yield from (formats.moment(at), formats.clock(at), formats.day(at))
        yield formats.day(date.fromisoformat(value[:10]))
    elif isinstance(value, list):
        yield formats.number(len(value), 0)  # how many they are
    elif isinstance(value, bool):
        raise AssertionError("a yes or no is no figure")
    else:
        yield from (formats.number(value, digits) for digits in (0, 1, 2))
        yield from (formats.percent(value), formats.share(value), formats.span(value))


async def compare(pages: Pages, path: str) -> int:
    """Hold every figure of a page against REST; return how many there are."""
    answer = await pages.load(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:2000])
    answers: dict[str, Any] = {}
    found = Figures(answer.text).found
    for figure in found:
        assert figure.rest, f"{path}: {figure.pointer} is in no part with data-rest"
        if figure.rest not in answers:
            told = await pages.client.get(figure.rest, headers={"Accept": "application/json"})
            assert told.status_code == 200, (path, figure.rest, told.text)
            answers[figure.rest] = told.json()
        value = resolve(answers[figure.rest], figure.pointer)
        assert figure.text in set(readings(value)), (path, figure, value)
    return len(found)
