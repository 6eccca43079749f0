"""What pydantic finds, said to a broadcaster."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from broadcast.auth.permissions import Role
from broadcast.kit.validation import invalid


class Inner(BaseModel):
    size: Annotated[int, Field(ge=1, le=9)]


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z]*$")] = "ab"
    role: Role = Role.PROVINCE_MONITOR
    way: Literal["up", "down"] = "up"
    on: date | None = None
    at: AwareDatetime | None = None
    when: datetime | None = None
    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.5
    flag: bool = False
    id: UUID | None = None
    inner: Inner | None = None
    many: Annotated[list[Inner], Field(min_length=1, max_length=2)] = [Inner(size=1)]


@pytest.mark.parametrize(
    ("given", "field", "detail"),
    [
        ({"name": "a"}, "name", "cần ít nhất 2 ký tự"),
        ({"name": "abcde"}, "name", "dài quá 4 ký tự"),
        ({"name": "AB"}, "name", "có ký tự hoặc dạng không được phép; hãy viết lại"),
        ({"name": 7}, "name", "phải là chuỗi ký tự"),
        ({"name": "\ud800x"}, "name", "không phải văn bản UTF-8"),
        (
            {"role": "king"},
            "role",
            "phải là một trong: " + ", ".join(Role),
        ),
        ({"way": "left"}, "way", "phải là một trong: up, down"),
        ({"on": "8/3/2025"}, "on", "phải là ngày, dạng 2025-03-08"),
        ({"at": "2025-03-08T05:00:00"}, "at", "thiếu múi giờ, ví dụ +07:00"),
        ({"when": "mai"}, "when", "phải là thời điểm, dạng 2025-03-08T05:00:00+07:00"),
        ({"ratio": 0}, "ratio", "phải lớn hơn 0.0"),
        ({"ratio": 1}, "ratio", "phải nhỏ hơn 1.0"),
        ({"flag": "maybe"}, "flag", "phải là true hoặc false"),
        ({"id": "x"}, "id", "không phải mã của mục nào; hãy chép lại mã từ danh sách"),
        ({"inner": {}}, "inner.size", "thiếu trường này; hãy điền"),
        ({"inner": {"size": 0}}, "inner.size", "phải từ 1 trở lên"),
        ({"many": [{"size": 5}, {"size": 10}]}, "many.1.size", "không được quá 9"),
        ({"many": [{"size": "x"}]}, "many.0.size", "phải là số nguyên"),
        ({"many": []}, "many", "cần ít nhất 1 mục"),
        ({"many": [{"size": 1}] * 3}, "many", "không được quá 2 mục"),
        ({"x": 1}, "x", "không có trường nào tên như vậy; hãy sửa tên hoặc bỏ đi"),
        ([], "body", "phải là một đối tượng JSON"),
    ],
)
def test_a_person_is_told_in_vietnamese_which_field_and_why(
    given: Any, field: str, detail: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate(given)
    error = invalid(caught.value.errors())
    assert (error.field, error.detail) == (field, f"{field}: {detail}")


def test_all_that_is_wrong_is_listed() -> None:
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate({"name": "a", "ratio": 3})
    assert invalid(caught.value.errors()).extra["errors"] == [
        {"field": "name", "detail": "cần ít nhất 2 ký tự"},
        {"field": "ratio", "detail": "phải nhỏ hơn 1.0"},
    ]


def test_broken_json_names_the_body_and_no_position() -> None:
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate_json(b'{"name": ')
    assert invalid(caught.value.errors()).field == "body"


@pytest.mark.parametrize(("loc", "field"), [(("body", "a", 0), "a.0"), (("query",), "query")])
def test_where_a_value_came_from_is_no_part_of_its_name(loc: Any, field: str) -> None:
    assert invalid([{"type": "missing", "loc": loc, "msg": ""}], skip=1).field == field


def test_what_has_no_words_keeps_its_own() -> None:
    error = {"type": "value_error", "loc": ("a",), "msg": "Value error, sai ngày"}
    assert invalid([error]).detail == "a: sai ngày"
