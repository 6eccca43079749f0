"""What a request says before any rule of ours sees it: names of its parameters, and its body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.types import Message

from broadcast.errors import InvalidInput, TooLarge, TooSlow, UnsupportedMediaType

JSON_BYTES = 256 * 1024
"""Largest JSON body; a schedule with its exceptions takes a tenth of it."""

FORM_BYTES = 32 * 2**20
"""Largest form, of up to `FORM_PARTS` parts; each CSV file has a limit of its own below that."""

FORM_PARTS = 16

JSON_SECONDS, FORM_SECONDS = 20.0, 300.0
"""From the header to the last byte of the body."""


# --- names -------------------------------------------------------------------------------------


def query_names(dependant: Dependant) -> dict[str, bool]:
    """Names of a route's query parameters, and whether each may be given several times."""
    return dict(_names(dependant, "query_params"))


def form_names(dependant: Dependant) -> dict[str, bool]:
    """Names of the fields of a route's form, and whether each may be given several times."""
    return dict(_names(dependant, "body_params"))


def _names(dependant: Dependant, kind: str) -> Iterator[tuple[str, bool]]:
    for field in getattr(dependant, kind):
        yield field.alias, _is_list(field.field_info.annotation)
    for part in dependant.dependencies:
        yield from _names(part, kind)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def check_names(given: QueryParams | FormData, known: Mapping[str, bool]) -> None:
    """Refuse what the route does not know, and twice what it takes once.

    A misspelt filter that is ignored answers for the whole province.

    Raises:
        InvalidInput: It names the parameter, and those that there are.
    """
    seen: set[str] = set()
    for name, _ in given.multi_items():
        if name not in known:
            there = f"chỉ có: {', '.join(sorted(known))}" if known else "ở đây không có gì"
            raise InvalidInput(name or "query", f"không có tham số nào tên như vậy; {there}")
        if name in seen and not known[name]:
            raise InvalidInput(name, "ghi nhiều lần; hãy chỉ ghi một lần")
        seen.add(name)


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
            InvalidInput: It is no form, or has too many parts.
        """
        self._check_declared()
        try:
            async with asyncio.timeout(seconds):
                return await self.form(max_files=FORM_PARTS, max_fields=FORM_PARTS)
        except TimeoutError:
            raise _too_slow(seconds) from None
        except HTTPException:
            raise InvalidInput(
                "body", f"biểu mẫu sai dạng, hoặc có hơn {FORM_PARTS} phần; hãy gửi lại"
            ) from None

    def _check_declared(self) -> None:
        declared = self.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._too_large()

    async def json(self) -> Any:
        """The body, read as JSON (RFC 8259) once.

        Raises:
            UnsupportedMediaType: It is not said to be JSON.
            InvalidInput: It is not JSON, or nested too deeply.
        """
        if self._parsed is ...:
            kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json" and not kind.endswith("+json"):
                raise UnsupportedMediaType(
                    "Nội dung phải là JSON; hãy gửi kèm Content-Type: application/json."
                )
            try:
                self._parsed = json.loads(await self.body(), parse_constant=_no_constant)
            except RecursionError:
                raise InvalidInput("body", "các mục JSON lồng nhau quá sâu; hãy bớt cấp") from None
            except ValueError:
                raise InvalidInput("body", "không phải JSON hợp lệ") from None
        return self._parsed


def _too_slow(seconds: float) -> TooSlow:
    return TooSlow(
        f"Nội dung yêu cầu không đến đủ trong {seconds:.0f} giây; hãy kiểm tra đường truyền rồi"
        " gửi lại."
    )


def _no_constant(name: str) -> None:
    raise ValueError(name)
