"""Geometry of outlines, done by GEOS: mending, thinning out, and cells around points.

shapely is imported when it is first used: it takes a tenth of a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from broadcast.boundaries.centroids import Centroid
from broadcast.boundaries.formats import Polygon

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

DIGITS = 5
"""Of a degree: one metre. Points that neighbours share stay shared."""

MOST_POINTS = 8_000
"""Kept of all units together: an SVG of 60 KB. More is not seen on a screen."""

FIRST_TOLERANCE = 0.0005
"""Degrees, about 50 m: half a point of a province's map on a screen."""

KM_PER_DEGREE = 111.32
"""Of latitude."""

DISC = 1.3
"""Radius of the disc around a point, in radii of a circle of the commune's area. Smaller: gaps
between neighbours that are far from round. Larger: communes at the rim look too large."""


def mended(polygons: Sequence[Polygon]) -> tuple[list[Polygon], bool]:
    """An outline without self-intersections, and whether it had any."""
    import shapely  # noqa: PLC0415

    shape = _geometry(polygons)
    is_valid = bool(shapely.is_valid(shape))
    if not is_valid:
        shape = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    return _polygons(shape), not is_valid


def thinned(outlines: Mapping[str, Sequence[Polygon]]) -> dict[str, list[Polygon]]:
    """Outlines with at most `MOST_POINTS` points together; neighbours go on sharing theirs."""
    import shapely  # noqa: PLC0415

    shapes = [_geometry(polygons) for polygons in outlines.values()]
    kept, tolerance = shapes, FIRST_TOLERANCE
    while sum(shapely.get_num_coordinates(kept)) > MOST_POINTS and tolerance < 1:
        kept = list(shapely.coverage_simplify(shapes, tolerance))
        tolerance *= 2
    return {code: _polygons(shape) for code, shape in zip(outlines, kept, strict=True)}


def cells(points: Mapping[str, Centroid]) -> dict[str, list[Polygon]]:
    """A cell around each point: what is nearer to it than to any other, and not far away.

    The rim is made of discs of the communes' areas, so that an island stays one.
    """
    import shapely  # noqa: PLC0415
    from shapely import affinity  # noqa: PLC0415

    if not points:
        return {}
    squeeze = math.cos(math.radians(sum(each.latitude for each in points.values()) / len(points)))
    flat = [shapely.Point(each.longitude * squeeze, each.latitude) for each in points.values()]
    radii = [DISC * math.sqrt(each.area_km2 / math.pi) / KM_PER_DEGREE for each in points.values()]
    discs = shapely.buffer(flat, radii, quad_segs=5)
    land = shapely.union_all(discs)
    parts = shapely.get_parts(land)
    land = shapely.union_all([shapely.Polygon(part.exterior) for part in parts])
    around = shapely.voronoi_polygons(
        shapely.MultiPoint(flat), extend_to=shapely.box(*land.bounds), ordered=True
    )
    found = [land] if len(flat) == 1 else shapely.intersection(shapely.get_parts(around), land)
    return {
        code: _polygons(affinity.scale(cell, xfact=1 / squeeze, yfact=1, origin=(0, 0)))
        for code, cell in zip(points, found, strict=True)
    }


def hexagon(centroid: Centroid) -> list[Polygon]:
    """A hexagon of the commune's area around its point: where its neighbours have outlines."""
    radius = math.sqrt(centroid.area_km2 * 2 / (3 * math.sqrt(3))) / KM_PER_DEGREE
    squeeze = math.cos(math.radians(centroid.latitude))
    corners = [
        (
            round(centroid.longitude + radius * math.cos(math.pi * step / 3) / squeeze, DIGITS),
            round(centroid.latitude + radius * math.sin(math.pi * step / 3), DIGITS),
        )
        for step in range(6)
    ]
    return [[[*corners, corners[0]]]]


def _geometry(polygons: Sequence[Polygon]) -> BaseGeometry:
    import shapely  # noqa: PLC0415

    return shapely.MultiPolygon([(rings[0], rings[1:]) for rings in polygons])


def _polygons(shape: Any) -> list[Polygon]:
    """Polygons of a shape with rounded coordinates; what is no area is left out."""
    import shapely  # noqa: PLC0415

    found: list[Polygon] = []
    for part in shapely.get_parts(shape):
        if part.geom_type != "Polygon" or part.is_empty:
            continue
        rings = [
            [(round(x, DIGITS), round(y, DIGITS)) for x, y in ring.coords]
            for ring in (part.exterior, *part.interiors)
        ]
        found.append(rings)
    return found
