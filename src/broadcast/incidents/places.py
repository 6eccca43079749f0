"""What devices have in common: where they hang, what feeds them, whose network they use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

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
    """Where a device hangs."""

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
        """Everything it may fall together with."""
        if operator is None:
            return self.groups
        groups = (*self.groups, Group(Kind.OPERATOR, operator))
        if self.commune is None:
            return groups
        return (*groups, Group(Kind.OPERATOR, operator, self.commune))


@dataclass(frozen=True, slots=True)
class Places:
    """The devices that hang on a cluster, on one day."""

    revision: int
    on: date
    devices: Mapping[int, Place] = field(default_factory=dict)
    areas: Tree = field(default_factory=lambda: Tree([]))

    def code(self, group: Group) -> str:
        """What a group is found by: a device by its code, not by our number."""
        if group.kind is Kind.DEVICE:
            place = self.devices.get(int(group.code))
            return place.device_code if place else group.code
        return group.code

    def name(self, group: Group) -> str:
        """What people call a group."""
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


def operator_name(said: str | None) -> str | None:
    """The name of an operator, however firmware spells it; None when it is not known."""
    return " ".join(said.split()).upper() or None if said else None


async def load_places(session: AsyncSession, on: date, known: Places | None) -> Places:
    """Where devices hang on a day; `known` when nothing has changed since."""
    revision = await session.scalar(sa.select(Topology.revision)) or 0
    if known is not None and (known.revision, known.on) == (revision, on):
        return known
    tree = await load_tree(session, on)
    followed = await followed_areas(session, on)
    rows = await session.execute(
        sa.select(Device.id, Device.code, Cluster.id, Cluster.name, Cluster.power_feed)
        .join(Installation, Installation.device_id == Device.id)
        .join(Cluster, Cluster.id == Installation.cluster_id)
        .where(Installation.removed_at.is_(None), Device.retired_at.is_(None))
    )
    devices = {
        device_id: _place(code, cluster_id, name, feed, followed.get(cluster_id, []), tree)
        for device_id, code, cluster_id, name, feed in rows
    }
    return Places(revision, on, devices, tree)


def _place(
    device_code: str, cluster_id: int, name: str, feed: str | None, codes: list[str], tree: Tree
) -> Place:
    levels = {code: tree[code].level if code in tree else Level.VILLAGE for code in codes}
    villages = [code for code in codes if levels[code] is Level.VILLAGE]
    above = [unit.code for unit in tree.chain(villages[0])[1:]] if villages else []
    commune = next((code for code in above if tree.takes_villages(code)), None)
    groups = [Group(Kind.VILLAGE, code) for code in villages[:1]]
    if commune is not None:
        groups.append(Group(Kind.COMMUNE, commune))
    groups += [Group(Kind.PROVINCE, c) for c in codes if levels[c] is Level.PROVINCE][:1]
    if feed:
        groups.append(Group(Kind.POWER_FEED, feed))
    return Place(device_code, cluster_id, name, tuple(villages), commune, tuple(groups))
