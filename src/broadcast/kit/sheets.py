"""CSV files that people fill in: rows checked by pydantic, errors with file, row, column, remedy.

One reader for every import of the system. It collects all errors of a file instead of stopping at
the first, because a person repairs a file in one sitting.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from broadcast.kit import cells
from broadcast.kit.cells import Column
from broadcast.kit.english import Said
from broadcast.kit.errors import InvalidInput, TooLarge
from broadcast.kit.text import clean_line

MAX_BYTES = 8 * 2**20
"""A province's largest list, 10,000 clusters with their villages, takes about 2 MB."""

MAX_ERRORS = 200
"""Errors listed of one import; a wrong separator makes one in every row."""

MAX_CHANGES = 1000
"""Changes listed in a report; all are counted."""

MAX_ROWS = 20_000
"""Rows told of a dry run: the largest list of a province."""

R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)


class File(NamedTuple):
    """A file as it was sent."""

    name: str
    data: bytes

    def facts(self) -> dict[str, str | int]:
        """What tells it from any other: name, size, SHA-256."""
        digest = hashlib.sha256(self.data).hexdigest()
        return {"name": self.name, "bytes": len(self.data), "sha256": digest}


class RowError(BaseModel):
    """An error at one place of a file, with its remedy."""

    file: str
    row: int | None
    """As a spreadsheet counts: the header is row 1. None when the whole file is meant."""
    column: str | None
    detail: str


@dataclass
class RowErrors:
    """The errors of one import, collected."""

    found: list[RowError] = field(default_factory=list)

    def add(self, file: str, row: int | None, column: str | None, detail: str) -> None:
        """Note an error and go on."""
        self.found.append(RowError(file=file, row=row, column=column, detail=detail))

    def raise_if_any(self) -> None:
        """Refuse the import when something is wrong.

        Raises:
            InvalidInput: With `errors`, the first of them in the order of the file.
        """
        if not self.found:
            return
        self.found.sort(key=lambda error: (error.file, error.row or 0))
        first, count = self.found[0], len(self.found)
        place = ", ".join(
            [f"dòng {first.row}"] * (first.row is not None)
            + [f"cột {first.column}"] * (first.column is not None)
        )
        more = f" (và {count - 1} lỗi khác; xem “errors”)" if count > 1 else ""
        raise InvalidInput(
            first.file,
            f"{place + ': ' if place else ''}{first.detail}{more}. Chưa ghi gì.",
            errors=[error.model_dump() for error in self.found[:MAX_ERRORS]],
            error_count=count,
        )


class Action(StrEnum):
    """Change that an import makes to a row of the database."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    UNCHANGED = "unchanged"


class Fate(StrEnum):
    """What an import makes of one row of a file."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class RowFate(BaseModel):
    """What an import would make of one row of a file."""

    file: str
    row: int | None
    """As a spreadsheet counts: the header is row 1. None when the whole file is meant."""
    what: str
    """What the row names; empty where it could not be read."""
    fate: Fate
    detail: str
    """What is new, from → to, or why it is refused and how to mend that."""


class Change(BaseModel):
    """One difference that an import makes."""

    action: Action
    what: str
    detail: str = ""


class Report(BaseModel):
    """Changes that an import made, or would make."""

    dry_run: bool = False
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    refused: int = 0
    """Rows that a dry run would not take, and so nothing of the files."""
    changes: list[Change] = []
    notes: list[Said] = []
    rows: list[RowFate] = []
    """Of a dry run: each row of the files, refused ones first, at most 20,000."""

    def count(self, action: Action, what: str, detail: str = "") -> None:
        """Count a row, and list it unless it stays as it is."""
        setattr(self, action.value, getattr(self, action.value) + 1)
        if action is not Action.UNCHANGED and len(self.changes) < MAX_CHANGES:
            self.changes.append(Change(action=action, what=what, detail=detail))

    def tell(self, file: str, row: int | None, what: str, action: Action, detail: str) -> None:
        """Note what a dry run would make of a row."""
        if self.dry_run and len(self.rows) < MAX_ROWS:
            fate = Fate(action.value)
            self.rows.append(RowFate(file=file, row=row, what=what, fate=fate, detail=detail))

    def refuse(self, errors: RowErrors) -> None:
        """Note the rows that a dry run would refuse."""
        self.refused = len({(error.file, error.row) for error in errors.found})
        found = [
            RowFate(
                file=error.file,
                row=error.row,
                what="",
                fate=Fate.REFUSED,
                detail=f"{error.column}: {error.detail}" if error.column else error.detail,
            )
            for error in sorted(errors.found, key=lambda error: (error.file, error.row or 0))
        ]
        self.rows = [*found, *self.rows][:MAX_ROWS]

    def counts(self) -> dict[str, int | bool]:
        """The figures, for the log."""
        return self.model_dump(exclude={"changes", "notes", "rows"})


