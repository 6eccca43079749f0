"""What every REST resource has in common.

Errors as problem documents (RFC 9457), one transaction per request, cursor paging and entity tags
(RFC 9110 §8.8.3, §13.1).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, cast

import asyncpg
import sqlalchemy as sa
import structlog
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadcast import config, db
from broadcast.errors import (
    BroadcastError,
    InvalidInput,
    PreconditionFailed,
    Unavailable,
)
from broadcast.web.validation import invalid

log = structlog.get_logger()

PROBLEMS = Counter("broadcast_problems", "Requests answered with a problem", ["slug"])
PROBLEM_TYPE = "urn:broadcast:problem:"
RETRY_SECONDS = 10
"""After which whoever was told that something is away may ask again."""


_NO_VALUE = {"22000", "22003", "22008", "22021"}
"""SQLSTATEs of a value that no column takes: U+0000, half of a surrogate pair, a number or a
moment out of range. The rest of class 22, such as a division by zero, is a bug of ours."""


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def problem(error: BroadcastError) -> JSONResponse:
    """Answer for an error, in the form of RFC 9457."""
    PROBLEMS.labels(error.slug).inc()
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_SECONDS)}}
    return JSONResponse(
        jsonable_encoder(
            {
                "type": PROBLEM_TYPE + error.slug,
                "title": error.title,
                "status": error.status,
                "detail": error.detail,
                **error.extra,
            }
        ),
        status_code=error.status,
        media_type="application/problem+json",
        headers=headers.get(error.status),
    )


def _away() -> Unavailable:
    """What is said when the database is down or hangs."""
    return Unavailable(
        "Cơ sở dữ liệu không trả lời; chưa chắc yêu cầu đã được lưu. Hãy thử lại sau"
        f" {RETRY_SECONDS} giây (yêu cầu tạo mới: với cùng Idempotency-Key, để không tạo hai lần);"
        " nếu vẫn vậy, hãy báo quản trị."
    )


def _no_value() -> InvalidInput:
    return InvalidInput(
        "request",
        "có giá trị không lưu được: ký tự U+0000, số quá lớn, hoặc ngày giờ ngoài phạm vi;"
        " hãy sửa rồi gửi lại",
    )


def install(app: FastAPI) -> None:
    """Give an application the answers and the middleware of this module."""

    @app.exception_handler(BroadcastError)
    async def _ours(_: Request, error: BroadcastError) -> Response:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(invalid(error.errors(), skip=1))

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        ours = BroadcastError(str(error.detail))
        ours.status = error.status_code
        ours.slug = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http")
        ours.title = {404: "Không tìm thấy", 405: "Phương thức không hỗ trợ"}.get(
            error.status_code, "Lỗi yêu cầu"
        )
        return problem(ours)

    # While connecting, asyncpg's own errors come as they are, and a socket that is gone from the
    # file system is no ConnectionError.
    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeout)
    @app.exception_handler(asyncpg.PostgresError)
    @app.exception_handler(asyncpg.InterfaceError)
    @app.exception_handler(OSError)
    async def _no_database(_: Request, error: Exception) -> Response:
        log.warning("web.database.away", error=db.brief(error))
        return problem(_away())

    @app.exception_handler(DBAPIError)
    async def _database(_: Request, error: DBAPIError) -> Response:
        # 57P01 to 57P03: the server is going down, has crashed, or is starting up.
        if error.connection_invalidated or (db.sqlstate(error) or "").startswith("57P"):
            return problem(_away())
        if db.sqlstate(error) in _NO_VALUE:
            log.info("web.value.refused", error=db.brief(error))
            return problem(_no_value())
        log.error("web.database.failed", exc_info=error)
        return problem(BroadcastError("Máy chủ gặp lỗi; đã ghi lại để xử lý."))

    @app.exception_handler(OverflowError)
    async def _no_such_moment(_: Request, error: OverflowError) -> Response:
        # A day at one end of the calendar fails in the first sum, wherever that is.
        log.warning("web.value.refused", error=str(error), exc_info=error)
        return problem(_no_value())

    @app.exception_handler(Exception)
    async def _bug(_: Request, error: Exception) -> Response:
        log.error("web.request.failed", exc_info=error)
        return problem(BroadcastError("Máy chủ gặp lỗi; đã ghi lại để xử lý."))

    app.add_middleware(EntityTags)


# --- one transaction per request ---------------------------------------------------------------


def engine(request: Request) -> AsyncEngine:
    """The application's engine."""
    return cast("AsyncEngine", request.app.state.engine)


def settings(request: Request) -> config.Settings:
    """The application's settings."""
    return cast("config.Settings", request.app.state.settings)


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    async with db.transaction(engine(request)) as session:
        yield session


