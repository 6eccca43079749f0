"""The start page: today for the caller's area."""

from __future__ import annotations

from fastapi import Request, Response

from broadcast.auth.caller import Reader
from broadcast.console.page import PageRouter, page

router = PageRouter()


@router.get("/")
async def show(request: Request, caller: Reader) -> Response:
    """What sounds today, what needs somebody, and what is down."""
    return page(request, caller, "today/index.html")
