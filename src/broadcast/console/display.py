"""Language, theme and size of type: kept in the browser, also before anybody has signed in."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import Query, Response
from fastapi.responses import RedirectResponse

from broadcast.console.page import (
    LANGUAGE_COOKIE,
    SIZE_COOKIE,
    THEME_COOKIE,
    PageRouter,
    local,
)
from broadcast.console.words import Language

router = PageRouter()

KEPT = timedelta(days=365)


@router.get("/display")
async def choose(
    language: Language | None = None,
    theme: Literal["auto", "light", "dark"] | None = None,
    size: Literal["normal", "large"] | None = None,
    back: Annotated[str, Query(max_length=1000)] = "/",
) -> Response:
    """Keep what is given, and go back to the page."""
    response = RedirectResponse(local(back), 303, {"Cache-Control": "no-store"})
    chosen = {LANGUAGE_COOKIE: language, THEME_COOKIE: theme, SIZE_COOKIE: size}
    for cookie, value in chosen.items():
        if value is not None:
            response.set_cookie(
                cookie, value, max_age=int(KEPT.total_seconds()), httponly=True, samesite="lax"
            )
    return response
