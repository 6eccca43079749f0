"""The map of a unit: outlines that were imported, and cells or hexagons in place of others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope, units
from broadcast.areas.model import Level
from broadcast.boundaries import drawing, shapes
from broadcast.boundaries.centroids import centroids
from broadcast.boundaries.formats import Polygon
from broadcast.boundaries.model import Boundary
from broadcast.boundaries.schemas import MapOut, Source
from broadcast.kit.errors import NotFound


class _Key(NamedTuple):
    """What a map follows from."""

    code: str
    name: str
    names: tuple[tuple[str, str], ...]
    """Codes and names of the units to be drawn."""
    imported: tuple[tuple[str, datetime], ...]
    """Those with an outline, and since when."""


async def show_map(session: AsyncSession, code: str, on: date) -> MapOut:
    """The communes of a province or district of a day, or one commune, drawn.

    Raises:
        NotFound: There is no such unit on that day, or it is smaller than a commune.
    """
    lineage = (await scope.territory_of(session)).lineage
    tree = lineage.tree_on(on)
    if code not in tree:
        detail, codes = units.missing(lineage, code, on)
        raise NotFound(detail, replaced_by=codes)
    unit = tree[code]
    if unit.level is Level.VILLAGE:
        raise NotFound(f"{unit.name} không có bản đồ riêng; hãy xem bản đồ của xã.")
    below = [unit] if unit.level is Level.COMMUNE else tree.under(code, Level.COMMUNE)
    names = tuple(sorted((each.code, each.name) for each in below))
    drawn = [each for each, _ in names]
    imported = await session.execute(
        sa.select(Boundary.area_code, Boundary.imported_at)
        .where(Boundary.area_code.in_(drawn))
        .order_by(Boundary.area_code)
    )
    key = _Key(code, unit.name, names, tuple((row[0], row[1]) for row in imported))
    kept = _KEPT.get(key)
    if kept is None:
        rows = await session.execute(
            sa.select(Boundary.area_code, Boundary.polygons).where(
                Boundary.area_code.in_([each for each, _ in key.imported])
            )
        )
        stored = {row[0]: row[1] for row in rows}
        kept = await asyncio.to_thread(_drawn, key, stored)
        if len(_KEPT) >= MOST_KEPT:
            _KEPT.pop(next(iter(_KEPT)))
        _KEPT[key] = kept
    return kept


MOST_KEPT = 256
"""Maps kept by a process, of 30 KB each: those of all communes and of the province."""

_KEPT: dict[_Key, MapOut] = {}


def _drawn(key: _Key, stored: Mapping[str, Sequence[Polygon]]) -> MapOut:
    outlines: dict[str, Sequence[Polygon]] = dict(stored)
    sources: dict[str, Source] = dict.fromkeys(stored, "boundary")
    points = {
        code: centroids()[code]
        for code, _ in key.names
        if code not in stored and code in centroids()
    }
    if stored or len(key.names) == 1:
        outlines |= {code: shapes.hexagon(point) for code, point in points.items()}
        sources |= dict.fromkeys(points, "hexagon")
    else:
        outlines |= shapes.cells(points)
        sources |= dict.fromkeys(points, "cell")
    return MapOut.of(key.code, key.name, drawing.draw(outlines), dict(key.names), sources)
