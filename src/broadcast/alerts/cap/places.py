"""Where a message is for: its codes, circles and polygons as units of ours.

Pure; the geometry is done by GEOS, imported when it is first used.

The area of a message is the union of all that it lists (CAP 1.2 §3.2.4). A code counts as it is,
or by what became of its unit. Of shapes, each commune is asked how much of it they cover:

* nearly all (`WHOLE`): the commune;
* a part: those of its villages whose place, a loudspeaker cluster that serves them, lies inside;
  and those without a place, once the shapes cover more than the inaccuracy of a border
  (`TOUCHED`): better one village too many than one too few;
* less: only the villages whose place lies inside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from broadcast.alerts.cap.message import Area, Circle
from broadcast.areas.model import Level
from broadcast.areas.tree import Lineage, Tree
from broadcast.areas.units import replacements
from broadcast.boundaries.formats import Point, Polygon, Ring

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

WHOLE = 0.95
"""Share of a commune from which on it is meant as a whole."""

TOUCHED = 0.02
"""Share of a commune up to which a shape only brushes it: borders differ by so much."""

LEAST_KM = 1.0
"""Radius of a circle that gives a smaller one: an epicentre is written with radius 0."""

MOST_MENDED = 1_000
"""Points of a ring that crosses itself, of several the root of the sum of their squares: what
mending them takes grows with the square, to 5 s here."""

GRID = 40
"""Points across and along a commune at which it is asked whether shapes cover it."""

EARTH_KM = 6371.0088

OWN_CODES = "VN-DVHC"
"""Name of the codes of administrative units (statistics office, and our villages) in a geocode."""


Shape = Circle | tuple[Point, ...]


class TooTangled(ValueError):
    """Rings that cross themselves too often to be mended; the text says the remedy."""


class Here(NamedTuple):
    """The places of this province on a day."""

    province: str
    lineage: Lineage
    on: date
    outlines: Mapping[str, Sequence[Polygon]]
    """Of its communes."""
    positions: Mapping[str, Sequence[Point]]
    """Of its villages: the clusters that serve them."""


class Found(NamedTuple):
    """Units that a message is for."""

    codes: tuple[str, ...]
    """None lies in another."""
    notes: tuple[str, ...]
    """What a person should know of how they were found."""


def find(areas: Iterable[Area], here: Here, geocodes: Iterable[str]) -> Found:
    """Units of the province in the union of areas.

    Args:
        areas: Of the message.
        here: What there is.
        geocodes: Names under which a geocode has our codes; without regard to case.

    Raises:
        TooTangled: A polygon crosses itself too often.
    """
    tree = here.lineage.tree_on(here.on)
    names = {name.casefold() for name in geocodes}
    codes: set[str] = set()
    notes: list[str] = []
    foreign: set[str] = set()
    shapes: dict[Shape, None] = {}
    for area in areas:
        shapes |= dict.fromkeys((*area.circles, *area.polygons))
        for geocode in area.geocodes:
            if geocode.name.casefold() in names:
                codes |= _by_code(geocode.value, here, tree, notes)
            else:
                foreign.add(geocode.name)
        if not (area.circles or area.polygons or area.geocodes):
            notes.append(f"vùng “{area.description[:80]}” chỉ có tên, không có mã hay hình vẽ")
    if foreign:
        listed = ", ".join(sorted(foreign))[:120]
        notes.append(f"bỏ qua mã vùng loại {listed}: ở đây không dùng loại mã này")
    if shapes:
        codes |= _by_shape(shapes, here, tree, notes)
    inside = {here.province, *(unit.code for unit in tree.under(here.province))}
    elsewhere = codes - inside
    if elsewhere:
        notes.append(f"bỏ qua {len(elsewhere)} đơn vị ngoài tỉnh")
    return Found(tuple(_merged(codes & inside, tree, here.province)), tuple(dict.fromkeys(notes)))


def _by_code(code: str, here: Here, tree: Tree, notes: list[str]) -> set[str]:
    code = code.strip()
    if code in tree:
        return {code}
    last = here.lineage.last(code, here.on)
    if last is None:
        notes.append(f"mã “{code[:20]}” không phải mã đơn vị hành chính có trong hệ thống")
        return set()
    heirs = replacements(here.lineage, last, here.on)
    if not heirs:
        notes.append(f"{last.called} ({code}) không còn và không có đơn vị thay thế")
        return set()
    named = ", ".join(tree[each].called for each in heirs[:4])
    more = f" và {len(heirs) - 4} đơn vị khác" if len(heirs) > 4 else ""
    notes.append(f"{last.called} ({code}) không còn, nay là {named}{more}: lấy toàn bộ")
    return set(heirs)


def _merged(codes: set[str], tree: Tree, province: str) -> list[str]:
    """Codes without those that lie in another; all communes, or villages, of a unit are it."""
    found = set(codes)
    for commune in tree.under(province, Level.COMMUNE):
        villages = {unit.code for unit in tree.under(commune.code, Level.VILLAGE)}
        if villages and villages <= found:
            found.add(commune.code)
    communes = {unit.code for unit in tree.under(province, Level.COMMUNE)}
    if communes and communes <= found:
        found.add(province)
    return sorted(
        code for code in found if not any(above.code in found for above in tree.chain(code)[1:])
    )


# --- shapes --------------------------------------------------------------------------------------


def _by_shape(shapes: Iterable[Shape], here: Here, tree: Tree, notes: list[str]) -> set[str]:
    import numpy as np  # noqa: PLC0415

    circles = [each for each in shapes if isinstance(each, Circle)]
    rings = [each for each in shapes if not isinstance(each, Circle)]
    area = _Shapes(_polygons(rings, notes), circles)
    if any(circle.radius_km < LEAST_KM for circle in circles):
        notes.append(f"vòng tròn bán kính dưới {LEAST_KM:g} km được tính là {LEAST_KM:g} km")
    codes: set[str] = set()
    unplaced = 0
    for commune in tree.under(here.province, Level.COMMUNE):
        share = area.share(here.outlines.get(commune.code, ()))
        if share >= WHOLE:
            codes.add(commune.code)
            continue
        for village in tree.under(commune.code, Level.VILLAGE):
            places = here.positions.get(village.code, ())
            if places and area.cover(np.array(places)).any():
                codes.add(village.code)
            elif not places and share > TOUCHED:
                codes.add(village.code)
                unplaced += 1
    if unplaced:
        notes.append(
            f"{unplaced} thôn chưa có tọa độ cụm loa ở xã nằm một phần trong vùng: lấy cả, để"
            " không bỏ sót"
        )
    return codes


def _polygons(rings: Iterable[Sequence[Point]], notes: list[str]) -> list[BaseGeometry]:
    """Polygons around the country, mended; winding and antimeridian do not matter."""
    import shapely  # noqa: PLC0415
    import shapely.affinity  # noqa: PLC0415

    found: list[BaseGeometry] = []
    mended = 0
    for ring in rings:
        flat = _unwrapped(ring)
        shape: BaseGeometry = shapely.Polygon(flat)
        if not shape.is_valid:
            mended += len(flat) ** 2
            if mended > MOST_MENDED**2:
                raise TooTangled(
                    f"đường ranh tự cắt nhau có hơn {MOST_MENDED} điểm; hãy vẽ lại cho khỏi cắt"
                    " nhau, hoặc đơn giản hóa"
                )
            shape = shapely.make_valid(shape, method="structure", keep_collapsed=False)
            notes.append("đường ranh của vùng tự cắt nhau; đã sửa, hãy xem lại vùng")
        if shape.area == 0:
            notes.append("vùng vẽ không có diện tích; bỏ qua hình đó")
            continue
        found += [
            shapely.affinity.translate(shape, xoff=turn) if turn else shape
            for turn in (-360, 0, 360)
        ]
    return found


def _unwrapped(ring: Sequence[Point]) -> Ring:
    """A ring whose longitudes go on past the antimeridian instead of jumping around the earth."""
    flat = [ring[0]]
    turn = 0
    for (before, _), (longitude, latitude) in pairwise(ring):
        step = longitude - before
        if 180 < abs(step) < 360:
            turn -= int(math.copysign(360, step))
        flat.append((longitude + turn, latitude))
    return flat


class _Shapes:
    """The union of polygons and circles."""

    def __init__(self, polygons: Sequence[BaseGeometry], circles: Sequence[Circle]) -> None:
        import shapely  # noqa: PLC0415

        # Apart: to unite two takes as long as they cross often, an hour for some of 2 MiB.
        self._polygons = polygons
        self._bounds = shapely.bounds([*polygons]).reshape(-1, 4)
        self._circles = circles
        shapely.prepare([*polygons])

    def cover(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell of each point, longitude and latitude, whether it lies inside."""
        import numpy as np  # noqa: PLC0415
        import shapely  # noqa: PLC0415

        found = np.zeros(len(points), bool)
        lowest, highest = points.min(axis=0), points.max(axis=0)
        near = (self._bounds[:, :2] <= highest) & (self._bounds[:, 2:] >= lowest)
        for polygon, is_near in zip(self._polygons, near.all(axis=1), strict=True):
            if is_near:
                found |= shapely.intersects_xy(polygon, points[:, 0], points[:, 1])
        x, y = np.radians(points).T
        for (longitude, latitude), radius in self._circles:
            east, north = math.radians(longitude), math.radians(latitude)
            half = np.sin((y - north) / 2) ** 2
            half += np.cos(y) * math.cos(north) * np.sin((x - east) / 2) ** 2
            distance = 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
            found |= distance <= max(LEAST_KM, radius)
        return np.asarray(found)

    def share(self, outline: Sequence[Polygon]) -> float:
        """Share of an outline that is covered, by sampling; 0 where there is no outline."""
        samples = _samples(outline)
        return float(self.cover(samples).mean()) if len(samples) else 0.0


def _samples(outline: Sequence[Polygon]) -> NDArray[np.float64]:
    """Points spread evenly over an outline."""
    import numpy as np  # noqa: PLC0415
    import shapely  # noqa: PLC0415

    shape = shapely.MultiPolygon([(rings[0], rings[1:]) for rings in outline])
    if not shape.is_valid:
        shape = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    if shape.area == 0:
        return np.empty((0, 2))
    west, south, east, north = shape.bounds
    steps = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(west + steps * (east - west), south + steps * (north - south))
    points = np.column_stack((x.ravel(), y.ravel()))
    inside: NDArray[np.bool_] = shapely.contains_xy(shape, points[:, 0], points[:, 1])
    return points[inside]
