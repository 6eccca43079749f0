"""Checks of a request before any rule of ours sees it: names of its parameters, and its body."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import Message

from broadcast.kit.errors import Malformed, TooLarge, TooSlow, UnsupportedMediaType
from broadcast.kit.validation import brief

JSON_BYTES = 256 * 1024
"""Largest JSON body; a schedule with its exceptions takes a tenth of it."""

FORM_BYTES = 32 * 2**20
"""Largest form; each CSV file has a limit of its own below that."""

FORM_PARTS = 16
"""Files of a form."""

FORM_FIELDS = 2000
"""Other fields of a form: a page sends one for each village that is chosen."""

JSON_SECONDS, FORM_SECONDS = 20.0, 300.0
"""From the header to the last byte of the body."""


# --- parameters --------------------------------------------------------------------------------


class Parameter(NamedTuple):
    """A parameter of a query or a form."""

    is_list: bool
    written: re.Pattern[str] | None
    """Pattern of its value, where pydantic would take more than the description says."""
    said: str


_WRITTEN = {
    bool: (re.compile("true|false"), "phải là true hoặc false"),
    int: (re.compile("-?[0-9]{1,18}"), "phải là số nguyên"),
}


def query_parameters(dependant: Dependant) -> dict[str, Parameter]:
    """The query parameters of a route, by name."""
    return dict(_parameters(dependant, "query_params"))


def path_parameters(dependant: Dependant) -> dict[str, Parameter]:
    """The parameters in the path of a route, by name."""
    return dict(_parameters(dependant, "path_params"))


def form_parameters(dependant: Dependant) -> dict[str, Parameter]:
    """The fields of a route's form, by name."""
    return dict(_parameters(dependant, "body_params"))


def _parameters(dependant: Dependant, kind: str) -> Iterator[tuple[str, Parameter]]:
    for field in getattr(dependant, kind):
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, part_of in annotation.model_fields.items():  # a form that is one model
                yield part_of.alias or name, _parameter(part_of.annotation)
        else:
            yield field.alias, _parameter(annotation)
    for part in dependant.dependencies:
        yield from _parameters(part, kind)


def _parameter(annotation: Any) -> Parameter:
    kinds = set(_kinds(annotation))
    written = next((w for type_, w in _WRITTEN.items() if type_ in kinds), (None, ""))
    return Parameter(list in kinds, *written)


def _kinds(annotation: Any) -> Iterator[Any]:
    """Types that an annotation such as `list[int] | None` is made of."""
    yield get_origin(annotation) or annotation
    for part in get_args(annotation):
        yield from _kinds(part)


def check_parameters(given: QueryParams | FormData, known: Mapping[str, Parameter]) -> None:
    """Refuse what the route does not know, twice what it takes once, and `1.0` or `yes`.

    A misspelt filter that is ignored answers for the whole province.

    Raises:
        Malformed: It names the parameter, and those that there are.
    """
    seen: set[str] = set()
    for name, value in given.multi_items():
        parameter = known.get(name)
        if parameter is None:
            there = f"chỉ có: {', '.join(sorted(known))}" if known else "ở đây không có gì"
            raise Malformed(brief(name) or "query", f"không có tham số nào tên như vậy; {there}")
        if name in seen and not parameter.is_list:
            raise Malformed(name, "ghi nhiều lần; hãy chỉ ghi một lần")
        if parameter.written and not (
            isinstance(value, str) and parameter.written.fullmatch(value)
        ):
            raise Malformed(name, parameter.said)
        seen.add(name)


def check_path(given: Mapping[str, str], known: Mapping[str, Parameter]) -> None:
    """Refuse a number that is written otherwise than in digits.

    Raises:
        Malformed: It names the parameter.
    """
    for name, parameter in known.items():
        if parameter.written and not parameter.written.fullmatch(given[name]):
            raise Malformed(name, parameter.said)


# --- body --------------------------------------------------------------------------------------


class Bounded(Request):
    """A request whose body ends in time and below its limit, and whose JSON is JSON."""

    def __init__(self, request: Request, limit_bytes: int) -> None:
        super().__init__(request.scope, self._receive_bounded)
        self._receive_more = request.receive
        self._left = self._limit = limit_bytes
        self._parsed: Any = ...

    async def _receive_bounded(self) -> Message:
        message = await self._receive_more()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large()
        return message

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"Nội dung yêu cầu dài hơn {self._limit // 1024} KB; hãy chia nhỏ rồi gửi lại.",
            limit_bytes=self._limit,
        )

    async def load(self, seconds: float) -> bytes:
        """Receive a body that is not a form.

        Raises:
            TooLarge: It is longer than its limit.
            TooSlow: It has not come in time.
        """
        self._check_declared()
        try:
            async with asyncio.timeout(seconds):
                return await self.body()
        except TimeoutError:
            raise _too_slow(seconds) from None

    async def load_form(self, seconds: float) -> FormData:
        """Receive a form; its files lie on disk when they are large.

        Raises:
            TooLarge: It is longer than its limit.
            TooSlow: It has not come in time.
            Malformed: It is no form, or has too many files or fields.
        """
        self._check_declared()
        try:
            async with asyncio.timeout(seconds):
                return await self.form(max_files=FORM_PARTS, max_fields=FORM_FIELDS)
        except TimeoutError:
            raise _too_slow(seconds) from None
        except HTTPException:
            raise Malformed(
                "body",
                f"biểu mẫu sai dạng, hoặc có hơn {FORM_PARTS} tệp hay {FORM_FIELDS} mục;"
                " hãy gửi lại",
            ) from None

    def _check_declared(self) -> None:
        declared = self.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._too_large()

    async def json(self) -> Any:
        """The body, read as JSON (RFC 8259) once.

        Raises:
            UnsupportedMediaType: It is not said to be JSON.
            Malformed: It is not JSON, or nested too deeply.
        """
        if self._parsed is ...:
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json" and not kind.endswith("+json"):
                raise UnsupportedMediaType(
                    "Nội dung phải là JSON; hãy gửi kèm Content-Type: application/json."
                )
            try:
                self._parsed = json.loads(
                    await self.body(), parse_float=_number, parse_constant=_no_constant
                )
            except RecursionError:
                raise Malformed("body", "các mục JSON lồng nhau quá sâu; hãy bớt cấp") from None
            except ValueError:
                raise Malformed("body", "không phải JSON hợp lệ") from None
        return self._parsed


def check_strictly(body: Any, kind: TypeAdapter[Any]) -> None:
    """Refuse JSON of another type than the description says: `"70"` or `false` for a number.

    Raises:
        RequestValidationError: As FastAPI would say it.
    """
    try:
        kind.validate_json(json.dumps(body), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in found]
        ) from None


def _too_slow(seconds: float) -> TooSlow:
    return TooSlow(
        f"Nội dung yêu cầu không đến đủ trong {seconds:.0f} giây; hãy kiểm tra đường truyền rồi"
        " gửi lại."
    )


def _number(written: str) -> int | float:
    """A number; 70.0 is the integer 70 (JSON Schema, §6.1.1)."""
    number = float(written)
    if math.isinf(number):
        raise ValueError(written)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _no_constant(name: str) -> None:
    raise ValueError(name)
