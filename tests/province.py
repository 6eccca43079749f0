"""The one builder of a province for tests: rows with what a test does not care about filled in.

Each function returns a row that is not stored yet and takes any column as a keyword; `commune`
stores the smallest province to which anything can be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Level
from broadcast.areas.topology import touch
from broadcast.devices.model import Device, Installation
from broadcast.kit.clock import LOCAL
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.stations.model import Cluster, ClusterVillage, Evidence, Grade, Plant
from broadcast.wire.fields import BulletinClass, OnPreempt
from tests.callers import LAN

PROVINCE = "51"
SINCE = date(2020, 1, 1)
"""Since when there is what stands in the register."""
KINDS = {Level.PROVINCE: "tỉnh", Level.COMMUNE: "xã", Level.VILLAGE: "thôn"}


def area(code: str, level: Level, parent: str | None = None, **columns: Any) -> Area:
    given = {"kind": KINDS.get(level, level.value), "name": code, "valid_from": SINCE}
    return Area(code=code, level=level, parent_code=parent, **given | columns)


def cluster(code: str, plant: Plant, **columns: Any) -> Cluster:
    """A cluster with telemetry on a stored plant."""
    given = {"name": code, "evidence": Evidence.TELEMETRY, "installed_on": SINCE}
    return Cluster(code=code, plant_id=plant.id, **given | columns)


def service(of: Cluster, village: str, **columns: Any) -> ClusterVillage:
    """A stored cluster serves a village."""
    given = {"valid_from": SINCE, "grade": Grade.PRIMARY}
    return ClusterVillage(cluster_id=of.id, village_code=village, **given | columns)


def device(code: str, at: datetime, **columns: Any) -> Device:
    """A device enrolled at an instant."""
    return Device(code=code, **{"codecs": ["opus"], "enrolled_at": at} | columns)


def installation(of: Device, on: Cluster, at: datetime, **columns: Any) -> Installation:
    """A stored device on a stored cluster from an instant on."""
    return Installation(device_id=of.id, cluster_id=on.id, installed_at=at, **columns)


def schedule(bulletin_id: UUID, starts_at: datetime, now: datetime, **columns: Any) -> Schedule:
    """A schedule that Lan made: once, for the commune unless `targets` says another."""
    given: dict[str, Any] = {
        "id": uuid4(), "bulletin_revision": 1, "title": "Thông báo", "rrule": None,
        "targets_on": now.astimezone(LOCAL).date(), "priority": 64, "late_limit_seconds": 300,
        "on_preempt": OnPreempt.RESUME, "volume": None, "state": ScheduleState.ACTIVE,
        "created_by": LAN, "created_at": now, "changed_at": now,
    }  # fmt: skip
    return Schedule(bulletin_id=bulletin_id, starts_at=starts_at, **given | columns)


def occurrence(of: Schedule, starts_at: datetime, **columns: Any) -> Occurrence:
    """An occurrence of five minutes, planned, as its schedule says."""
    given: dict[str, Any] = {
        "id": uuid4(), "recurrence_at": starts_at, "ends_by": starts_at + timedelta(minutes=5),
        "bulletin_revision": of.bulletin_revision, "class_": BulletinClass.NORMAL,
        "priority": of.priority, "late_limit_seconds": of.late_limit_seconds,
        "on_preempt": of.on_preempt, "volume": of.volume, "title": of.title,
        "state": OccurrenceState.PLANNED, "cancel_reason": None,
        "scopes": [f"area/{each['area']}" for each in of.targets if "area" in each],
        "carried_scopes": [], "dirty": False,
    }  # fmt: skip
    return Occurrence(
        schedule_id=of.id, bulletin_id=of.bulletin_id, starts_at=starts_at, **given | columns
    )


@dataclass
class Register:
    """What `commune` has stored, by code."""

    clusters: dict[str, Cluster]
    devices: dict[str, Device]


async def commune(
    session: AsyncSession, code: str, villages: Mapping[str, str], at: datetime
) -> Register:
    """A commune with villages, in each a cluster with a device since `at`.

    Args:
        session: Stores it.
        code: Of the commune.
        villages: Village → what its cluster (`C-…`) and device (`D-…`) are called.
        at: When the devices were enrolled and installed.
    """
    plant = Plant(code="P-1", name="P-1")
    session.add_all([
        area(PROVINCE, Level.PROVINCE), area(code, Level.COMMUNE, PROVINCE), plant,
        *(area(village, Level.VILLAGE, code) for village in villages),
    ])  # fmt: skip
    await session.flush()
    clusters = {village: cluster(f"C-{name}", plant) for village, name in villages.items()}
    devices = {village: device(f"D-{name}", at) for village, name in villages.items()}
    session.add_all([*clusters.values(), *devices.values()])
    await session.flush()
    for village in villages:
        session.add(service(clusters[village], village))
        session.add(installation(devices[village], clusters[village], at))
    await touch(session)
    await session.flush()
    return Register(
        {each.code: each for each in clusters.values()},
        {each.code: each for each in devices.values()},
    )
