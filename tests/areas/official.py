"""The official units as pure values, for tests that need no database."""

from __future__ import annotations

from functools import cache

from broadcast.areas.imports import AREAS, LINEAGE, official_files
from broadcast.areas.tree import Lineage, Step, Unit
from broadcast.kit import sheets


@cache
def units() -> list[Unit]:
    faults = sheets.Faults()
    rows = sheets.read(AREAS, official_files()[0], faults)
    faults.stop_if_any()
    return [row.value for row in rows]


@cache
def steps() -> list[Step]:
    faults = sheets.Faults()
    rows = sheets.read(LINEAGE, official_files()[1], faults)
    faults.stop_if_any()
    return [row.value for row in rows]


@cache
def lineage() -> Lineage:
    return Lineage(units(), steps())