Session = Annotated[AsyncSession, Depends(_transaction, scope="function")]
"""One transaction, committed before the response leaves; any error rolls it back."""

AppSettings = Annotated[config.Settings, Depends(settings)]


# --- cursor paging -----------------------------------------------------------------------------

T = TypeVar("T")
MAX_PAGE = 500


class Page(BaseModel, Generic[T]):
    """One page of a list; `next` is the cursor of the following one, null on the last."""

    items: list[T]
    next: str | None = None


class Paging(NamedTuple):
    """Where a page begins and how long it is."""

    cursor: str | None
    limit: int


def _paging(
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> Paging:
    return Paging(cursor, limit)


PageQuery = Annotated[Paging, Depends(_paging)]


async def paged(
    session: AsyncSession,
    statement: sa.Select[*tuple[Any, ...]],
    key: Sequence[InstrumentedAttribute[Any]],
    paging: Paging,
) -> tuple[list[Any], str | None]:
    """Rows of one page in the order of `key`, and the cursor of the next page.

    `key` must be unique and not null; it is added to the statement, compared as a row value, so
    that inserts and deletes between two pages neither repeat nor skip what stays.

    Raises:
        InvalidInput: The cursor was not made by this list.
    """
    statement = statement.add_columns(*key).order_by(*key).limit(paging.limit + 1)
    if paging.cursor is not None:
        values = _cursor_values(paging.cursor, key)
        statement = statement.where(sa.tuple_(*key) > sa.tuple_(*values))
    rows = (await session.execute(statement)).all()
    page = rows[: paging.limit]
    width = len(key)
    items = [row[0] if len(row) == width + 1 else tuple(row[:-width]) for row in page]
    following = _cursor(page[-1][-width:]) if len(rows) > paging.limit else None
    return items, following


def _cursor(values: Sequence[Any]) -> str:
    plain = [v.isoformat() if hasattr(v, "isoformat") else str(v) for v in values]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def _cursor_values(
    cursor: str, key: Sequence[InstrumentedAttribute[Any]]
) -> list[sa.ColumnElement[Any]]:
    try:
        plain = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        types = [attribute.expression.type for attribute in key]
        values = [_parse(text, type_) for text, type_ in zip(plain, types, strict=True)]
    except (ValueError, TypeError, RecursionError):
        raise InvalidInput(
            "cursor", "con trỏ trang không hợp lệ; hãy gọi lại từ trang đầu"
        ) from None
    return [sa.literal(v, type_) for v, type_ in zip(values, types, strict=True)]


def _parse(text: str, type_: sa.types.TypeEngine[Any]) -> Any:
    python_type = type_.python_type
    if hasattr(python_type, "fromisoformat"):
        return python_type.fromisoformat(text)
    return python_type(text)


# --- entity tags -------------------------------------------------------------------------------


def etag(body: bytes) -> str:
    """Strong entity tag of a representation."""
    return '"' + hashlib.sha256(body).hexdigest()[:32] + '"'


def as_json(representation: BaseModel) -> bytes:
    """A representation as it is answered."""
    return representation.model_dump_json(by_alias=True).encode()


def if_match(request: Request, representation: BaseModel) -> None:
    """Refuse a change that was made from an older representation than the present one.

    Raises:
        PreconditionFailed: `If-Match` is given and names another version.
    """
    wanted = request.headers.get("if-match")
    if wanted is None or wanted.strip() == "*":
        return
    present = etag(as_json(representation))
    if present not in {tag.strip() for tag in wanted.split(",")}:
        raise PreconditionFailed(
            "Dữ liệu đã được người khác thay đổi; hãy tải lại rồi sửa.", etag=present
        )


class EntityTags:
    """Adds `ETag` to JSON answers of GET, and answers 304 to a client that has the same."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return
        # Compared weakly (RFC 9110 §13.1.2): a proxy that compresses weakens our tags.
        known = {
            tag.strip().removeprefix("W/")
            for name, value in scope["headers"]
            if name == b"if-none-match"
            for tag in value.decode("latin-1").split(",")
        }
        start: Message | None = None
        chunks: list[bytes] = []

        async def tagging(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                is_json = headers.get(b"content-type", b"").startswith(b"application/json")
                if message["status"] != 200 or not is_json or b"etag" in headers:
                    await send(message)
                else:
                    start = message
                return
            if start is None:
                await send(message)
                return
            chunks.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = b"".join(chunks)
            tag = etag(body)
            headers_out = [*start["headers"], (b"etag", tag.encode())]
            if tag in known:
                headers_out = [(n, v) for n, v in headers_out if n != b"content-length"]
                start, body = {**start, "status": 304}, b""
            await send({**start, "headers": headers_out})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, tagging)
