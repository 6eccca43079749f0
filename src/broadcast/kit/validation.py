"""Validation errors of pydantic in Vietnamese, for requests, files and commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broadcast.kit.errors import InvalidInput, Malformed

_WORDINGS = {
    "missing": "thiếu trường này; hãy điền",
    "extra_forbidden": "không có trường nào tên như vậy; hãy sửa tên hoặc bỏ đi",
    "string_type": "phải là chuỗi ký tự",
    "string_too_short": "cần ít nhất {min_length} ký tự",
    "string_too_long": "dài quá {max_length} ký tự",
    "string_pattern_mismatch": "có ký tự hoặc dạng không được phép; hãy viết lại",
    "string_unicode": "không phải văn bản UTF-8",
    "enum": "phải là một trong: {expected}",
    "literal_error": "phải là một trong: {expected}",
    "int_type": "phải là số nguyên",
    "int_parsing": "phải là số nguyên",
    "int_from_float": "phải là số nguyên",
    "float_type": "phải là số",
    "float_parsing": "phải là số",
    "bool_type": "phải là true hoặc false",
    "bool_parsing": "phải là true hoặc false",
    "greater_than": "phải lớn hơn {gt}",
    "greater_than_equal": "phải từ {ge} trở lên",
    "less_than": "phải nhỏ hơn {lt}",
    "less_than_equal": "không được quá {le}",
    "list_type": "phải là danh sách",
    "too_short": "cần ít nhất {min_length} mục",
    "too_long": "không được quá {max_length} mục",
    "uuid_parsing": "không phải mã của mục nào; hãy chép lại mã từ danh sách",
    "uuid_type": "không phải mã của mục nào; hãy chép lại mã từ danh sách",
    "date_from_datetime_parsing": "phải là ngày, dạng 2025-03-08",
    "date_parsing": "phải là ngày, dạng 2025-03-08",
    "date_type": "phải là ngày, dạng 2025-03-08",
    "datetime_parsing": "phải là thời điểm, dạng 2025-03-08T05:00:00+07:00",
    "datetime_from_date_parsing": "phải là thời điểm, dạng 2025-03-08T05:00:00+07:00",
    "datetime_type": "phải là thời điểm, dạng 2025-03-08T05:00:00+07:00",
    "timezone_aware": "thiếu múi giờ, ví dụ +07:00",
    "json_invalid": "không phải JSON hợp lệ",
    "model_type": "phải là một đối tượng JSON",
    "model_attributes_type": "phải là một đối tượng JSON",
    "dict_type": "phải là một đối tượng JSON",
}
"""pydantic's error types; any other is only said to be wrong."""


def invalid(errors: Sequence[Any], *, skip: int = 0) -> InvalidInput:
    """All that is wrong, the first of it in front.

    Args:
        errors: pydantic's, at least one.
        skip: Leading steps of each location that name no field, such as `body`.
    """
    found = [{"field": _field(error, skip), "detail": wording(error)} for error in errors]
    return InvalidInput(found[0]["field"], found[0]["detail"], errors=found)


LONGEST_FIELD = 100
"""Letters of the name of a field, steps down to it included."""

_RULES = {"value_error", "assertion_error"}
"""Error types of validators of ours: what the description of the interface cannot say."""


def malformed(errors: Sequence[Any], *, skip: int = 0) -> InvalidInput:
    """As `invalid`, but `Malformed` when the description of the interface forbids a value."""
    error = invalid(errors, skip=skip)
    if all(each["type"] in _RULES for each in errors):
        return error
    return Malformed(error.field, error.reason, errors=error.extra["errors"])


def _field(error: Any, skip: int) -> str:
    steps = () if error["type"] == "json_invalid" else error["loc"][skip:]
    if error["loc"][:1] == ("query",):
        steps = steps[:1]  # not which of several values
    named = ".".join(str(step) for step in steps) or str((*error["loc"], "body")[0])
    return brief(named)


def brief(name: str) -> str:
    """The name of a field as it is said: one that a stranger has made up may have any length."""
    return name if len(name) <= LONGEST_FIELD else f"{name[:LONGEST_FIELD]}…"


def wording(error: Mapping[str, Any]) -> str:
    """Message for one of pydantic's errors: what is wrong and how to mend it."""
    words = _WORDINGS.get(error["type"])
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if words is None:
        return "giá trị không hợp lệ; hãy xem tài liệu REST rồi sửa"
    context = {**error.get("ctx", {})}
    if "expected" in context:
        context["expected"] = context["expected"].replace("'", "").replace(" or ", ", ")
    return words.format_map(context)