@dataclass(frozen=True)
class Sheet(Generic[M]):
    """A kind of file: the model that checks a row, and the columns that occur once together."""

    kind: str
    model: type[M]
    key: tuple[str, ...]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the file, in the order of the model's fields."""
        return cells.columns_of(self.model)

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]


class Row(NamedTuple, Generic[R]):
    """A row that could be read."""

    number: int
    value: R


def fits(sheet: Sheet[Any], file: File) -> bool:
    """Tell whether a file has the header of this kind."""
    required = {column.name for column in sheet.columns if column.required}
    try:
        header, _ = _header(_text(file.data))
    except ValueError:
        return False
    return required <= set(header) <= set(sheet.names)


def read(sheet: Sheet[M], file: File, errors: RowErrors) -> list[Row[M]]:
    """Rows of a file; what cannot be read is added to `errors`.

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
        errors.add(file.name, None, None, str(error))
        return []
    if not _check_header(sheet, file, header, errors):
        return []
    rows: list[Row[M]] = []
    seen: dict[tuple[Any, ...], int] = {}
    filled = (
        (n, record) for n, record in enumerate(records[1:], 2) if any(map(str.strip, record))
    )
    for number, record in filled:
        if len(record) != len(header):
            count = f"có {len(record)} ô, cần {len(header)}"
            detail = f"{count}; đặt ô có dấu phẩy trong ngoặc kép"
            errors.add(file.name, number, None, detail)
            continue
        texts = dict(zip(header, record, strict=True))
        value, wrong = cells.checked(
            sheet.model, sheet.columns, texts, "ô trống; cột này bắt buộc"
        )
        if value is None:
            for name in filter(wrong.get, sheet.names):
                errors.add(file.name, number, name, wrong[name])
            continue
        key = tuple(getattr(value, name) for name in sheet.key)
        if key in seen:
            columns = ", ".join(sheet.key)
            errors.add(
                file.name, number, sheet.key[0], f"trùng {columns} với dòng {seen[key]}; bỏ một"
            )
            continue
        seen[key] = number
        rows.append(Row(number, value))
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


def as_text(text: str) -> str:
    """What a cell holds, so that a spreadsheet does not take it for a formula.

    >>> as_text("=1+1"), as_text("Nghĩa Hành"), as_text("")
    ("'=1+1", 'Nghĩa Hành', '')
    """
    return "'" + text if text.startswith(tuple("=+-@\t\r")) else text


def _records(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return list(reader)
    except csv.Error:
        raise ValueError(
            f'dòng {reader.line_num}: dấu ngoặc kép không khớp; mở và đóng “"” quanh cả ô'
        ) from None


def _check_header(sheet: Sheet[Any], file: File, header: list[str], errors: RowErrors) -> bool:
    before = len(errors.found)
    known = ", ".join(sheet.names)
    for column in sheet.columns:
        if column.required and column.name not in header:
            errors.add(file.name, 1, column.name, f"thiếu cột này; cần các cột: {known}")
    for name in sorted(set(header)):
        if name not in sheet.names:
            detail = f"cột lạ; các cột dùng được: {known}"
            errors.add(file.name, 1, name or "(trống)", detail)
        elif header.count(name) > 1:
            errors.add(file.name, 1, name, "cột này có hai lần; bỏ một")
    return len(errors.found) == before
