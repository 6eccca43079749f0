"""The evidence on one cluster, case by case."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Level
from broadcast.devices.model import Device, Installation
from broadcast.indicators.definitions import OPERATING_RULES
from broadcast.indicators.figures import Cache, load_province
from broadcast.indicators.province import Cluster as Evidenced
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.plays.model import Play, PlayState
from broadcast.stations.model import (
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Outage,
    OutageKind,
    Plant,
)
from broadcast.telemetry.model import Fault, OnlineMinutes
from broadcast.telemetry.online_minutes import mask, to_bits
from tests.callers import LAN
from tests.indicators.invented import occurrence, scheduled

LONG_AGO, FIRST, DAY = date(2020, 2, 1), date(2025, 10, 30), date(2025, 11, 1)
LATER = datetime(2026, 1, 1, tzinfo=UTC)
RULE = replace(OPERATING_RULES[0], window_days=3, broadcast_hours=((time(5), time(6)),))


def local(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """An instant of October 30 and 31 or November 1 and 2 by their number."""
    month = 10 if day > 20 else 11
    return datetime(2025, month, day, hour, minute, second, tzinfo=LOCAL)


async def cluster(session: AsyncSession) -> int:
    """A cluster whose primary village v1 lies in commune 21001, and which partly serves v2."""
    for code, level, parent in [
        ("51", Level.PROVINCE, None), ("21001", Level.COMMUNE, "51"),
        ("21002", Level.COMMUNE, "51"), ("v1", Level.VILLAGE, "21001"),
        ("v2", Level.VILLAGE, "21002"),
    ]:  # fmt: skip
        session.add(
            Area(
                code=code, level=level, kind="", name=code, parent_code=parent,
                valid_from=LONG_AGO, valid_to=None,
            )
        )  # fmt: skip
    plant = Plant(code="P", name="")
    session.add(plant)
    await session.flush()
    row = Cluster(
        code="C", name="", plant_id=plant.id, latitude=None, longitude=None, watts=None,
        evidence=Evidence.TELEMETRY, installed_on=LONG_AGO, removed_on=None,
    )  # fmt: skip
    session.add(row)
    await session.flush()
    for village, grade in [("v1", Grade.PRIMARY), ("v2", Grade.PARTIAL)]:
        session.add(
            ClusterVillage(
                cluster_id=row.id, village_code=village, valid_from=LONG_AGO,
                valid_to=None, grade=grade,
            )
        )  # fmt: skip
    return row.id


async def evidence(session: AsyncSession, number: int, now: datetime = LATER) -> Evidenced:
    """The evidence on the cluster on the day."""
    return (await load_province(session, DAY, "51", RULE, now, Cache())).clusters[number]


async def install(
    session: AsyncSession, cluster_id: int, begins: datetime, ends: datetime | None
) -> int:
    """A device on the cluster that reported in every minute, also while it was elsewhere."""
    device = Device(
        code=str(uuid4()), codecs=["opus"], enrolled_at=local(30, 0), retired_at=None
    )  # fmt: skip
    session.add(device)
    await session.flush()
    session.add(
        Installation(
            device_id=device.id, cluster_id=cluster_id, installed_at=begins, removed_at=ends
        )
    )
    for offset in range(3):
        await db.ensure_day(session, FIRST + timedelta(days=offset))
        await session.execute(
            sa.text(
                "INSERT INTO online_minutes (device_id, day, minutes)"
                " VALUES (:device, :day, CAST(CAST(:minutes AS text) AS bit(1440)))"
            ),
            {
                "device": device.id,
                "day": FIRST + timedelta(days=offset),
                "minutes": to_bits(mask([(time(0), time(0))])),
            },
        )
    await session.flush()
    assert await session.get(OnlineMinutes, (device.id, DAY)) is not None
    return device.id


EARLY = datetime(2025, 1, 1, tzinfo=LOCAL)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("stays", "expected", "heard"),
    [
        ([(EARLY, None)], 180, 180),
        # Installed in the middle: the first whole minute is 05:11.
        ([(local(31, 5, 10, 1), None)], 109, 109),
        ([(local(31, 5, 10), None)], 110, 110),
        # Removed: what was not replaced counts against the cluster.
        ([(EARLY, local(31, 5, 10, 59))], 180, 70),
        # Swapped: the minute belongs to the device that came, and no minute counts twice.
        ([(EARLY, local(31, 5, 10, 30)), (local(31, 5, 10, 30), None)], 180, 180),
        ([(EARLY, local(31, 5, 10, 30)), (local(31, 5, 20, 30), None)], 180, 170),
        # Removed before the window, never replaced.
        ([(EARLY, local(30, 0))], 180, 0),
        ([(local(2, 0), None)], 0, 0),
    ],
)
async def test_minutes_are_expected_from_the_first_device_on(
    session: AsyncSession,
    stays: list[tuple[datetime, datetime | None]],
    expected: int,
    heard: int,
) -> None:
    number = await cluster(session)
    for begins, ends in stays:
        await install(session, number, begins, ends)
    found = await evidence(session, number)
    assert (found.expected_minutes, found.online_minutes) == (expected, heard)
    assert found.device == any(
        begins < local(2, 0) and (ends is None or ends > local(30, 0)) for begins, ends in stays
    )


@pytest.mark.parametrize(
    ("place", "begins", "ends", "expected"),
    [
        ("C", local(31, 5, 10), local(31, 5, 20), 170),
        ("C", local(31, 5, 9, 59), local(31, 5, 20, 1), 168),
        ("C", local(30, 5, 50), local(1, 5, 10), 100),
        ("C", local(30, 6), local(31, 5), 180),
        ("C", datetime(2025, 1, 1, tzinfo=UTC), LATER, 0),
        ("v1", local(31, 5, 10), local(31, 5, 20), 170),
        ("21001", local(31, 5, 10), local(31, 5, 20), 170),
        ("51", local(31, 5, 10), local(31, 5, 20), 170),
        ("v2", local(31, 5, 10), local(31, 5, 20), 180),
        ("21002", local(31, 5, 10), local(31, 5, 20), 180),
    ],
)
async def test_minutes_that_a_declared_outage_touches_are_neither_expected_nor_heard(
    session: AsyncSession, place: str, begins: datetime, ends: datetime, expected: int
) -> None:
    number = await cluster(session)
    await install(session, number, EARLY, None)
    session.add(
        Outage(
            kind=OutageKind.POWER_CUT, starts_at=begins, ends_at=ends, declared_by=LAN,
            cluster_id=number if place == "C" else None, area_code=None if place == "C" else place,
        )
    )  # fmt: skip
    await session.flush()
    found = await evidence(session, number)
    assert (found.expected_minutes, found.online_minutes) == (expected, expected)


async def test_two_outages_of_one_minute_excuse_it_once(session: AsyncSession) -> None:
    number = await cluster(session)
    await install(session, number, EARLY, None)
    for place in ("v1", "51"):
        session.add(
            Outage(
                kind=OutageKind.MAINTENANCE, cluster_id=None, area_code=place, declared_by=LAN,
                starts_at=local(31, 5, 10), ends_at=local(31, 5, 20),
            )
        )  # fmt: skip
    await session.flush()
    assert (await evidence(session, number)).expected_minutes == 170


async def test_on_the_day_itself_only_minutes_that_are_over_are_expected(
    session: AsyncSession,
) -> None:
    number = await cluster(session)
    await install(session, number, EARLY, None)
    found = await evidence(session, number, local(1, 5, 30, 59))
    assert (found.expected_minutes, found.online_minutes) == (150, 150)


P, M, C = PlayState.PLAYED, PlayState.MISSED, PlayState.CANCELLED


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("plays", "now", "completed", "days"),
    [
        ([], LATER, False, 0),
        ([(local(30, 7), P)], LATER, True, 0),
        ([(local(30, 7), P), (local(30, 17), M)], LATER, True, 0),
        ([(local(30, 7), P), (local(31, 7), M), (local(31, 17), M)], LATER, True, 1),
        ([(local(30, 7), P), (local(31, 7), M), (local(1, 7), M)], LATER, True, 2),
        ([(local(30, 7), M), (local(31, 7), PlayState.PARTIAL)], LATER, False, 2),
        ([(local(30, 7), C)], LATER, False, 0),
        ([(local(30, 7), P), (local(31, 7), C)], LATER, True, 0),
        # Before the window.
        ([(local(29, 23), P)], LATER, False, 0),
        # Sounds right now: neither completed nor due.
        ([(local(1, 7), PlayState.PLAYING)], local(1, 7, 5), False, 0),
        ([(local(1, 7), P)], local(1, 7, 4), False, 0),
        ([(local(1, 7), P)], local(1, 7, 6), True, 0),
        # In the declared outage of 31/10 from 06:00 to 07:00.
        ([(local(31, 6, 30), M)], LATER, False, 0),
        ([(local(31, 6, 30), P)], LATER, True, 0),
        ([(local(30, 7), P), (local(31, 6, 30), M), (local(31, 7), M)], LATER, True, 1),
    ],
)  # fmt: skip
async def test_days_with_broadcasts_count_after_the_newest_completed_play(
    session: AsyncSession,
    plays: list[tuple[datetime, PlayState]],
    now: datetime,
    completed: bool,
    days: int,
) -> None:
    number = await cluster(session)
    for day in (FIRST, DAY):
        await db.ensure_partition(session, "plays", day)
    session.add(
        Outage(
            kind=OutageKind.POWER_CUT, cluster_id=number, area_code=None, declared_by=LAN,
            starts_at=local(31, 6), ends_at=local(31, 7),
        )
    )  # fmt: skip
    for starts_at, state in plays:
        session.add(
            Play(
                occurrence_id=uuid4(), cluster_id=number, month=starts_at.date().replace(day=1),
                state=state,
                starts_at=starts_at, ends_by=starts_at + timedelta(minutes=10), device_id=None,
                started_at=starts_at, start_error_ms=None, settled_at=None,
                ended_at=starts_at + timedelta(minutes=5) if state is P else None,
            )
        )  # fmt: skip
    await session.flush()
    found = await evidence(session, number, now)
    assert (found.completed, found.broadcast_days) == (completed, days)


@pytest.mark.parametrize(
    ("kind", "opened", "closed", "installed", "removed", "since"),
    [
        ("line_open", local(30, 8), None, EARLY, None, local(30, 8)),
        ("line_open", local(30, 8), local(31, 8), EARLY, None, None),
        ("line_open", local(30, 8), local(2, 8), EARLY, None, local(30, 8)),
        ("line_open", local(2, 8), None, EARLY, None, None),
        ("line_open", local(30, 8), None, local(31, 9), None, local(31, 9)),
        ("line_open", local(30, 8), None, EARLY, local(31, 9), None),
        ("line_open", local(30, 8), None, EARLY, local(2, 9), local(30, 8)),
        ("hot", local(30, 8), None, EARLY, None, None),
    ],
)
async def test_a_speaker_fault_counts_while_its_device_is_installed_on_the_cluster(
    session: AsyncSession,
    kind: str,
    opened: datetime,
    closed: datetime | None,
    installed: datetime,
    removed: datetime | None,
    since: datetime | None,
) -> None:
    number = await cluster(session)
    device = await install(session, number, installed, removed)
    session.add(Fault(device_id=device, kind=kind, opened_at=opened, closed_at=closed))
    await session.flush()
    assert (await evidence(session, number)).fault_since == since


async def test_a_play_moved_into_the_window_from_another_year_counts(
    session: AsyncSession,
) -> None:
    number = await cluster(session)
    schedule, identity = await scheduled(session), uuid4()
    recurrence_at, starts_at = datetime(2024, 12, 31, 18, tzinfo=UTC), local(31, 7)
    await db.ensure_partition(session, "plays", date(2025, 1, 1))
    session.add(occurrence(schedule, identity, recurrence_at, starts_at))
    session.add(
        Play(
            occurrence_id=identity, cluster_id=number, month=date(2025, 1, 1), state=P,
            starts_at=starts_at, ends_by=local(31, 8), device_id=None, started_at=starts_at,
            start_error_ms=None, settled_at=None, ended_at=local(31, 7, 5),
        )
    )  # fmt: skip
    await session.flush()
    assert (await evidence(session, number)).completed
