"""Fields that REST requests of several features share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Query
from pydantic import ConfigDict, Field
from pydantic.config import JsonValue

from broadcast.kit import codes
from broadcast.kit.text import FilledLine, Line
from broadcast.kit.times import Day

Code = codes.Code
AsOf = Annotated[
    Day | None, Query(description="ngày hỏi, mặc định hôm nay", examples=["2025-01-04"])
]
LocalTime = Annotated[
    str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="giờ Việt Nam, HH:MM")
]
DryRun = Annotated[bool, Form(description="chỉ cho biết sẽ đổi gì")]
Name = FilledLine
Text = Line


NULL: JsonValue = {"type": "null"}
GIVEN: JsonValue = {"not": NULL}


def example(**values: JsonValue) -> ConfigDict:
    """Model configuration with an example for the documentation."""
    return ConfigDict(json_schema_extra={"example": values})


def one_of_two(one: str, other: str) -> JsonValue:
    """`oneOf` of a model of which exactly one of two fields is given."""
    return [
        {"required": [given], "properties": {given: GIVEN, left_out: NULL}}
        for given, left_out in ((one, other), (other, one))
    ]
