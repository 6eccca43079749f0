"""The runner of periodic jobs: at once, one at a time, no call lost; and guarded work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY, Counter
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from broadcast.kit import clock, db
from broadcast.kit.failures import Failure
from broadcast.kit.periodic import SETTINGS, Every, Guarded, Job, Kind, Runner

HOUR = timedelta(hours=1)
EIGHT = datetime(2025, 7, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def running(runner: Runner) -> AsyncIterator[None]:
    task = asyncio.create_task(runner.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  nobody signals it
            await asyncio.sleep(0)


class Work:
    """Work that counts its runs, and can be held."""

    def __init__(self, *, more: int = 0) -> None:
        self.runs = self.at_once = self.most = 0
        self.more = more
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, now: datetime) -> bool:
        assert abs(clock.now() - now) < HOUR
        self.runs += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await self.go_on.wait()
        self.at_once -= 1
        self.more -= 1
        return self.more >= 0


def test_a_late_run_is_neither_dropped_nor_repeated() -> None:
    assert SETTINGS == {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}


async def test_every_job_runs_at_once_in_order_and_more_work_at_once_again() -> None:
    order: list[str] = []

    def job(name: str) -> Job:
        async def run(_: datetime) -> bool:
            order.append(name)
            return len(order) < 6

        return Job(name, HOUR, run)

    async with running(Runner([job("c"), job("b"), job("a")])):
        await until(lambda: len(order) >= 8)
        assert order[:3] == ["c", "b", "a"]
        assert len(order) == 8, "the three that were left were run once more, and said so"


async def test_no_call_is_lost_whenever_it_comes_and_no_two_runs_overlap() -> None:
    work = Work()
    runner = Runner([Job("turn", HOUR, work)])
    async with running(runner):
        await until(lambda: work.runs == 1 and not work.at_once)
        for pauses in range(12):  # idle, submitted, running, ended and not yet reported
            runs = work.runs
            work.go_on.clear()
            runner.wake("turn")
            await until(lambda runs=runs: work.runs > runs)
            work.go_on.set()
            for _ in range(pauses):
                await asyncio.sleep(0)
            begun = work.runs
            runner.wake("turn")
            await until(lambda begun=begun: work.runs > begun)
        assert work.most == 1
        await until(lambda: not work.at_once)
        runs = work.runs
        for _ in range(100):
            runner.wake("turn")
        await until(lambda: work.runs > runs)
        for _ in range(50):
            await asyncio.sleep(0)
        assert work.runs <= runs + 2, "many calls are one run"


async def test_a_clock_that_is_set_back_stops_no_job() -> None:
    work = Work()
    runner = Runner([Job("turn", timedelta(seconds=1), work)])
    async with running(runner):
        await until(lambda: work.runs == 1 and not work.at_once)
        runner.heed_clock(clock.now())
        for _ in range(20):
            await asyncio.sleep(0)
        assert work.runs == 1
        runner.heed_clock(clock.now() - HOUR)
        await until(lambda: work.runs == 2)


def irregular(job: str, kind: str) -> float:
    labels = {"job": job, "kind": kind}
    return REGISTRY.get_sample_value("broadcast_jobs_irregular_total", labels) or 0


def test_a_clock_that_is_set_forward_makes_one_late_run() -> None:
    """As APScheduler asks: for each run up to the present, then for the one after it."""
    trigger, minute = Every(timedelta(minutes=1)), timedelta(minutes=1)
    present = EIGHT + timedelta(days=365 * 50)
    assert trigger.get_next_fire_time(EIGHT, EIGHT) == EIGHT + minute
    late = trigger.get_next_fire_time(EIGHT, EIGHT + 30 * minute / 60)
    assert late == EIGHT + minute
    assert trigger.get_next_fire_time(EIGHT, present) == present + minute


async def test_the_runner_asks_for_one_late_run_however_far_the_clock_went() -> None:
    work = Work()
    runner = Runner([Job("one", timedelta(seconds=1), work)])
    async with running(runner):
        await until(lambda: work.runs == 1)
        (planned,) = runner._scheduler.get_jobs()
        assert len(planned._get_run_times(clock.now() + timedelta(days=365))) == 1


async def test_a_job_that_fails_keeps_its_place_and_is_counted() -> None:
    runs = 0

    async def failing(_: datetime) -> None:
        nonlocal runs
        runs += 1
        raise KeyError("a bug")

    before = irregular("failing", "error")
    runner = Runner([Job("failing", HOUR, failing)])
    async with running(runner):
        await until(lambda: irregular("failing", "error") == before + 1)
        runner.wake("failing")
        await until(lambda: irregular("failing", "error") == before + 2)
    assert runs == 2


async def test_when_the_runner_ends_its_jobs_have_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended = []

    async def long(_: datetime) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    before = irregular("long", "error")
    async with running(Runner([Job("long", HOUR, long)])):
        for _ in range(20):
            await asyncio.sleep(0)
    assert ended == [True]
    for _ in range(20):
        await asyncio.sleep(0)
    assert irregular("long", "error") == before
    assert not [line for line in caplog.records if line.levelname == "ERROR"]


# --- guarded work -------------------------------------------------------------------------------

FAILED = Counter("broadcast_test_guarded_failures", "Of this test", ["work"])
KIND = Kind("test.work.failed", "test.work.recovered", "work", "test.", FAILED)


async def recorded(engine: AsyncEngine) -> list[str]:
    async with db.transaction(engine) as session:
        return list(await session.scalars(sa.select(Failure.step)))


@pytest.mark.postgres
async def test_a_bug_is_recorded_waited_after_and_forgotten_when_it_is_gone(
    engine: AsyncEngine,
) -> None:
    calls: list[datetime] = []
    broken = True

    async def work(now: datetime) -> bool:
        calls.append(now)
        if broken:
            raise KeyError("a bug")
        return True

    guarded = Guarded(engine, KIND, "thing", timedelta(seconds=1), work)
    with capture_logs() as lines:
        for second in range(60):
            assert await guarded.run(EIGHT + timedelta(seconds=second)) is False
    assert [int((at - EIGHT).total_seconds()) for at in calls] == [0, 1, 3, 7, 15, 31]
    assert [line["work"] for line in lines if line["event"] == "test.work.failed"] == ["thing"]
    assert await recorded(engine) == ["test.thing"]
    broken = False
    with capture_logs() as lines:
        assert await guarded.run(EIGHT + timedelta(minutes=2)) is True
    assert "test.work.recovered" in {line["event"] for line in lines}
    assert await recorded(engine) == []


@pytest.mark.postgres
async def test_after_an_outage_work_is_tried_again_at_the_next_call(engine: AsyncEngine) -> None:
    calls: list[datetime] = []

    async def work(now: datetime) -> None:
        calls.append(now)
        raise OSError("disk full")

    guarded = Guarded(engine, KIND, "thing", HOUR, work)
    for second in range(5):
        await guarded.run(EIGHT + timedelta(seconds=second))
    assert len(calls) == 5
    assert await recorded(engine) == []


async def test_a_clock_that_is_set_back_makes_work_due(engine: AsyncEngine) -> None:
    calls: list[datetime] = []

    async def work(now: datetime) -> None:
        calls.append(now)

    guarded = Guarded(engine, KIND, "thing", timedelta(minutes=1), work)
    for now in (EIGHT, EIGHT + timedelta(seconds=59), EIGHT - HOUR, EIGHT - HOUR):
        await guarded.run(now)
    assert calls == [EIGHT, EIGHT - HOUR]
