"""The official units as pure values, for tests that need no database."""

from __future__ import annotations

from functools import cache

from broadcast.areas.imports import official_files, read_steps, read_units
from broadcast.areas.tree import Lineage, Step, Unit
from broadcast.kit.sheets import RowErrors


@cache
def units() -> list[Unit]:
    errors = RowErrors()
    rows = read_units(official_files()[0], errors)
    errors.raise_if_any()
    return [row.value for row in rows]


@cache
def steps() -> list[Step]:
    errors = RowErrors()
    rows = read_steps(official_files()[1], errors)
    errors.raise_if_any()
    return [row.value for row in rows]


@cache
def lineage() -> Lineage:
    return Lineage(units(), steps())
