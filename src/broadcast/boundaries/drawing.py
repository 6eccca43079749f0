"""Outlines as paths of an SVG: projection, insets for far islands, marks for what is too small.

Pure. A province is small enough for degrees of longitude to be narrowed by one factor, the cosine
of its middle latitude; over 3° the error is below 4 %. What lies far out (Trường Sa, Côn Đảo)
would make all else a speck: it gets a box of its own beside the map, at a scale of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from broadcast.boundaries.formats import Point, Polygon

WIDTH = 2000
"""Units of the drawing across: half a point of a screen each, so that coordinates are whole
numbers."""

TALLEST = 1.6
"""Most height of a drawing, in widths; a province that is longer is made narrower."""

FAR = 0.25
"""A gap of more than this share of the map's extent makes what lies beyond it an inset."""

MINOR = 0.2
"""Most share of the area that an inset may have."""

STRIP = 300
"""Width of the strip with insets."""

MARGIN = 20

LEAST_AREA = 600.0
"""Square units below which an outline gets a mark around it: a finger has to find it."""

MARK = 18
"""Radius of a mark."""


class Frame(NamedTuple):
    """Where a part of the country is in a drawing: x = (longitude - west) · x_scale + left."""

    west: float
    north: float
    x_scale: float
    y_scale: float
    left: float
    top: float

    def place(self, point: Point) -> tuple[int, int]:
        """Where a point of the country is in the drawing."""
        longitude, latitude = point
        return (
            round((longitude - self.west) * self.x_scale + self.left),
            round((self.north - latitude) * self.y_scale + self.top),
        )


class Box(NamedTuple):
    """Border of an inset."""

    x: int
    y: int
    width: int
    height: int


class Shape(NamedTuple):
    """A unit in a drawing."""

    path: str
    """Data of an SVG path, to be filled by the rule `evenodd`."""
    label: tuple[int, int]
    """Where its name may stand: the middle of its largest part."""


class Drawing(NamedTuple):
    """A map."""

    width: int
    height: int
    shapes: dict[str, Shape]
    frame: Frame
    """Of all that is in no inset."""
    insets: list[Box]


def draw(outlines: Mapping[str, Sequence[Polygon]]) -> Drawing:
    """Draw units by code; one without polygons is left out."""
    parts = [
        _Part(code, polygon, _bounds(polygon))
        for code, polygons in outlines.items()
        for polygon in polygons
    ]
    if not parts:
        return Drawing(WIDTH, WIDTH, {}, Frame(0, 0, 1, 1, 0, 0), [])
    main, far = _split(parts)
    squeeze = math.cos(math.radians((_extent(main)[1] + _extent(main)[3]) / 2))
    room = WIDTH - 2 * MARGIN - (STRIP if far else 0)
    frame, width, height = _frame(main, squeeze, room, WIDTH * TALLEST)
    frames = {id(part): frame for part in main}
    insets: list[Box] = []
    left, each = width + 2 * MARGIN, (height + MARGIN) // max(1, len(far))
    for index, group in enumerate(far):
        side = min(STRIP, each) - 3 * MARGIN
        inner, across, along = _frame(group, squeeze, side, side)
        box = Box(left, MARGIN + index * each, across + 2 * MARGIN, along + 2 * MARGIN)
        frames |= dict.fromkeys(
            map(id, group), inner._replace(left=box.x + MARGIN, top=box.y + MARGIN)
        )
        insets.append(box)
    shapes: dict[str, list[_Part]] = {}
    for part in parts:
        shapes.setdefault(part.code, []).append(part)
    return Drawing(
        width + 2 * MARGIN + (STRIP if far else 0),
        height + 2 * MARGIN,
        {
            code: _shape([(frames[id(part)], part.polygon) for part in drawn])
            for code, drawn in shapes.items()
        },
        frame,
        insets,
    )


class _Part(NamedTuple):
    code: str
    polygon: Polygon
    bounds: tuple[float, float, float, float]
    """West, south, east, north."""


def _bounds(polygon: Polygon) -> tuple[float, float, float, float]:
    xs, ys = [x for x, _ in polygon[0]], [y for _, y in polygon[0]]
    return min(xs), min(ys), max(xs), max(ys)


