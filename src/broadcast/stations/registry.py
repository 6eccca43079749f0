"""The registered stations, plants and clusters, and writing what differs from them.

One set of rules for REST and for CSV: every `put_…` of this feature takes a whole description,
checks it, writes the difference and says what that was, so that repeating it changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.tree import Lineage
from broadcast.areas.units import load_lineage
from broadcast.kit.codes import KnownCodes
from broadcast.kit.db import Base
from broadcast.kit.errors import Conflict, InvalidInput
from broadcast.kit.locks import Lock, lock
from broadcast.kit.sheets import Action
from broadcast.stations.model import Cluster, ClusterVillage, Plant, Station


@dataclass
class Registry:
    """Stored rows, loaded once to check and change many."""

    session: AsyncSession
    lineage: Lineage
    stations: dict[str, Station]
    plants: dict[str, Plant]
    clusters: dict[str, Cluster] = field(default_factory=dict)
    served: dict[int, list[ClusterVillage]] = field(default_factory=dict)
    station_codes: KnownCodes = field(init=False)
    plant_codes: KnownCodes = field(init=False)
    cluster_codes: KnownCodes = field(default_factory=lambda: KnownCodes("cụm loa", ()))
    """All codes when a cluster is wanted that is not registered, else none."""

    def __post_init__(self) -> None:
        """Collect the codes in use."""
        self.station_codes = KnownCodes("đài", self.stations)
        self.plant_codes = KnownCodes("hệ thống kỹ thuật", self.plants)

    @classmethod
    async def load(cls, session: AsyncSession, clusters: Collection[str] = ()) -> Registry:
        """All stations and plants, and the clusters with these codes; one changer at a time."""
        await lock(session, Lock.REGISTRY)
        registry = cls(
            session,
            await load_lineage(session),
            {row.code: row for row in await session.scalars(sa.select(Station))},
            {row.code: row for row in await session.scalars(sa.select(Plant))},
        )
        named = Cluster.code.in_(clusters)
        for cluster in await session.scalars(sa.select(Cluster).where(named)):
            registry.clusters[cluster.code] = cluster
        if len(registry.clusters) < len(set(clusters)):
            codes = await session.scalars(sa.select(Cluster.code))
            registry.cluster_codes = KnownCodes("cụm loa", codes)
        served = sa.select(ClusterVillage).join(Cluster, Cluster.id == ClusterVillage.cluster_id)
        for row in await session.scalars(served.where(named)):
            registry.served.setdefault(row.cluster_id, []).append(row)
        return registry

    def on_record(self, day: date) -> date:
        """The day to look up units of: nothing is on record before the first."""
        return max(day, self.lineage.first_day)

    def station(self, field: str, code: str, on: date) -> Station:
        """A station that exists on a day.

        Raises:
            InvalidInput: There is none.
        """
        station = self.stations.get(code)
        if station is None:
            raise InvalidInput(
                field, f"không có đài mã “{code}”{self.station_codes.hint(code)}; nhập đài trước"
            )
        if on < station.valid_from or (station.valid_to is not None and station.valid_to < on):
            until = station.valid_to or "nay"
            raise InvalidInput(
                field, f"đài {code} chỉ có từ {station.valid_from} đến {until}; sửa mã hoặc ngày"
            )
        return station


def facts_of(fields: type[BaseModel], source: object, *, but: str = "") -> dict[str, Any]:
    """Values of the fields of a schema, from another schema or from a stored row.

    Args:
        fields: Schema whose fields are taken.
        source: Object that has them as attributes.
        but: Field that is left out.
    """
    return {name: getattr(source, name) for name in fields.model_fields if name != but}


def changed(stored: Base, facts: Mapping[str, object]) -> tuple[Action, str]:
    """Set the values that differ; the text lists them."""
    said = []
    for name, value in facts.items():
        before = getattr(stored, name)
        if before != value:
            setattr(stored, name, value)
            said.append(f"{name}: {_text(before)} → {_text(value)}")
    return (Action.CHANGED if said else Action.UNCHANGED), "; ".join(said)


def _text(value: object) -> str:
    return "–" if value is None else str(value)


async def remove(session: AsyncSession, rows: Sequence[Base], remedy: str) -> None:
    """Delete rows that nothing else needs, in this order.

    Raises:
        Conflict: Something else refers to them; `remedy` says what to do instead.
    """
    try:
        async with session.begin_nested():
            for row in rows:
                await session.delete(row)
                await session.flush()
    except IntegrityError:
        raise Conflict(remedy) from None
