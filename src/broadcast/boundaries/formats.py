"""GeoJSON (RFC 7946) and TopoJSON as map programs write them, read into polygons.

Pure. Every fault names the feature and the remedy, and all are found at once: a person repairs a
file in one sitting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

Point = tuple[float, float]
"""Longitude and latitude in degrees, WGS84."""
Ring = list[Point]
Polygon = list[Ring]
"""The outer ring, then holes; each ends where it begins."""

CODE_NAMES = ("code", "ma", "maxa", "maxaphuong", "wardcode", "communecode", "madvhc", "mahc")
"""Properties in which map programs keep the official code: in small letters, letters only."""
NAME_NAMES = ("name", "ten", "tenxa", "tenxaphuong", "wardname", "fullname")

WEST, EAST, SOUTH, NORTH = 102.0, 118.0, 6.0, 24.0
"""Bounds of the country with its islands."""

MOST_POINTS = 1_000_000
"""Five times what a province's most detailed map has (220,003 points of Quảng Ngãi)."""


class Unreadable(ValueError):
    """The file as a whole cannot be read; the text says why and what to do."""


class Feature(NamedTuple):
    """A feature of a file: the outline of a unit."""

    number: int
    """Counted from 1."""
    code: str
    name: str
    polygons: list[Polygon]

    @property
    def called(self) -> str:
        """How a message names it."""
        return called(self.number, self.name or self.code)


class Fault(NamedTuple):
    """What is wrong with a feature, and the remedy."""

    feature: str
    detail: str


class _Wrong(ValueError):
    """A fault of the feature that is being read."""


def called(number: int, name: str) -> str:
    """How a message names a feature."""
    return f"đối tượng {number}" + (f" “{name[:60]}”" if name else "")


def read(data: bytes, code_property: str | None = None) -> tuple[list[Feature], list[Fault]]:
    """Features of a file in their order, and what is wrong with others.

    Args:
        data: The file.
        code_property: Property that has the code; by default `id` or one of `CODE_NAMES`.

    Raises:
        Unreadable: It is neither GeoJSON nor TopoJSON in degrees.
    """
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable(
            "không phải JSON đọc được; hãy xuất lại bản đồ dạng GeoJSON hoặc TopoJSON (UTF-8)"
        ) from None
    if not isinstance(document, dict):
        raise Unreadable("không phải GeoJSON hay TopoJSON; hãy xuất lại bản đồ")
    _check_system(document)
    if document.get("type") == "Topology":
        members, points = _of_topology(document)
    elif document.get("type") == "FeatureCollection":
        members, points = _list(document.get("features")), _coordinates
    elif document.get("type") == "Feature":
        members, points = [document], _coordinates
    else:
        raise Unreadable(
            "cần “FeatureCollection” (GeoJSON) hoặc “Topology” (TopoJSON), mỗi xã một đối tượng"
        )
    features: list[Feature] = []
    faults: list[Fault] = []
    total = 0
    for number, member in enumerate(members, 1):
        about = member if isinstance(member, dict) else {}
        properties = about.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        name = _text(_property(properties, NAME_NAMES)) or ""
        try:
            code = _code(about, properties, code_property)
            polygons = points(about)
            _check(polygons)
        except _Wrong as wrong:
            faults.append(Fault(called(number, name), str(wrong)))
            continue
        total += sum(len(ring) for polygon in polygons for ring in polygon)
        if total > MOST_POINTS:
            raise Unreadable(
                f"có hơn {MOST_POINTS:,} điểm; hãy đơn giản hóa bản đồ (ví dụ mapshaper, 10%)"
                " rồi nhập lại".replace(",", ".")
            )
        features.append(Feature(number, code, name, polygons))
    return features, faults


def _check_system(document: Mapping[str, Any]) -> None:
    """Refuse another system of coordinates, where the file names one (GeoJSON of 2008)."""
    crs = document.get("crs")
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(name, str) and not re.search(r"CRS84|EPSG:+4326\b", name):
        raise Unreadable(
            f"hệ tọa độ “{name[:60]}” không phải kinh độ, vĩ độ; hãy xuất lại theo WGS84"
            " (EPSG:4326)"
        )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def _property(properties: Mapping[str, Any], names: Sequence[str]) -> object:
    plain = {re.sub("[^a-z]", "", key.lower()): value for key, value in properties.items()}
    return next((plain[name] for name in names if plain.get(name) is not None), None)


def _code(about: Mapping[str, Any], properties: Mapping[str, Any], named: str | None) -> str:
    """The code of a feature, with the zeros that a number cannot have; two digits: a province."""
    if named is not None:
        value = properties.get(named)
        remedy = f"thiếu thuộc tính “{named}”; hãy ghi mã xã vào đó"
    else:
        value = about.get("id") or _property(properties, CODE_NAMES)
        remedy = "thiếu mã xã; ghi mã 5 chữ số vào “id” hoặc thuộc tính “code”"
    code = _text(value)
    if code is None:
        raise _Wrong(remedy)
    return code.zfill(5) if isinstance(value, int) or re.fullmatch("[0-9]{3,4}", code) else code


