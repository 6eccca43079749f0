"""The units of one day as a tree, and what became of units from one day to another.

Pure. A unit is (code, valid_from), because a code can return under a new name: every question
about a code says the day on which it is meant.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from broadcast.areas.model import Level, Part

DAY = timedelta(days=1)


class Unit(NamedTuple):
    """One unit under one name and parent, from `valid_from` to `valid_to` (inclusive)."""

    code: str
    level: Level
    kind: str
    name: str
    parent_code: str | None
    valid_from: date
    valid_to: date | None

    @property
    def called(self) -> str:
        """Kind and name, where the name does not begin with the kind already.

        >>> Unit("51", Level.PROVINCE, "tỉnh", "Tỉnh Quảng Ngãi", None, date.min, None).called
        'Tỉnh Quảng Ngãi'
        """
        if not self.kind or self.name.lower().startswith(self.kind.lower()):
            return self.name
        return f"{self.kind} {self.name}"

    def exists(self, on: date) -> bool:
        """Tell whether the unit exists on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


class Step(NamedTuple):
    """Successor of one unit by one legal act on one day."""

    old_code: str
    new_code: str
    effective_on: date
    part: Part
    legal_act: str


class Successor(NamedTuple):
    """A unit in which another lives on, wholly or with a part of it."""

    code: str
    part: Part


