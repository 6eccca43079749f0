"""A point inside each present commune of the country, and its area (`data/README.md`)."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from typing import NamedTuple


class Centroid(NamedTuple):
    """Where a commune is, and how large."""

    longitude: float
    latitude: float
    area_km2: float
    """At least `LEAST_KM2`: Hoàng Sa and Trường Sa have 0, and of two communes it is missing."""


LEAST_KM2 = 2.0


@cache
def centroids() -> dict[str, Centroid]:
    """Those that are known, by code."""
    path = resources.files("broadcast.boundaries") / "data" / "centroids.csv"
    rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
    return {
        row["code"]: Centroid(
            float(row["longitude"]),
            float(row["latitude"]),
            max(LEAST_KM2, float(row["area_km2"] or 0)),
        )
        for row in rows
    }
