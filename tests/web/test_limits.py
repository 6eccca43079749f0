"""No route takes more than its limit, nor looks at what comes before it knows who sends it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from httpx2 import Response

from broadcast.alerts.cap import routes as cap
from broadcast.auth.caller import FOR_EVER, OPEN, SIGN_IN, Caller, HeldRole
from broadcast.auth.permissions import Role
from broadcast.auth.routing import _READ_THEIR_BODY, Route
from broadcast.bulletins import draft_routes
from broadcast.bulletins import routes as bulletins
from broadcast.web.request import FORM_BYTES
from tests.web.calling import called_by
from tests.web.routes import application, changing

EVERYBODY = Caller(
    1, "Tâm", "token/1", tuple(HeldRole(role, None) for role in Role), None, FOR_EVER
)

APP = application()
STRANGERS = application()
called_by(APP, EVERYBODY)
CHANGING = list(changing(APP))

each_change = pytest.mark.parametrize(
    ("method", "path", "route"),
    [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in CHANGING],
)


class Endless:
    """A body that does not end; counts what is taken of it."""

    def __init__(self) -> None:
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.taken += 64 * 1024
            assert self.taken <= FORM_BYTES + 2**20, "no limit"
            yield bytes(64 * 1024)


async def sent(app: FastAPI, method: str, path: str, route: Route, body: Endless) -> Response:
    """The answer to a request with a number for each parameter of the path."""
    for name in route.param_convertors:
        path = path.replace("{" + name + "}", "1")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        return await client.request(method, path, content=body, headers=kind)


@each_change
async def test_a_body_without_end_is_taken_up_to_the_limit(
    method: str, path: str, route: Route
) -> None:
    if route.endpoint in _READ_THEIR_BODY:
        pytest.skip("has limits of its own: tests/bulletins/test_upload.py")
    answer = await sent(APP, method, path, route, Endless())
    assert answer.status_code == 413 or (answer.status_code == 422 and "biểu mẫu" in answer.text)


@each_change
async def test_nothing_is_taken_of_somebody_unknown(method: str, path: str, route: Route) -> None:
    if path in OPEN or path in SIGN_IN:
        pytest.skip("answers everybody")
    body = Endless()
    assert (await sent(STRANGERS, method, path, route, body)).status_code == 401
    assert body.taken <= 128 * 1024


def test_only_uploads_read_their_body_themselves() -> None:
    own = {route.endpoint for _, _, route in CHANGING} & _READ_THEIR_BODY
    assert own == {
        bulletins.create_bulletin,
        bulletins.create_revision,
        draft_routes.upload_recording,
        cap.receive,
    }
