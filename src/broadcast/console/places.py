"""The communes and villages where a caller may do something, as forms list them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.model import Level
from broadcast.areas.tree import Tree
from broadcast.auth.caller import Caller
from broadcast.auth.permissions import Permission
from broadcast.console.formats import collated


class Commune(NamedTuple):
    """A commune and its villages, as forms list them."""

    code: str
    name: str
    villages: list[tuple[str, str]]
    """Code and name."""


async def communes_of(
    session: AsyncSession, caller: Caller, permission: Permission, tree: Tree
) -> list[Commune]:
    """Where the caller may do this."""
    if scope.is_whole(caller, permission):
        may = scope.WHOLE
    else:
        may = scope.changeable(caller, permission, await scope.territory_of(session))
    found = []
    for unit in tree:
        if unit.level is not Level.COMMUNE:
            continue
        villages = [tree[code] for code in tree.villages(unit.code)] or [unit]
        mine = [(each.code, each.name) for each in villages if each.code in may]
        if mine:
            mine.sort(key=lambda each: collated(each[1]))
            found.append(Commune(unit.code, unit.name, mine))
    return sorted(found, key=lambda each: collated(each.name))


def areas_of(tree: Tree, chosen: Collection[str]) -> list[str]:
    """Villages that were chosen; a commune of which every one was is named as a whole."""
    whole = [
        unit.code
        for unit in tree
        if unit.level is Level.COMMUNE
        and (villages := tree.villages(unit.code))
        and set(chosen).issuperset(villages)
    ]
    inside = {village for code in whole for village in tree.villages(code)}
    return sorted({*whole, *(set(chosen) - inside)})
