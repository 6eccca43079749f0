"""The starts of one schedule laid out by months. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from enum import StrEnum
from typing import NamedTuple

from broadcast.console.timetable import DAY
from broadcast.kit.clock import LOCAL
from broadcast.schedules.coming import Start

COUNT = 3
"""Months that are shown at once."""


class Fate(StrEnum):
    """What becomes of a start, as far as it is known now."""

    SOUNDS = "sounds"
    ADDED = "added"
    """It sounds because a person has named it."""
    MOVED = "moved"
    PARTLY = "partly"
    """It is silent at some of its clusters."""
    SILENT = "silent"
    LEFT_OUT = "out"


def fate_of(start: Start) -> Fate:
    """What becomes of a start."""
    if start.starts_at is None:
        return Fate.LEFT_OUT
    if start.silent is not None:
        return Fate.PARTLY if start.cluster_count else Fate.SILENT
    if start.starts_at != start.recurrence_at:
        return Fate.MOVED
    return Fate.ADDED if start.is_added else Fate.SOUNDS


class Entry(NamedTuple):
    """One start on the day on which it sounds, or would."""

    at: datetime
    fate: Fate
    start: Start

    @property
    def day(self) -> date:
        """Local day on which it sounds, or would."""
        return self.at.astimezone(LOCAL).date()

    @property
    def why(self) -> str:
        """What becomes of it, or the reason of a calendar that keeps it silent."""
        return self.fate if self.start.silent is None else self.start.silent


class Cell(NamedTuple):
    """One day of a month."""

    day: date
    entries: list[Entry]


class Month(NamedTuple):
    """Whole weeks, with None for days of other months."""

    first: date
    weeks: list[list[Cell | None]]

    @property
    def entries(self) -> list[Entry]:
        """Its starts, by time."""
        cells = [cell for week in self.weeks for cell in week if cell is not None]
        return [each for cell in cells for each in cell.entries]

    @property
    def sounding(self) -> list[Entry]:
        """Starts that sound, if only at some clusters."""
        return [each for each in self.entries if each.fate not in {Fate.LEFT_OUT, Fate.SILENT}]

    @property
    def others(self) -> dict[str, list[Entry]]:
        """Starts that are not just as the rule has them, by what is said of them."""
        found: dict[str, list[Entry]] = {}
        for each in self.entries:
            if each.fate is not Fate.SOUNDS:
                found.setdefault(each.why, []).append(each)
        return found


def span(first: date, count: int = COUNT) -> tuple[datetime, datetime]:
    """Begin and end of some months from the one that a day lies in."""
    last = first.replace(day=1)
    for _ in range(count):
        last = after(last)
    return _midnight(first.replace(day=1)), _midnight(last)


def after(first: date) -> date:
    """First day of the next month."""
    return (first.replace(day=1) + 32 * DAY).replace(day=1)


def before(first: date) -> date:
    """First day of the month before."""
    return (first.replace(day=1) - DAY).replace(day=1)


def months(first: date, starts: Iterable[Start], count: int = COUNT) -> list[Month]:
    """Months from the one that a day lies in, with the starts on their days."""
    by_day: dict[date, list[Entry]] = {}
    for each in starts:
        entry = Entry(each.starts_at or each.recurrence_at, fate_of(each), each)
        by_day.setdefault(entry.day, []).append(entry)
    found = []
    begin = first.replace(day=1)
    for _ in range(count):
        end = after(begin)
        cells: list[Cell | None] = [None] * begin.weekday()
        for number in range((end - begin).days):
            day = begin + number * DAY
            cells.append(Cell(day, sorted(by_day.get(day, []), key=lambda entry: entry.at)))
        cells += [None] * (-len(cells) % 7)
        found.append(Month(begin, [cells[at : at + 7] for at in range(0, len(cells), 7)]))
        begin = end
    return found


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LOCAL)
