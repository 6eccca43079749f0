"""CSV files that people fill in: typed columns, errors with file, row, column and remedy.

One reader for every import of the system. It collects all errors of a file instead of stopping at
the first, because a person repairs a file in one sitting.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from broadcast.kit import times
from broadcast.kit.errors import InvalidInput, TooLarge
from broadcast.kit.text import LONGEST_LINE, clean_filled_line, clean_line
from broadcast.wire.topics import CODE

MAX_BYTES = 8 * 2**20
"""A province's largest list, 10,000 clusters with their villages, takes about 2 MB."""

MAX_FAULTS = 200
"""Faults told of one import; a wrong separator makes one in every row."""

MAX_CHANGES = 1000
"""Changes listed in a report; all are counted."""

R = TypeVar("R")


class File(NamedTuple):
    """A file as it was sent."""

    name: str
    data: bytes


class Fault(BaseModel):
    """What is wrong at one place of a file, and what to do about it."""

    file: str
    row: int | None
    """As a spreadsheet counts: the header is row 1. None when the whole file is meant."""
    column: str | None
    detail: str


@dataclass
class Faults:
    """The faults of one import, collected."""

    found: list[Fault] = field(default_factory=list)

    def add(self, file: str, row: int | None, column: str | None, detail: str) -> None:
        """Note a fault and go on."""
        self.found.append(Fault(file=file, row=row, column=column, detail=detail))

    def stop_if_any(self) -> None:
        """Refuse the import when something is wrong.

        Raises:
            InvalidInput: With `errors`, the first faults in the order of the file.
        """
        if not self.found:
            return
        self.found.sort(key=lambda fault: (fault.file, fault.row or 0))
        first, count = self.found[0], len(self.found)
        place = ", ".join(
            [f"dòng {first.row}"] * (first.row is not None)
            + [f"cột {first.column}"] * (first.column is not None)
        )
        more = f" (và {count - 1} lỗi khác; xem “errors”)" if count > 1 else ""
        raise InvalidInput(
            first.file,
            f"{place + ': ' if place else ''}{first.detail}{more}. Chưa ghi gì.",
            errors=[fault.model_dump() for fault in self.found[:MAX_FAULTS]],
            error_count=count,
        )


class Action(StrEnum):
    """What an import does to a row of the database."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"


class Change(BaseModel):
    """One difference that an import makes."""

    action: Action
    what: str
    detail: str = ""


class Report(BaseModel):
    """What an import did, or would do."""

    dry_run: bool = False
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    changes: list[Change] = []
    notes: list[str] = []

    def count(self, action: Action, what: str, detail: str = "") -> None:
        """Count a row, and list it unless it stays as it is."""
        setattr(self, action.value, getattr(self, action.value) + 1)
        if action is not Action.UNCHANGED and len(self.changes) < MAX_CHANGES:
            self.changes.append(Change(action=action, what=what, detail=detail))

    def counts(self) -> dict[str, int | bool]:
        """The figures, for the log."""
        return self.model_dump(exclude={"changes", "notes"})


@dataclass(frozen=True)
class Column:
    """One column: how its text becomes a value. A ValueError's text is the remedy shown."""

    name: str
    parse: Callable[[str], Any]
    required: bool = True
    default: Any = None
    """Value of an empty cell, or of a column left out, when it is not required."""


@dataclass(frozen=True)
class Sheet(Generic[R]):
    """A kind of file: its columns, what a row becomes, and what may be there once only."""

    kind: str
    columns: Sequence[Column]
    row: Callable[..., R]
    key: tuple[str, ...]


class Row(NamedTuple, Generic[R]):
    """A row that could be read."""

    number: int
    value: R


def fits(sheet: Sheet[Any], file: File) -> bool:
    """Tell whether a file has the header of this kind."""
    names = {column.name for column in sheet.columns if column.required}
    try:
        header, _ = _header(_text(file.data))
    except ValueError:
        return False
    return names <= set(header) <= {column.name for column in sheet.columns}


