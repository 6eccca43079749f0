"""Preconditions of a change (RFC 9110 §13): nobody overwrites or revives what they did not see."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import Message

from broadcast.kit.errors import PreconditionFailed
from broadcast.kit.locks import Lock, lock
from broadcast.web.paths import items, readable

_TAG = re.compile(r'(W/)?("[^"]*")')


def listed(header: str, tag: str, *, weakly: bool) -> bool:
    """Tell whether a header with entity tags names this one, or any by `*`.

    >>> listed('W/"a", "b"', '"a"', weakly=True), listed('W/"a", "b"', '"a"', weakly=False)
    (True, False)

    Args:
        header: Value of `If-Match` or `If-None-Match`.
        tag: Strong tag of the present representation.
        weakly: Whether a weakened tag counts (RFC 9110 §8.8.3.2): a proxy that compresses
            weakens ours.
    """
    if header.strip() == "*":
        return True
    return any(name == tag and (weakly or not weakness) for weakness, name in _TAG.findall(header))


async def check(request: Request) -> None:
    """Hold the preconditions of a change against what its address shows now.

    Before the body has come; `hold` compares once more when the change is made.

    Raises:
        PreconditionFailed: `If-Match` on what there is not, or not any more, or that has changed;
            `If-None-Match` on what there is.
    """
    match = request.headers.get("if-match")
    none_match = request.headers.get("if-none-match")
    if match is None and none_match is None:
        return
    # An action such as …/withdraw changes what stands above it.
    path = readable(request, above=request.method == "POST")
    status, tag = (404, "") if path is None else await _look(request, path)
    if status not in {200, 404}:
        return  # the route refuses a caller who may not read it
    request.state.is_conditional = True
    if match is not None and (status == 404 or not listed(match, tag, weakly=False)):
        if status == 404:
            raise PreconditionFailed(
                "Dữ liệu này không còn hoặc chưa có, nên không sửa được; hãy tải lại danh sách."
            )
        raise PreconditionFailed(
            "Dữ liệu đã được người khác thay đổi; hãy tải lại rồi sửa.", etag=tag
        )
    is_there = status == 200 and path == request.scope["path"]
    if none_match is not None and is_there and listed(none_match, tag, weakly=True):
        raise PreconditionFailed(
            "Dữ liệu này đã có; hãy tải lại rồi sửa, hoặc đặt mã khác.", etag=tag
        )


async def hold(request: Request, session: AsyncSession) -> None:
    """Let one change of an address be made at a time, from what it shows then.

    Of two who send the same version at once, the second would else overwrite the first: between
    `check` and the change lie the body and every wait for the database. Everything that the
    address lies in is held, too: an action such as …/withdraw, which asks for no version, must not
    slip in between the look and the commit of a change that does. Of lists, only what is asked
    with a version is held: those who add to one do not wait for each other.

    Args:
        request: A change, or anything else.
        session: The transaction in which it is made, before anything else is done there.

    Raises:
        PreconditionFailed: As `check`.
    """
    is_conditional = getattr(request.state, "is_conditional", False)
    if request.method in {"GET", "HEAD"}:
        return
    held = items(request)
    path = readable(request, above=request.method == "POST")
    if path is not None and path not in held and (is_conditional or request.method != "POST"):
        held.append(path)
    for each in sorted(held, key=len):  # all in one order: nobody waits for who waits for them
        await lock(session, Lock.RESOURCE, each)
    if is_conditional:
        request.state.session = session  # a second connection could be the last
        try:
            await check(request)
        finally:
            del request.state.session
        # The route reads anew: its locks come after this look.
        session.expunge_all()


async def _look(request: Request, path: str) -> tuple[int, str]:
    """Status and entity tag that this caller would be answered by GET."""
    status, tag = 0, ""

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def noticing(message: Message) -> None:
        nonlocal status, tag
        if message["type"] == "http.response.start":
            status = message["status"]
            headers: Iterable[tuple[bytes, bytes]] = message["headers"]
            tag = dict(headers).get(b"etag", b"").decode("latin-1")

    kept = ("type", "asgi", "http_version", "server", "client", "scheme", "root_path", "state")
    scope: dict[str, Any] = {name: request.scope[name] for name in kept if name in request.scope}
    scope |= {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope["headers"] = [
        each
        for each in request.scope["headers"]
        if each[0] in {b"authorization", b"cookie", b"host"}
    ]
    await request.app(scope, nothing, noticing)
    return status, tag
