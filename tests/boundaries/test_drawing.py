"""Cells, thinning and the drawing: what neighbours share stays shared, and all is in the frame."""

from __future__ import annotations

import math
import re

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from broadcast.boundaries import drawing, shapes
from broadcast.boundaries.centroids import Centroid, centroids
from broadcast.boundaries.formats import Polygon, Ring
from tests.boundaries.maps import square

POINTS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 300)), min_size=1, max_size=30, unique=True
).map(
    lambda places: {
        f"{21000 + n}": Centroid(107 + x / 100, 13 + y / 100, 1 + 7.0 * ((x * y) % 40))
        for n, (x, y) in enumerate(places)
    }
)


def ring(column: int, row: int = 0) -> Ring:
    return [(x, y) for x, y in square(column, row)]


def shape(polygons: list[Polygon]) -> shapely.MultiPolygon:
    return shapely.MultiPolygon([(rings[0], rings[1:]) for rings in polygons])


def corners(path: str) -> set[tuple[float, float]]:
    """Points of a path of relative lines."""
    found: set[tuple[float, float]] = set()
    for start, steps in re.findall(r"M(-?\d+ -?\d+)l([^z]*)z", path):
        x, y = map(int, start.split())
        found.add((x, y))
        numbers = [int(each) for each in re.findall(r"-?\d+", steps)]
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            found.add((x, y))
    return found


@pytest.mark.slow
@given(POINTS)
def test_cells_are_a_coverage_and_each_holds_its_point(points: dict[str, Centroid]) -> None:
    cells = {code: shape(polygons) for code, polygons in shapes.cells(points).items()}
    assert cells.keys() == points.keys()
    for code, cell in cells.items():
        at = shapely.Point(points[code].longitude, points[code].latitude)
        assert cell.distance(at) < 1e-4
    whole = shapely.union_all([shapely.make_valid(cell) for cell in cells.values()])
    assert math.isclose(sum(cell.area for cell in cells.values()), whole.area, rel_tol=0.01)


@given(POINTS)
def test_a_drawing_holds_every_unit_within_its_frame(points: dict[str, Centroid]) -> None:
    outlines = {code: shapes.hexagon(point) for code, point in points.items()}
    drawn = drawing.draw(outlines)
    assert drawn.shapes.keys() == points.keys()
    for each in drawn.shapes.values():
        assert re.fullmatch(r"[Mlaz0-9 -]+", each.path)
        x, y = each.label
        assert 0 <= x <= drawn.width
        assert 0 <= y <= drawn.height
        for px, py in corners(each.path):
            assert 0 <= px <= drawn.width
            assert 0 <= py <= drawn.height


def test_neighbours_share_their_border_in_the_drawing() -> None:
    drawn = drawing.draw({"21025": [[ring(0)]], "21028": [[ring(1)]]})
    west, east = (corners(drawn.shapes[code].path) for code in ("21025", "21028"))
    assert len(west & east) == 2
    assert len(west) == len(east) == 4
    assert drawn.insets == []


def test_the_frame_places_a_point_as_the_paths_do() -> None:
    drawn = drawing.draw({"21025": [[ring(0)]], "21028": [[ring(1, 1)]]})
    for code, outline in (("21025", ring(0)), ("21028", ring(1, 1))):
        assert {drawn.frame.place(point) for point in outline} == corners(drawn.shapes[code].path)


def test_what_lies_far_out_gets_an_inset_and_shrinks_nothing() -> None:
    near: dict[str, list[Polygon]] = {f"{21000 + n}": [[ring(n % 4, n // 4)]] for n in range(16)}
    alone = drawing.draw(near)
    with_island = drawing.draw(near | {"22736": [[ring(40, -30)]]})
    assert len(with_island.insets) == 1
    (box,) = with_island.insets
    x, y = with_island.shapes["22736"].label
    assert box.x < x < box.x + box.width
    assert box.y < y < box.y + box.height
    assert box.x + box.width <= with_island.width
    scale = with_island.frame.y_scale / alone.frame.y_scale
    assert scale > 0.8
    assert "22736" in with_island.shapes


def test_an_island_near_the_coast_is_drawn_where_it_is() -> None:
    near: dict[str, list[Polygon]] = {f"{21000 + n}": [[ring(n % 8, n // 8)]] for n in range(64)}
    assert drawing.draw(near | {"21548": [[ring(9, 7)]]}).insets == []


def test_what_is_too_small_to_hit_is_marked() -> None:
    tiny: Ring = [(108.0, 15.0), (108.0001, 15.0), (108.0001, 15.0001), (108.0, 15.0)]
    drawn = drawing.draw({"21025": [[ring(0)]], "21548": [[tiny]]})
    assert "a18 18" in drawn.shapes["21548"].path
    assert "a" not in drawn.shapes["21025"].path


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawing.draw({}).shapes == {}
    assert shapes.cells({}) == {}


def test_thinning_keeps_what_neighbours_share() -> None:
    steps = shapes.MOST_POINTS
    border = [(108.1 + 0.01 * math.sin(n), 15 + n / steps) for n in range(steps + 1)]
    west: Ring = [(108.0, 15.0), *border, (108.0, 16.0), (108.0, 15.0)]
    east: Ring = [(108.3, 15.0), *border, (108.3, 16.0), (108.3, 15.0)]
    kept = shapes.thinned({"21025": [[west]], "21028": [[east]]})
    points = [set(kept[code][0][0]) for code in ("21025", "21028")]
    assert sum(map(len, points)) <= shapes.MOST_POINTS
    assert points[0] & points[1] == points[0] - {(108.0, 15.0), (108.0, 16.0)}
    assert shapely.coverage_is_valid([shape(each) for each in kept.values()])


def test_an_outline_that_crosses_itself_is_mended() -> None:
    bow: Ring = [(108.0, 15.0), (108.1, 15.1), (108.1, 15.0), (108.0, 15.1), (108.0, 15.0)]
    polygons, was_crossing = shapes.mended([[bow]])
    assert was_crossing
    assert shape(polygons).is_valid
    assert shape(polygons).area == pytest.approx(0.005)
    assert shapes.mended([[ring(0)]]) == (shapes.mended([[ring(0)]])[0], False)


def test_the_points_of_the_whole_country_are_in_it() -> None:
    known = centroids()
    assert len(known) == 3321
    assert {len(code) for code in known} == {5}
    assert all(102 < each.longitude < 118 and 6 < each.latitude < 24 for each in known.values())
    areas = sum(each.area_km2 for code, each in known.items() if code.startswith(("20", "21")))
    assert areas > 10_000


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=12))
def test_any_ring_can_be_drawn(places: list[tuple[int, int]]) -> None:
    points: Ring = [(108 + x / 100, 15 + y / 100) for x, y in places]
    drawn = drawing.draw({"21025": [[[*points, points[0]]]]})
    assert drawn.shapes["21025"].path
