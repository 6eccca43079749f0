"""What tests of bulletins share: the routes, people, and a worker that prepares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.areas.model import Area, Level
from broadcast.auth.permissions import Role
from broadcast.bulletins import (
    content,
    draft_routes,
    four_eyes_routes,
    lexicon_routes,
    prepare_worker,
    routes,
)
from broadcast.kit import db
from broadcast.schedules import revision_routes
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.bulletins.web import Web


@pytest.fixture
async def web(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[Web]:
    """The routes over a database with a commune, a village and four people."""
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    for feature in (
        routes, draft_routes, lexicon_routes, four_eyes_routes, content, revision_routes,
    ):  # fmt: skip
        app.include_router(feature.router)
    app.state.engine = engine
    app.state.settings = settings = config.Settings(
        content_dir=tmp_path / "content",
        web=config.Web(upload_limit_bytes=300_000),
        audio=config.Audio(longest_seconds=30, chime=False),
    )
    people = {
        "Lan": Role.PROVINCE_EDITOR,
        "Hùng": Role.PROVINCE_APPROVER,
        "Mai": Role.PROVINCE_APPROVER,
        "Tèo": Role.PROVINCE_MONITOR,
    }
    async with db.transaction(engine) as session:
        now = datetime.now(UTC)
        tokens = {
            who: await create_with_token(session, who, role, now, second_factor=True)
            for who, role in people.items()
        }
        tokens["Hùng, chưa xác thực lần hai"] = await create_with_token(
            session, "Hùng", Role.PROVINCE_APPROVER, now
        )
        since = date(2025, 7, 1)
        session.add_all(
            Area(code=code, level=level, kind=kind, name=name, valid_from=since)
            for code, level, kind, name in (
                ("51", Level.PROVINCE, "tỉnh", "Quảng Ngãi"),
                ("21034", Level.COMMUNE, "xã", "An Phú"),
                ("21034-07", Level.VILLAGE, "thôn", "Phổ An"),
            )
        )
    transport = httpx.ASGITransport(app)
    worker = asyncio.create_task(prepare_worker.run(engine, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield Web(http, tokens, worker)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    left = [path.name for path in (tmp_path / "content").glob(".upload-*")]
    assert left == [], "an upload was left behind"
