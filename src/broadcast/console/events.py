"""The one stream of an open page."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse

from broadcast.auth.caller import Reader
from broadcast.console.live import Hub, Topic, events
from broadcast.console.page import PageRouter
from broadcast.kit.errors import InvalidInput

router = PageRouter()


@router.get("/events")
async def follow(
    request: Request,
    caller: Reader,
    topics: Annotated[str, Query(max_length=200, description="names, with commas")],
) -> Response:
    """Names of topics as they change, as server-sent events; never what has changed."""
    try:
        wanted = {Topic(name) for name in topics.split(",")}
    except ValueError:
        known = ", ".join(Topic)
        raise InvalidInput("topics", f"chỉ có: {known}") from None
    hub: Hub = request.app.state.hub
    stream = hub.open(wanted)
    return StreamingResponse(
        events(hub, stream), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )
