"""Filters by what there is not: never an empty list, which would say that all is well there."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts.model import Role
from broadcast.app import create_app
from tests.web.calling import MONITOR, called_by

THINGS = {"area", "cluster", "device", "plant", "station"}

OF_ANYBODY = {("/api/v1/dead-letters", "device")}
"""What came from a device that nobody has enrolled is there, too."""


@pytest.fixture
async def whole(engine: AsyncEngine, postgres_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        config.Settings(postgres=config.Postgres(dsn=SecretStr(postgres_dsn))), engine
    )
    called_by(app, MONITOR._replace(role=Role.ADMIN))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        yield client


async def test_a_filter_by_what_there_is_not_is_refused(whole: httpx.AsyncClient) -> None:
    """A walk over every list."""
    described = (await whole.get("/openapi.json")).json()["paths"]
    asked = [
        (path, given["name"])
        for path, methods in described.items()
        if "{" not in path
        for given in methods.get("get", {}).get("parameters", [])
        if given["in"] == "query" and given["name"] in THINGS
    ]
    assert len(asked) > 12
    for path, name in asked:
        if (path, name) in OF_ANYBODY:
            continue
        answer = await whole.get(path, params={name: "99999"})
        assert answer.status_code == 404, (path, name, answer.text)
        assert answer.json()["field"] == name, (path, name)
