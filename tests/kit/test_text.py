"""Text that people write comes out the same through every door, or through none."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from broadcast.api import create_app
from broadcast.config import Settings
from broadcast.kit import sheets
from broadcast.kit.db import create_engine
from broadcast.kit.sheets import File, RowErrors, Sheet
from broadcast.kit.text import (
    FILLED_LINE,
    LINE,
    PROSE,
    FilledLine,
    Line,
    Note,
    clean_line,
    clean_person,
    clean_prose,
)

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u180b\u200b\u200d\u202a\u202e\u2060\u2066\ufe0f\ufeff\U000e0041"
)

CLEANED = [
    ("Thôn Phú Bi\u0300nh", "Thôn Phú Bình"),
    ("  Thôn\u00a0 Phú\u3000Bình ", "Thôn Phú Bình"),
    ("Tho\u200b\u0302n", "Thôn"),
    ("\ufeffĐài \u202axã\u202c", "Đài xã"),
    ("Ⅳ", "Ⅳ"),
]


@pytest.mark.parametrize(("typed", "stored"), CLEANED)
def test_what_is_typed_differently_is_stored_alike(typed: str, stored: str) -> None:
    assert clean_line(typed) == stored


@pytest.mark.parametrize(
    "text", ["a\nb", "a\tb", "a\r", "a\u2028b", "a\0", "a\x85", "\ufffd", "\ue000"]
)
def test_a_line_without_its_like_on_a_keyboard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="hãy"):
        clean_line(text)


def test_prose_keeps_its_lines() -> None:
    assert clean_prose(" Kính gửi \r\n\r\nbà\u200b con\r") == "Kính gửi\n\nbà con"


@pytest.mark.parametrize("blank", ["", " ", "\u200b", "\u00ad \u3164", "…", "--"])
def test_a_name_says_something(blank: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(FilledLine).validate_python(blank)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    for clean in (clean_line, clean_prose):
        try:
            once = clean(text)
        except ValueError:
            continue
        assert clean(once) == once
        assert unicodedata.is_normalized("NFC", once)


@given(st.text(max_size=20), st.lists(st.sampled_from(INVISIBLE), min_size=1, max_size=3))
def test_nothing_invisible_makes_a_difference(text: str, hidden: list[str]) -> None:
    try:
        plain = clean_line(text)
    except ValueError:
        return
    for place in {0, len(text) // 2, len(text)}:
        assert clean_line(text[:place] + "".join(hidden) + text[place:]) == plain


class _Row(BaseModel):
    name: FilledLine
    note: Line = ""


_SHEET = Sheet(kind="rows", model=_Row, key=("name",))

_TYPED = st.text(
    st.one_of(
        st.sampled_from(" ạ\u0323o\u0302Đ1\u200b\ufeff\u202a\u00a0\n\t\r\x85\ufffd"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=30,
)


def _by_rest(name: str, note: str) -> tuple[str, str] | None:
    try:
        row = _Row(name=name, note=note)
    except ValidationError:
        return None
    return row.name, row.note


def _by_csv(name: str, note: str) -> tuple[str, str] | None:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["name", "note"], [name, note]])
    rows = sheets.read(_SHEET, File("rows.csv", file.getvalue().encode()), RowErrors())
    return (rows[0].value.name, rows[0].value.note) if rows else None


@given(_TYPED, _TYPED)
@example("Thôn Phú Bi\u0300nh\ufeff", "\u202aa")
def test_rest_and_csv_store_the_same(name: str, note: str) -> None:
    assert _by_rest(name, note) == _by_csv(name, note)


@given(_TYPED)
def test_the_schema_says_what_is_taken(text: str) -> None:
    for type_, pattern in ((Line, LINE), (FilledLine, FILLED_LINE), (Note, PROSE)):
        adapter: TypeAdapter[str] = TypeAdapter(type_)
        assert adapter.json_schema()["pattern"] == pattern
        try:
            adapter.validate_python(text)
            taken = True
        except ValidationError:
            taken = False
        assert taken is (re.search(pattern, text) is not None and not text.endswith("\n")) or (
            pattern == PROSE
        )


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Nguyễn Thị Lan", "Nguyễn Thị Lan"),
        (" Y  Blếch ", "Y Blếch"),
        ("Lan\u200b", "Lan"),
        ("Lan\u0301", "Lań"),
        ("O'Brien (2)", "O'Brien (2)"),
        ("L\u0430n", None),
        ("Lan‘", None),
        ("", None),
    ],
)
def test_a_persons_name_looks_like_no_other(typed: str, name: str | None) -> None:
    if name is not None:
        assert clean_person(typed) == name
        return
    with pytest.raises(ValueError, match="chữ cái"):
        clean_person(typed)


_OPEN = {
    "pattern", "format", "enum", "const", "contentMediaType",
}  # fmt: skip


def _strings(schema: Any, at: str) -> list[str]:
    """Places of a schema at which any text would be taken."""
    if isinstance(schema, list):
        return [found for each in schema for found in _strings(each, at)]
    if not isinstance(schema, dict):
        return []
    found = [at] if schema.get("type") == "string" and not _OPEN & schema.keys() else []
    for name, below in schema.items():
        if name == "properties":
            for field, each in below.items():
                found += _strings(each, f"{at}.{field}")
        elif name not in {"examples", "example", "default", "enum"}:
            found += _strings(below, at)
    return found


async def test_no_request_body_takes_uncleaned_text() -> None:
    """A rule of recurrence alone has a grammar that no pattern says."""
    settings = Settings()
    document = create_app(settings, create_engine(settings.postgres)).openapi()
    schemas, asked, seen = document["components"]["schemas"], [], set[str]()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for media, body in operation.get("requestBody", {}).get("content", {}).items():
                asked.append((f"{method} {path} {media}", body["schema"]))
    open_ = []
    while asked:
        at, schema = asked.pop()
        open_ += _strings(schema, at)
        for name in re.findall(r"#/components/schemas/([\w.-]+)", str(schema)):
            if name not in seen:
                seen.add(name)
                asked.append((name, schemas[name]))
    assert [at for at in open_ if not at.endswith(".rrule")] == []
