"""One pass over the incidents in a province of 10,000 devices, against the sweep before it.

Quiet: nothing has changed, nobody or 5,000 are down. Fall: 5,000 devices of one operator at once;
one more: a single device is lost while 5,000 are down.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import perf_counter

from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.result import Result
from broadcast.embedded.postgres import EmbeddedPostgres
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.presence import Listening
from broadcast.telemetry.sweep import keep_listening, sweep
from tests.devices.fleet import EIGHT, MINUTE
from tests.incidents.world import RULES, World

COMMUNES, EACH = 100, 100
RUNS = 7


def run() -> list[Result]:
    """Milliseconds; quiet passes are medians, a loss happens once."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "pg") as server:
        dsn = server.create_database("incidents")
        asyncio.run(db.migrate(dsn))
        return asyncio.run(_measure(dsn))


async def _measure(dsn: str) -> list[Result]:
    engine = create_async_engine(db.async_url(dsn))
    try:
        async with db.transaction(engine) as session:
            await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
            world = World(session, EACH)
            await world.build(COMMUNES)
            session.expunge_all()
            gc.collect()
            gc.freeze()  # the rows above are ours, not the server's
            await world.run(1)
            results = await _quiet(world, "incidents_quiet_0_down")
            await world.fall(range(0, COMMUNES * EACH, 2))
            world.now += 5 * MINUTE
            results += await _loss(world, "incidents_5000_lost")
            results += await _quiet(world, "incidents_quiet_5000_down")
            await world.fall([1])
            world.now += 5 * MINUTE
            results += await _loss(world, "incidents_one_more_lost")
            assert [row.down_count for row in await world.incidents()] == [5000]
            return results
    finally:
        await engine.dispose()


async def _milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    began = perf_counter()
    await work()
    return (perf_counter() - began) * 1000


async def _quiet(world: World, name: str) -> list[Result]:
    sweeps, passes = [], []
    for _ in range(RUNS):
        sweeps.append(await _milliseconds(lambda: sweep(world.session, world.now, RULES)))
        passes.append(await _milliseconds(lambda: world.watch.judge(world.session, world.now)))
    return [Result(name, median(passes), median(sweeps), "ms")]


async def _loss(world: World, name: str) -> list[Result]:
    await world.hear()
    await keep_listening(world.session, Listening(world.started_at, world.now))
    swept = await _milliseconds(lambda: sweep(world.session, world.now, RULES))
    judged = await _milliseconds(lambda: world.watch.judge(world.session, world.now))
    return [Result(name, judged, swept, "ms")]
