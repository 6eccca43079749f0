"""The register of one day from the database: units, stations, plants, clusters, installations.

Every row in force on the day asked about, none of a later one; one statement per kind of fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.areas.standing import homes
from broadcast.areas.tree import Lineage
from broadcast.areas.units import load_lineage
from broadcast.indicators.province import (
    Baseline,
    Cluster,
    Commune,
    Plant,
    Province,
    Service,
    Station,
    Village,
)
from broadcast.kit.clock import LOCAL
from broadcast.portals.standing import Decided, portals_on, rules
from broadcast.portals.updating import Verdict
from broadcast.stations.model import Evidence, Grade, PlantStatus, StationStatus, Technology


class RegisteredCluster(NamedTuple):
    """A cluster of the day as the register has it, without evidence."""

    id: int
    code: str
    plant_id: int
    telemetry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """The part of a scope on a day that does not depend on evidence."""

    as_of: date
    scope: str
    communes: Sequence[Commune]
    villages: Sequence[Village]
    stations: Mapping[int, Station]
    station_ids: Sequence[int]
    plants: Mapping[int, Plant]
    baseline: Sequence[Baseline]
    clusters: Sequence[RegisteredCluster]
    """Clusters that can prove something in the scope, by id."""
    cluster_ids: Sequence[int]
    """Of `clusters`, in their order."""
    services: Sequence[Service]
    installations: Sequence[tuple[int, datetime, datetime | None]]
    """Cluster, and when a device was installed on it and removed."""
    attestations: Sequence[tuple[int, datetime]]
    """Cluster, and when it was attested: on the day, and last before it; the oldest first."""
    portals: Mapping[str, Sequence[int]]
    """Ids of the portals of communes that have any."""
    update_rules: Sequence[Decided]
    """What the province has decided of portals, the newest first."""

    def with_device(self, begins_at: datetime, at: datetime) -> set[int]:
        """Clusters on which a device was installed at some moment between two instants."""
        return {
            cluster_id
            for cluster_id, installed_at, removed_at in self.installations
            if installed_at < at and (removed_at is None or removed_at > begins_at)
        }

    def attested_at(self, at: datetime) -> dict[int, datetime]:
        """Last attestation of each cluster before an instant."""
        return {
            cluster_id: attested_at
            for cluster_id, attested_at in self.attestations
            if attested_at < at
        }

    def province(
        self, at: datetime, clusters: Mapping[int, Cluster], portals: Mapping[str, Verdict]
    ) -> Province:
        """Add the clusters with their evidence at an instant of the day, and the portals."""
        return Province(
            as_of=self.as_of,
            at=at,
            scope=self.scope,
            communes=self.communes,
            villages=self.villages,
            clusters=clusters,
            services=self.services,
            stations=self.stations,
            station_ids=self.station_ids,
            plants=self.plants,
            baseline=self.baseline,
            portals=portals,
        )


async def load_register(session: AsyncSession, as_of: date, scope: str) -> Register:
    """Read the register of a day.

    Args:
        session: Where to read.
        as_of: The day.
        scope: Code of a unit of that day.
    """
    lineage = await load_lineage(session, villages=False)
    units = await _units(session, scope, as_of, lineage)
    stations, station_ids = await _stations(session, as_of, lineage, units.codes)
    plants = await _plants(session, as_of)
    baseline = [
        entry for entry in await _baseline(session, as_of) if entry.station_id in station_ids
    ]
    clusters, services = await _clusters(
        session,
        as_of,
        villages=[village.code for village in units.villages],
        plants=_concerned(stations, station_ids, plants, baseline),
    )
    cluster_ids = [cluster.id for cluster in clusters]
    known = set(cluster_ids)
    portals = (await portals_on(session, lineage, as_of)).of_commune
    return Register(
        as_of=as_of,
        scope=scope,
        communes=units.communes,
        villages=units.villages,
        stations=stations,
        station_ids=sorted(station_ids),
        plants=plants,
        baseline=baseline,
        clusters=clusters,
        cluster_ids=cluster_ids,
        services=services,
        installations=await _installations(session, known),
        attestations=await _attestations(session, as_of, known),
        portals={code: [each.id for each in portals[code]] for code in units.codes & set(portals)},
        update_rules=await rules(session),
    )


async def with_attestations(session: AsyncSession, register: Register) -> Register:
    """The register of a day on which nothing else has changed, with the attestations of the day.

    Args:
        session: Where to read.
        register: Of an earlier day, with the new day in `as_of`.
    """
    known = set(register.cluster_ids)
    return replace(register, attestations=await _attestations(session, register.as_of, known))


# --- units, stations, plants ---------------------------------------------------------------------

_UNITS = sa.text("""
WITH RECURSIVE unit AS (
    SELECT code, level, name, parent_code FROM areas
    WHERE code = :scope AND valid_from <= :as_of AND (valid_to IS NULL OR valid_to >= :as_of)
    UNION ALL
    SELECT area.code, area.level, area.name, area.parent_code
    FROM unit JOIN areas area ON area.parent_code = unit.code
    WHERE area.valid_from <= :as_of AND (area.valid_to IS NULL OR area.valid_to >= :as_of)
)
SELECT code, level, name, parent_code FROM unit ORDER BY code
""")

_EXCLUSIONS = sa.text("""
SELECT village_code, document FROM village_exclusions
WHERE valid_from <= :as_of AND (valid_to IS NULL OR valid_to >= :as_of)
""")

_FORMER_COMMUNES = sa.text("""
SELECT DISTINCT ON (village.code) village.code, village.name, former.parent_code, former.valid_to
FROM areas village
JOIN areas parent ON parent.code = village.parent_code AND parent.valid_from <= :as_of
    AND (parent.valid_to IS NULL OR parent.valid_to >= :as_of)
