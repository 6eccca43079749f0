"""Every answer tells a browser what it must not do with it, whoever gives the answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse

from broadcast.auth.routing import Router
from broadcast.console.page import HEADERS
from broadcast.upkeep.operation import create_watched
from broadcast.visibility.sessions import limit
from broadcast.web import docs, rest
from broadcast.web.headers import SECURITY
from tests.web.calling import MONITOR, called_by
from tests.web.routes import application, operations


def apart() -> FastAPI:
    """Answers that no route of ours should give."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    called_by(app, MONITOR)
    router = Router()

    @router.get("/breaks")
    async def breaks() -> None:
        raise RuntimeError

    @router.get("/elsewhere")
    async def elsewhere() -> Response:
        return RedirectResponse("/breaks")

    @router.get("/with-its-own")
    async def with_its_own() -> Response:
        return Response(headers={"Content-Security-Policy": "sandbox"})

    @router.get("/json")
    async def json() -> dict[str, str]:
        return {}

    app.include_router(router)
    return app


WHOLE, APART, WATCHED = application(), apart(), create_watched()


def asked() -> Iterator[tuple[FastAPI, str, str, dict[str, str]]]:
    """Requests for every route, and for what there is not."""
    for app in (WHOLE, WATCHED):
        for operation in operations(app):
            yield app, operation.method, operation.url, {}
        for method, path in (("GET", "/"), ("GET", "/api/v1/no"), ("TRACE", "/healthz"),
                             ("OPTIONS", "/docs"), ("GET", "/docs/"), ("GET", "/docs/x.js"),
                             ("GET", "/content/0")):  # fmt: skip
            yield app, method, path, {}
    for path in ("/breaks", "/elsewhere", "/with-its-own", "/json", "/no"):
        yield APART, "GET", path, {}
    yield APART, "GET", "/json", {"If-None-Match": "*"}
    yield APART, "GET", "/json", {"If-Match": '"other"'}


@pytest.mark.parametrize(
    ("app", "method", "path", "headers"),
    [pytest.param(*each, id=f"{each[1]} {each[2]}") for each in asked()],
)
async def test_every_answer_has_each_header_once(
    app: FastAPI, method: str, path: str, headers: dict[str, str]
) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.request(method, path, headers=headers)
    for name in (*SECURITY, "Cache-Control"):
        assert len(answer.headers.get_list(name)) == 1, (name, answer.headers)
    of_pages = HEADERS["Content-Security-Policy"]
    own = {
        **dict.fromkeys(docs.FILES, docs.POLICY),
        **dict.fromkeys(("/sign-in", "/setup"), of_pages),
        "/with-its-own": "sandbox",
    }
    if method not in {"GET", "HEAD"} or answer.status_code != 200:
        own = {}
    policy = own.get(path, SECURITY["Content-Security-Policy"])
    assert answer.headers["Content-Security-Policy"] == policy


def test_no_policy_allows_what_is_inline_or_elsewhere() -> None:
    for policy in (
        SECURITY["Content-Security-Policy"],
        docs.POLICY,
        HEADERS["Content-Security-Policy"],
    ):
        assert "default-src 'none'" in policy
        assert not {"unsafe", "http", "*"} & {
            part for part in ("unsafe", "http", "*") if part in policy
        }


def test_the_page_refers_to_nothing_but_its_own_files() -> None:
    page = (docs.FOLDER / "index.html").read_text()
    for part in ("<style", "style=", "onload=", "://", "<script>"):
        assert part not in page
    served = {name for name, _ in docs.FILES.values()}
    unserved = {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"}
    assert {path.name for path in Path(docs.FOLDER).iterdir()} == served | unserved
