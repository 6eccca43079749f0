"""The indicators of a province of full size over REST, and what they would cost without keeping.

96 communes, 3,000 clusters, 1,536 villages, a year of evidence. Between two requests heartbeats of
the running day come in, and now and then a journal that is ten days late: nothing can be answered
from what was answered before.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median, quantiles

import httpx2 as httpx
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import province
from benchmarks.result import Result
from broadcast import config
from broadcast.accounts.people import create_with_token
from broadcast.auth.permissions import Role
from broadcast.demo.world import World
from broadcast.indicators.figures import recompute
from broadcast.indicators.rollup import KEPT_DAYS
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL

LIMIT_MS = 50.0
REQUESTS, WARM_UP = 150, 10
LATE_EVERY = 25
RAW_DAYS, RAW_BEATS = 10, 10
"""Raw heartbeats at first: days, and per device and day. Then ten times as many."""
PATIENCE = 120.0

_HEARD = """
UPDATE online_minutes SET minutes = set_bit(minutes, :minute, 1 - get_bit(minutes, :minute))
WHERE day = :today AND device_id % 60 = :turn AND device_id = ANY(
    SELECT device_id FROM installations)
"""

_LATE = """
UPDATE plays SET restated = restated + 1,
    state = CASE state WHEN 'played' THEN 'missed' ELSE 'played' END,
    ended_at = CASE WHEN state = 'missed' THEN starts_at + interval '5 min' END
WHERE month = date_trunc('month', CAST(:day AS date)) AND cluster_id = :cluster
AND (starts_at AT TIME ZONE :zone)::date = :day
"""


def run() -> list[Result]:
    """Milliseconds; 95th percentiles of 150 requests."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder)) as world:
        settings = world.configure({})
        asyncio.run(db.migrate(world.postgres.dsn))
        asyncio.run(_seed(settings))
        world.start_server()
        return asyncio.run(_measure(world, settings))


async def _seed(settings: config.Settings) -> None:
    engine = db.create_engine(settings.postgres)
    try:
        await province.fill(engine, clock.now())
        await _beat(engine, 0, RAW_BEATS)
    finally:
        await engine.dispose()


async def _beat(engine: AsyncEngine, session_number: int, beats: int) -> None:
    for offset in range(RAW_DAYS):
        day = clock.today() - timedelta(days=offset)
        await province.beat(engine, day, session_number, beats)


async def _measure(world: World, settings: config.Settings) -> list[Result]:
    engine = db.create_engine(settings.postgres)
    try:
        await _all_rolled_up(engine)
        before = await _requests(world.url, engine)
        await _beat(engine, 1, RAW_BEATS * 9)
        await province.analyze(engine)
        after = await _requests(world.url, engine)
        whole = [await _recompute(engine, settings) for _ in range(3)]
    finally:
        await engine.dispose()
    p95 = [quantiles(times, n=20)[-1] for times in (before, after)]
    return [
        Result("indicators_rest_p95", p95[0], LIMIT_MS, "ms", "≤ 1"),
        Result("indicators_ten_times_raw", p95[1], p95[0], "ms", "≤ 1.2"),
        Result("indicators_rest_median", median(before), median(whole), "ms"),
    ]


async def _all_rolled_up(engine: AsyncEngine) -> None:
    """Wait until the dispatcher has rolled up all days."""
    deadline = time.perf_counter() + PATIENCE
    rolled_up = 0
    while rolled_up < KEPT_DAYS:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{rolled_up} of {KEPT_DAYS} days rolled up")
        await asyncio.sleep(0.5)
        async with db.transaction(engine) as session:
            counted = sa.text("SELECT count(folded_at) FROM folded_days")
            rolled_up = await session.scalar(counted) or 0
    await province.analyze(engine)


async def _requests(url: str, engine: AsyncEngine) -> list[float]:
    today = clock.now().astimezone(LOCAL).date()
    seconds = []
    async with db.transaction(engine) as session:
        token = await create_with_token(session, "benchmark", Role.PROVINCE_MONITOR, clock.now())
    bearer = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=60) as client:
        for number in range(WARM_UP + REQUESTS):
            async with db.transaction(engine) as session:
                heard = {"today": today, "turn": number % 60, "minute": 300 + number % 60}
                await session.execute(sa.text(_HEARD), heard)
                if number % LATE_EVERY == 0:
                    day = today - timedelta(days=10)
                    late = {"day": day, "cluster": 2 + number, "zone": LOCAL.key}
                    await session.execute(sa.text(_LATE), late)
            began = time.perf_counter()
            answer = await client.get("/api/v1/indicators")
            seconds.append(time.perf_counter() - began)
            assert answer.json()["indicators"][1]["denominator"] == 96, answer.text
    return [each * 1000 for each in seconds[WARM_UP:]]


async def _recompute(engine: AsyncEngine, settings: config.Settings) -> float:
    now = clock.now()
    async with db.transaction(engine) as session:
        began = time.perf_counter()
        await recompute(session, now.astimezone(LOCAL).date(), settings.province, now)
        return (time.perf_counter() - began) * 1000
