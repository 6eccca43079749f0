"""Days and moments as people write them: the schema says exactly what is taken."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from broadcast.api import create_app
from broadcast.config import Settings
from broadcast.kit import times
from broadcast.kit.db import create_engine
from broadcast.kit.times import Day, Moment


class Asked(BaseModel):
    on: Day | None = None
    at: Moment | None = None


def calendar() -> list[tuple[str, date | None]]:
    """Every text that looks like a day around the years that are taken, with the day it is."""
    found: list[tuple[str, date | None]] = []
    for year in (0, 1, 1899, 1900, 1904, 1999, 2000, 2023, 2024, 2096, 2099, 2100, 9999):
        for month in range(14):
            for number in range(33):
                text = f"{year:04}-{month:02}-{number:02}"
                try:
                    found.append((text, date.fromisoformat(text)))
                except ValueError:
                    found.append((text, None))
    return found


def test_the_pattern_of_a_day_holds_every_day_of_its_years_and_no_other() -> None:
    for text, day in calendar():
        taken = day is not None and 1900 <= day.year < 2100
        assert bool(re.search(times.DAY_PATTERN, text)) is taken, text
        moment = day is not None and 2000 <= day.year < 2100
        assert bool(re.search(times.MOMENT_PATTERN, text)) is moment, text
        if taken:
            assert times.day(text) == day


@given(st.from_regex(times.MOMENT_PATTERN, fullmatch=True))
def test_what_the_pattern_of_a_moment_holds_is_taken_and_shown_with_the_offset(text: str) -> None:
    text = text.removesuffix("\n")
    at = times.moment(text)
    assert at.tzinfo is UTC
    assert re.search(times.SHOWN_PATTERN, times.shown(at))
    assert datetime.fromisoformat(times.shown(at)) == at


@given(
    st.dates(date(2000, 1, 1), date(2099, 12, 30)),
    st.integers(0, 86_399),
    st.none() | st.integers(-23 * 60, 23 * 60),
)
def test_a_moment_without_an_offset_is_vietnamese_time(
    on: date, second: int, minutes: int | None
) -> None:
    wall = datetime.combine(on, time.min) + timedelta(seconds=second)
    if minutes is None:
        assert times.moment(wall.isoformat()) == wall.replace(tzinfo=UTC) - timedelta(hours=7)
    else:
        aware = wall.replace(tzinfo=timezone(timedelta(minutes=minutes)))
        assert times.moment(aware.isoformat()) == aware


@pytest.mark.parametrize(
    "value",
    [
        *(0, 0.5, 1_767_225_600, True, "0", "0.5", "1767225600", "", "mai", "2025-2-1"),
        *("0001-01-01", "9999-12-31", "2025-02-29", "2025-03-08\n", "２０２５-03-08", []),
    ],
)
def test_no_number_and_no_year_that_no_register_knows_is_a_time(value: Any) -> None:
    for name in ("on", "at"):
        with pytest.raises(ValidationError) as caught:
            Asked.model_validate({name: value})
        assert "phải là" in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "text",
    [
        *("2025-03-08T24:00", "2025-03-08T05:60", "2025-03-08T05", "2025-03-08T05:00 07:00"),
        *("2025-03-08T05:00:00+7", "2025-W10-6", "1999-12-31T23:59:59Z", "2100-01-01T00:00"),
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="không ghi múi giờ nghĩa là giờ Việt Nam"):
        times.moment(text)


def test_a_moment_is_kept_in_utc_and_answered_with_the_offset() -> None:
    asked = Asked.model_validate({"at": "2025-03-08T05:00", "on": "2025-03-08"})
    assert asked.at == datetime(2025, 3, 7, 22, tzinfo=UTC)
    assert asked.model_dump_json() == '{"on":"2025-03-08","at":"2025-03-08T05:00:00+07:00"}'


def _times(document: dict[str, Any], node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every schema of a time below a node of the document, references followed."""
    if isinstance(node, dict):
        if "$ref" in node:
            name = node["$ref"].rpartition("/")[2]
            if name not in path.split("/"):
                schema = document["components"]["schemas"].get(name, {})
                yield from _times(document, schema, f"{path}/{name}")
        if str(node.get("format", "")).startswith("date"):
            yield path, node
        for key, each in node.items():
            yield from _times(document, each, f"{path}/{key}")
    elif isinstance(node, list):
        for each in node:
            yield from _times(document, each, path)


def test_every_time_of_the_document_follows_the_one_rule() -> None:
    settings = Settings()
    document = create_app(settings, create_engine(settings.postgres)).openapi()
    answered = 0
    for url, path in document["paths"].items():
        for method, operation in path.items():
            # What is taken says its pattern, which no format of JSON Schema can say.
            asked = [operation.get("parameters", []), operation.get("requestBody", {})]
            assert not list(_times(document, asked)), (method, url)
            for place, schema in _times(document, operation["responses"]):
                if schema["format"] == "date-time":
                    assert schema.get("pattern") == times.SHOWN_PATTERN, (method, url, place)
                    answered += 1
    assert answered > 50
