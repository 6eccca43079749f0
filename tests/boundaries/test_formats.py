"""Reading GeoJSON and TopoJSON: what is there, and what is said of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.boundaries.formats import Unreadable, read
from tests.boundaries.maps import SIDE, SOUTH, WEST, feature, geojson, row, square, topology

RING = square(0)


def test_a_collection_is_read() -> None:
    features, faults = read(row(["21025", "21028"]))
    assert faults == []
    assert [(each.code, each.name, each.number) for each in features] == [
        ("21025", "Xã 0", 1),
        ("21028", "Xã 1", 2),
    ]
    assert features[1].polygons == [[[tuple(point) for point in square(1)]]]


def test_neighbours_of_a_topology_share_their_arc() -> None:
    (west, east), faults = read(topology(("21025", "21028")))
    assert faults == []
    shared = {(WEST + SIDE, SOUTH), (WEST + SIDE, SOUTH + SIDE)}
    rounded = [
        {(round(x, 9), round(y, 9)) for x, y in each.polygons[0][0]} for each in (west, east)
    ]
    assert {(round(x, 9), round(y, 9)) for x, y in shared} == rounded[0] & rounded[1]
    assert set(west.polygons[0][0]) & set(east.polygons[0][0])
    for each in (west, east):
        assert each.polygons[0][0][0] == each.polygons[0][0][-1]


@pytest.mark.parametrize(
    ("properties", "id_", "named", "code"),
    [
        ({"ma_xa": "21025"}, None, None, "21025"),
        ({"MaXa": 21025}, None, None, "21025"),
        ({"code": 97}, None, None, "00097"),
        ({"code": "21025"}, "21028", None, "21028"),
        ({"KY_HIEU": "21025"}, "7", "KY_HIEU", "21025"),
    ],
)
def test_the_code_is_found(properties: Any, id_: Any, named: str | None, code: str) -> None:
    features, faults = read(geojson([feature(id_, RING, **properties)]), named)
    assert (faults, [each.code for each in features]) == ([], [code])


SWAPPED = [[y, x] for x, y in RING]
METRES = [[x * 5000, y * 100000] for x, y in RING]
ABROAD = [[x - 100, y + 30] for x, y in RING]


def _with(geometry: Any) -> dict[str, Any]:
    return {"id": "21025", "geometry": geometry}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (feature(None, RING, name="Xã A"), "đối tượng 1 “Xã A”: thiếu mã xã"),
        (feature("21025", RING[:-1]), "chưa khép kín"),
        (feature("21025", RING[:2]), "ít nhất 3 điểm"),
        (feature("21025", SWAPPED), "kinh độ và vĩ độ bị đổi chỗ"),
        (feature("21025", METRES), "xuất lại theo WGS84"),
        (feature("21025", ABROAD), "nằm ngoài Việt Nam"),
        (feature("21025", [["108", "15"]] * 4), "phải là số"),
        (feature("21025", [[108]] * 4), "có kinh độ và vĩ độ"),
        (feature("21025", []), "ít nhất 3 điểm"),
        (_with({"type": "Point", "coordinates": [108, 15]}), "không phải điểm"),
        (_with(None), "phải là vùng"),
        (_with({"type": []}), "phải là vùng"),
        (_with({"type": "Polygon"}), "không có điểm nào"),
        (_with({"type": "MultiPolygon", "coordinates": [[]]}), "không có điểm nào"),
        (5, "thiếu mã xã"),
    ],
)  # fmt: skip
def test_a_fault_names_the_feature_and_the_remedy(broken: Any, said: str) -> None:
    good = feature("21028", square(1))
    features, faults = read(geojson([broken, good]))
    assert [each.code for each in features] == ["21028"]
    (fault,) = faults
    assert fault.feature.startswith("đối tượng 1")
    assert said in f"{fault.feature}: {fault.detail}"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04", "không phải JSON"),
        (b"[" * 100_000, "không phải JSON"),
        (b"[]", "không phải GeoJSON"),
        (b'{"type": "Point"}', "FeatureCollection"),
        (geojson([], crs={"properties": {"name": "urn:ogc:def:crs:EPSG::3405"}}), "WGS84"),
        (b'{"type": "Topology", "arcs": [[["a", 1]]], "objects": {}}', "hỏng"),
        (b'{"type": "Topology", "arcs": [], "transform": {"scale": 1}, "objects": {}}', "hỏng"),
    ],
)
def test_a_file_of_another_kind_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(data)


def test_the_usual_system_is_taken() -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    features, faults = read(geojson([feature("21025", RING)], crs=crs))
    assert (len(features), faults) == (1, [])


def test_an_arc_that_is_not_there_is_a_fault() -> None:
    document = json.loads(topology(("21025", "21028")))
    document["objects"]["xa"]["geometries"][0]["arcs"] = [[0, 9]]
    features, faults = read(json.dumps(document).encode())
    assert [each.code for each in features] == ["21028"]
    assert "arcs" in faults[0].detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["id", "type", "geometry", "arcs", "coordinates", "properties", "scale"]),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JSON, JSON, JSON, st.sampled_from(["features", "objects"]))
def test_whatever_a_file_holds_is_read_or_said_to_be_wrong(
    one: Any, arcs: Any, transform: Any, key: str
) -> None:
    members = [one, {"id": "21025", "geometry": one, "type": "Polygon", "arcs": one}]
    kinds = {
        "features": {"type": "FeatureCollection", "features": members},
        "objects": {
            "type": "Topology", "arcs": arcs, "transform": transform,
            "objects": {"xa": {"type": "GeometryCollection", "geometries": members}},
        },
    }  # fmt: skip
    try:
        features, faults = read(json.dumps(kinds[key]).encode())
    except Unreadable:
        return
    assert len(features) + len(faults) == len(members)
    for each in features:
        assert all(ring[0] == ring[-1] for polygon in each.polygons for ring in polygon)
