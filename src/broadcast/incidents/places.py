"""Properties that devices share: cluster, villages, power feed, operator of their network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level, Topology
from broadcast.areas.tree import Tree
from broadcast.areas.units import load_tree
from broadcast.devices.model import Device, Installation
from broadcast.incidents.grouping import Group, Kind
from broadcast.stations.clusters import followed_areas
from broadcast.stations.model import Cluster


class Place(NamedTuple):
    """The cluster of a device and what it depends on."""

    device_code: str
    cluster_id: int
    cluster_name: str
    villages: tuple[str, ...]
    """Its primary villages."""
    commune: str | None
    """Of the first village; None while that lies in none for certain."""
    groups: tuple[Group, ...]
    """All but those of its operator, which its heartbeats name."""

    def groups_with(self, operator: str | None) -> tuple[Group, ...]:
        """Every group it may lose contact with."""
        if operator is None:
            return self.groups
        groups = (*self.groups, Group(Kind.OPERATOR, operator))
        if self.commune is None:
            return groups
        return (*groups, Group(Kind.OPERATOR, operator, self.commune))


@dataclass(frozen=True, slots=True)
class Places:
    """The devices that are installed on a cluster, on one day."""

    revision: int
    on: date
    devices: Mapping[int, Place] = field(default_factory=dict)
    areas: Tree = field(default_factory=lambda: Tree([]))

    def code(self, group: Group) -> str:
        """Public code of a group: of a device its code, not our number."""
        if group.kind is Kind.DEVICE:
            place = self.devices.get(int(group.code))
            return place.device_code if place else group.code
        return group.code

    def name(self, group: Group) -> str:
        """Name of a group for people."""
        if group.kind is Kind.DEVICE:
            place = self.devices.get(int(group.code))
            return place.cluster_name if place else group.code
        if group.kind is Kind.POWER_FEED:
            return group.code
        if group.kind is Kind.OPERATOR:
            return f"{group.code}, {self._area(group.within)}" if group.within else group.code
        return self._area(group.code)

    def _area(self, code: str) -> str:
        return f"{self.areas[code].kind} {self.areas[code].name}" if code in self.areas else code


def operator_name(reported: str | None) -> str | None:
    """The name of an operator, however firmware spells it; None when it is not known."""
    return " ".join(reported.split()).upper() or None if reported else None


async def load_places(session: AsyncSession, on: date, known: Places | None) -> Places:
    """Load the places of devices on a day; `known` when nothing has changed since."""
    revision = await session.scalar(sa.select(Topology.revision)) or 0
    if known is not None and (known.revision, known.on) == (revision, on):
        return known
    tree = await load_tree(session, on)
    followed = await followed_areas(session, on)
    rows = await session.execute(
        sa.select(
            Device.id.label("device_id"),
            Device.code,
            Cluster.id.label("cluster_id"),
            Cluster.name,
            Cluster.power_feed,
        )
        .join(Installation, Installation.device_id == Device.id)
        .join(Cluster, Cluster.id == Installation.cluster_id)
        .where(Installation.removed_at.is_(None), Device.retired_at.is_(None))
    )
    devices = {row.device_id: _place(row, followed.get(row.cluster_id, []), tree) for row in rows}
    return Places(revision, on, devices, tree)


def _place(row: Any, codes: list[str], tree: Tree) -> Place:
    levels = {code: tree[code].level if code in tree else Level.VILLAGE for code in codes}
    villages = [code for code in codes if levels[code] is Level.VILLAGE]
    above = [unit.code for unit in tree.chain(villages[0])[1:]] if villages else []
    commune = next((code for code in above if tree.takes_villages(code)), None)
    groups = [Group(Kind.VILLAGE, code) for code in villages[:1]]
    if commune is not None:
        groups.append(Group(Kind.COMMUNE, commune))
    groups += [Group(Kind.PROVINCE, c) for c in codes if levels[c] is Level.PROVINCE][:1]
    if row.power_feed:
        groups.append(Group(Kind.POWER_FEED, row.power_feed))
    return Place(
        device_code=row.code,
        cluster_id=row.cluster_id,
        cluster_name=row.name,
        villages=tuple(villages),
        commune=commune,
        groups=tuple(groups),
    )
