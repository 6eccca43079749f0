"""A journal that comes two months late: ledger, day, figure and the record of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime, time, timedelta
from fractions import Fraction

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from typer.testing import CliRunner

from broadcast import config
from broadcast.cli import app as cli
from broadcast.indicators import rollup
from broadcast.indicators.definitions import operating_rule
from broadcast.indicators.figures import Cache, compute, load_province, recompute
from broadcast.indicators.routes import router
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.plays.closer import close_due
from broadcast.plays.model import Play, PlayState
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from tests.devices.fleet import EIGHT
from tests.plays.world import CLOSED, PROVINCE, WAIT, World, ended, make, started
from tests.walks import Walk
from tests.web.calling import MONITOR, called_by

ON = EIGHT.astimezone(LOCAL).date()
LATE = EIGHT + timedelta(days=60)
NOW = LATE + timedelta(seconds=1)
DAY = timedelta(days=1)


async def heard_all_day(session: AsyncSession, until: date) -> None:
    """Every device, in every minute since it was hung."""
    await session.execute(
        sa.text(
            "INSERT INTO online_minutes (device_id, day, minutes)"
            " SELECT device_id, day::date, repeat('1', 1440)::bit(1440) FROM installations,"
            " generate_series(installed_at, CAST(:until AS timestamptz), interval '1 day') day"
        ),
        {"until": datetime.combine(until, time(23), LOCAL)},
    )


async def roll_up_everything(engine: AsyncEngine, now: datetime) -> None:
    """As the dispatcher does, turn by turn."""
    rule = operating_rule(now.date())
    async with db.transaction(engine) as session:
        await rollup.announce_days(session, now, rule)
    async with db.transaction(engine) as session:
        await rollup.note_horizon(session)
    async with db.transaction(engine) as session:
        days = await rollup.ready_days(session, rule, 200)
        assert ON - DAY in days
        await rollup.roll_up_days(session, days, rule, now)


@pytest.fixture
async def http(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(clock, "today", lambda: NOW.astimezone(LOCAL).date())
    app = FastAPI()
    rest.install(app)
    app.state.engine = engine
    app.state.limit = limit
    app.state.settings = config.Settings()
    app.include_router(router)
    called_by(app, MONITOR)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def test_a_journal_sixty_days_late_restates_the_figure_of_its_day(
    engine: AsyncEngine, http: httpx.AsyncClient
) -> None:
    async with db.transaction(engine) as session:
        world = await make(session)
        occurrence = await world.planned()
        await close_due(session, CLOSED, WAIT)
        await heard_all_day(session, ON + 2 * DAY)
    await roll_up_everything(engine, NOW)
    asked = {"as_of": f"{ON}"}
    before = (await http.get("/indicators", params=asked)).json()
    villages = {f"{each['code']} {each['variant']}": each for each in before["indicators"]}
    assert (villages["1.1 THON"]["numerator"], before["restated_at"]) == (0, None)
    assert (await http.get("/indicators/restatements")).json() == []

    async with db.transaction(engine) as session:
        late = World(session, world.clusters, world.devices, world.schedule)
        await late.report(started(1, occurrence), ended(2, occurrence), at=LATE)
        row = await late.play(occurrence)
        assert (row.state, row.restated, row.month) == (PlayState.PLAYED, 1, ON.replace(day=1))
        ((before_state, _, *change),) = await late.changes(occurrence)
        assert (before_state, change) == ("missed", ["played", "", "report"])

    after = (await http.get("/indicators", params=asked)).json()
    villages = {f"{each['code']} {each['variant']}": each for each in after["indicators"]}
    assert (villages["1.1 THON"]["numerator"], villages["1.1 THON"]["denominator"]) == (1, 2)
    assert villages["1.1 THON"]["proven"]["telemetry"] == 0.5
    assert datetime.fromisoformat(after["restated_at"]) == NOW

    (told,) = (await http.get("/indicators/restatements", params=asked)).json()
    assert (told["day"], told["restated_on"]) == ("2025-07-01", "2025-08-30")
    assert (told["figures_until"], told["causes"]) == ("2025-07-30", ["plays"])
    assert (told["cluster_days"], told["text"][:8]) == (1, "nhật ký ")
    untouched = {"as_of": f"{ON - DAY}"}
    assert (await http.get("/indicators/restatements", params=untouched)).json() == []
    assert (await http.get("/indicators", params=untouched)).json()["restated_at"] is None

    async with db.transaction(engine) as session:
        ours = await compute(session, ON, PROVINCE, NOW)
        assert ours == await recompute(session, ON, PROVINCE, NOW)
        assert ours["1.1"]["THON"].value == Fraction(1, 2)


async def test_a_figure_takes_the_walk_of_the_architecture(
    engine: AsyncEngine, http: httpx.AsyncClient
) -> None:
    async with db.transaction(engine) as session:
        world = await make(session)
        occurrence = await world.planned()
        await close_due(session, CLOSED, WAIT)
    await roll_up_everything(engine, NOW)
    async with db.transaction(engine) as session:
        late = World(session, world.clusters, world.devices, world.schedule)
        await late.report(started(1, occurrence), ended(2, occurrence), at=LATE)
    walk = Walk.read("A figure, request → answer")
    with walk.traced() as called:
        answer = await http.get("/indicators", params={"as_of": f"{ON}"})
    assert answer.json()["indicators"]
    assert called == walk.functions
    *to_the_figure, schemas = walk.files
    assert (len(to_the_figure), schemas) == (8, "indicators/schemas.py")


async def test_a_report_is_in_todays_figure_within_the_request_that_follows_it(
    engine: AsyncEngine, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promised are five seconds; there is nothing to wait for."""
    ten = EIGHT + timedelta(hours=2)
    async with db.transaction(engine) as session:
        world = await make(session)
        occurrence = await world.planned()
        await heard_all_day(session, ON)
    await roll_up_everything(engine, ten)
    monkeypatch.setattr(clock, "now", lambda: ten)
    monkeypatch.setattr(clock, "today", lambda: ON)
    told = (await http.get("/indicators/1.1/THON")).json()
    assert told["numerator"] == 0
    async with db.transaction(engine) as session:
        world = World(session, world.clusters, world.devices, world.schedule)
        await world.report(started(1, occurrence), ended(2, occurrence))
    told = (await http.get("/indicators/1.1/THON")).json()
    assert told["numerator_list"] == ["V-1"]