class Tree:
    """The units of one day."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._units = {unit.code: unit for unit in units}
        self._children: dict[str, list[Unit]] = defaultdict(list)
        for unit in sorted(self._units.values()):
            if unit.parent_code is not None:
                self._children[unit.parent_code].append(unit)

    def __contains__(self, code: object) -> bool:
        return code in self._units

    def __getitem__(self, code: str) -> Unit:
        return self._units[code]

    def __iter__(self) -> Iterator[Unit]:
        return iter(self._units.values())

    def __len__(self) -> int:
        return len(self._units)

    def chain(self, code: str) -> list[Unit]:
        """The unit and all above it, upward; empty when it does not exist on this day.

        Rows that make a unit lie in itself end the chain where they close the circle.
        """
        chain: dict[str, Unit] = {}
        unit = self._units.get(code)
        while unit is not None and unit.code not in chain:
            chain[unit.code] = unit
            unit = self._units.get(unit.parent_code) if unit.parent_code else None
        return list(chain.values())

    def under(self, code: str, level: Level | None = None) -> list[Unit]:
        """All units below a unit, of one level or of any; nearest first, by code."""
        found: list[Unit] = []
        layer, seen = self._children.get(code, []), {code}
        while layer:
            found += [unit for unit in layer if level is None or unit.level is level]
            seen |= {unit.code for unit in layer}
            layer = [
                child
                for unit in layer
                for child in self._children.get(unit.code, ())
                if child.code not in seen
            ]
        return found

    def villages(self, code: str) -> list[str]:
        """Codes of the villages of a unit; of a village, itself."""
        if code in self and self[code].level is Level.VILLAGE:
            return [code]
        return [unit.code for unit in self.under(code, Level.VILLAGE)]

    def takes_villages(self, code: str) -> bool:
        """Tell whether villages lie directly in the unit.

        They lie in communes, and in a district that has none (Lý Sơn until 2025-06-30).
        """
        unit = self._units.get(code)
        if unit is None or unit.level is Level.COMMUNE:
            return unit is not None
        return unit.level is Level.DISTRICT and not self.under(code, Level.COMMUNE)

    def common(self, codes: Sequence[str]) -> str | None:
        """The smallest unit that holds all of these; None when nothing does.

        One code is its own answer.
        """
        chains = [[unit.code for unit in self.chain(code)] for code in codes]
        if not chains:
            return None
        return next((code for code in chains[0] if all(code in chain for chain in chains)), None)


class Lineage:
    """Units and their successors over all days on record.

    From one day to the next a unit

    1. goes on, also while it gives a part away: it is among its own successors;
    2. or ends with lineage rows: their new units succeed it;
    3. or ends without any while its code opens again at once (a new name or parent): it goes on;
    4. or ends for good: nothing succeeds it.
    """

    def __init__(self, units: Iterable[Unit], steps: Iterable[Step]) -> None:
        self._spans: dict[str, list[Unit]] = defaultdict(list)
        days = set()
        for unit in sorted(units, key=lambda unit: unit.valid_from):
            self._spans[unit.code].append(unit)
            if unit.valid_to is not None:
                days.add(unit.valid_to + DAY)
        self.first_day = min(
            (spans[0].valid_from for spans in self._spans.values()), default=date.min
        )
        """The first day that anything is on record of.

        Units of that day may be older: what is asked about earlier days is asked about this one.
        """
        self._out: dict[tuple[str, date], list[Step]] = defaultdict(list)
        self._in: dict[tuple[str, date], list[Step]] = defaultdict(list)
        for step in sorted(steps):
            self._out[step.old_code, step.effective_on].append(step)
            self._in[step.new_code, step.effective_on].append(step)
            days.add(step.effective_on)
        self._days = sorted(days)
        self.tree_on = lru_cache(maxsize=64)(self._tree_on)
        """Tree of one day; the newest 64 days asked for are kept."""

    def _tree_on(self, on: date) -> Tree:
        return Tree(unit for code in self._spans if (unit := self.unit(code, on)) is not None)

    def unit(self, code: str, on: date) -> Unit | None:
        """The unit that has this code on a day."""
        last = self.last(code, on)
        return last if last is not None and last.exists(on) else None

    def last(self, code: str, on: date) -> Unit | None:
        """The unit that has this code on a day, or had it last before."""
        spans = self._spans.get(code, [])
        index = bisect_right(spans, on, key=lambda unit: unit.valid_from)
        return spans[index - 1] if index else None

    def codes(self) -> list[str]:
        """All codes that any unit ever had."""
        return list(self._spans)

    def history(self, code: str) -> list[Unit]:
        """All units that ever had this code, oldest first."""
        return list(self._spans.get(code, ()))

    def acts(self, code: str) -> list[Step]:
        """All rows in which a unit with this code is the old or the new one, by day."""
        found = {
            step
            for steps in (*self._out.values(), *self._in.values())
            for step in steps
            if code in (step.old_code, step.new_code)
        }
        return sorted(found, key=lambda step: (step.effective_on, step))

    def days(self, after: date, until: date | None) -> list[date]:
        """Days later than `after`, up to `until`, on which some unit ended or gave a part away."""
        end = len(self._days) if until is None else bisect_right(self._days, until)
        return self._days[bisect_right(self._days, after) : end]

    def changes(self, after: date, until: date) -> list[date]:
        """Days later than `after`, up to `until`, on which the tree or the lineage changes."""
        begun = {unit.valid_from for spans in self._spans.values() for unit in spans}
        return sorted({*self.days(after, until), *(day for day in begun if after < day <= until)})

    def steps(self, code: str, day: date) -> list[Step]:
        """Successors, by the acts of a day, of a unit that existed the day before."""
        return list(self._out.get((code, day), ()))

    def goes_on(self, code: str, day: date) -> bool:
        """Tell whether the unit of the day before has not ended."""
        unit = self.unit(code, day)
        return unit is not None and unit.valid_from < day

    def is_same(self, code: str, meant_on: date, on: date) -> bool:
        """Tell whether a code names the same unit on both days, and no other went into it."""
        return [origin.code for origin in self.origins(code, on, meant_on)] == [code]

    def next(self, code: str, day: date) -> list[str]:
        """Codes of the units on `day` that the unit of the day before lives on in."""
        codes = [step.new_code for step in self._out.get((code, day), ())]
        unit = self.unit(code, day)
        if unit is not None and (unit.valid_from < day or not codes):
            codes.append(code)
        return sorted(set(codes))

    def leaves_a_rest(self, code: str, day: date) -> bool:
        """Tell whether the unit ended on `day` and it is not on record where all of it went.

        So it is when nothing succeeds it, or another unit took a part and nobody the rest. A lone
        part that goes to the unit's own code leaves no rest: the unit was not rearranged.
        """
        if self.goes_on(code, day):
            return False
        steps = self._out.get((code, day), ())
        if len(steps) == 1:
            return steps[0].part is Part.PART and steps[0].new_code != code
        return not self.next(code, day)

    def successors(self, code: str, from_on: date, on: date) -> list[Successor]:
        """Successors on `on` of the unit that had `code` on `from_on`, through all acts between.

        `whole` when it is all in one unit, however often it was divided on the way. Empty when it
        did not exist on `from_on` or nothing succeeds it; itself when nothing changed.
        """
        front = {code} if self.unit(code, from_on) is not None else set()
        complete = True
        for day in self.days(from_on, on):
            complete = complete and not any(self.leaves_a_rest(each, day) for each in front)
            front = {heir for each in front for heir in self.next(each, day)}
        part = Part.WHOLE if complete and len(front) == 1 else Part.PART
        return [Successor(each, part) for each in sorted(front)]

    def origins(self, code: str, on: date, from_on: date) -> list[Successor]:
        """Units of `from_on` that the unit which has `code` on `on` came from.

        The inverse of `successors`; `whole` for an origin that came with all it had.
        """
        front = {code} if self.unit(code, on) is not None else set()
        for day in reversed(self.days(from_on, on)):
            front = {old for each in front for old in self._previous(each, day)}
        return [
            Successor(old, heir.part)
            for old in sorted(front)
            if self.unit(old, from_on) is not None
            for heir in self.successors(old, from_on, on)
            if heir.code == code
        ]

    def _previous(self, code: str, day: date) -> set[str]:
        codes = {step.old_code for step in self._in.get((code, day), ())}
        if self.unit(code, day - DAY) is not None and code in self.next(code, day):
            codes.add(code)
        return codes

    def certain_chain(self, code: str, on: date) -> list[Unit]:
        """The units of a day in which a unit surely lies, upward; itself first while it exists.

        Of a unit that has ended: what all its successors have in common, or, when it has none,
        its former parent's. So a loudspeaker whose village was given up still hears its province.
        """
        tree = self.tree_on(on)
        if code in tree:
            return tree.chain(code)
        unit = self.last(code, on)
        ended_on = unit.valid_to if unit is not None else None
        while unit is not None and ended_on is not None:
            heirs = self.successors(unit.code, ended_on, on)
            if heirs:
                common = tree.common([heir.code for heir in heirs])
                return tree.chain(common) if common else []
            unit = self.unit(unit.parent_code, ended_on) if unit.parent_code else None
        return []
