"""A province to show: the real units of Quảng Ngãi, with invented villages, stations and clusters.

No register of villages or stations was to be had; the mix of technologies follows what the
provinces published (mostly FM, some wired, some both). Everything is invented the same way every
time, from the codes.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast import config
from broadcast.areas import villages
from broadcast.areas.imports import import_areas, official_files
from broadcast.areas.model import Area, Level
from broadcast.areas.placement import Registered
from broadcast.areas.units import units_on
from broadcast.auth.permissions import Role
from broadcast.boundaries.centroids import centroids
from broadcast.demo.people import Doors, seed_people
from broadcast.devices.model import Device, Installation
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.kit.sheets import File
from broadcast.stations.model import (
    Attestation,
    BaselineStation,
    Cluster,
    ClusterVillage,
    Evidence,
    Grade,
    Plant,
    PlantState,
    PlantStatus,
    Station,
    StationState,
    StationStatus,
    Technology,
)
from broadcast.stations.succession import follow

BEGAN = date(2020, 2, 1)
"""The oldest day of the official units."""

PLAN_ON = date(2024, 7, 9)
"""Day of plan 148/KH-UBND, when the stations to be converted were listed."""

MERGED_ON = (date(2025, 1, 1), date(2025, 7, 1))

VILLAGES_PER_COMMUNE = 2


class Seeded(NamedTuple):
    """The rows made, and how those who use them come in."""

    province: str
    commune: str
    """A commune that has devices."""
    communes: int
    villages: int
    devices: list[str]
    clusters: list[str]
    """Clusters with a device, in the order of `devices`."""
    doors: Doors
    """An account of every role."""

    @property
    def broadcaster(self) -> str:
        """Token of who writes bulletins."""
        return self.doors.by_role[Role.PROVINCE_EDITOR].token

    @property
    def approver(self) -> str:
        """Token of who approves and schedules them."""
        return self.doors.by_role[Role.PROVINCE_APPROVER].token


async def seed(
    engine: AsyncEngine, settings: config.Settings, devices: int, now: datetime
) -> Seeded:
    """Fill an empty database; `devices` clusters get a device, the rest are attested or silent."""
    today = now.astimezone(LOCAL).date()
    async with db.transaction(engine) as session:
        await import_areas(session, *official_files())
        await villages.import_villages(session, await _village_file(session))
        for day in MERGED_ON:
            for lost in await villages.unplaced(session, day):
                row = Registered(lost.code, "thôn", lost.name, lost.candidates[0], day, None)
                await villages.register(session, row)
    async with db.transaction(engine) as session:
        plants = await _stations(session)
        for day in MERGED_ON:
            await follow(session, day)
        served = await units_on(session, today, level=Level.VILLAGE, under=settings.province)
        clusters = _clusters(session, served, plants, devices, now)
        await session.flush()
        session.add_all(
            ClusterVillage(
                cluster_id=cluster.id,
                village_code=village.code,
                valid_from=cluster.installed_on,
                valid_to=None,
                grade=Grade.PRIMARY,
            )
            for village, cluster in clusters
        )
        codes = await _devices(session, [cluster for _, cluster in clusters[:devices]], now)
        _attest(session, [cluster for _, cluster in clusters[devices:]], now)
        return Seeded(
            province=settings.province,
            commune=str(clusters[0][0].parent_code),
            communes=len(await units_on(session, today, level=Level.COMMUNE, under="51")),
            villages=len(served),
            devices=codes,
            clusters=[cluster.code for _, cluster in clusters[:devices]],
            doors=await seed_people(session, clusters[0][0], now),
        )


def _chance(*what: object) -> float:
    """A number in [0, 1) that depends on nothing but its arguments."""
    return zlib.crc32(repr(what).encode()) / 2**32


async def _village_file(session: AsyncSession) -> File:
    """Villages of every commune that ever was the first at its place."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["code", "kind", "name", "commune_code", "valid_from", "valid_to"])
    first = await units_on(session, BEGAN, level=Level.COMMUNE)
    # Lý Sơn was a district without communes until it became one.
    island = [unit for unit in await units_on(session, MERGED_ON[1], level=Level.COMMUNE)
              if unit.kind == "đặc khu"]  # fmt: skip
    for commune in [*first, *island]:
        for number in range(1, VILLAGES_PER_COMMUNE + 1):
            rows.writerow(
                [f"{commune.code}-{number:02}", "thôn", f"Thôn {number} {commune.name}",
                 commune.code, commune.valid_from, ""]
            )  # fmt: skip
    return File("villages.csv", text.getvalue().encode())


