"""`/docs`: the description of the interface in a browser, from files of our own.

Swagger UI 5.35.0, as npm's `swagger-ui-dist` has it (Apache-2.0; `swagger_ui/LICENSE`, `NOTICE`).
From elsewhere it would be blank where there is no Internet, and run whatever is served there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response

FOLDER = Path(__file__).with_name("swagger_ui")

FILES = {
    "/docs": ("index.html", "text/html"),
    "/docs/start.js": ("start.js", "text/javascript"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js.gz", "text/javascript"),
    "/docs/swagger-ui.css": ("swagger-ui.css.gz", "text/css"),
}
"""File and media type of each path; what is compressed is sent so."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page: its own files, the interface, and no script in a text."""


def install(app: FastAPI) -> None:
    """Give an application the page."""
    for path, (name, media_type) in FILES.items():
        app.add_route(path, _endpoint(FOLDER / name, media_type), ["GET"], include_in_schema=False)


def _endpoint(path: Path, media_type: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    headers = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": POLICY}
    if path.suffix == ".gz":
        headers["Content-Encoding"] = "gzip"

    async def answer(_: Request) -> Response:
        return FileResponse(path, media_type=media_type, headers=headers)

    return answer
