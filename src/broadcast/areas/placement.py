"""Placing villages when their communes are rearranged.

Pure. The register says in which commune a village lies from a day on; from there it follows its
commune: whole communes take their villages along. A village of a commune that was divided cannot
be placed by rule. It lies meanwhile in the smallest unit that holds all candidates, so that
nothing meant for the province passes it by, and is listed until the register places it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from broadcast.areas.model import Level
from broadcast.areas.tree import DAY, Lineage, Unit


class Registered(NamedTuple):
    """A row of the register: from `valid_from` the village lies in `commune_code`."""

    code: str
    kind: str
    name: str
    commune_code: str
    valid_from: date
    valid_to: date | None


class Placed(NamedTuple):
    """A village for a span in which it has one parent."""

    unit: Unit
    commune_code: str
    """The last commune that is certain."""
    candidates: tuple[str, ...]
    """Units one of which it lies in; the parent alone when that is certain."""


class Unplaced(NamedTuple):
    """A village that a person has to place."""

    code: str
    name: str
    commune_code: str
    """The last commune that is certain; where the village still lies if that one goes on."""
    since: date
    candidates: tuple[str, ...]
    """Communes it may lie in, as far as the lineage tells."""
    lies_in: str | None
    """The unit it is counted in meanwhile."""


def by_village(rows: Iterable[Registered]) -> dict[str, list[Registered]]:
    """Rows of the register by village, each village's oldest first."""
    villages: dict[str, list[Registered]] = {}
    for row in sorted(rows, key=lambda row: (row.code, row.valid_from)):
        villages.setdefault(row.code, []).append(row)
    return villages


def placed(rows: Sequence[Registered], lineage: Lineage) -> list[Placed]:
    """All spans of one village, from its rows in the register (oldest first) and the lineage.

    A row holds until its own end or the next row.
    """
    spans: list[Placed] = []
    for index, row in enumerate(rows):
        end = row.valid_to
        if index + 1 < len(rows):
            before_next = rows[index + 1].valid_from - DAY
            end = before_next if end is None else min(end, before_next)
        spans += _follow(row, end, lineage)
    return spans


def _follow(row: Registered, end: date | None, lineage: Lineage) -> list[Placed]:
    spans: list[Placed] = []
    start, certain, parent = row.valid_from, row.commune_code, row.commune_code
    candidates: tuple[str, ...] = (row.commune_code,)

    def close(valid_to: date | None) -> None:
        unit = Unit(row.code, Level.VILLAGE, row.kind, row.name, parent, start, valid_to)
        spans.append(Placed(unit, certain, candidates))

    for day in lineage.days(row.valid_from, end):
        moved = _moved(parent, candidates, day, lineage)
        if moved == (parent, candidates):
            continue
        close(day - DAY)
        if moved is None:
            return spans
        start = day
        parent, candidates = moved
        if lineage.tree_on(day).takes_villages(parent):
            certain = parent
    close(end)
    return spans


def _moved(
    parent: str, candidates: tuple[str, ...], day: date, lineage: Lineage
) -> tuple[str, tuple[str, ...]] | None:
    """Parent and candidates from `day` on, given those of the day before.

    None when nothing is left that the village could lie in.
    """
    heirs: set[str] = set()
    rest = False
    for code in candidates:
        heirs.update([code] if lineage.goes_on(code, day) else lineage.next(code, day))
        rest = rest or lineage.leaves_a_rest(code, day)
    tree = lineage.tree_on(day)
    if heirs and not rest:
        common = tree.common(sorted(heirs))
    else:
        # It may lie in something that is not on record: only a unit above is certain.
        above = {unit.code for code in heirs for unit in tree.chain(code)[1:2]}
        former = lineage.tree_on(day - DAY).chain(parent)
        now = [lineage.next(unit.code, day) for unit in former if unit.code not in candidates]
        above.update(next((codes for codes in now if codes), ()))
        common = tree.common(sorted(above))
        heirs = {common} if common else set()
    return None if common is None else (common, tuple(sorted(heirs)))


def unplaced(
    villages: Mapping[str, Sequence[Registered]], lineage: Lineage, on: date
) -> list[Unplaced]:
    """Villages of a day that a person has to place, by code.

    Either the village lies in no commune, or its commune goes on but gave a part away while the
    village lay in it; a row of the register from that day, even for the same commune, settles it.
    """
    found = (_unplaced(rows, lineage, on) for _, rows in sorted(villages.items()))
    return [village for village in found if village is not None]


def _unplaced(rows: Sequence[Registered], lineage: Lineage, on: date) -> Unplaced | None:
    row = next((row for row in reversed(rows) if row.valid_from <= on), None)
    if row is None or (row.valid_to is not None and row.valid_to < on):
        return None
    since: date | None = None
    last = None
    for span in placed(rows, lineage):
        unit, parent = span.unit, span.unit.parent_code
        assert parent is not None
        if unit.valid_from > on:
            break
        last = span
        if lineage.tree_on(unit.valid_from).takes_villages(parent):
            since = None
        elif since is None:
            since = unit.valid_from
    assert last is not None
    certain, parent = last.commune_code, last.unit.parent_code
    assert parent is not None
    if last.unit.valid_to is not None and last.unit.valid_to < on:
        return Unplaced(row.code, row.name, certain, last.unit.valid_to + DAY, (), None)
    if since is None:
        return _divided(last.unit, parent, lineage, on)
    may = tuple(code for code in last.candidates if code != parent)
    return Unplaced(row.code, row.name, certain, since, may, parent)


def _divided(village: Unit, commune: str, lineage: Lineage, on: date) -> Unplaced | None:
    for day in lineage.days(village.valid_from, on):
        if lineage.goes_on(commune, day) and lineage.steps(commune, day):
            heirs = [heir.code for heir in lineage.successors(commune, day - DAY, on)]
            if len(heirs) > 1:
                return Unplaced(village.code, village.name, commune, day, tuple(heirs), commune)
    return None