async def test_a_play_moved_from_another_month_is_found_in_its_partition(
    session: AsyncSession,
) -> None:
    world = await make(session)
    await db.ensure_partition(session, "plays", ON - 40 * DAY)
    occurrence = await world.planned(recurrence_at=EIGHT - 40 * DAY)
    await close_due(session, CLOSED, WAIT)
    rule, cache = operating_rule(ON), Cache()
    await rollup.announce_days(session, NOW, rule)
    await rollup.roll_up_days(session, [ON - DAY, ON], rule, NOW)
    cluster = world.clusters["C-1"].id
    for completed in (False, True):
        if completed:
            await world.report(started(1, occurrence), ended(2, occurrence), at=LATE)
        province = await load_province(session, ON, PROVINCE, rule, NOW, cache)
        assert province.clusters[cluster].completed is completed
    months = set(await session.scalars(sa.select(Play.month)))
    assert months == {(ON - 40 * DAY).replace(day=1)}


def test_the_command_recomputes_and_says_what_differs(
    postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    asked = ["indicators", "--as-of", f"{ON}"]

    async def on_engine(work: Callable[[AsyncEngine], Awaitable[None]]) -> None:
        engine = db.create_engine(config.Settings().postgres)
        try:
            await work(engine)
        finally:
            await engine.dispose()

    async def prepare(engine: AsyncEngine) -> None:
        async with db.transaction(engine) as session:
            await make(session)
            await heard_all_day(session, ON + 2 * DAY)
        await roll_up_everything(engine, NOW)

    async def falsify(engine: AsyncEngine) -> None:
        async with db.transaction(engine) as session:
            await session.execute(
                sa.text(
                    "UPDATE cluster_days SET online = online - 7, completed_at = CAST(:at AS"
                    " timestamptz) WHERE day = :day AND cluster_id ="
                    " (SELECT id FROM clusters WHERE code = 'C-1')"
                ),
                {"day": ON, "at": EIGHT},
            )

    asyncio.run(on_engine(prepare))
    runner = CliRunner()
    kept, raw = (
        runner.invoke(cli, [*asked, "--json", *option]).output for option in ([], ["--recompute"])
    )
    assert json.loads(kept) == json.loads(raw)
    well = runner.invoke(cli, [*asked, "--check"])
    assert (well.exit_code, "khớp nhau" in well.output) == (0, True)
    asyncio.run(on_engine(falsify))
    told = runner.invoke(cli, [*asked, "--check"])
    assert told.exit_code == 1
    assert "C-1: online_minutes lưu 2873, tính lại 2880" in told.output
    assert "chỉ tiêu 1.1 THON: lưu 50,0 %, tính lại 0,0 %; khác ở V-1" in told.output
