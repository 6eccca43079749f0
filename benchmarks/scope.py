"""The cost of scope: a list and the indicators of a whole province with it and without.

96 communes, 3,000 clusters. The same requests, one after the other, to two applications on one
database, of which one limits no transaction. And what a commune pays, whose every statement is
limited, beside the same list that a province-wide caller asks for by `area`; and how much of that
is row-level security.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx2 as httpx
from fastapi import FastAPI, Request
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from benchmarks import province
from benchmarks.result import Result
from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.api import create_app
from broadcast.areas.model import Level
from broadcast.areas.units import units_on
from broadcast.auth.permissions import Role
from broadcast.demo.world import World
from broadcast.kit import clock, db

REQUESTS, WARM_UP, DAYS = 20, 3, 8
LIST = "/api/v1/clusters?limit=500"
FIGURES = "/api/v1/indicators"
PLAYS = "/api/v1/plays?limit=500"


def run() -> list[Result]:
    """Milliseconds; medians of 20 requests each, taken in turns."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        settings = world.configure({})
        asyncio.run(db.migrate(world.postgres.dsn))
        return asyncio.run(_measure(settings))


async def _unlimited(request: Request, session: AsyncSession) -> None:
    """As before there was scope."""


async def _measure(settings: config.Settings) -> list[Result]:
    engine = db.create_engine(settings.postgres)
    try:
        await province.fill(engine, clock.now(), DAYS)
        await province.analyze(engine)
        limited, unlimited = create_app(settings, engine), create_app(settings, engine)
        unlimited.state.limit = _unlimited
        by_conditions = create_app(settings, engine)
        by_conditions.state.row_security = False
        commune = await _commune(engine)
        whole = await _client(engine, limited, Role.PROVINCE_MONITOR, None)
        bare = await _client(engine, unlimited, Role.PROVINCE_MONITOR, None)
        part = await _client(engine, limited, Role.COMMUNE_MONITOR, commune)
        once = await _client(engine, by_conditions, Role.COMMUNE_MONITOR, commune)
        list_ = await _in_turns([(whole, LIST), (bare, LIST)])
        figures = await _in_turns([(whole, FIGURES), (bare, FIGURES)])
        of_commune = await _in_turns([(part, LIST), (bare, f"{LIST}&area={commune}")])
        twice = await _in_turns([(part, LIST), (once, LIST)])
        of_plays = await _in_turns([(part, PLAYS), (once, PLAYS)])
        assert limited.state.row_security is True
    finally:
        await engine.dispose()
    return [
        Result("scope_list_province", list_[0], list_[1], "ms", "≤ 1.1"),
        Result("scope_indicators_province", figures[0], figures[1], "ms", "≤ 1.1"),
        Result("scope_list_commune", of_commune[0], of_commune[1], "ms"),
        Result("scope_row_security", twice[0], twice[1], "ms", "≤ 1.3"),
        Result("scope_row_security_plays", of_plays[0], of_plays[1], "ms", "≤ 1.3"),
    ]


async def _commune(engine: AsyncEngine) -> str:
    async with db.transaction(engine) as session:
        communes = await units_on(session, clock.today(), level=Level.COMMUNE)
    return communes[0].code


async def _client(
    engine: AsyncEngine, app: FastAPI, role: Role, area: str | None
) -> httpx.AsyncClient:
    async with db.transaction(engine) as session:
        token = await create_with_token(
            session, f"benchmark {role.value}", role, clock.now(), area_code=area
        )
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60,
        headers={"Authorization": f"Bearer {token}"},
    )  # fmt: skip


async def _in_turns(asked: list[tuple[httpx.AsyncClient, str]]) -> list[float]:
    """Median milliseconds of each."""
    times: list[list[float]] = [[] for _ in asked]
    for _ in range(WARM_UP + REQUESTS):
        for (client, url), each in zip(asked, times, strict=True):
            began = time.perf_counter()
            answer: Any = await client.get(url)
            each.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, answer.text
    return [median(each[WARM_UP:]) for each in times]
