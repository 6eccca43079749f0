"""Tokens and roles."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.accounts.people import create_with_token
from broadcast.auth.caller import Caller, CallerDep, require
from broadcast.auth.model import ApiToken
from broadcast.auth.permissions import Permission, Role
from broadcast.auth.routing import Router, changes_nothing
from broadcast.kit import clock, db
from broadcast.kit.errors import InvalidInput
from broadcast.visibility.sessions import limit
from broadcast.web import rest


def application(engine: AsyncEngine) -> FastAPI:
    app = FastAPI()
    rest.install(app)
    app.state.engine = engine
    app.state.limit = limit

    router = Router()

    @router.get("/who")
    async def who(caller: CallerDep) -> str:
        return caller.name

    @router.post("/approve")
    @changes_nothing
    async def approve(
        caller: Annotated[Caller, Depends(require(Permission.BULLETIN_APPROVE))],
    ) -> str:
        return caller.name

    app.include_router(router)
    return app


@pytest.fixture
async def client(engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def token(engine: AsyncEngine, role: Role, expires_at: datetime | None = None) -> str:
    async with db.transaction(engine) as session:
        return await create_with_token(session, "Nguyễn Văn A", role, clock.now(), expires_at)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_reading_needs_a_token(client: httpx.AsyncClient) -> None:
    answer = await client.get("/who")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_change_needs_a_token(client: httpx.AsyncClient) -> None:
    answer = await client.post("/approve")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.PROVINCE_APPROVER, 200),
        (Role.PROVINCE_ADMIN, 200),
        (Role.PROVINCE_EDITOR, 403),
        (Role.PROVINCE_MONITOR, 403),
    ],
)
async def test_a_role_does_what_it_may(
    client: httpx.AsyncClient, engine: AsyncEngine, role: Role, status: int
) -> None:
    answer = await client.post("/approve", headers=bearer(await token(engine, role)))
    assert answer.status_code == status


@pytest.mark.parametrize("change", ["revoked_at", "expires_at"])
async def test_a_revoked_or_expired_token_is_worthless(
    client: httpx.AsyncClient, engine: AsyncEngine, change: str
) -> None:
    secret = await token(engine, Role.PROVINCE_ADMIN, clock.now() + timedelta(days=1))
    assert (await client.post("/approve", headers=bearer(secret))).status_code == 200
    async with db.transaction(engine) as session:
        await session.execute(
            sa.update(ApiToken).values({change: clock.now() - timedelta(seconds=1)})
        )
    assert (await client.post("/approve", headers=bearer(secret))).status_code == 401


async def test_a_wrong_token_is_refused_for_reading_too(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/who", headers=bearer("ttn_guess"))).status_code == 401


async def test_only_the_hash_is_stored(engine: AsyncEngine) -> None:
    secret = await token(engine, Role.PROVINCE_ADMIN)
    async with db.transaction(engine) as session:
        row = (await session.scalars(sa.select(ApiToken))).one()
    assert secret not in str(vars(row))


async def test_a_token_needs_a_name(engine: AsyncEngine) -> None:
    async with db.transaction(engine) as session:
        with pytest.raises(InvalidInput, match="name"):
            await create_with_token(
                session, " ", Role.PROVINCE_ADMIN, datetime(2026, 1, 1, tzinfo=UTC)
            )
