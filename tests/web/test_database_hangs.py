"""A database that hangs is one that is away: the answer is 503, and it comes in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.conftest import frozen
from tests.waiting import HANG_SECONDS

CHECKOUT = 1.0
STATEMENT_TIMEOUT = 2.0


@pytest.fixture
async def hasty(postgres_dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncEngine]:
    monkeypatch.setattr(db, "CHECKOUT_SECONDS", CHECKOUT)
    settings = config.Postgres(
        dsn=SecretStr(postgres_dsn), pool_size=3, statement_timeout=STATEMENT_TIMEOUT
    )
    engine = db.create_engine(settings)
    yield engine
    await engine.dispose()


async def test_requests_are_answered_while_the_database_hangs(
    hasty: AsyncEngine, postgres: EmbeddedPostgres
) -> None:
    app = FastAPI()
    app.state.engine = hasty
    app.state.limit = limit
    rest.install(app)
    freezing = AsyncExitStack()

    @app.get("/before")
    async def before(session: rest.Session) -> int | None:
        return await session.scalar(sa.text("SELECT 1"))

    @app.get("/amid")
    async def amid(session: rest.Session) -> int | None:
        await session.execute(sa.text("SELECT 1"))
        freezing.enter_context(frozen(postgres))
        return await session.scalar(sa.text("SELECT 2"))

    @app.get("/at-the-end")
    async def at_the_end(session: rest.Session) -> None:
        await session.execute(sa.text("SELECT 1"))
        freezing.enter_context(frozen(postgres))

    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def ask(path: str) -> httpx.Response:
            async with asyncio.timeout(HANG_SECONDS):
                return await client.get(path)

        for last in ("/amid", "/at-the-end"):
            assert {(await ask("/before")).status_code} == {200}
            async with freezing:
                told = [await ask(last)]
                # More than there are connections.
                told += await asyncio.gather(*(ask("/before") for _ in range(8)))
            for answer in told:
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) > 0
                assert "thử lại" in answer.json()["detail"]


async def test_an_idle_connection_that_hangs_is_not_waited_for(
    hasty: AsyncEngine, postgres: EmbeddedPostgres
) -> None:
    async with db.transaction(hasty) as session:
        await session.execute(sa.text("SELECT 1"))
    with frozen(postgres), pytest.raises(TimeoutError):
        async with db.transaction(hasty):
            pass
    async with db.transaction(hasty) as session:
        assert await session.scalar(sa.text("SELECT 1")) == 1


async def test_the_server_says_first_that_a_statement_is_slow(hasty: AsyncEngine) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught:
        async with db.transaction(hasty) as session:
            await session.execute(sa.text("SELECT pg_sleep(10)"))
    assert db.sqlstate(caught.value) == db.QUERY_CANCELED


async def test_what_may_take_minutes_is_waited_for(postgres_dsn: str) -> None:
    settings = config.Postgres(dsn=SecretStr(postgres_dsn), statement_timeout=0.1)
    engine = db.create_patient_engine(settings, "test")
    async with db.transaction(engine) as session:
        await session.execute(sa.text("SET LOCAL statement_timeout = '1min'"))
        slept = sa.text(f"SELECT 1 FROM pg_sleep({db.MARGIN_SECONDS + 0.5})")
        assert await session.scalar(slept) == 1
