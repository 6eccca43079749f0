"""Parts that all REST resources share.

One transaction per request, cursor paging and entity tags (RFC 9110 §8.8.3, §13.1).
"""

from __future__ import annotations

import base64
import hashlib
import json
import operator
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Generic, NamedTuple, Protocol, TypeVar, cast

import sqlalchemy as sa
import structlog
from fastapi import Depends, FastAPI, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadcast import config
from broadcast.audit.recording import Record
from broadcast.kit import clock, db
from broadcast.kit.english import Said
from broadcast.kit.errors import InvalidInput, PreconditionFailed, Unknown
from broadcast.web import preconditions, problems
from broadcast.web.headers import ResponseDefaults
from broadcast.web.language import AskedLanguage
from broadcast.web.preconditions import listed

log = structlog.get_logger()


def install(app: FastAPI) -> None:
    """Give an application the answers and the middleware of this package."""
    problems.install(app)
    app.add_middleware(EntityTags)
    app.add_middleware(ResponseDefaults)
    app.add_middleware(AskedLanguage)


# --- one transaction per request ---------------------------------------------------------------


def engine(request: Request) -> AsyncEngine:
    """The application's engine."""
    return cast("AsyncEngine", request.app.state.engine)


def settings(request: Request) -> config.Settings:
    """The application's settings."""
    return cast("config.Settings", request.app.state.settings)


Limit = Callable[[Request, AsyncSession], Awaitable[None]]
"""Limits a transaction to the places of the caller (`visibility.sessions.limit`)."""


class Limited(Protocol):
    """Limits of a transaction, in force while they are its `session.info[LIMITED]`."""

    async def lift(self, session: AsyncSession) -> None:
        """Let the transaction find everything."""

    async def impose(self, session: AsyncSession) -> None:
        """Let it find again what lies within the limits, and nothing else."""


LIMITED = "rest.limited"
"""Key of `session.info`: the `Limited` of the transaction; none: it finds everything."""


