"""Renditions over HTTP: by SHA-256 for devices, with byte ranges (RFC 9110 §14).

What is addressed by its hash never changes, so it may be kept permanently. A device gets only what
belongs to an approved revision: a draft or something withdrawn does not exist for it.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated

import structlog
from fastapi import Path as PathParameter
from fastapi import Request, Response
from fastapi.responses import FileResponse
from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from broadcast.auth.routing import Router
from broadcast.bulletins import queries
from broadcast.bulletins.audio.prepared import content_path
from broadcast.kit.errors import NotFound
from broadcast.web.preconditions import listed
from broadcast.web.rest import AppSettings, Session
from broadcast.wire.fields import Codec

log = structlog.get_logger()

LOST = Counter("broadcast_content_lost", "Requests for renditions that the disk does not have")

MEDIA_TYPES = {Codec.OPUS: "audio/ogg; codecs=opus", Codec.MP3: "audio/mpeg"}

_RANGE = rb"\s*(\d{1,15}-(\d{1,15})?|-\d{1,15})\s*"
_RANGES = re.compile(rb"bytes=%b(,%b)*" % (_RANGE, _RANGE), re.IGNORECASE)

RESPONSES: dict[int | str, dict[str, object]] = {
    206: {"description": "Phần được yêu cầu (Range)"},
    304: {"description": "Máy khách đã có rồi"},
    416: {"description": "Ngoài tệp"},
}

router = Router(tags=["content"])

Sha256 = Annotated[str, PathParameter(pattern="^[0-9a-f]{64}$", description="of the whole file")]


class ByteRanges(FileResponse):
    """A file that answers single and multiple byte ranges.

    A `Range` of another unit, or one that does not parse, is ignored as RFC 9110 §14.2 demands;
    Starlette would answer 400.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = [
            (name, value) for name, value in scope["headers"] if name != b"range" or _parses(value)
        ]
        await super().__call__({**scope, "headers": headers}, receive, send)


def _parses(ranges: bytes) -> bool:
    pairs = re.findall(rb"(\d+)-(\d+)", ranges)
    return _RANGES.fullmatch(ranges) is not None and all(int(a) <= int(b) for a, b in pairs)


def answer(request: Request, content_dir: Path, sha256: str, codec: Codec) -> Response:
    """A rendition, part of it, or 304 for a client that has it.

    Raises:
        NotFound: The disk does not have it.
    """
    tag = f'"{sha256}"'
    headers = {"ETag": tag, "Cache-Control": "private, max-age=31536000, immutable"}
    if listed(request.headers.get("if-none-match", ""), tag, weakly=True):
        return Response(status_code=304, headers=headers)
    path = content_path(content_dir, sha256)
    if not path.is_file():
        LOST.inc()
        log.error("bulletins.content.missing", sha256=sha256)
        raise NotFound("Máy chủ không còn tệp âm thanh này; hãy báo người quản trị.")
    return ByteRanges(path, headers=headers, media_type=MEDIA_TYPES[codec])


@router.head("/content/{sha256}", include_in_schema=False)
@router.get(
    "/content/{sha256}",
    response_class=ByteRanges,
    summary="Âm thanh đã duyệt, theo SHA-256 (cho thiết bị)",
    responses=RESPONSES,
)
async def fetch(
    request: Request, session: Session, settings: AppSettings, sha256: Sha256
) -> Response:
    """One approved rendition; no token, because it is on its way to public loudspeakers."""
    codec = await queries.approved_codec(session, sha256)
    return await asyncio.to_thread(answer, request, settings.content_dir, sha256, codec)
