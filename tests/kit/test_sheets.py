"""What is told of a CSV file that cannot be read: row, column, remedy."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from broadcast.areas.model import Part
from broadcast.kit import cells, sheets
from broadcast.kit.codes import Code
from broadcast.kit.errors import InvalidInput, TooLarge
from broadcast.kit.sheets import File, Row, RowErrors, Sheet
from broadcast.kit.times import Day


class Thing(BaseModel):
    code: Code
    name: Annotated[str, Field(max_length=10)]
    since: Day | None = None
    count: Annotated[int, Field(ge=1, le=9)] = 1


THINGS = Sheet(kind="things", model=Thing, key=("code",))


def thing(code: str, name: str, since: date | None = None, count: int = 1) -> Thing:
    return Thing(code=code, name=name, since=since, count=count)


def read(data: str | bytes) -> tuple[list[Row[Thing]], list[tuple[int | None, str | None, str]]]:
    errors = RowErrors()
    raw = data.encode() if isinstance(data, str) else data
    rows = sheets.read(THINGS, File("things.csv", raw), errors)
    assert all(error.file == "things.csv" for error in errors.found)
    return rows, [(error.row, error.column, error.detail) for error in errors.found]


def test_rows_are_numbered_as_a_spreadsheet_shows_them() -> None:
    rows, errors = read("code,name,since,count\na,Một,2025-07-01,2\n\nb,Hai,,\n")
    assert errors == []
    assert rows == [
        Row(2, thing("a", "Một", date(2025, 7, 1), 2)),
        Row(4, thing("b", "Hai")),
    ]


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffcode,name\r\na,Xã Một\r\n",
        "code;name\na;Xã Một\n",
        "name\tcode\nXã Một\ta\n",
        "code,name\na,Xa\u0303 Mo\u0323\u0302t\n",
        " code , name \n a , Xã Một \n",
    ],
    ids=["byte order mark", "semicolons", "tabs, other order", "decomposed letters", "blanks"],
)
def test_what_spreadsheets_write_is_understood(data: str) -> None:
    assert read(data) == ([Row(2, thing("a", "Xã Một"))], [])


@pytest.mark.parametrize(
    ("data", "row", "column", "says"),
    [
        ("", None, None, "tên cột"),
        ("Mã,Tên\n".encode("utf-16"), None, None, "CSV UTF-8"),
        (b"code,name\na,ok\nb,\xd0\xc1\n", None, None, "dòng 3"),
        ("code,name\na,b\0c\n", None, None, "CSV UTF-8"),
        ('code,name\na,"unclosed\n', None, None, "dòng 2: dấu ngoặc kép"),
        ("code\na\n", 1, "name", "thiếu cột"),
        ("code,name,colour\na,b,red\n", 1, "colour", "cột lạ"),
        ("code,name,name\na,b,c\n", 1, "name", "hai lần"),
        ("code,name\na\n", 2, None, "1 ô, cần 2"),
        ("code,name\na,b,c\n", 2, None, "ngoặc kép"),
        ("code,name\n,b\n", 2, "code", "trống"),
        ("code,name\nxã/1,b\n", 2, "code", "không hợp lệ"),
        ("code,name\na,b\na,c\n", 3, "code", "dòng 2"),
        ("code,name\na,12345678901\n", 2, "name", "tối đa 10"),
        ('code,name\na,"b\nc"\n', 2, "name", "xuống dòng"),
        ("code,name,since\na,b,01/07/2025\n", 2, "since", "dạng 2025-03-08"),
        ("code,name,since\na,b,2025-02-30\n", 2, "since", "phải là ngày"),
        ("code,name,since\na,b,2025-W27-2\n", 2, "since", "phải là ngày"),
        ("code,name,count\na,b,10\n", 2, "count", "1 đến 9"),
        ("code,name,count\na,b,nhiều\n", 2, "count", "số nguyên"),
    ],
)
def test_an_error_is_told_with_its_place(
    data: str | bytes, row: int | None, column: str | None, says: str
) -> None:
    _, errors = read(data)
    assert [(error[0], error[1]) for error in errors] == [(row, column)]
    assert says in errors[0][2]


def test_all_errors_of_a_file_are_told_at_once() -> None:
    _, errors = read("code,name,since,count\n,b,x,0\nok,b,,\nxã,b,,\n")
    assert [(row, column) for row, column, _ in errors] == [
        (2, "code"),
        (2, "since"),
        (2, "count"),
        (4, "code"),
    ]


def test_the_error_names_the_first_error_and_lists_no_more_than_a_screenful() -> None:
    errors = RowErrors()
    for row in range(500, 1, -1):
        errors.add("things.csv", row, "code", "ô trống")
    with pytest.raises(
        InvalidInput, match=r"things.csv: dòng 2, cột code: ô trống .*498"
    ) as error:
        errors.raise_if_any()
    listed = error.value.extra["errors"]
    assert isinstance(listed, list)
    assert len(listed) == sheets.MAX_ERRORS
    assert error.value.extra["error_count"] == 499


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(TooLarge, match="8 MB"):
        read(b"x" * (sheets.MAX_BYTES + 1))


@pytest.mark.parametrize(
    ("data", "fits"),
    [
        ("code,name\n", True),
        ("count;code;name\n", True),
        ("code\n", False),
        ("code,name,colour\n", False),
        ("", False),
    ],
)
def test_a_kind_of_file_is_known_by_its_header(data: str, fits: bool) -> None:
    assert sheets.fits(THINGS, File("x.csv", data.encode())) is fits


@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_the_reader_fail(data: bytes) -> None:
    rows, errors = read(data)
    assert errors or rows or not data.strip(b"\xef\xbb\xbf\r\n\t ") or b"code" in data


HANOI = datetime(2025, 7, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (cells.instant, "2025-07-01T08:00+07:00", HANOI),
        (cells.instant, "2025-07-01T01:00Z", HANOI),
        (cells.instant, "2025-07-01 08:00", HANOI),
        (cells.instant, "2025-07-01", HANOI - timedelta(hours=8)),
        (cells.choice(Part), "Whole", Part.WHOLE),
        (cells.several(Part), "whole + part+whole", [Part.PART, Part.WHOLE]),
        (cells.number, "15,12", 15.12),
        (cells.whole_number, "70.0", 70),
        (cells.whole_number, "7,", 7),
    ],
)
def test_a_cell_becomes_a_value(parse: Any, text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (cells.instant, "8 giờ"),
        (cells.choice(Part), "half"),
        (cells.several(Part), "whole+"),
        (cells.number, "nan"),
        (cells.whole_number, "1.5"),
        (cells.whole_number, "1.234"),
        (cells.whole_number, "1_0"),
        (cells.whole_number, "１２"),
        (cells.number, "1e1"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(parse: Any, text: str) -> None:
    with pytest.raises(ValueError, match=r"“|ngoài khoảng"):
        parse(text)