@asynccontextmanager
async def recorded(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction of a request; at its end what it has changed is written to the audit."""
    async with db.transaction(engine(request)) as session:
        record: Record | None = getattr(request.state, "record", None)
        if record is not None:
            record.begin(session)
        limit: Limit = request.app.state.limit
        await limit(request, session)
        yield session
        if record is not None:
            await unlimited(session)
            await record.write(session, clock.now())


async def unlimited(session: AsyncSession) -> Limited | None:
    """Lift the limits of a transaction, and return them."""
    limited: Limited | None = session.info.get(LIMITED)
    if limited is not None:
        await limited.lift(session)
    return limited


async def transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """The transaction of `Session`."""
    looking: AsyncSession | None = getattr(request.state, "session", None)
    if looking is not None:
        limit: Limit = request.app.state.limit
        kept = dict(looking.info)
        try:
            await limit(request, looking)
            yield looking
        finally:
            if looking.is_active:  # else PostgreSQL has refused something, and now refuses all
                await unlimited(looking)
            looking.info.clear()
            looking.info.update(kept)
        return
    async with recorded(request) as session:
        await preconditions.hold(request, session)
        yield session


Session = Annotated[AsyncSession, Depends(transaction, scope="function")]
"""One transaction, committed before the response leaves; any error rolls it back.

Of a change it has an entry in the audit, which is there if and only if the change is.
"""

Id = Annotated[int, Path(ge=1, le=2**31 - 1, description="số, từ danh sách")]
"""The number of a row, as lists give it."""

AppSettings = Annotated[config.Settings, Depends(settings)]


T = TypeVar("T")


class Body(BaseModel):
    """JSON body of a request; an unknown field is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


async def require_known(
    session: AsyncSession, field: str, column: InstrumentedAttribute[T], code: T
) -> None:
    """Refuse a filter by what there is not: an empty list would say that all is well there.

    Raises:
        Unknown: No row has this code or id.
    """
    if await session.scalar(sa.select(column).where(column == code).limit(1)) is None:
        raise Unknown(field, f"không có mã “{code}”; kiểm tra lại mã")


# --- cursor paging -----------------------------------------------------------------------------

MAX_PAGE = 500


class UnreadableOut(BaseModel):
    """A row of a list that cannot be shown, because what is stored is spoilt."""

    key: dict[str, str]
    """What names it, by column."""
    detail: Said


class Page(BaseModel, Generic[T]):
    """One page of a list; `next` is the cursor of the following one, null on the last.

    A row that cannot be shown is left out, and named in `unreadable`: it keeps nobody from the
    others (docs/decisions/0032).
    """

    items: list[T]
    next: str | None = None
    unreadable: list[UnreadableOut] = Field(default=[], exclude_if=operator.not_)


class Paging(NamedTuple):
    """Begin and length of a page."""

    cursor: str | None
    limit: int


def _paging(
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> Paging:
    return Paging(cursor, limit)


PageQuery = Annotated[Paging, Depends(_paging)]


_SPOILT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What our code raises at a value that it does not expect; the database away is none of them."""


class Rows(NamedTuple):
    """Rows of one page, each with what names it, and those that could not be read."""

    rows: list[tuple[Any, ...]]
    keys: list[dict[str, str]]
    next: str | None
    unreadable: list[UnreadableOut]

    def page(self, show: Callable[..., T]) -> Page[T]:
        """The page; `show` is given the columns of a row."""
        items, unreadable = [], [*self.unreadable]
        for row, key in zip(self.rows, self.keys, strict=True):
            try:
                items.append(show(*row))
            except (*_SPOILT, InvalidInput) as error:
                unreadable.append(_unreadable(key, error))
        return Page(items=items, next=self.next, unreadable=unreadable)


async def paged(
    session: AsyncSession,
    statement: sa.Select[*tuple[Any, ...]],
    key: Sequence[InstrumentedAttribute[Any]],
    paging: Paging,
    *,
    backwards: bool = False,
) -> Rows:
    """Rows of one page in the order of `key`, or backwards, and the cursor of the next page.

    `key` must be unique and not null; it is added to the statement, compared as a row value, so
    that inserts and deletes between two pages neither repeat nor skip what stays.

    Raises:
        Unknown: The cursor was not made by this list.
    """
    whole = statement.add_columns(*key)
    order = [column.desc() if backwards else column.asc() for column in key]
    statement = statement.order_by(*order).limit(paging.limit + 1)
    if paging.cursor is not None:
        last = sa.tuple_(*_cursor_values(paging.cursor, key))
        row = sa.tuple_(*key)
        statement = statement.where(row < last if backwards else row > last)
    unreadable: list[UnreadableOut] = []
    try:
        found = [tuple(row) for row in await session.execute(statement.add_columns(*key))]
        keys = [row[-len(key) :] for row in found]
    except _SPOILT:
        labels = [f"key_{number}" for number in range(len(key))]
        named = (column.label(label) for column, label in zip(key, labels, strict=True))
        only = statement.add_columns(*named).subquery()
        columns = [only.c[label] for label in labels]
        ordered = [column.desc() if backwards else column.asc() for column in columns]
        plain = await session.execute(sa.select(*columns).order_by(*ordered))
        keys = [tuple(row) for row in plain]
        found = []
        for each in keys[: paging.limit]:
            try:
                one = whole.where(
                    *(column == value for column, value in zip(key, each, strict=True))
                )
                found += [tuple(row) for row in await session.execute(one)]
            except _SPOILT as error:
                unreadable.append(_unreadable(_named(key, each), error))
    rows = found[: paging.limit]
    return Rows(
        [row[: -len(key)] for row in rows],
        [_named(key, row[-len(key) :]) for row in rows],
        _cursor(keys[paging.limit - 1]) if len(keys) > paging.limit else None,
        unreadable,
    )


def _named(key: Sequence[InstrumentedAttribute[Any]], values: Sequence[Any]) -> dict[str, str]:
    return {column.key: str(value) for column, value in zip(key, values, strict=True)}


def _unreadable(key: dict[str, str], error: Exception) -> UnreadableOut:
    log.warning("web.list.unreadable", **key, error=str(error)[:200])
    return UnreadableOut(
        key=key,
        detail="Mục này lưu trong hệ thống bị hỏng nên chưa hiện được; hãy báo người quản trị.",
    )


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
        raise Unknown("cursor", "con trỏ trang không hợp lệ; hãy gọi lại từ trang đầu") from None
    return [sa.literal(v, type_) for v, type_ in zip(values, types, strict=True)]


def _parse(text: Any, type_: sa.types.TypeEngine[Any]) -> Any:
    if not isinstance(text, str):
        raise TypeError(text)
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

    `preconditions.hold` does so for every route. Once more, behind a lock on the row, where a row
    is changed through other addresses too: an occurrence that is moved changes its schedule.

    Raises:
        PreconditionFailed: `If-Match` is given and names another version.
    """
    wanted = request.headers.get("if-match")
    present = etag(as_json(representation))
    if wanted is not None and not listed(wanted, present, weakly=False):
        raise PreconditionFailed(
            "Dữ liệu đã được người khác thay đổi; hãy tải lại rồi sửa.", etag=present
        )


class EntityTags:
    """Adds `ETag` to JSON answers of GET, and answers 304 to a client that has the same.

    412 to one that asks for a version that is gone (`If-Match`).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return
        headers_in = Headers(scope=scope)
        match, none_match = headers_in.get("if-match"), headers_in.get("if-none-match")
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
            if match is not None and not listed(match, tag, weakly=False):
                changed = PreconditionFailed("Dữ liệu đã thay đổi; hãy tải lại.", etag=tag)
                await problems.problem(changed)(scope, receive, send)
                return
            if none_match is not None and listed(none_match, tag, weakly=True):
                headers_out = [(n, v) for n, v in headers_out if n != b"content-length"]
                start, body = {**start, "status": 304}, b""
            await send({**start, "headers": headers_out})
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, tagging)