LEFT JOIN areas former ON former.code = village.code AND former.valid_to < village.valid_from
    AND EXISTS (
        SELECT FROM areas commune WHERE commune.code = former.parent_code
        AND commune.level = 'commune' AND commune.valid_from <= former.valid_to
        AND (commune.valid_to IS NULL OR commune.valid_to >= former.valid_to)
    )
WHERE village.level = 'village' AND village.valid_from <= :as_of
AND (village.valid_to IS NULL OR village.valid_to >= :as_of)
AND (parent.level = 'province' OR parent.level = 'district' AND EXISTS (
    SELECT FROM areas commune WHERE commune.parent_code = parent.code
    AND commune.level = 'commune' AND commune.valid_from <= :as_of
    AND (commune.valid_to IS NULL OR commune.valid_to >= :as_of)
))
ORDER BY village.code, former.valid_to DESC NULLS LAST
""")
"""Villages that lie in no commune (`areas.placement` could not place them), and their last one."""


class _Units(NamedTuple):
    codes: set[str]
    """Of the scope, without the villages."""
    communes: list[Commune]
    villages: list[Village]


async def _units(session: AsyncSession, scope: str, on: date, lineage: Lineage) -> _Units:
    parameters = {"scope": scope, "as_of": on}
    units = (await session.execute(_UNITS, parameters)).all()
    excluded = {
        row.village_code: row.document for row in await session.execute(_EXCLUSIONS, parameters)
    }
    candidates = {}
    for row in await session.execute(_FORMER_COMMUNES, parameters):
        heirs = lineage.successors(row.parent_code, row.valid_to, on) if row.parent_code else []
        candidates[row.code] = row.name, tuple(heir.code for heir in heirs)
    codes = {unit.code for unit in units if unit.level != Level.VILLAGE}
    villages = [
        Village(
            code=unit.code, name=unit.name, commune=unit.parent_code,
            excluded=excluded.get(unit.code),
        )
        for unit in units
        if unit.level == Level.VILLAGE and unit.code not in candidates
    ]  # fmt: skip
    inside = {unit.code for unit in units}
    villages += [
        Village(
            code=code, name=name, commune=None, candidates=possible, excluded=excluded.get(code)
        )
        for code, (name, possible) in candidates.items()
        if code in inside or not codes.isdisjoint(possible)
    ]
    communes = [
        Commune(code=unit.code, name=unit.name) for unit in units if unit.level == Level.COMMUNE
    ]
    return _Units(codes, communes, villages)


_STATIONS = sa.text("""
SELECT station.id, station.code, station.name, station.commune_code, station.valid_from,
       station.valid_from <= :as_of AND (station.valid_to IS NULL OR station.valid_to >= :as_of)
           AS exists,
       state.status
FROM stations station
LEFT JOIN LATERAL (
    SELECT status FROM station_states
    WHERE station_id = station.id AND valid_from <= :as_of
    ORDER BY valid_from DESC LIMIT 1
) state ON true
""")


async def _stations(
    session: AsyncSession, on: date, lineage: Lineage, inside: set[str]
) -> tuple[dict[int, Station], set[int]]:
    """All stations, and the ids of those in the scope."""
    stations, ids = {}, set()
    for row in await session.execute(_STATIONS, {"as_of": on}):
        here = homes(lineage, row.commune_code, row.valid_from, on)
        stations[row.id] = Station(
            id=row.id,
            code=row.code,
            name=row.name,
            exists=row.exists,
            status=StationStatus(row.status) if row.status else None,
            commune=here[0] if len(here) == 1 else None,
        )
        possible = here or [unit.code for unit in lineage.certain_chain(row.commune_code, on)]
        if not inside.isdisjoint(possible):
            ids.add(row.id)
    return stations, ids


_PLANTS = sa.text("""
SELECT DISTINCT ON (plant.id) plant.id, plant.code, state.station_id, state.technologies,
       state.status
