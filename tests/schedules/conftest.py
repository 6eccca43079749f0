"""The routes of schedules over the sample province."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts import routes as accounts
from broadcast.accounts.people import create_with_token
from broadcast.calendars import routes as calendars
from broadcast.kit import clock, db
from broadcast.schedules import (
    calendar_routes,
    feed_routes,
    ics_routes,
    regulation_routes,
    start_routes,
)
from broadcast.schedules.routes import router
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.schedules import province
from tests.schedules.province import NOW
from tests.schedules.web import PEOPLE, Web


@pytest.fixture
async def web(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Web]:
    app = FastAPI()
    rest.install(app)
    app.include_router(router)
    app.include_router(calendars.router)
    app.include_router(calendar_routes.router)
    app.include_router(feed_routes.router)
    app.include_router(ics_routes.router)
    app.include_router(accounts.router)
    app.include_router(regulation_routes.router)
    app.include_router(start_routes.router)
    app.state.engine = engine
    app.state.limit = limit
    app.state.settings = config.Settings(content_dir=tmp_path)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        web = Web(engine, http, tmp_path)
        monkeypatch.setattr(clock, "now", lambda: web.now)
        async with db.transaction(engine) as session:
            await province.build(session)
            for person, role in PEOPLE.items():
                web.tokens[person] = await create_with_token(
                    session, person, role, NOW, second_factor=True
                )
        web.bulletin = await web.approved()
        yield web