def read(sheet: Sheet[R], file: File, faults: Faults) -> list[Row[R]]:
    """Rows of a file; what cannot be read is added to `faults`.

    Raises:
        TooLarge: The file exceeds `MAX_BYTES`.
    """
    if len(file.data) > MAX_BYTES:
        raise TooLarge(
            f"{file.name} lớn hơn {MAX_BYTES // 2**20} MB; hãy chia thành nhiều tệp nhỏ hơn."
        )
    try:
        text = _text(file.data)
        header, delimiter = _header(text)
        records = _records(text, delimiter)
    except ValueError as error:
        faults.add(file.name, None, None, str(error))
        return []
    if not _check_header(sheet, file, header, faults):
        return []
    rows: list[Row[R]] = []
    seen: dict[tuple[Any, ...], int] = {}
    for number, cells in enumerate(records[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        values = _values(sheet, file, header, number, cells, faults)
        if values is None:
            continue
        key = tuple(values[name] for name in sheet.key)
        if key in seen:
            columns = ", ".join(sheet.key)
            faults.add(
                file.name, number, sheet.key[0], f"trùng {columns} với dòng {seen[key]}; bỏ một"
            )
            continue
        seen[key] = number
        rows.append(Row(number, sheet.row(**values)))
    return rows


def _text(data: bytes) -> str:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in data[:1000]:
        raise ValueError("tệp không phải văn bản UTF-8; hãy lưu lại dạng “CSV UTF-8”")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"dòng {row} không phải chữ UTF-8; hãy lưu lại tệp dạng “CSV UTF-8”"
        ) from None


def _header(text: str) -> tuple[list[str], str]:
    """Column names, and the separator: Excel writes semicolons on a Vietnamese machine."""
    first = text.partition("\n")[0]
    if not first.strip():
        raise ValueError("dòng đầu phải là tên cột")
    delimiter = max(",;\t", key=first.count)
    return [clean_line(name.strip()) for name in _records(first, delimiter)[0]], delimiter


def _records(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return list(reader)
    except csv.Error:
        raise ValueError(
            f'dòng {reader.line_num}: dấu ngoặc kép không khớp; mở và đóng “"” quanh cả ô'
        ) from None


def _check_header(sheet: Sheet[Any], file: File, header: list[str], faults: Faults) -> bool:
    before = len(faults.found)
    known = [column.name for column in sheet.columns]
    for column in sheet.columns:
        if column.required and column.name not in header:
            faults.add(
                file.name, 1, column.name, f"thiếu cột này; cần các cột: {', '.join(known)}"
            )
    for name in sorted(set(header)):
        if name not in known:
            faults.add(
                file.name, 1, name or "(trống)", f"cột lạ; các cột dùng được: {', '.join(known)}"
            )
        elif header.count(name) > 1:
            faults.add(file.name, 1, name, "cột này có hai lần; bỏ một")
    return len(faults.found) == before


def _values(
    sheet: Sheet[Any],
    file: File,
    header: list[str],
    number: int,
    cells: list[str],
    faults: Faults,
) -> dict[str, Any] | None:
    if len(cells) != len(header):
        faults.add(
            file.name,
            number,
            None,
            f"có {len(cells)} ô, cần {len(header)}; đặt ô có dấu phẩy trong ngoặc kép",
        )
        return None
    texts = dict(zip(header, cells, strict=True))
    values: dict[str, Any] = {}
    for column in sheet.columns:
        try:
            values[column.name] = _value(column, texts.get(column.name, ""))
        except ValueError as error:
            faults.add(file.name, number, column.name, str(error))
    return values if len(values) == len(sheet.columns) else None


def _value(column: Column, cell: str) -> Any:
    text = clean_line(cell)
    if text:
        return column.parse(text)
    if column.required:
        raise ValueError("ô trống; cột này bắt buộc")
    return column.default


# --- what a cell can be -------------------------------------------------------------------------


def text(longest: int = LONGEST_LINE) -> Callable[[str], str]:
    """A line, up to a length in characters."""

    def parse(cell: str) -> str:
        if len(cell) > longest:
            raise ValueError(f"dài {len(cell)} ký tự, tối đa {longest}")
        return cell

    return parse


def name(longest: int = LONGEST_LINE) -> Callable[[str], str]:
    """A line that says something, up to a length in characters."""
    line = text(longest)
    return lambda cell: clean_filled_line(line(cell))


def code(cell: str) -> str:
    """A code that can be a level of an MQTT topic."""
    if not re.fullmatch(CODE, cell):
        raise ValueError(
            f"mã “{cell[:40]}” không hợp lệ; dùng 1–64 chữ cái không dấu, chữ số "
            "hoặc các dấu “.”, “_”, “-”"
        )
    return cell


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


def number(lowest: float, highest: float, *, whole: bool = True) -> Callable[[str], Any]:
    """A number between two bounds, with a point or a comma before its decimals."""

    def parse(cell: str) -> float:
        value = float(cell.replace(",", ".")) if _NUMBER.fullmatch(cell) else None
        if value is None or (whole and not value.is_integer()):
            kind = "số nguyên" if whole else "số"
            raise ValueError(
                f"“{cell[:40]}” không phải {kind}; viết dạng {'70' if whole else '15,12'}"
            )
        if not lowest <= value <= highest:
            raise ValueError(f"{cell} nằm ngoài khoảng {lowest:g} đến {highest:g}")
        return int(value) if whole else value

    return parse


_NUMBER = re.compile(r"[+-]?[0-9]{1,15}([.,][0-9]{0,15})?")

E = TypeVar("E", bound=StrEnum)


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
