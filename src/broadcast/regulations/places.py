"""Which Quy chế hold at clusters from day to day, and the hours that these come to.

The one place that is asked: checks of schedules, commands, and what devices are told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

from msgspec import structs

from broadcast.areas.standing import resolve_area
from broadcast.areas.tree import Lineage
from broadcast.calendars.days import Kind, Mark, Marks
from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import OFFSET
from broadcast.regulations import rules
from broadcast.regulations.rules import Limits, Provisions, Regulation, Weekend
from broadcast.wire import hours as rule
from broadcast.wire.documents import Hours, Quotas
from broadcast.wire.limits import MOST_DAYS, MOST_HOURS, MOST_QUOTAS
from broadcast.wire.quotas import Limits as QuotaLimits

DAY = timedelta(days=1)

NO_QUOTAS = QuotaLimits()

T = TypeVar("T")

OPENING = (Kind.WORKING, Kind.OPEN)
"""Marks by which a silent weekend sounds."""

Windows = tuple[Hours, ...]
Followed = Callable[[date], Awaitable[Mapping[int, Sequence[str]]]]
"""Codes of the areas that each cluster follows on a day (`stations.clusters.followed_areas`)."""


class PlaceRules:
    """The rules of clusters on days; each day is worked out once.

    Attributes:
        regulations: Those that have not been withdrawn, of whatever day.
    """

    def __init__(
        self,
        lineage: Lineage,
        regulations: Sequence[Regulation],
        marks: Marks,
        cluster_ids: Mapping[str, int],
        changes: Sequence[date],
        followed: Followed,
    ) -> None:
        """Rules of what was read in one transaction.

        Args:
            lineage: Of the units.
            regulations: Those that have not been withdrawn.
            marks: Days of calendars.
            cluster_ids: By code, of the clusters that regulations and marks name.
            changes: Days from which something about places is different, ascending.
            followed: What clusters follow.
        """
        self.regulations = regulations
        self._lineage = lineage
        self._marks = marks
        self._cluster_ids = cluster_ids
        self._changes = sorted({*changes, *(each.valid_from for each in regulations)})
        self._followed = followed
        self._of_days: dict[date, dict[int, frozenset[Provisions]]] = {}
        self._groups: dict[object, list[tuple[Windows, frozenset[int]]]] = {}
        self._silences: dict[object, list[tuple[Hours, frozenset[int]]]] = {}

    async def silencing(
        self,
        starts_at: datetime,
        seconds: float,
        clusters: frozenset[int],
        default: Windows,
    ) -> list[tuple[Hours, frozenset[int]]]:
        """Silent windows that a sound would reach into, and at which of some clusters.

        Args:
            starts_at: Start.
            seconds: How long it sounds.
            clusters: Where.
            default: Silent where no Quy chế speaks of silent hours.
        """
        if not self.regulations:
            window = rule.silent_window(default, OFFSET, starts_at, seconds)
            return [] if window is None else [(window, clusters)]
        local = starts_at.astimezone(LOCAL)
        on = local.date()
        first, last = on - DAY, on + DAY
        key: object = (on, local.time(), seconds, default)
        if self._is_plain(first, last):
            key = (self._as_of(first), on.weekday(), local.time(), seconds, default)
        if key not in self._silences:
            met = (
                (rule.silent_window(windows, OFFSET, starts_at, seconds), there)
                for windows, there in await self._grouped(first, last, default)
            )
            self._silences[key] = [(window, there) for window, there in met if window is not None]
        found = [(window, there & clusters) for window, there in self._silences[key]]
        known = await self._of_day(on)
        elsewhere = clusters - known.keys()
        window = rule.silent_window(default, OFFSET, starts_at, seconds)
        if window is not None and (elsewhere or not clusters):
            found.append((window, elsewhere))
        return [(window, there) for window, there in found if there or not clusters]

    @property
    def has_hours(self) -> bool:
        """Whether anything speaks of hours, beside the settings."""
        return bool(self.regulations or self._marks.with_hours)

    async def hours(
        self, clusters: Collection[int], first: date, last: date, default: Windows
    ) -> dict[int, Windows]:
        """Windows of clusters that open on some days, with the days on which they do.

        As many as a device takes: hours of exams, then silent ones of every week.
        """
        found = dict.fromkeys(clusters, default)
        if self.regulations:
            for windows, there in await self._grouped(first, last, default):
                found.update((each, windows[:MOST_HOURS]) for each in there & found.keys())
        for each, windows in (await self._exams(first, last)).items():
            if each in found:
                found[each] = (*windows, *found[each])[:MOST_HOURS]
        return found

    async def _exams(self, first: date, last: date) -> dict[int, Windows]:
        """Hours of exams on some days, by cluster."""
        found: defaultdict[int, Windows] = defaultdict(tuple)
        for mark in self._marks.with_hours:
            hours = mark.hours
            if hours is None or mark.last_on < first or mark.first_on > last:
                continue
            days = [
                mark.first_on,
                *(d for d in self._changes if mark.first_on < d <= mark.last_on),
            ]
            of_days = [self._marked(mark, day, await self._followed(day)) for day in days]
            for cluster in set().union(*of_days):
                there = [cluster in some for some in of_days]
                found[cluster] += tuple(
                    structs.replace(
                        hours, first_on=begin or hours.first_on, last_on=end or hours.last_on
                    )
                    for is_there, begin, end in _runs(days, there)
                    if is_there
                )
        return dict(found)

    async def quotas(
        self, clusters: Collection[int], first: date, last: date
    ) -> dict[int, tuple[Quotas, ...]]:
        """Quotas of those clusters that have some on some days, with the days of each.

        As many as a device takes. The first ones hold from ever, the last ones for ever.
        """
        if not self.regulations:
            return {}
        begins = [first, *(day for day in self._changes if first < day <= last)]
        course = [await self.limits(day) for day in begins]
        found = {}
        for cluster in clusters:
            of_days = [limits.get(cluster, Limits()).quotas for limits in course]
            spans = [
                Quotas(first_on=first_on, last_on=last_on, **quotas._asdict())
                for quotas, first_on, last_on in _runs(begins, of_days)
                if quotas != NO_QUOTAS
            ]
            if spans:
                found[cluster] = tuple(spans[:MOST_QUOTAS])
        return found

    async def limits(self, on: date) -> dict[int, Limits]:
        """Quotas of the clusters that have some on a day."""
        if not self.regulations:
            return {}
        known: dict[frozenset[Provisions], Limits] = {}
        found = {}
        for cluster, provisions in (await self._of_day(on)).items():
            if provisions not in known:
                known[provisions] = rules.limits(provisions)
            if known[provisions] != Limits():
                found[cluster] = known[provisions]
        return found

    def at(self, code: str, on: date) -> list[Regulation]:
        """Quy chế of a unit and of those above it that are in force on a day, nearest first."""
        return rules.in_force(each for each in self._covering(code, on, self._standing(on)))

    def _standing(self, on: date) -> dict[str, list[Regulation]]:
        """Regulations of whole units by the areas that they stand for on a day."""
        found: defaultdict[str, list[Regulation]] = defaultdict(list)
        for each in self.regulations:
            if each.valid_from <= on and not each.clusters:
                for code in resolve_area(self._lineage, each.area_code, each.valid_from, on):
                    found[code].append(each)
        return found

    def _covering(
        self, code: str, on: date, standing: Mapping[str, list[Regulation]]
    ) -> list[Regulation]:
        chain = self._lineage.tree_on(on).chain(code)
        return [each for unit in chain for each in standing.get(unit.code, ())]

    async def _of_day(self, on: date) -> dict[int, frozenset[Provisions]]:
        """Provisions of each cluster: a set for each of its villages."""
        on = self._as_of(on)
        if on in self._of_days:
            return self._of_days[on]
        standing, tree = self._standing(on), self._lineage.tree_on(on)
        single: defaultdict[int, list[Regulation]] = defaultdict(list)
        for each in self.regulations:
            if each.valid_from <= on:
                for code in each.clusters:
                    if code in self._cluster_ids:
                        single[self._cluster_ids[code]].append(each)
        known: dict[str, Provisions] = {}
        found: dict[int, frozenset[Provisions]] = {}
        for cluster, codes in (await self._followed(on)).items():
            above = {tree[code].parent_code for code in codes if code in tree}
            places = [code for code in codes if code not in above]
            if cluster in single:
                found[cluster] = frozenset(
                    _merged([*self._covering(code, on, standing), *single[cluster]])
                    for code in places
                )
                continue
            for code in places:
                if code not in known:
                    known[code] = _merged(self._covering(code, on, standing))
            found[cluster] = frozenset(known[code] for code in places)
        self._of_days[on] = found
        return found

    async def _grouped(
        self, first: date, last: date, default: Windows
    ) -> list[tuple[Windows, frozenset[int]]]:
        """Clusters by their windows on some days."""
        key: object = (first, last, default)
        if self._is_plain(first, last):
            key = (self._as_of(first), default)
        if key in self._groups:
            return self._groups[key]
        begins = [first, *(day for day in self._changes if first < day <= last)]
        of_days = [await self._of_day(day) for day in begins]
        courses: defaultdict[tuple[object, ...], set[int]] = defaultdict(set)
        excepted = await self._excepted(first, last)
        for cluster in set().union(*of_days):
            course = tuple(of_day.get(cluster, frozenset()) for of_day in of_days)
            courses[(course, excepted.get(cluster, ()))].add(cluster)
        self._groups[key] = [
            (tuple(_course(begins, course, default, days)), frozenset(there))  # type: ignore[arg-type]
            for (course, days), there in courses.items()
        ]
        return self._groups[key]

    async def _excepted(self, first: date, last: date) -> dict[int, tuple[date, ...]]:
        """Weekend days on which clusters sound all the same."""
        found: defaultdict[int, list[date]] = defaultdict(list)
        for day, marks in self._opened(first, last):
            followed = await self._followed(day)
            for cluster in set().union(*(self._marked(mark, day, followed) for mark in marks)):
                found[cluster].append(day)
        return {cluster: tuple(days[:MOST_DAYS]) for cluster, days in found.items()}

    def _marked(self, mark: Mark, on: date, followed: Mapping[int, Sequence[str]]) -> set[int]:
        if mark.area_code is None:
            return set(followed)
        if mark.clusters:
            return {self._cluster_ids[code] for code in mark.clusters if code in self._cluster_ids}
        codes = set(resolve_area(self._lineage, mark.area_code, mark.first_on, on))
        return {cluster for cluster, areas in followed.items() if not codes.isdisjoint(areas)}

    def _opened(self, first: date, last: date) -> list[tuple[date, list[Mark]]]:
        if not any(each.provisions.weekend is Weekend.SILENT for each in self.regulations):
            return []
        days = (first + number * DAY for number in range((last - first).days + 1))
        weekend = [day for day in days if day.isoweekday() in rules.WEEKEND]
        marked = ((d, [m for m in self._marks.on(d) if m.kind in OPENING]) for d in weekend)
        return [(day, marks) for day, marks in marked if marks]

    def _is_plain(self, first: date, last: date) -> bool:
        """Whether nothing about places changes on these days, and no weekend is excepted."""
        return self._as_of(first) == self._as_of(last) and not self._opened(first, last)

    def _as_of(self, on: date) -> date:
        """First day that was like this one."""
        index = bisect_right(self._changes, on)
        return self._changes[index - 1] if index else on


def _merged(regulations: Iterable[Regulation]) -> Provisions:
    return rules.merged(each.provisions for each in rules.in_force(regulations))


def _runs(begins: Sequence[date], course: Sequence[T]) -> list[tuple[T, date | None, date | None]]:
    """What holds of a course of values, each with its first and its last day.

    The first one holds from ever, the last one for ever.
    """
    runs: list[tuple[T, date | None]] = []
    for day, value in zip(begins, course, strict=True):
        if not runs or runs[-1][0] != value:
            runs.append((value, day if runs else None))
    ends = [day - DAY for _, day in runs[1:] if day is not None]
    return [(*run, last_on) for run, last_on in zip(runs, [*ends, None], strict=True)]


def _course(
    begins: Sequence[date],
    course: Sequence[frozenset[Provisions]],
    default: Windows,
    excepted: Sequence[date],
) -> list[Hours]:
    """Windows of a place whose provisions change on some days.

    The first ones hold from ever, the last ones for ever.
    """
    found: list[Hours] = []
    for provisions, first_on, last_on in _runs(begins, course):
        held = sorted(provisions or {Provisions()}, key=repr)
        found += rules.hours(held, default, first_on, last_on, excepted)
    return sorted(found, key=lambda window: window.volume is not None)
