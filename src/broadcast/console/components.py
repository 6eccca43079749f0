"""Every component on one page, for who develops the pages."""

from __future__ import annotations

from datetime import timedelta

from fastapi import Request, Response

from broadcast.auth.caller import CallerDep
from broadcast.console.page import PageRouter, page
from broadcast.console.waveform import wave
from broadcast.kit import clock

router = PageRouter()


@router.get("/components")
async def show(request: Request, caller: CallerDep) -> Response:
    """All macros of `templates/components.html`, as they look."""
    return page(
        request,
        caller,
        "components/index.html",
        before=clock.now() - timedelta(hours=3),
        wave=wave([abs(each % 60 - 30) * 3 for each in range(300)]),
    )
