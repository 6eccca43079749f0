"""A line over time as points of an SVG, drawn by the server: with a table beside it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 28
"""Margins, in units of the picture."""


class Mark(NamedTuple):
    """A point, or a day that is marked."""

    x: float
    y: float
    on: date


class Chart(NamedTuple):
    """What the template draws."""

    lines: Sequence[str]
    """Points of each unbroken stretch, as `polyline` takes them."""
    points: Sequence[Mark]
    targets: Sequence[str]
    """The same of what was aimed at."""
    breaks: Sequence[float]
    """Places of the days on which units changed."""
    grid: Sequence[tuple[float, int]]
    """Height and per cent of each line of the grid."""


def draw(
    values: Sequence[tuple[date, float | None]],
    targets: Sequence[tuple[date, float | None]],
    breaks: Sequence[date],
) -> Chart:
    """Lay out values of 0–1 over their days; a day without one interrupts the line.

    A break interrupts it too: before and after it something else is counted.

    >>> chart = draw([(date(2025, 6, 30), .5), (date(2025, 7, 31), 1.0)], [], [date(2025, 7, 1)])
    >>> len(chart.lines), [round(mark.y) for mark in chart.points]
    (2, [112, 12])
    """
    first = values[0][0] if values else date.min
    days = max(1, (values[-1][0] - first).days) if values else 1

    def x(on: date) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (on - first).days / days, 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value), 1)

    def lines(of: Sequence[tuple[date, float | None]], cut: Sequence[date]) -> list[str]:
        stretches: list[list[str]] = [[]]
        before: date | None = None
        for on, value in of:
            is_cut = before is not None and any(before < day <= on for day in cut)
            if value is None or is_cut:
                stretches.append([])
            if value is not None:
                stretches[-1].append(f"{x(on)},{y(value)}")
            before = on
        return [" ".join(each) for each in stretches if each]

    return Chart(
        lines(values, breaks),
        [Mark(x(on), y(value), on) for on, value in values if value is not None],
        lines(targets, ()),
        [x(day) for day in breaks],
        [(y(tenths / 100), tenths) for tenths in (0, 25, 50, 75, 100)],
    )
