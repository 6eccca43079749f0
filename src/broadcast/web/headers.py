"""Headers that every answer has, and the answer of a route that raises."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadcast.web import problems

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer: what a browser must not do with it."""

_DEFAULTS = {
    b"cache-control": b"private, no-cache",
    **{name.lower().encode(): value.encode() for name, value in SECURITY.items()},
}


class ResponseDefaults:
    """Adds headers that every response has, and answers when a route raises."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def answering(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message = {**message, "headers": _with_defaults(message["headers"])}
            await send(message)

        try:
            await self.app(scope, receive, answering)
        except Exception as error:
            answer = problems.answer(Request(scope), problems.bug(error))
            if has_begun:
                raise
            await answer(scope, receive, answering)


def _with_defaults(given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    headers = list(given)
    present = {name for name, _ in headers}
    return headers + [each for each in _DEFAULTS.items() if each[0] not in present]