FROM plants plant JOIN plant_states state ON state.plant_id = plant.id
WHERE state.valid_from <= :as_of
ORDER BY plant.id, state.valid_from DESC
""")


async def _plants(session: AsyncSession, on: date) -> dict[int, Plant]:
    return {
        row.id: Plant(
            id=row.id,
            code=row.code,
            station_id=row.station_id,
            technologies=frozenset(map(Technology, row.technologies)),
            status=PlantStatus(row.status),
        )
        for row in await session.execute(_PLANTS, {"as_of": on})
    }


_BASELINE = sa.text("""
SELECT entry.station_id,
       array_remove(array_agg(plant.plant_id ORDER BY plant.plant_id), NULL) AS plant_ids
FROM baseline_stations entry
LEFT JOIN LATERAL (
    SELECT DISTINCT ON (plant_id) plant_id, station_id, status FROM plant_states
    WHERE valid_from <= entry.listed_on
    ORDER BY plant_id, valid_from DESC
) plant ON plant.station_id = entry.station_id AND plant.status <> 'decommissioned'
WHERE entry.listed_on <= :as_of
GROUP BY entry.station_id
ORDER BY entry.station_id
""")


async def _baseline(session: AsyncSession, on: date) -> list[Baseline]:
    return [
        Baseline(station_id=row.station_id, plant_ids=tuple(row.plant_ids))
        for row in await session.execute(_BASELINE, {"as_of": on})
    ]


def _concerned(
    stations: Mapping[int, Station],
    station_ids: set[int],
    plants: Mapping[int, Plant],
    baseline: Sequence[Baseline],
) -> list[int]:
    """Plants whose clusters can prove something in the scope.

    Those of its stations, and of the communes in which the plants of its baseline stations stand
    by now: a plant may have gone to another commune, and been replaced there.
    """
    original = {plant_id for entry in baseline for plant_id in entry.plant_ids}
    standing_in = {stations[plants[plant_id].station_id].commune for plant_id in original} - {None}
    return [
        plant.id
        for plant in plants.values()
        if plant.station_id in station_ids
        or plant.id in original
        or stations[plant.station_id].commune in standing_in
    ]


# --- clusters ------------------------------------------------------------------------------------

_CLUSTERS = sa.text("""
SELECT cluster.id, cluster.code, cluster.plant_id, cluster.evidence FROM clusters cluster
WHERE cluster.installed_on <= :as_of
AND (cluster.removed_on IS NULL OR cluster.removed_on > :as_of)
AND (cluster.plant_id = ANY(:plants) OR cluster.id IN (
    SELECT cluster_id FROM cluster_villages
    WHERE village_code = ANY(:villages)
    AND valid_from <= :as_of AND (valid_to IS NULL OR valid_to >= :as_of)
))
ORDER BY cluster.id
""")

_SERVICES = sa.text("""
SELECT cluster_id, village_code, grade FROM cluster_villages
WHERE cluster_id = ANY(:clusters)
AND valid_from <= :as_of AND (valid_to IS NULL OR valid_to >= :as_of)
""")


async def _clusters(
    session: AsyncSession, as_of: date, villages: Sequence[str], plants: Sequence[int]
) -> tuple[list[RegisteredCluster], list[Service]]:
    """Clusters of these plants or serving these villages, and their villages."""
    found = await session.execute(
        _CLUSTERS, {"as_of": as_of, "villages": villages, "plants": plants}
    )
    clusters = [
        RegisteredCluster(
            id=row.id,
            code=row.code,
            plant_id=row.plant_id,
            telemetry=row.evidence == Evidence.TELEMETRY,
        )
        for row in found
    ]
    parameters = {"clusters": [cluster.id for cluster in clusters], "as_of": as_of}
    services = [
        Service(cluster_id=row.cluster_id, village=row.village_code, grade=Grade(row.grade))
        for row in await session.execute(_SERVICES, parameters)
    ]
    return clusters, services


_INSTALLATIONS = sa.text("SELECT cluster_id, installed_at, removed_at FROM installations")

_ATTESTATIONS = sa.text("""
SELECT DISTINCT ON (cluster_id) cluster_id, attested_at FROM attestations
WHERE attested_at < :begins_at
ORDER BY cluster_id, attested_at DESC
""")

_ATTESTATIONS_OF_THE_DAY = sa.text("""
SELECT cluster_id, attested_at FROM attestations
WHERE attested_at >= :begins_at AND attested_at < :ends_at
ORDER BY attested_at
""")


async def _installations(
    session: AsyncSession, clusters: set[int]
) -> list[tuple[int, datetime, datetime | None]]:
    return [
        (cluster_id, installed_at, removed_at)
        for cluster_id, installed_at, removed_at in await session.execute(_INSTALLATIONS)
        if cluster_id in clusters
    ]


async def _attestations(
    session: AsyncSession, on: date, clusters: set[int]
) -> list[tuple[int, datetime]]:
    begins_at = datetime.combine(on, time(), LOCAL)
    before = await session.execute(_ATTESTATIONS, {"begins_at": begins_at})
    within = await session.execute(
        _ATTESTATIONS_OF_THE_DAY,
        {"begins_at": begins_at, "ends_at": begins_at + timedelta(days=1)},
    )
    return [
        (cluster_id, attested_at)
        for cluster_id, attested_at in (*before, *within)
        if cluster_id in clusters
    ]
