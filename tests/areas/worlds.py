"""Invented provinces, in which every day brings other mergers."""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

from hypothesis import strategies as st

from broadcast.areas.model import Level, Part
from broadcast.areas.tree import DAY, Step, Unit

BEGIN = date(2020, 1, 1)


class World(NamedTuple):
    units: list[Unit]
    steps: list[Step]
    days: list[date]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A province of communes that acts keep, unite, divide, rename, trim or dissolve."""
    units = {("51", BEGIN): Unit("51", Level.PROVINCE, "tỉnh", "Tỉnh", None, BEGIN, None)}
    steps: list[Step] = []
    alive = {f"{number:05d}": BEGIN for number in range(draw(st.integers(1, 6)))}
    for code in alive:
        units[code, BEGIN] = Unit(code, Level.COMMUNE, "xã", code, "51", BEGIN, None)
    day = BEGIN
    days = [day]
    for act in range(draw(st.integers(0, 3))):
        day += timedelta(days=draw(st.integers(1, 3)))
        days.append(day)
        # What continues is a target for parts; what ends opens again or goes elsewhere.
        ending = sorted(code for code in alive if draw(st.booleans()))
        staying = sorted(alive.keys() - set(ending))
        fresh = [f"{50_000 + 10 * act + number:05d}" for number in range(2)]
        opened = sorted(
            set(draw(st.lists(st.sampled_from([*ending, *fresh]), max_size=3)) if ending else [])
        )
        targets = [*staying, *opened]
        for code in ending:
            start = alive.pop(code)
            units[code, start] = units[code, start]._replace(valid_to=day - DAY)
            if not targets:
                continue
            heirs = sorted(draw(st.sets(st.sampled_from(targets), max_size=2)))
            part = Part.WHOLE if len(heirs) == 1 and draw(st.booleans()) else Part.PART
            steps += [Step(code, heir, day, part, "NQ") for heir in heirs]
        for code in staying:
            if len(targets) > 1 and draw(st.booleans()):
                heir = draw(st.sampled_from([each for each in targets if each != code]))
                steps.append(Step(code, heir, day, Part.PART, "NQ"))
        for code in opened:
            alive[code] = day
            units[code, day] = Unit(code, Level.COMMUNE, "xã", f"{code} {day}", "51", day, None)
    return World(list(units.values()), steps, [*days, day + DAY])
