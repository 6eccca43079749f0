"""A client of an application with every router, on the database of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2 as httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.api import ROUTERS
from broadcast.auth.permissions import Role
from broadcast.kit import clock, db
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.web.routes import worked_out


@asynccontextmanager
async def client_of(
    engine: AsyncEngine, role: Role = Role.PROVINCE_ADMIN, settings: config.Settings | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    app.state.engine = engine
    app.state.settings = settings or config.Settings()
    for router in ROUTERS:
        app.include_router(router)
    async with db.transaction(engine) as session:
        token = await create_with_token(session, "Người thử", role, clock.now())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(worked_out(app)),
        base_url="http://test/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client
