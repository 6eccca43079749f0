"""Whether open pages delay plays: distances from the planned start, with them and without.

60 simulated loudspeakers, four broadcasts of the whole province; then the same with 200 open start
pages that fetch their parts again as often as they are told, while plays and presence change.

* `play_start_error_p95`: milliseconds by which 95 of 100 plays began no later or earlier than
  planned, as the devices report it; held against the same without pages.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.harness.open_pages import open_pages
from benchmarks.result import Result
from broadcast import config
from broadcast.auth.permissions import Role
from broadcast.demo.api import Api
from broadcast.demo.run import NOTICE, RULES
from broadcast.demo.seed import Seeded, seed
from broadcast.demo.world import World
from broadcast.keys.keyring import first_keys
from broadcast.kit import clock, db
from broadcast.plays.model import Play

DEVICES, STARTS, PAGES = 60, 4, 200
LEAD, APART, PATIENCE = timedelta(seconds=25), timedelta(seconds=25), 180.0
ENOUGH = 0.9
"""Share of the plays that must have begun: what a loaded machine loses is no delay."""


def run() -> list[Result]:
    """Milliseconds; the ratio is what the pages do."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        settings = world.configure(RULES)
        seeded = asyncio.run(_start(world, settings))
        alone, together = asyncio.run(_measure(world, settings, seeded))
    return [Result("play_start_error_p95", together, alone, "ms", "≤ 1.2")]


async def _start(world: World, settings: config.Settings) -> Seeded:
    await db.migrate(world.postgres.dsn)
    engine = db.create_engine(settings.postgres)
    try:
        seeded = await seed(engine, settings, DEVICES, clock.now())
        world.start_server()
        world.start_fleet(
            seeded.devices, await first_keys(engine, settings.keys, clock.now()), "none", 1
        )
    finally:
        await engine.dispose()
    return seeded


async def _measure(world: World, settings: config.Settings, seeded: Seeded) -> tuple[float, float]:
    engine = db.create_engine(settings.postgres)
    token = seeded.doors.by_role[Role.PROVINCE_MONITOR].token
    found = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        api = await stack.enter_async_context(
            Api(world.url, seeded.broadcaster, seeded.approver, PATIENCE)
        )
        bulletin = await api.approved_bulletin("Thông báo họp thôn", NOTICE, seeded.province)
        for with_pages in (False, True):
            if with_pages:
                headers = {"Authorization": f"Bearer {token}"}
                await stack.enter_async_context(open_pages(world.url, headers, PAGES))
            found.append(await _errors(engine, api, bulletin, seeded.province))
    alone, together = (quantiles(map(abs, each), n=20)[-1] for each in found)
    return max(alone, 1.0), max(together, 1.0)


async def _errors(
    engine: AsyncEngine, api: Api, bulletin: dict[str, Any], province: str
) -> Sequence[int]:
    """Distances from the planned start of some broadcasts of the whole province."""
    first = clock.now() + LEAD
    starts = [(first + number * APART).replace(microsecond=0) for number in range(STARTS)]
    for at in starts:
        await api.schedule(bulletin, [{"area": province}], at)
    deadline = asyncio.get_running_loop().time() + (STARTS * APART + LEAD).seconds + PATIENCE
    while True:
        errors = await _known(engine, starts)
        if len(errors) >= ENOUGH * DEVICES * STARTS:
            return errors
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"{len(errors)} of {DEVICES * STARTS} plays have begun")
        await asyncio.sleep(1)


async def _known(engine: AsyncEngine, starts: Sequence[datetime]) -> list[int]:
    async with db.transaction(engine) as session:
        found = await session.scalars(
            sa.select(Play.start_error_ms).where(
                Play.starts_at.in_(starts), Play.start_error_ms.is_not(None)
            )
        )
        return [error for error in found if error is not None]