# --- coordinates ---------------------------------------------------------------------------------


def _coordinates(member: Mapping[str, Any]) -> list[Polygon]:
    """Polygons of a GeoJSON feature."""
    return _polygons(member.get("geometry"), "coordinates", lambda ring: [*map(_point, ring)])


def _polygons(geometry: object, key: str, ring: Callable[[list[Any]], Ring]) -> list[Polygon]:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or kind not in ("Polygon", "MultiPolygon"):
        raise _Wrong("phải là vùng (Polygon hoặc MultiPolygon), không phải điểm hay đường")
    given = _list(geometry.get(key))
    polygons = [given] if kind == "Polygon" else given
    found = [[ring(_list(each)) for each in _list(polygon)] for polygon in polygons]
    if not any(found):
        raise _Wrong("vùng không có điểm nào; hãy vẽ lại ranh giới")
    return [polygon for polygon in found if polygon]


def _point(value: object) -> Point:
    if not isinstance(value, list) or len(value) < 2:
        raise _Wrong("điểm phải có kinh độ và vĩ độ")
    x, y = value[0], value[1]
    if not (_is_number(x) and _is_number(y)):
        raise _Wrong("kinh độ, vĩ độ phải là số")
    return float(x), float(y)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _of_topology(
    document: Mapping[str, Any],
) -> tuple[list[Any], Callable[[Mapping[str, Any]], list[Polygon]]]:
    """Geometries of a topology, and what gives the polygons of one.

    An arc is shared by the two units that meet there; `~i` is arc `i` backwards. With a transform
    its points are whole numbers, each but the first the step from the one before.
    """
    objects = document.get("objects")
    groups = (
        [each for each in objects.values() if isinstance(each, dict)]
        if isinstance(objects, dict)
        else []
    )
    members = [
        geometry
        for group in groups
        for geometry in (
            _list(group.get("geometries"))
            if group.get("type") == "GeometryCollection"
            else [group]
        )
    ]
    try:
        arcs = list(_arcs(document))
    except (_Wrong, OverflowError) as wrong:
        raise Unreadable(f"phần “arcs” hoặc “transform” của TopoJSON hỏng: {wrong}") from None

    def stitched(indices: list[Any]) -> Ring:
        ring: Ring = []
        for index in indices:
            if not isinstance(index, int) or not -len(arcs) <= index < len(arcs):
                raise _Wrong("trỏ tới cung không có trong “arcs”; tệp bị cắt hoặc sửa hỏng")
            arc = arcs[index] if index >= 0 else arcs[~index][::-1]
            ring += arc[1:] if ring and arc and ring[-1] == arc[0] else arc
        return ring

    return members, lambda member: _polygons(member, "arcs", stitched)


def _arcs(document: Mapping[str, Any]) -> Iterator[Ring]:
    transform = document.get("transform")
    if isinstance(transform, dict):
        (kx, ky), (dx, dy) = _point(transform.get("scale")), _point(transform.get("translate"))
    for arc in _list(document.get("arcs")):
        points = [_point(value) for value in _list(arc)]
        if isinstance(transform, dict):
            x = y = 0.0
            for index, (step_x, step_y) in enumerate(points):
                x, y = x + step_x, y + step_y
                points[index] = (x * kx + dx, y * ky + dy)
        yield points


def _check(polygons: Sequence[Polygon]) -> None:
    """Refuse what is no outline in this country.

    Raises:
        _Wrong: So it is.
    """
    for polygon in polygons:
        for ring in polygon:
            for x, y in ring:
                if not (WEST <= x <= EAST and SOUTH <= y <= NORTH):
                    raise _Wrong(_elsewhere(x, y))
            if len(ring) < 4:
                raise _Wrong("đường ranh giới cần ít nhất 3 điểm; hãy vẽ lại")
            if ring[0] != ring[-1]:
                raise _Wrong(
                    "đường ranh giới chưa khép kín: điểm cuối phải trùng điểm đầu; hãy khép vùng"
                    " trong phần mềm bản đồ"
                )


def _elsewhere(x: float, y: float) -> str:
    if not (math.isfinite(x) and math.isfinite(y)):
        return "tọa độ không phải là số"
    if WEST <= y <= EAST and SOUTH <= x <= NORTH:
        return f"kinh độ và vĩ độ bị đổi chỗ ({x:g}, {y:g}); GeoJSON ghi kinh độ trước"
    if abs(x) > 180 or abs(y) > 90:
        return (
            f"tọa độ ({x:.0f}, {y:.0f}) tính bằng mét (VN-2000, UTM); hãy xuất lại theo WGS84"
            " (EPSG:4326)"
        )
    return f"tọa độ ({x:g}, {y:g}) nằm ngoài Việt Nam; kiểm tra hệ tọa độ và mã xã"
