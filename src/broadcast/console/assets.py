"""Scripts and styles of the pages: `make assets` builds `static/` from `assets/`."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import Request, Response

from broadcast.kit.errors import NotFound

STATIC = Path(__file__).with_name("static")

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


class Asset(NamedTuple):
    """A file as it is served."""

    body: bytes
    packed: bytes
    media_type: str
    version: str
    """From its content, so that a browser keeps it until it changes."""


@cache
def _asset(name: str) -> Asset:
    path = STATIC / name
    body = path.read_bytes()
    version = hashlib.sha256(body).hexdigest()[:12]
    return Asset(body, gzip.compress(body, 9), _TYPES[path.suffix], version)


@cache
def names() -> frozenset[str]:
    """Files that there are."""
    return frozenset(path.name for path in STATIC.iterdir() if path.suffix in _TYPES)


def address(name: str) -> str:
    """Address of a file, which changes with its content."""
    return f"/assets/{name}?v={_asset(name).version}"


async def answer(request: Request) -> Response:
    """A file. It holds nothing of anybody, so caches may keep it."""
    name = request.path_params["name"]
    if name not in names():
        raise NotFound("Không có tệp này; hãy tải lại trang.")
    found = _asset(name)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
    }
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(found.packed, media_type=found.media_type, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)
