"""The maintenance jobs together, on a database: they run, fail alone, and report once."""

from __future__ import annotations

import asyncio
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from typer.testing import CliRunner

from broadcast import config
from broadcast.api import create_app
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Role
from broadcast.cli import app
from broadcast.kit import clock, db
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.model import DeadLetterRow, HealthHour, ListeningSpan
from broadcast.upkeep import partitions
from broadcast.upkeep.maintenance import MaintenanceRunner
from tests.callers import caller
from tests.devices.fleet import EIGHT, beat, enrol, record_all
from tests.web.calling import MONITOR, called_by
from tests.web.routes import worked_out

HOUR = timedelta(hours=1)


@pytest.fixture
def settings(postgres_dsn: str, tmp_path: Path) -> config.Settings:
    return config.Settings(
        postgres=config.Postgres(dsn=SecretStr(postgres_dsn)),
        content_dir=tmp_path,
        upkeep=config.Upkeep(disk_free_bytes=1),
    )


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


async def run(maintenance: MaintenanceRunner, now: datetime) -> None:
    for job in maintenance.jobs:
        await job.run(now)


@pytest.mark.postgres
async def test_every_job_is_done(engine: AsyncEngine, settings: config.Settings) -> None:
    async with db.transaction(engine) as session:
        for table, day in [("heartbeats", date(2025, 1, 1)), ("online_minutes", date(2025, 5, 1))]:
            await db.ensure_partition(session, table, day)
        await db.ensure_day(session, EIGHT.date())
        (device, _) = await enrol(session, "A", "B")
        said = [beat(device)]
        session.add(ListeningSpan(started_at=EIGHT, until=EIGHT + 4 * HOUR))
        await record_all(session, [], said, [], EIGHT, live=True)
        session.add(
            DeadLetterRow(received_at=EIGHT - timedelta(days=31), topic="t", size_bytes=1,
                       payload=b"", field="$", reason="x")
        )  # fmt: skip
    maintenance = MaintenanceRunner(engine, settings)
    with capture_logs() as logs:
        for minutes in range(65, 200, 5):  # a summary of six hours each time
            await run(maintenance, EIGHT + timedelta(minutes=minutes))
    assert not [entry for entry in logs if entry["log_level"] in {"warning", "error"}]
    async with db.transaction(engine) as session:
        present = {p.name: p for p in await partitions.existing(session)}
        assert await session.scalar(sa.select(sa.func.count()).select_from(DeadLetterRow)) == 0
        assert await session.scalar(sa.select(HealthHour.beats)) == 1
    assert "heartbeats_20250101" not in present
    assert "heartbeats_20250715" in present
    assert present["online_minutes_202505"].packed
    assert metric("broadcast_partitions_ahead", table="heartbeats") == 14
    assert metric("broadcast_devices", presence="online") == 1
    assert metric("broadcast_devices", presence="never_seen") == 1
    assert metric("broadcast_disk_free_bytes", place="database")
    assert metric("broadcast_upkeep_alarm", check="disk") == 0


async def test_a_job_that_fails_is_told_once_and_stops_no_other(
    engine: AsyncEngine, settings: config.Settings
) -> None:
    async with db.transaction(engine) as session:
        await session.execute(sa.text("ALTER TABLE refusals RENAME TO elsewhere"))
    maintenance = MaintenanceRunner(engine, settings)
    before = metric("broadcast_upkeep_failures_total", job="retention") or 0
    with capture_logs() as logs:
        await run(maintenance, EIGHT)
        await run(maintenance, EIGHT + timedelta(seconds=30))
    failed = [entry["job"] for entry in logs if entry["event"] == "upkeep.job.failed"]
    assert failed == ["retention"]
    assert metric("broadcast_upkeep_failures_total", job="retention") == before + 2
    async with db.transaction(engine) as session:
        await session.execute(sa.text("ALTER TABLE elsewhere RENAME TO refusals"))
        assert "heartbeats_20250714" in {p.name for p in await partitions.existing(session)}
    with capture_logs() as logs:
        await run(maintenance, EIGHT + HOUR)
    assert "upkeep.job.recovered" in {entry["event"] for entry in logs}


async def test_an_alarm_is_raised_and_cleared_once(
    engine: AsyncEngine, settings: config.Settings
) -> None:
    old = date(2025, 1, 1)
    async with db.transaction(engine) as session:
        await db.ensure_partition(session, "heartbeats", old)
    maintenance = MaintenanceRunner(engine, settings)
    async with engine.connect() as reader:
        await reader.execute(sa.text("SELECT count(*) FROM heartbeats"))
        with capture_logs() as logs:
            for minute in range(3):
                await run(maintenance, EIGHT + timedelta(minutes=minute))
        await reader.rollback()
    raised = [entry for entry in logs if entry["event"] == "upkeep.alarm.raised"]
    # What is made ahead needs the same lock: that is told too, once.
    assert sorted(entry["check"] for entry in raised) == ["partitions", "retention"]
    assert metric("broadcast_upkeep_alarm", check="retention") == 1
    with capture_logs() as logs:
        await run(maintenance, EIGHT + HOUR)
    assert "retention" in {
        entry["check"] for entry in logs if entry["event"] == "upkeep.alarm.cleared"
    }
    assert metric("broadcast_upkeep_alarm", check="retention") == 0


async def report_over_rest(engine: AsyncEngine, settings: config.Settings, who: Caller) -> Any:
    application = worked_out(create_app(settings, engine))
    called_by(application, who)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get("/api/v1/upkeep")


async def test_the_report_is_for_technicians(
    engine: AsyncEngine, settings: config.Settings
) -> None:
    await partitions.make_ahead(engine, clock.today(), 14)
    answer = await report_over_rest(engine, settings, caller("Tâm", Role.TECHNICIAN))
    assert answer.status_code == 200, answer.text
    told = answer.json()
    tables = {view["table"]: view for view in told["partitions"]}
    assert (tables["heartbeats"]["ahead"], tables["heartbeats"]["kept_days"]) == (14, 30)
    assert tables["online_minutes"]["kept_days"] is None
    assert told["database_bytes"] > 0
    assert {room["place"] for room in told["rooms"]} == {"content", "database"}
    assert (await report_over_rest(engine, settings, MONITOR)).status_code == 403


async def test_the_command_fails_while_somebody_has_to_act(
    engine: AsyncEngine, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BROADCAST_POSTGRES__DSN", postgres_dsn)
    monkeypatch.setenv("BROADCAST_CONTENT_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("BROADCAST_UPKEEP__DISK_FREE_BYTES", "1")
    await partitions.make_ahead(engine, clock.now().astimezone(LOCAL).date(), 14)

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["upkeep", *arguments])

    well = await asyncio.to_thread(invoke)
    assert well.exit_code == 0, well.output
    assert "online_minutes" in well.output
    async with db.transaction(engine) as session:
        await session.execute(sa.text(f"DROP TABLE {db.partition_name('plays', clock.today())}"))
    bad = await asyncio.to_thread(invoke, "--json")
    assert bad.exit_code == 1
    assert [c["name"] for c in json.loads(bad.output)["checks"] if c["alarm"]] == ["partitions"]
    shown = await asyncio.to_thread(invoke)
    assert "CẢNH BÁO" in shown.output
