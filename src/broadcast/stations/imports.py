"""Stations, plants, clusters and the baseline list from CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.row_imports import Kind
from broadcast.kit.sheets import Action, Sheet
from broadcast.stations.baseline import put_baseline
from broadcast.stations.clusters import put_cluster, serve
from broadcast.stations.plants import put_plant
from broadcast.stations.registry import Registry
from broadcast.stations.schemas import BaselineRow, ClusterRow, NewPlantIn, StationRow
from broadcast.stations.stations import put_station


async def _registry(session: AsyncSession, rows: Sequence[object]) -> Registry:
    codes = [row.code for row in rows if isinstance(row, ClusterRow)]
    return await Registry.load(session, clusters=codes)


async def _plant(registry: Registry, row: NewPlantIn) -> tuple[Action, str]:
    return await put_plant(registry, row.code, row.name, row.valid_from, row)


async def _cluster(registry: Registry, row: ClusterRow) -> tuple[Action, str]:
    return put_cluster(registry, row.code, row, row.villages)


async def _villages(registry: Registry, row: ClusterRow) -> tuple[Action, str]:
    if row.villages is None:
        return Action.UNCHANGED, ""
    cluster = registry.clusters[row.code]
    return await serve(registry, cluster, row.villages, row.villages_from or row.installed_on)


async def _baseline(registry: Registry, row: BaselineRow) -> tuple[Action, str]:
    return await put_baseline(registry, row.station_code, row)


KINDS: Sequence[Kind[Any, Any]] = (
    Kind(Sheet("stations", StationRow, key=("code",)), _registry, [put_station]),
    Kind(Sheet("plants", NewPlantIn, key=("code", "valid_from")), _registry, [_plant]),
    Kind(Sheet("clusters", ClusterRow, key=("code",)), _registry, [_cluster, _villages]),
    Kind(Sheet("baseline", BaselineRow, key=("station_code",)), _registry, [_baseline]),
)
"""Kinds of file of this room, in the order in which they need one another."""
