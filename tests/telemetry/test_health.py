"""The hourly summary against a recount in Python, whatever comes late, twice or out of order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.kit.clock import HOUR, LOCAL
from broadcast.telemetry import health
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.health import CLOSED_AFTER, summarise
from broadcast.telemetry.model import HealthHour, HealthProgress
from broadcast.telemetry.online_minutes import happened_at
from broadcast.telemetry.routes import router
from broadcast.visibility.sessions import limit
from broadcast.web import rest
from broadcast.wire.events import Clock, Heartbeat, Network, Supply
from tests.devices.fleet import EIGHT, MINUTE, THRESHOLDS, beat, enrol, record_all
from tests.web.calling import MONITOR, called_by

KEEP = timedelta(days=30)
NINE = EIGHT + HOUR


async def receive(engine: AsyncEngine, at: datetime, *beats: Arrival[Heartbeat]) -> None:
    async with db.transaction(engine) as session:
        await db.ensure_day(session, at.astimezone(LOCAL).date())
        await record_all(session, [], list(beats), [], at, live=False, thresholds=THRESHOLDS)


async def devices(engine: AsyncEngine, *codes: str) -> list[Device]:
    async with db.transaction(engine) as session:
        return await enrol(session, *codes)


async def hours(engine: AsyncEngine) -> dict[tuple[int, datetime], HealthHour]:
    async with db.transaction(engine) as session:
        return {
            (row.device_id, row.hour): row for row in await session.scalars(sa.select(HealthHour))
        }


@pytest.mark.postgres
async def test_an_hour_says_the_extremes_and_the_worst(engine: AsyncEngine) -> None:
    (device,) = await devices(engine, "A")
    said: list[dict[str, Any]] = [
        {
            "clock": Clock(trusted=True, offset_ms=-250), "temperature_celsius": 40.0,
            "supply": Supply(mains=True, volts=24.0, battery_percent=90),
            "network": Network(signal_dbm=-80), "data_used_bytes": 1000, "line": "ok",
            "amplifier": "on", "journal_pending": 3, "storage_free_bytes": 500,
        },
        {
            "clock": Clock(trusted=False, offset_ms=100), "temperature_celsius": 50.0,
            "supply": Supply(mains=False, volts=21.5, battery_percent=40),
            "network": Network(signal_dbm=-100), "data_used_bytes": 1700, "line": "open",
            "amplifier": "off", "state": "playing", "storage_free_bytes": 300,
        },
        {"data_used_bytes": 200, "session": 2},
    ]  # fmt: skip
    for minute, fields in enumerate(said):
        at = EIGHT + minute * MINUTE
        await receive(engine, at, beat(device, seq=minute + 1, sent_at=at, **fields))
    while await summarise(engine, NINE + CLOSED_AFTER - MINUTE, KEEP):
        pass
    assert await hours(engine) == {}
    while await summarise(engine, NINE + CLOSED_AFTER, KEEP):
        pass
    ((key, row),) = (await hours(engine)).items()
    assert key == (device.id, EIGHT)
    columns = [column.name for column in HealthHour.__table__.columns]
    told = {column: getattr(row, column) for column in columns}
    assert told == {
        "device_id": device.id, "hour": EIGHT, "beats": 3, "minutes": 3, "sessions": 2,
        "playing_beats": 1, "untrusted_beats": 1, "unpowered_beats": 1, "temperature_min": 40.0,
        "temperature_avg": 45.0, "temperature_max": 50.0, "supply_volts_min": 21.5,
        "battery_percent_min": 40, "signal_dbm_min": -100, "signal_dbm_avg": -90.0,
        "clock_offset_ms_max": 250, "data_used_bytes": 700 + 200, "storage_free_bytes_min": 300,
        "journal_pending_max": 3, "line": "open", "amplifier": "off",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_of_arrival_comes_to_the_recount(engine: AsyncEngine, seed: int) -> None:
    random = Random(seed)
    fleet = await devices(engine, *"ABC")
    begin = EIGHT - timedelta(days=1)
    now = begin
    everything: list[tuple[datetime, Arrival[Heartbeat]]] = []
    for _ in range(60):
        now += timedelta(minutes=random.randint(0, 45))
        batch = []
        for _ in range(random.randint(0, 4)):
            waited = timedelta(minutes=random.choice((0, 0, 0, 1, 70, 300, 11_000)))
            known = random.choice(everything)[1] if everything and random.random() < 0.2 else None
            batch.append(
                known
                or beat(
                    random.choice(fleet),
                    session=random.randint(1, 3),
                    seq=len(everything) + len(batch) + 1,
                    sent_at=now - waited,
                    clock=Clock(trusted=random.random() < 0.8),
                )
            )
        everything += [(now, arrival) for arrival in batch]
        await receive(engine, now, *batch)
        if random.random() < 0.3:
            await summarise(engine, now, KEEP)
    now += 2 * HOUR
    while await summarise(engine, now, KEEP):
        pass
    expected: defaultdict[tuple[int, datetime], set[Any]] = defaultdict(set)
    for received_at, arrival in everything:
        device_id, said = arrival.device_id, arrival.message
        at = happened_at(said.sent_at, received_at, trusted=said.clock.trusted)
        # One row a day of reception: a repetition of the next day is a second one.
        identity = (received_at.astimezone(LOCAL).date(), said.session, said.seq)
        stored = {
            (i[0], i[1], i[2])
            for key, found in expected.items()
            if key[0] == device_id
            for i in found
        }
        if identity not in stored:
            expected[device_id, at.replace(minute=0, second=0, microsecond=0)].add(identity)
    found = await hours(engine)
    assert {key: row.beats for key, row in found.items()} == {
        key: len(beats) for key, beats in expected.items()
    }


async def test_what_commits_after_its_hour_was_done_is_found(engine: AsyncEngine) -> None:
    (device,) = await devices(engine, "A")
    await receive(engine, EIGHT, beat(device, seq=1, sent_at=EIGHT))
    while await summarise(engine, NINE + CLOSED_AFTER, KEEP):
        pass
    # Ingest had taken it from the broker in time, and got the database back only now.
    await receive(engine, EIGHT + MINUTE, beat(device, seq=2, sent_at=EIGHT + MINUTE))
    while await summarise(engine, NINE + HOUR + CLOSED_AFTER, KEEP):
        pass
    assert (await hours(engine))[device.id, EIGHT].beats == 2


async def test_nothing_new_is_not_done_again(engine: AsyncEngine) -> None:
    (device,) = await devices(engine, "A")
    await receive(engine, EIGHT, beat(device, sent_at=EIGHT))
    now = NINE + CLOSED_AFTER
    while await summarise(engine, now, KEEP):
        pass
    async with db.transaction(engine) as session:
        before = set(await session.scalars(sa.select(HealthProgress.done_at)))
    assert await summarise(engine, now + MINUTE, KEEP) == 0
    async with db.transaction(engine) as session:
        assert set(await session.scalars(sa.select(HealthProgress.done_at))) == before


async def test_an_hour_whose_raw_beats_are_half_gone_stays_as_it_was(engine: AsyncEngine) -> None:
    (device,) = await devices(engine, "A")
    late = EIGHT - timedelta(days=1)
    for minute in range(3):
        at = late + minute * MINUTE
        await receive(engine, at, beat(device, seq=minute + 1, sent_at=at))
    while await summarise(engine, late + 2 * HOUR, KEEP):
        pass
    async with db.transaction(engine) as session:
        await session.execute(sa.text("DROP TABLE heartbeats_20250630"))
    await receive(engine, EIGHT, beat(device, seq=9, sent_at=late + 5 * MINUTE))
    while await summarise(engine, NINE + CLOSED_AFTER, KEEP):
        pass
    assert (await hours(engine))[device.id, late].beats == 3


@pytest.fixture
async def client(session: AsyncSession) -> AsyncIterator[httpx.AsyncClient]:
    await db.ensure_partition(session, "health_hours", EIGHT.date())
    (device,) = await enrol(session, "A")
    session.add_all(
        HealthHour(
            device_id=device.id, hour=EIGHT + n * HOUR, beats=60 - n, minutes=60 - n, sessions=1,
            playing_beats=0, untrusted_beats=0, unpowered_beats=0, journal_pending_max=0,
            line="ok",
        )
        for n in range(5)
    )  # fmt: skip
    await session.flush()
    app = FastAPI()
    app.state.limit = limit
    rest.install(app)
    app.include_router(router)
    app.dependency_overrides[rest.transaction] = lambda: session
    called_by(app, MONITOR)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def test_health_is_asked_for_by_time_and_comes_in_pages(client: httpx.AsyncClient) -> None:
    query = {"from": "2025-07-01T09:00:00+07:00", "to": "2025-07-01T12:00:00+07:00", "limit": "2"}
    first = (await client.get("/devices/A/health", params=query)).json()
    assert [item["hour"] for item in first["items"]] == [
        "2025-07-01T09:00:00+07:00", "2025-07-01T10:00:00+07:00",
    ]  # fmt: skip
    rest_of = await client.get("/devices/A/health", params=query | {"cursor": first["next"]})
    assert [item["beats"] for item in rest_of.json()["items"]] == [57]
    assert rest_of.json()["next"] is None


@pytest.mark.parametrize(
    ("code", "query", "status"),
    [
        ("B", {"to": "2025-07-01T00:00:00Z"}, 404),
        ("A", {"from": "2025-07-02T00:00:00Z", "to": "2025-07-01T00:00:00Z"}, 422),
        ("A", {"from": "2023-07-02T00:00:00Z", "to": "2025-07-01T00:00:00Z"}, 422),
        ("A", {"from": "2025-07-02T00:00:00"}, 422),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    client: httpx.AsyncClient, code: str, query: dict[str, str], status: int
) -> None:
    assert (await client.get(f"/devices/{code}/health", params=query)).status_code == status


def test_a_late_beat_still_finds_its_partition() -> None:
    assert db.LATEST == health.BEHIND


@pytest.mark.postgres
@pytest.mark.parametrize(
    "said",
    [
        [{"temperature_celsius": 1e-60, "supply": Supply(volts=5e-324)}],
        [{"data_used_bytes": (2**53 - 1) * (seq % 2)} for seq in range(2100)],
    ],
    ids=["smaller than a real", "a counter that leaps"],
)
async def test_what_one_device_says_holds_up_nobodys_hour(
    engine: AsyncEngine, said: list[dict[str, Any]]
) -> None:
    odd, other = await devices(engine, "A", "B")
    beats = [beat(odd, seq=seq, **fields) for seq, fields in enumerate(said, 1)]
    await receive(engine, EIGHT, *beats, beat(other, temperature_celsius=40.0))
    while await summarise(engine, NINE + CLOSED_AFTER, KEEP):
        pass
    told = await hours(engine)
    assert told[odd.id, EIGHT].beats == len(said)
    assert told[other.id, EIGHT].temperature_max == 40.0
