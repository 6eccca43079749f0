"""Errors as problem documents (RFC 9457), each with what to do."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from broadcast.audit.entry import MOST_OBJECT
from broadcast.audit.recording import printable
from broadcast.audit.refusals import Refusals
from broadcast.kit import clock, db, times
from broadcast.kit.english import as_asked
from broadcast.kit.errors import (
    CONTENT_DISK_FULL,
    DISK_FULL,
    BroadcastError,
    DiskFull,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    TooManyRequests,
    Unavailable,
    Unknown,
)
from broadcast.kit.validation import malformed
from broadcast.web import origin
from broadcast.web.paths import allowed, template

log = structlog.get_logger()

PROBLEMS = Counter("broadcast_problems", "Requests answered with a problem", ["slug"])
PROBLEM_TYPE = "urn:broadcast:problem:"
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 10
"""Time after which a client may try again when something is away."""


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


def problem(error: BroadcastError) -> JSONResponse:
    """Answer for an error, in the form of RFC 9457."""
    PROBLEMS.labels(error.slug).inc()
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_SECONDS)}}
    if isinstance(error, TooManyRequests):
        headers[error.status] = {"Retry-After": str(error.retry_seconds)}
    return JSONResponse(
        jsonable_encoder(
            {
                "type": PROBLEM_TYPE + error.slug,
                "title": as_asked(error.title),
                "status": error.status,
                "detail": as_asked(error.detail),
                **_asked(error.extra),
            },
            custom_encoder={datetime: times.shown},
        ),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **headers.get(error.status, {})},
    )


def _asked(value: Any) -> Any:
    """Further members of a problem document, what they say in the language that is asked for."""
    if isinstance(value, dict):
        return {
            name: as_asked(each) if name == "detail" and isinstance(each, str) else _asked(each)
            for name, each in value.items()
        }
    return [_asked(each) for each in value] if isinstance(value, list) else value


def answer(request: Request, error: BroadcastError) -> Response:
    """Answer for an error, in the form that who asks can read."""
    shown: Callable[[Request, BroadcastError], Response] = getattr(
        request.app.state, "show_problem", lambda _, error: problem(error)
    )
    return shown(request, error)


def note_refusal(request: Request, error: BroadcastError) -> None:
    """Have the audit know that a request was refused."""
    refusals: Refusals | None = getattr(request.app.state, "refusals", None)
    if refusals is not None:
        refusals.note(
            getattr(request.state, "who", None),
            origin.of(request),
            f"{request.method} {template(request)}",
            printable(request.scope["path"], MOST_OBJECT),
            error.status,
            error.detail,
            clock.now(),
        )


# --- what the database says ---------------------------------------------------------------------

AGAIN = (
    f" Hãy thử lại sau {RETRY_SECONDS} giây (yêu cầu tạo mới: với cùng Idempotency-Key, để không"
    " tạo hai lần); nếu vẫn vậy, hãy báo quản trị."
)
"""Ends what is said when it is not sure that the request has been done."""

AWAY = "Cơ sở dữ liệu không trả lời; chưa chắc yêu cầu đã được lưu." + AGAIN


class _Said(NamedTuple):
    """A kind of trouble of the database."""

    error: type[BroadcastError]
    detail: str


_BY_CODE = {
    "53100": _Said(
        DiskFull,
        "Đĩa của cơ sở dữ liệu đã đầy, nên không lưu được; hãy báo quản trị giải phóng đĩa"
        " PostgreSQL (broadcast upkeep cho biết chỗ nào lớn).",
    ),
    "53200": _Said(Unavailable, "Máy chủ cơ sở dữ liệu hết bộ nhớ." + AGAIN),
    "53300": _Said(
        Unavailable,
        "Cơ sở dữ liệu hết kết nối (max_connections của PostgreSQL)." + AGAIN,
    ),
    "25006": _Said(
        Unavailable,
        "Cơ sở dữ liệu đang ở chế độ chỉ đọc (bản dự phòng, hoặc quản trị đã khóa ghi)." + AGAIN,
    ),
    "55P03": _Said(Unavailable, "Dữ liệu này đang được sửa ở nơi khác." + AGAIN),
    "57014": _Said(Unavailable, "Cơ sở dữ liệu làm việc này quá lâu nên đã dừng." + AGAIN),
    "40001": _Said(Unavailable, "Dữ liệu vừa được sửa ở nơi khác cùng lúc." + AGAIN),
    "40P01": _Said(Unavailable, "Dữ liệu vừa được sửa ở nơi khác cùng lúc." + AGAIN),
    "42501": _Said(
        Unavailable,
        "Tài khoản của máy chủ không có quyền trên cơ sở dữ liệu; hãy báo quản trị cấp quyền"
        " (docs/operations.md, Install).",
    ),
}
"""SQLSTATEs that are no fault of ours or of the request (PostgreSQL, appendix A)."""

_BY_CLASS = {
    "08": _Said(Unavailable, AWAY),
    "28": _Said(
        Unavailable,
        "Cơ sở dữ liệu không nhận tài khoản của máy chủ; hãy báo quản trị sửa"
        " BROADCAST_POSTGRES__DSN.",
    ),
    "3D": _Said(
        Unavailable,
        "Không có cơ sở dữ liệu mà máy chủ cần; hãy báo quản trị sửa BROADCAST_POSTGRES__DSN.",
    ),
    "53": _Said(Unavailable, "Cơ sở dữ liệu thiếu tài nguyên." + AGAIN),
    "57": _Said(Unavailable, AWAY),
    "58": _Said(Unavailable, "Cơ sở dữ liệu báo lỗi của hệ điều hành, có thể là đĩa." + AGAIN),
}

_NO_VALUE = {"22000", "22003", "22008", "22021"}
"""SQLSTATEs of a value that no column takes: U+0000, half of a surrogate pair, a number or a
moment out of range. The rest of class 22, such as a division by zero, is a bug of ours."""


def of_database(error: Exception) -> BroadcastError | None:
    """Problem for an error of the database or of the way to it; None when it is our bug.

    While connecting, asyncpg's own errors come as they are.
    """
    if isinstance(error, PoolTimeout | TimeoutError):
        return Unavailable(AWAY)
    state = db.sqlstate(error) or getattr(error, "sqlstate", None)
    if state in _NO_VALUE:
        return no_value()
    said = _BY_CODE.get(state or "") or _BY_CLASS.get((state or "")[:2])
    if said is not None:
        return said.error(said.detail)
    if isinstance(error, DBAPIError) and not error.connection_invalidated and state:
        return None
    return Unavailable(AWAY)


def no_value() -> InvalidInput:
    """A value that can be read and not stored."""
    return InvalidInput(
        "request",
        "có giá trị không lưu được: ký tự U+0000, số quá lớn, hoặc ngày giờ ngoài phạm vi;"
        " hãy sửa rồi gửi lại",
    )


_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def of_system(error: OSError) -> BroadcastError:
    """Problem for an error of the operating system.

    Files that a request touches lie in `content_dir`; every other one is a socket to the database.
    """
    if error.errno in DISK_FULL:
        return DiskFull(CONTENT_DISK_FULL)
    if error.filename is not None and error.errno in _REFUSED:
        return Unavailable(
            "Máy chủ không được đọc hoặc ghi thư mục âm thanh (BROADCAST_CONTENT_DIR); hãy báo"
            " quản trị cấp quyền cho tài khoản chạy máy chủ."
        )
    if error.errno in {errno.EMFILE, errno.ENFILE}:
        return Unavailable("Máy chủ hết số tệp được mở (LimitNOFILE)." + AGAIN)
    return Unavailable(AWAY)


def bug(error: Exception) -> BroadcastError:
    """Problem for an error that nobody foresaw; the log has the rest."""
    log.error("web.request.failed", exc_info=error)
    return BroadcastError("Máy chủ gặp lỗi; đã ghi lại để xử lý. Nếu gặp lại, hãy báo quản trị.")


# --- what the framework says --------------------------------------------------------------------

_HTTP = {
    400: "Yêu cầu sai dạng; hãy xem /docs rồi gửi lại.",
    413: "Nội dung yêu cầu quá lớn; hãy chia nhỏ rồi gửi lại.",
    415: "Máy chủ không nhận kiểu nội dung này; hãy xem /docs.",
}


def _of_framework(request: Request, error: HTTPException) -> BroadcastError:
    if error.status_code == 404:
        return NotFound(
            "Không có địa chỉ này; các địa chỉ có ở /docs (bắt đầu bằng /api/v1).",
        )
    if error.status_code == 405:
        there = allowed(request)
        return MethodNotAllowed(
            f"Địa chỉ này không nhận {request.method}; chỉ nhận: {', '.join(there)}.",
            allowed=there,
        )
    ours = BroadcastError(_HTTP.get(error.status_code, "Yêu cầu không thực hiện được; xem /docs."))
    ours.status = error.status_code
    ours.slug, ours.title = "http", "Lỗi yêu cầu"
    return ours


def install(app: FastAPI) -> None:
    """Give an application the answers of this module."""

    @app.exception_handler(BroadcastError)
    async def _ours(request: Request, error: BroadcastError) -> Response:
        if isinstance(error, Unknown) and error.field in request.query_params:
            error.status, error.slug, error.title = 404, NotFound.slug, NotFound.title
        if error.status in {401, 403, 429}:
            note_refusal(request, error)
        return answer(request, error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, malformed(error.errors(), skip=1))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        ours = _of_framework(request, error)
        response = answer(request, ours)
        if isinstance(ours, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(ours.allowed)
        return response

    @app.exception_handler(ClientDisconnect)
    async def _gone(_: Request, error: ClientDisconnect) -> Response:
        PROBLEMS.labels("client-gone").inc()
        return Response(status_code=400)  # to nobody

    _install_outages(app)


def _install_outages(app: FastAPI) -> None:
    """Install the answers for the database and the machine."""

    @app.exception_handler(PoolTimeout)
    @app.exception_handler(asyncpg.PostgresError)
    @app.exception_handler(asyncpg.InterfaceError)
    @app.exception_handler(DBAPIError)
    async def _database(request: Request, error: Exception) -> Response:
        said = of_database(error)
        if said is None:
            return answer(request, bug(error))
        log.warning("web.database.refused", status=said.status, error=db.brief(error))
        return answer(request, said)

    # A socket that is gone from the file system is no ConnectionError.
    @app.exception_handler(OSError)
    async def _system(request: Request, error: OSError) -> Response:
        log.warning("web.system.refused", error=db.brief(error))
        return answer(request, of_system(error))

    @app.exception_handler(OverflowError)
    async def _no_such_moment(request: Request, error: OverflowError) -> Response:
        # A day at one end of the calendar fails in the first sum, wherever that is.
        log.warning("web.value.refused", error=str(error), exc_info=error)
        return answer(request, no_value())


PROBLEM_RESPONSE: dict[str, Any] = {
    "description": "RFC 9457",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
"""Description of errors that every route shares."""
