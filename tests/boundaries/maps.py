"""Maps for tests: squares side by side, as a map program writes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

WEST, SOUTH = 108.0, 15.0
SIDE = 0.1


def square(column: int, row: int = 0) -> list[list[float]]:
    """A closed ring."""
    west, south = WEST + SIDE * column, SOUTH + SIDE * row
    return [
        [round(x, 5), round(y, 5)]
        for x, y in (
            (west, south), (west + SIDE, south), (west + SIDE, south + SIDE),
            (west, south + SIDE), (west, south),
        )
    ]  # fmt: skip


def feature(id_: object, ring: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature", "id": id_, "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }  # fmt: skip


def geojson(features: Sequence[dict[str, Any]], **more: Any) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": features, **more}).encode()


def row(codes: Sequence[str]) -> bytes:
    """Communes side by side."""
    return geojson([feature(code, square(n), name=f"Xã {n}") for n, code in enumerate(codes)])


def topology(codes: tuple[str, str]) -> bytes:
    """Two squares side by side that share an arc, quantised: the second runs it backwards."""
    scale, k = SIDE / 10, 10
    arcs = [
        [[k, 0], [0, k]],  # the shared border, northward
        [[k, k], [-k, 0], [0, -k], [k, 0]],  # around the west
        [[k, 0], [k, 0], [0, k], [-k, 0]],  # around the east
    ]
    geometries = [
        {"type": "Polygon", "id": codes[0], "arcs": [[0, 1]]},
        {"type": "MultiPolygon", "id": codes[1], "arcs": [[[2, ~0]]]},
    ]
    return json.dumps({
        "type": "Topology", "arcs": arcs,
        "transform": {"scale": [scale, scale], "translate": [WEST, SOUTH]},
        "objects": {"xa": {"type": "GeometryCollection", "geometries": geometries}},
    }).encode()  # fmt: skip
