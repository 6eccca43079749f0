"""Groups of clusters that are heard together, by where they stand.

Pure. Two are within earshot if they stand nearer to each other than a reach, unless a person says
otherwise; a group is what hangs together by that. A hill, a wind and the faces of the horns decide
what is really heard, so the reach is a first guess and people correct it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

EARTH_METRES = 6_371_000.0


class Point(NamedTuple):
    """Where a cluster stands, in degrees."""

    latitude: float
    longitude: float


Pair = tuple[int, int]
"""Two clusters, the smaller number first."""


def metres(one: Point, other: Point) -> float:
    """Distance between two points.

    >>> round(metres(Point(15.0, 108.0), Point(15.001, 108.0)))
    111
    """
    middle = math.radians((one.latitude + other.latitude) / 2)
    east = math.radians(one.longitude - other.longitude) * math.cos(middle)
    north = math.radians(one.latitude - other.latitude)
    return EARTH_METRES * math.hypot(east, north)


def pairs(
    places: Mapping[int, Point], reach: float, said: Mapping[Pair, bool] | None = None
) -> dict[Pair, float | None]:
    """Clusters within earshot of each other, with their distance in metres.

    Looks only at neighbours in a grid, so it costs what there are, not their square.

    Args:
        places: Where they stand; those of which nobody knows are found by what people say only.
        reach: Metres below which two are heard at one place.
        said: What people have said of a pair.

    Returns:
        Pairs; the distance is None where it is not known.
    """
    said = said or {}
    high = reach / EARTH_METRES
    cells: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for number, place in places.items():
        cells[_cell(place, high)].append(number)
    found: dict[Pair, float | None] = {}
    for (row, column), there in cells.items():
        around = [
            other
            for rows in (-1, 0, 1)
            for columns in (-1, 0, 1)
            for other in cells.get((row + rows, column + columns), ())
        ]
        for one in there:
            for other in around:
                distance = metres(places[one], places[other]) if one < other else math.inf
                if distance < reach and said.get((one, other), True):
                    found[one, other] = distance
    for (one, other), heard in said.items():
        if heard and (one, other) not in found:
            known = one in places and other in places
            found[one, other] = metres(places[one], places[other]) if known else None
    return found


def _cell(place: Point, high: float) -> tuple[int, int]:
    """Cells at least as high and wide as the reach, up to 60° north or south."""
    return (
        math.floor(math.radians(place.latitude) / high),
        math.floor(math.radians(place.longitude) / (2 * high)),
    )


def groups(within: Iterable[Pair]) -> list[frozenset[int]]:
    """What hangs together by pairs; the largest first, then by the smallest number."""
    parent: dict[int, int] = {}

    def root(number: int) -> int:
        parent.setdefault(number, number)
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for one, other in within:
        parent[root(one)] = root(other)
    members: defaultdict[int, set[int]] = defaultdict(set)
    for number in parent:
        members[root(number)].add(number)
    return sorted(map(frozenset, members.values()), key=lambda each: (-len(each), min(each)))


def nearest(of: int, group: Collection[int], within: Iterable[Pair], most: int) -> list[int]:
    """At most so many of a group, by the number of steps from one of them, then by number."""
    beside: defaultdict[int, set[int]] = defaultdict(set)
    for one, other in within:
        beside[one].add(other)
        beside[other].add(one)
    found, seen = [of], {of}
    for each in found:
        for other in sorted(beside[each] & set(group) - seen):
            seen.add(other)
            found.append(other)
        if len(found) >= most:
            break
    return found[:most]
