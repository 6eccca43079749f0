"""Without a token only what the table names is answered: a walk over all routes."""

from __future__ import annotations

import httpx2 as httpx
import pytest
from fastapi import FastAPI

from broadcast.auth.caller import OPEN, OPEN_ON_ITS_OWN_PORT, SIGN_IN
from broadcast.upkeep.operation import create_watched
from tests.web.routes import Operation, application, operations

APP = application()
ALL = list(operations(APP))


async def answer(app: FastAPI, operation: Operation) -> httpx.Response:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(operation.method, operation.url)


@pytest.mark.parametrize("operation", ALL, ids=lambda each: f"{each.method} {each.path}")
async def test_a_token_is_needed_unless_the_table_says_otherwise(operation: Operation) -> None:
    status = (await answer(APP, operation)).status_code
    assert (status != 401) == (operation.path in OPEN or operation.path in SIGN_IN)


def test_the_table_names_only_paths_that_exist() -> None:
    assert {*OPEN, *SIGN_IN} <= {operation.path for operation in ALL}
    assert all((*OPEN.values(), *SIGN_IN.values()))
    assert OPEN.keys().isdisjoint(SIGN_IN)


async def test_a_port_of_its_own_has_two_paths() -> None:
    app = create_watched()
    assert {each.path for each in operations(app)} == OPEN_ON_ITS_OWN_PORT.keys()
    for operation in operations(app):
        assert (await answer(app, operation)).status_code == 200


async def test_without_a_token_nothing_is_changed_but_by_a_claim_code() -> None:
    changing = {each for each in ALL if each.path in OPEN and each.method not in {"GET", "HEAD"}}
    assert changing == {Operation("POST", "/api/v1/enrolments")}
