"""Units of an area on each day of a span, through every merger and renaming.

A list over a span asks here, and never for the units of one of its days. Pure.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from broadcast.areas.tree import DAY, Lineage, Tree


class Interval(NamedTuple):
    """Days on which no unit began, ended or gave a part away."""

    first_on: date
    last_on: date
    lineage: Lineage

    @property
    def tree(self) -> Tree:
        """The units of these days."""
        return self.lineage.tree_on(self.first_on)


class AreaInterval(NamedTuple):
    """The units that stand for an area in an interval."""

    interval: Interval
    units: frozenset[str]
    """The area itself; where it does not exist, what it became or came from, by villages."""

    def inside(self) -> frozenset[str]:
        """Codes of the units and of all below them."""
        tree = self.interval.tree
        return self.units | {below.code for each in self.units for below in tree.under(each)}

    def heard(self) -> frozenset[str]:
        """Codes of all of which somebody there hears: also of what lies above."""
        tree = self.interval.tree
        above = {unit.code for each in self.units for unit in tree.chain(each)}
        return self.inside() | above


def intervals(lineage: Lineage, first_on: date, last_on: date) -> list[Interval]:
    """The days of a span, divided where units change."""
    begins = [first_on, *lineage.changes(first_on, last_on)]
    ends = [*(day - DAY for day in begins[1:]), last_on]
    return [Interval(*days, lineage) for days in zip(begins, ends, strict=True)]


def area_intervals(
    lineage: Lineage, code: str, first_on: date, last_on: date
) -> list[AreaInterval]:
    """The units that stand for an area on every day of a span.

    Where its code names no unit, the nearest day of the span on which it does says what is meant.
    Empty when there is none.
    """
    found = intervals(lineage, first_on, last_on)
    meant = [each.first_on for each in found if code in each.tree]
    if not meant:
        return []
    return [
        AreaInterval(each, _units(lineage, code, _nearest(meant, each.first_on), each.first_on))
        for each in found
    ]


def _nearest(days: list[date], on: date) -> date:
    return min(days, key=lambda day: abs(day - on))


def _units(lineage: Lineage, code: str, meant_on: date, on: date) -> frozenset[str]:
    if meant_on == on:
        return frozenset({code})
    named = lineage.tree_on(meant_on).villages(code) or [code]
    if meant_on < on:
        found = (lineage.successors(each, meant_on, on) for each in named)
    else:
        found = (lineage.origins(each, meant_on, on) for each in named)
    return frozenset(unit.code for each in found for unit in each)
