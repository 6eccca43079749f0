"""What the forms of these pages have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import Form, Request, Response

from broadcast.areas.model import Area
from broadcast.auth.caller import Caller
from broadcast.console.formats import collated
from broadcast.console.page import language_of, page
from broadcast.console.words import translate
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput

NO_STORE = {"Cache-Control": "no-store"}
"""Of what is shown once."""

Line = Annotated[str, Form(max_length=300)]
Choice = Annotated[str, Form(max_length=60)]
"""A choice in a list; empty where nothing was chosen."""


def options(request: Request, names: Mapping[Any, str]) -> list[tuple[str, str]]:
    """Values and their words, as a `select` offers them."""
    language = language_of(request)
    return [(str(value), translate(language, name)) for value, name in names.items()]


def units(found: Iterable[Area]) -> list[tuple[str, str]]:
    """Codes and names of units, by name."""
    return sorted(((each.code, each.name) for each in found), key=lambda each: collated(each[1]))


def day(field: str, text: str) -> date | None:
    """The day that a field of type `date` was filled with, if any.

    Raises:
        InvalidInput: It is none.
    """
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(field, "không phải ngày; hãy chọn lại") from None


def begin_of(day: date) -> datetime:
    """Its first moment in Việt Nam."""
    return datetime.combine(day, time(), LOCAL)


def end_of(day: date) -> datetime:
    """The first moment after it."""
    return begin_of(day + timedelta(days=1))


def secret(request: Request, caller: Caller, template: str, **shown: Any) -> Response:
    """A part of a page that holds what is shown this once."""
    return page(request, caller, template, headers=NO_STORE, **shown)
