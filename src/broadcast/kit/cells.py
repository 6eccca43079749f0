"""Cells of a CSV file: how the text of each becomes the value of a pydantic field.

The type of a field says how its cell is written; its bounds are checked by pydantic, as they are
in REST. Only how a mistake is worded is a matter of files: the cell is quoted.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from broadcast.kit import times
from broadcast.kit.codes import CODE_PATTERN
from broadcast.kit.text import clean_line
from broadcast.kit.validation import wording

E = TypeVar("E", bound=StrEnum)
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Cell:
    """Metadata of a field whose type alone does not say how its cell is written."""

    parse: Callable[[str], Any]
    """Raises ValueError; its text is the remedy that is shown."""


class Column(NamedTuple):
    """A field of a row, as a column of a file."""

    name: str
    required: bool
    parse: Callable[[str], Any]
    lowest: float | None
    highest: float | None
    """Bounds of a number."""


def columns_of(model: type[BaseModel]) -> tuple[Column, ...]:
    """Columns of a file whose rows are checked by a model, in the order of its fields.

    Raises:
        TypeError: A field is of a type that no cell is read as, and has no `Cell`.
    """
    return tuple(_column(name, field) for name, field in model.model_fields.items())


def _column(name: str, field: FieldInfo) -> Column:
    type_, metadata = _unwrapped(field.annotation, field.metadata)
    lowest = next((each.ge for each in metadata if hasattr(each, "ge")), None)
    highest = next((each.le for each in metadata if hasattr(each, "le")), None)
    written = next((each.parse for each in metadata if isinstance(each, Cell)), None)
    return Column(name, field.is_required(), written or _parser(type_), lowest, highest)


def _unwrapped(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, list[Any]]:
    """The type of a field without `Annotated` and `None`, and all metadata."""
    found = list(_flat(metadata))
    while True:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            annotation = arguments[0]
            found += _flat(arguments[1:])
        elif origin in {Union, types.UnionType} and types.NoneType in arguments:
            (annotation,) = (each for each in arguments if each is not types.NoneType)
        else:
            return annotation, found


def _flat(metadata: Sequence[Any]) -> Iterator[Any]:
    for each in metadata:
        if isinstance(each, FieldInfo):
            yield from each.metadata
        else:
            yield each


def _parser(type_: Any) -> Callable[[str], Any]:
    if type_ in _PARSERS:
        return _PARSERS[type_]
    if isinstance(type_, type) and issubclass(type_, StrEnum):
        return choice(type_)
    if get_origin(type_) in {set, list}:
        (member,) = get_args(type_)
        return several(member)
    raise TypeError(f"no cell is read as {type_}; give the field a Cell")


def checked(
    model: type[M], columns: Sequence[Column], given: Mapping[str, str], empty: str
) -> tuple[M | None, dict[str, str]]:
    """The value that texts stand for, or None and what is wrong, by column.

    Args:
        model: Checks it.
        columns: Those of the model.
        given: Texts as they were written, by column; an empty one is none.
        empty: What is said of one that is required and lacks.
    """
    texts, values, wrong = dict[str, str](), dict[str, Any](), dict[str, str]()
    for column in columns:
        try:
            texts[column.name] = cell = clean_line(given.get(column.name, ""))
            if cell:
                values[column.name] = column.parse(cell)
        except ValueError as error:
            wrong[column.name] = str(error)
            continue
        if column.required and not cell:
            wrong[column.name] = empty
    try:
        value = model.model_validate(values)
    except ValidationError as error:
        found = {str(each["loc"][0]): each for each in reversed(error.errors())}
        for column in columns:
            if column.name in found and column.name not in wrong:
                wrong[column.name] = explained(found[column.name], column, texts[column.name])
        return None, wrong
    return (None if wrong else value), wrong


def explained(error: Mapping[str, Any], column: Column, cell: str) -> str:
    """Message for an error that pydantic found in a cell."""
    context = error.get("ctx", {})
    match error["type"]:
        case "string_too_long":
            return f"dài {len(cell)} ký tự, tối đa {context['max_length']}"
        case "string_pattern_mismatch" if context["pattern"] == CODE_PATTERN:
            return no_code(cell)
        case "greater_than_equal" | "less_than_equal" if None not in column[-2:]:
            return f"{cell} nằm ngoài khoảng {column.lowest:g} đến {column.highest:g}"
    return wording(error)


# --- how cells are written ----------------------------------------------------------------------


def text(cell: str) -> str:
    """Text as it is."""
    return cell


def code(cell: str) -> str:
    """A code that can be a level of an MQTT topic."""
    if not re.fullmatch(CODE_PATTERN[1:-1], cell):
        raise ValueError(no_code(cell))
    return cell


def no_code(cell: str) -> str:
    """Message for a cell that is no code."""
    return (
        f"mã “{cell[:40]}” không hợp lệ; dùng 1–64 chữ cái không dấu, chữ số "
        "hoặc các dấu “.”, “_”, “-”"
    )


def day(cell: str) -> date:
    """A day, YYYY-MM-DD."""
    try:
        return times.day(cell)
    except ValueError as error:
        raise ValueError(f"“{cell[:40]}” {error}") from None


def instant(cell: str) -> datetime:
    """An instant as people write it anywhere: `broadcast.kit.times`."""
    try:
        return times.moment(cell)
    except ValueError as error:
        raise ValueError(f"“{cell[:40]}” {error}") from None


def whole_number(cell: str) -> int:
    """A whole number; a spreadsheet may have given it decimals, all zero."""
    value = _number(cell)
    if value is None or not value.is_integer():
        raise ValueError(f"“{cell[:40]}” không phải số nguyên; viết dạng 70")
    return int(value)


def number(cell: str) -> float:
    """A number with a point or a comma before its decimals."""
    value = _number(cell)
    if value is None:
        raise ValueError(f"“{cell[:40]}” không phải số; viết dạng 15,12")
    return value


def _number(cell: str) -> float | None:
    return float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell) else None


_NUMBER = re.compile(r"[+-]?[0-9]{1,15}([.,][0-9]{0,15})?")


def choice(values: type[E]) -> Callable[[str], E]:
    """One of a set of words."""

    def parse(cell: str) -> E:
        try:
            return values(cell.lower())
        except ValueError:
            words = ", ".join(value.value for value in values)
            raise ValueError(f"“{cell[:40]}” không dùng được; chọn: {words}") from None

    return parse


def several(values: type[E]) -> Callable[[str], list[E]]:
    """A set of words joined by `+`, such as `wired+fm`."""
    one = choice(values)

    def parse(cell: str) -> list[E]:
        return sorted({one(word.strip()) for word in cell.split("+")})

    return parse


_PARSERS: dict[type, Callable[[str], Any]] = {
    str: text,
    int: whole_number,
    float: number,
    date: day,
    datetime: instant,
}