def _extent(parts: Iterable[_Part]) -> tuple[float, float, float, float]:
    west, south, east, north = zip(*(part.bounds for part in parts), strict=True)
    return min(west), min(south), max(east), max(north)


def area(ring: Sequence[Point]) -> float:
    """Area within a closed ring, in square units of its coordinates."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))) / 2


def _split(parts: list[_Part]) -> tuple[list[_Part], list[list[_Part]]]:
    """What is drawn to one scale, and what lies far from it, nearest gap last."""
    far: list[list[_Part]] = []
    while True:
        cut = _widest_gap(parts)
        if cut is None:
            return parts, far
        parts, beyond = cut
        far.append(beyond)


def _widest_gap(parts: list[_Part]) -> tuple[list[_Part], list[_Part]] | None:
    """The parts on both sides of a gap that makes an inset, the larger first."""
    whole = sum(area(part.polygon[0]) for part in parts)
    best: tuple[float, list[_Part], list[_Part]] | None = None
    for low, high in ((0, 2), (1, 3)):
        ordered = sorted(parts, key=lambda part: part.bounds[low])
        reached = ordered[0].bounds[high]
        for index, part in enumerate(ordered[1:], 1):
            gap = part.bounds[low] - reached
            reached = max(reached, part.bounds[high])
            if gap <= 0 or (best is not None and gap <= best[0]):
                continue
            sides = sorted(
                (ordered[:index], ordered[index:]),
                key=lambda side: sum(area(each.polygon[0]) for each in side),
            )
            extent = _extent(sides[1])
            minor = sum(area(each.polygon[0]) for each in sides[0])
            if gap > FAR * (extent[high] - extent[low]) and minor <= MINOR * whole:
                best = gap, sides[1], sides[0]
    return None if best is None else best[1:]


def _frame(
    parts: Sequence[_Part], squeeze: float, width: float, height: float
) -> tuple[Frame, int, int]:
    """The frame that shows some parts as large as they fit, and what it takes."""
    west, south, east, north = _extent(parts)
    across, along = max((east - west) * squeeze, 1e-9), max(north - south, 1e-9)
    scale = min(width / across, height / along)
    frame = Frame(west, north, scale * squeeze, scale, MARGIN, MARGIN)
    return frame, math.ceil(across * scale), math.ceil(along * scale)


def _shape(drawn: Sequence[tuple[Frame, Polygon]]) -> Shape:
    rings = [
        [[frame.place(point) for point in ring] for ring in polygon] for frame, polygon in drawn
    ]
    largest = max((polygon[0] for polygon in rings), key=area)
    label = _middle(largest)
    path = "".join(_path(ring) for polygon in rings for ring in polygon)
    if sum(area(polygon[0]) for polygon in rings) < LEAST_AREA:
        x, y = label
        arc = f"a{MARK} {MARK} 0 1 0"
        path += f"M{x - MARK} {y}{arc} {2 * MARK} 0{arc} {-2 * MARK} 0z"
    return Shape(path, label)


def _middle(ring: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Centre of gravity of a ring; of one without area, of its corners."""
    twice = x = y = 0
    for (ax, ay), (bx, by) in pairwise(ring):
        cross = ax * by - bx * ay
        twice, x, y = twice + cross, x + (ax + bx) * cross, y + (ay + by) * cross
    if twice == 0:
        return (
            round(sum(px for px, _ in ring) / len(ring)),
            round(sum(py for _, py in ring) / len(ring)),
        )
    return round(x / (3 * twice)), round(y / (3 * twice))


def _path(ring: Sequence[tuple[int, int]]) -> str:
    """A ring by relative steps; what rounding has made one point is drawn once."""
    steps = [(bx - ax, by - ay) for (ax, ay), (bx, by) in pairwise(ring) if (ax, ay) != (bx, by)]
    if len(steps) < 3:
        return ""
    first = f"{steps[0][0]} {steps[0][1]}"
    said = "".join(_number(dx) + _number(dy) for dx, dy in steps[1:-1])
    return f"M{ring[0][0]} {ring[0][1]}l{first}{said}z"


def _number(value: int) -> str:
    """A number after another: a minus parts them, too."""
    return f" {value}" if value >= 0 else str(value)
