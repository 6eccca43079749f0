"""Streams over REST: the sample province of inboxes, with sources and an answer to every look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.bulletins import routes as bulletins
from broadcast.kit import clock, db
from broadcast.schedules import relay_routes
from broadcast.schedules import routes as schedules
from broadcast.streams import routes as streams
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.inbox.conftest import PEOPLE, World, build


@pytest.fixture
async def world(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    app = FastAPI()
    rest.install(app)
    for router in (bulletins.router, schedules.router, streams.router, relay_routes.router):
        app.include_router(router)
    app.state.engine = engine
    app.state.limit = limit
    app.state.settings = config.Settings(content_dir=tmp_path)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        world = World(engine, http, tmp_path)
        monkeypatch.setattr(clock, "now", lambda: world.now)
        async with db.transaction(engine) as session:
            await build(session)
        for name, (role, place) in PEOPLE.items():
            await world.employ(name, role, place)
        yield world