async def _stations(session: AsyncSession) -> dict[str, Plant]:
    """One station and one plant per commune of 2020; plants by that commune's code."""
    communes = await units_on(session, BEGAN, level=Level.COMMUNE)
    plants: dict[str, Plant] = {}
    stations: dict[str, Station] = {}
    for commune in communes:
        if _chance("no station", commune.code) < 0.05:
            continue
        stations[commune.code] = Station(
            code=f"DTT-{commune.code}",
            name=f"Đài truyền thanh {commune.name}",
            commune_code=commune.code,
            valid_from=BEGAN,
            valid_to=None,
        )
        plants[commune.code] = Plant(code=f"HT-{commune.code}", name=f"Hệ thống {commune.name}")
    session.add_all([*stations.values(), *plants.values()])
    await session.flush()
    for code, station in stations.items():
        old = _technologies(code)
        session.add(
            StationState(
                station_id=station.id, valid_from=BEGAN, status=StationStatus.OPERATING,
                cause="", document="",
            )
        )  # fmt: skip
        session.add(
            BaselineStation(
                station_id=station.id, listed_on=PLAN_ON, technologies=old,
                document="148/KH-UBND",
            )
        )  # fmt: skip
        steps = [(BEGAN, old)]
        if _chance("converted", code) < 0.8:
            converted_on = date(2023, 1, 1) + timedelta(days=int(900 * _chance("when", code)))
            steps.append((converted_on, [Technology.IT.value]))
        session.add_all(
            PlantState(
                plant_id=plants[code].id, valid_from=day, station_id=station.id,
                technologies=technologies, status=PlantStatus.OPERATING, document="",
            )
            for day, technologies in steps
        )  # fmt: skip
    return plants


def _technologies(code: str) -> list[str]:
    chance = _chance("technology", code)
    if chance < 0.15:
        return [Technology.WIRED.value]
    return (
        [Technology.WIRED.value, Technology.FM.value] if chance < 0.25 else [Technology.FM.value]
    )


def _clusters(
    session: AsyncSession,
    served: Sequence[Area],
    plants: dict[str, Plant],
    devices: int,
    now: datetime,
) -> list[tuple[Area, Cluster]]:
    """A cluster for every village that has a plant, commune by commune."""
    home = [village for village in served if village.code.partition("-")[0] in plants]
    home.sort(key=lambda village: (str(village.parent_code), village.code))
    made = [
        (
            village,
            Cluster(
                code=f"CL-{village.code}",
                name=f"Cụm loa {village.name}",
                plant_id=plants[village.code.partition("-")[0]].id,
                **_position(village),
                horns_count=2,
                watts=50,
                evidence=Evidence.TELEMETRY if index < devices else Evidence.ATTESTED,
                installed_on=now.astimezone(LOCAL).date() - timedelta(days=1),
                removed_on=None,
            ),
        )
        for index, village in enumerate(home)
    ]
    session.add_all(cluster for _, cluster in made)
    return made


def _position(village: Area) -> dict[str, float | None]:
    """Somewhere around the known point of the village's commune."""
    centre = centroids().get(str(village.parent_code))
    if centre is None:
        return {"latitude": None, "longitude": None}
    reach = 0.35 * centre.area_km2**0.5 / 111
    return {
        "latitude": centre.latitude + reach * (2 * _chance("latitude", village.code) - 1),
        "longitude": centre.longitude + reach * (2 * _chance("longitude", village.code) - 1),
    }


async def _devices(session: AsyncSession, clusters: list[Cluster], now: datetime) -> list[str]:
    devices = [
        Device(
            code=f"QN-{number:06}", model="simulated", serial=f"SIM{number:06}",
            codecs=["opus", "mp3"], enrolled_at=now, retired_at=None,
        )
        for number in range(1, len(clusters) + 1)
    ]  # fmt: skip
    session.add_all(devices)
    await session.flush()
    session.add_all(
        Installation(device_id=device.id, cluster_id=cluster.id, installed_at=now, removed_at=None)
        for device, cluster in zip(devices, clusters, strict=True)
    )
    return [device.code for device in devices]


def _attest(session: AsyncSession, clusters: list[Cluster], now: datetime) -> None:
    session.add_all(
        Attestation(
            cluster_id=cluster.id,
            attested_at=now - timedelta(days=60 * _chance("attested", cluster.code)),
            attested_by="Trưởng thôn",
            reference=f"anh/{cluster.code}.jpg",
            note="",
        )
        for cluster in clusters
        if _chance("silent", cluster.code) < 0.9
    )
