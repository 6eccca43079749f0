"""A database that is starting up is away: the answer is 503, to be asked again."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError

from broadcast.web import rest


class Said(Exception):
    """What the driver raises."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("the database system is starting up")
        self.sqlstate = sqlstate


# Found by `make chaos`: 57P03 was answered by 500.
@pytest.mark.parametrize(("sqlstate", "status"), [("57P03", 503), ("57P01", 503), ("42P01", 500)])
async def test_a_database_that_is_starting_up_is_away(sqlstate: str, status: int) -> None:
    app = FastAPI()
    rest.install(app)

    @app.get("/")
    async def ask() -> None:
        raise DBAPIError("SELECT 1", {}, Said(sqlstate))

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        assert (await client.get("/")).status_code == status
