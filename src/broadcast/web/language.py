"""The language that an answer is in: Vietnamese, unless English is asked for.

A page is asked for by a browser, whose person has chosen on our pages and not in its settings; a
program says it by `Accept-Language` (RFC 9110 §12.5.4).
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadcast.kit import english

COOKIE = "language"
"""Where a browser keeps the language that was chosen."""


def wants_english(headers: Headers, *, is_page: bool) -> bool:
    """Tell whether a request asks for English.

    Args:
        headers: Of the request.
        is_page: It is no request of a program.
    """
    cookie = headers.get("cookie")
    if is_page or cookie is not None:
        return _chosen(cookie or "") == "en"
    return prefers_english(headers.get("accept-language", ""))


def prefers_english(accepted: str) -> bool:
    """Tell whether `Accept-Language` puts English before Vietnamese.

    >>> prefers_english("en-GB, vi;q=0.5"), prefers_english("vi, en;q=0.9"), prefers_english("*")
    (True, False, False)
    """
    weights = {"en": 0.0, "vi": 0.0}
    for each in accepted[:500].split(","):
        tag, _, parameter = each.strip().partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in weights:
            weights[language] = max(weights[language], _weight(parameter))
    return weights["en"] > weights["vi"]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def _chosen(cookie: str) -> str:
    try:
        morsel = SimpleCookie(cookie).get(COOKIE)
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


class AskedLanguage:
    """Has what answers a request know the language, and says it in the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_page = not scope["path"].startswith("/api/")
        is_english = wants_english(Headers(scope=scope), is_page=is_page)

        async def saying(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_page:
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Accept-Language")
                if is_english:
                    headers["Content-Language"] = "en"
            await send(message)

        token = english.is_asked_for.set(is_english)
        try:
            await self.app(scope, receive, saying)
        finally:
            english.is_asked_for.reset(token)
