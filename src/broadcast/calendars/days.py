"""Days that are marked in a calendar, and where they keep a schedule silent. Pure.

An exam may be marked for hours of its days; all else is of whole days (docs/decisions/0078).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timezone
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from broadcast.calendars import law
from broadcast.kit.quiet import OFFSET
from broadcast.wire.documents import Hours
from broadcast.wire.hours import silent_window

HOLIDAY = "holiday"
"""What a schedule follows beside the calendars of its own province or commune, named by them."""


class Kind(StrEnum):
    """What a marked day is."""

    HOLIDAY = "holiday"
    """A day off, beside those of the law."""
    WORKING = "working"
    """A working day in spite of the law: worked in lieu, or off on another day."""
    MOURNING = "mourning"
    """No music: nothing sounds but what is spoken word."""
    EXAM = "exam"
    """Quiet near schools."""
    OPEN = "open"
    """Sounds although it is a weekend that a Quy chế keeps silent; the document says why."""
    OWN = "own"
    """Days of a calendar that schedules name: a market, a festival."""


class Silence(StrEnum):
    """Why a calendar or a Quy chế keeps a schedule silent, in the order in which they are told."""

    MOURNING = "mourning"
    EXAM = "exam"
    REGULATION = "regulation"
    """Hours or weekends of a Quy chế (`regulations.places`)."""
    HOLIDAY = "holiday"
    OWN_CALENDAR = "own_calendar"
    OTHER_DAY = "other_day"
    """It sounds on days of a calendar only, and this is none."""


class Mark(NamedTuple):
    """A span of days that a calendar marks."""

    kind: Kind
    name: str
    first_on: date
    last_on: date
    area_code: str | None
    """Unit, as it was on the first day; None is the whole country."""
    clusters: tuple[str, ...] = ()
    """Codes of the clusters that it is for; none: all of the unit."""
    id: int | None = None
    """None of a day of the law."""
    is_assumed: bool = False
    """A day that the law leaves to a decision of the year."""
    from_time: str | None = None
    """Begin (HH:MM) of the hours that are meant of each day; None is the whole day."""
    until_time: str | None = None
    """Their end, later on the same day."""

    @property
    def hours(self) -> Hours | None:
        """The window that it opens on its days; None of whole days."""
        if self.from_time is None or self.until_time is None:
            return None
        return Hours(
            from_=self.from_time,
            until=self.until_time,
            first_on=self.first_on,
            last_on=self.last_on,
        )


class Policy(NamedTuple):
    """How a schedule heeds calendars."""

    is_emergency: bool = False
    is_speech: bool = False
    """Spoken word, without music or signature tune: it sounds on days of mourning, too."""
    except_on: tuple[str, ...] = ()
    only_on: tuple[str, ...] = ()
    """`HOLIDAY`, or names of calendars (`Kind.OWN`)."""


class Marks:
    """The marked days of some places, with those of the law."""

    def __init__(self, entered: Iterable[Mark]) -> None:
        self._entered = sorted(entered, key=lambda each: (each.first_on, each.id or 0))
        self._with_hours = [each for each in self._entered if each.hours is not None]
        self._days: dict[date, tuple[Mark, ...]] = {}

    @property
    def clusters(self) -> set[str]:
        """Codes of the clusters that marks name."""
        return {code for each in self._entered for code in each.clusters}

    @property
    def with_hours(self) -> Sequence[Mark]:
        """Marks that are for hours of their days."""
        return self._with_hours

    def at(self, starts_at: datetime, seconds: float | None) -> tuple[Mark, ...]:
        """What marks the day of a sound, without hours that it does not reach into.

        Args:
            starts_at: Start.
            seconds: How long it sounds; None of what no hours silence.
        """
        day = starts_at.astimezone(timezone(OFFSET)).date()
        if not self._with_hours:
            return self.on(day)
        whole = tuple(each for each in self.on(day) if each.hours is None)
        if seconds is None:
            return whole
        met = (
            each
            for each in self._with_hours
            if each.hours and silent_window([each.hours], OFFSET, starts_at, seconds)
        )
        return (*whole, *met)

    def on(self, day: date) -> tuple[Mark, ...]:
        """What marks a day: the law first."""
        if day not in self._days:
            entered = (m for m in self._entered if m.first_on <= day <= m.last_on)
            self._days[day] = (*_of_law(day), *entered)
        return self._days[day]


@lru_cache(maxsize=8192)
def _of_law(day: date) -> tuple[Mark, ...]:
    return tuple(
        Mark(Kind.HOLIDAY, each.name, day, day, None, is_assumed=each.is_assumed)
        for each in law.holidays(day.year)
        if each.day == day
    )


def silences(
    policy: Policy,
    marks: Sequence[Mark],
    covered: Callable[[Mark], frozenset[int]],
    clusters: frozenset[int],
    *,
    by_hand: bool,
) -> Mapping[int, Silence]:
    """At which of its clusters a schedule is silent on a day, and why.

    Args:
        policy: Of the schedule.
        marks: Of the day; those of hours hold for whatever is planned, as quiet hours do.
        covered: Clusters that a mark is for.
        clusters: Those that the schedule reaches.
        by_hand: A person has named this day for it; that overrules what the schedule follows,
            not mourning and exams.
    """
    found: dict[int, Silence] = {}

    def silence(where: frozenset[int], why: Silence) -> None:
        found.update((each, why) for each in where & clusters if each not in found)

    def marked(*kinds: Kind) -> frozenset[int]:
        return frozenset().union(*(covered(each) for each in marks if each.kind in kinds))

    def followed(name: str) -> frozenset[int]:
        if name == HOLIDAY:
            return marked(Kind.HOLIDAY) - marked(Kind.WORKING)
        own = (each for each in marks if each.kind is Kind.OWN and each.name == name)
        return frozenset().union(*map(covered, own))

    if not policy.is_emergency:
        if not policy.is_speech:
            silence(marked(Kind.MOURNING), Silence.MOURNING)
        silence(marked(Kind.EXAM), Silence.EXAM)
    of_hours = (covered(each) for each in marks if each.hours is not None)
    silence(frozenset().union(*of_hours), Silence.EXAM)
    if not by_hand:
        for name in policy.except_on:
            silence(followed(name), Silence.HOLIDAY if name == HOLIDAY else Silence.OWN_CALENDAR)
        if policy.only_on:
            on = frozenset().union(*map(followed, policy.only_on))
            silence(clusters - on, Silence.OTHER_DAY)
    return found
