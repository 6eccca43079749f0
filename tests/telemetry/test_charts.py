from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.telemetry.charts import MAX_INTERVALS, Chart, ChartSpan, chart
from broadcast.telemetry.model import HealthHour, PresenceChange
from broadcast.telemetry.presence import Presence
from broadcast.wire.events import Network, Supply
from tests.devices.fleet import EIGHT, MINUTE, beat, enrol, record_all

RAW_DAYS = 30
HOUR = timedelta(hours=1)
NOW = EIGHT + 2 * HOUR


@pytest.fixture
async def device(session: AsyncSession) -> Device:
    await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
    (device,) = await enrol(session, "A")
    return device


async def say(session: AsyncSession, device: Device, minutes: int, **more: Any) -> None:
    at = EIGHT + minutes * MINUTE
    said = beat(device, seq=minutes + 1, sent_at=at, **more)
    await record_all(session, [], [said], [], at, live=True)


async def asked(session: AsyncSession, device: Device, span: ChartSpan) -> Chart:
    return await chart(session, device.id, span, NOW, NOW, RAW_DAYS)


async def test_a_day_has_ten_minutes_a_step(session: AsyncSession, device: Device) -> None:
    for minutes, dbm in ((0, -80), (3, -90), (9, -91), (10, -100)):
        await say(session, device, minutes, network=Network(signal_dbm=dbm), line="ok")
    await say(session, device, 30, supply=Supply(mains=False), line="open", state="playing")
    found = await asked(session, device, ChartSpan.DAY)
    assert found.step == 10 * MINUTE
    assert [
        (point.at - EIGHT, point.beats, point.signal_dbm, point.signal_dbm_min, point.line)
        for point in found.points
    ] == [
        (0 * MINUTE, 3, -87.0, -91, "ok"),
        (10 * MINUTE, 1, -100.0, -100, "ok"),
        (30 * MINUTE, 1, None, None, "open"),
    ]
    assert [(p.unpowered_beats, p.playing_beats) for p in found.points] == [(0, 0), (0, 0), (1, 1)]


async def test_a_week_adds_to_the_summed_hours_what_no_hour_has_summed_yet(
    session: AsyncSession, device: Device
) -> None:
    for minutes, celsius in ((0, 40.0), (30, 50.0), (60, 60.0), (61, 62.0)):
        await say(session, device, minutes, temperature_celsius=celsius)
    await db.ensure_partition(session, "health_hours", EIGHT.date())
    summed = {"sessions": 1, "playing_beats": 0, "untrusted_beats": 0, "unpowered_beats": 3}
    session.add(
        HealthHour(
            device_id=device.id, hour=EIGHT, beats=2, minutes=2, temperature_avg=45.0,
            temperature_max=50.0, journal_pending_max=0, line="short", **summed,
        )
    )  # fmt: skip
    await session.flush()
    found = await asked(session, device, ChartSpan.WEEK)
    assert [
        (point.at - EIGHT, point.beats, point.temperature, point.temperature_max, point.line)
        for point in found.points
    ] == [(0 * HOUR, 2, 45.0, 50.0, "short"), (HOUR, 2, 61.0, 62.0, "unknown")]
    month = await asked(session, device, ChartSpan.MONTH)
    (point,) = month.points
    assert (month.step, point.at.astimezone(LOCAL).hour, point.beats) == (4 * HOUR, 8, 4)
    assert (point.temperature, point.unpowered_beats) == (53.0, 3)


async def test_a_day_whose_heartbeats_are_gone_comes_from_the_hours(
    session: AsyncSession, device: Device
) -> None:
    later = NOW + 40 * timedelta(days=1)
    found = await chart(session, device.id, ChartSpan.DAY, NOW, later, RAW_DAYS)
    assert (found.step, found.points) == (HOUR, [])


async def test_presence_is_told_as_spans_from_what_was_before(
    session: AsyncSession, device: Device
) -> None:
    def flip(presence: Presence, hours: float) -> PresenceChange:
        at = NOW - hours * HOUR
        return PresenceChange(
            device_id=device.id, presence=presence, happened_at=at, recorded_at=at, cause="x"
        )

    never = await asked(session, device, ChartSpan.DAY)
    assert [(each.presence, each.since, each.until) for each in never.presence] == [
        (Presence.NEVER_SEEN, NOW - 24 * HOUR, NOW)
    ]
    session.add_all(
        [flip(Presence.ONLINE, 30), flip(Presence.OFFLINE, 3), flip(Presence.ONLINE, 1)]
    )
    await session.flush()
    found = await asked(session, device, ChartSpan.DAY)
    spans = [
        (each.presence.value, (NOW - each.since) / HOUR, (NOW - each.until) / HOUR)
        for each in found.presence
    ]
    assert spans == [
        ("online", 24, 3), ("offline", 3, 1), ("online", 1, 0),
    ]  # fmt: skip
    session.add_all(flip(Presence.SILENT, 0.9 - n / 10_000) for n in range(MAX_INTERVALS + 1))
    await session.flush()
    flapping = (await asked(session, device, ChartSpan.DAY)).presence
    assert (len(flapping), flapping[-1].until) == (MAX_INTERVALS, NOW)
