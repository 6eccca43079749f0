"""Targets of a schedule → the documents that carry it on a day, and the clusters that hear it.

The one place where targets are resolved: checks, occurrences and the ledger all ask here.

A target follows its villages, not a dead code (docs/decisions/0004): a unit that has ended or
grown since it was named stands for the villages it had, wherever they lie now, and never for the
larger unit that took them in.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import chain, pairwise
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, AreaLineage, Topology
from broadcast.areas.standing import resolve_area
from broadcast.areas.topology import TOUCHED
from broadcast.areas.tree import Lineage
from broadcast.areas.units import load_lineage, require_unit
from broadcast.calendars import marking
from broadcast.calendars.days import Mark, Marks, Silence, silences
from broadcast.devices.model import Device, Installation
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.regulations import entering
from broadcast.regulations.model import RegulationRow
from broadcast.regulations.places import PlaceRules, Windows
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule
from broadcast.schedules.recurrence import Planned
from broadcast.schedules.starts import SLACK
from broadcast.stations.clusters import clusters_serving, followed_areas, stands_on
from broadcast.stations.model import Cluster, ClusterVillage, Evidence
from broadcast.web.rest import LIMITED

Targets = Sequence[Mapping[str, Any]]
"""`{"area": code}` or `{"cluster": code}`, united."""


NOWHERE: Mapping[int, Silence] = MappingProxyType({})


class Resolved(NamedTuple):
    """Documents and clusters that the targets of a schedule reach on one day."""

    scopes: list[str]
    """Documents: `area/{code}`, or `device/{device_id}` for a single cluster; sorted."""
    cluster_ids: frozenset[int]
    """Clusters with telemetry that are to sound."""
    silent: Mapping[int, Silence] = NOWHERE
    """Clusters that would sound, were it not for a calendar."""
    is_off: bool = False
    """It does not sound at all on this day of a calendar."""

    @property
    def silenced(self) -> Silence | None:
        """Why it sounds nowhere, where a calendar keeps it silent at all of its clusters."""
        if self.is_off:
            return Silence.OTHER_DAY
        if self.cluster_ids or not self.silent:
            return None
        return min(self.silent.values(), key=[*Silence].index)

    def digest(self) -> str:
        """Equal for what reaches the same clusters by the same documents."""
        known = (self.scopes, sorted(self.cluster_ids))
        whole = repr((*known, sorted(self.silent.items())) if self.silent else known)
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


async def check(session: AsyncSession, targets: Targets, on: date) -> None:
    """Refuse targets that name what is not there.

    Raises:
        InvalidInput: A unit does not exist on that day (says what replaced it), or a cluster is
            unknown or gone; `field` tells which target.
    """
    for index, target in enumerate(targets):
        if "area" in target:
            await require_unit(session, f"targets.{index}.area", target["area"], on)
            continue
        code = target["cluster"]
        cluster = await session.scalar(
            sa.select(Cluster).where(Cluster.code == code, stands_on(on))
        )
        if cluster is None:
            raise InvalidInput(
                f"targets.{index}.cluster",
                f"không có cụm loa “{code}” vào ngày {on}; kiểm tra lại mã",
            )
        if cluster.evidence is not Evidence.TELEMETRY:
            raise InvalidInput(
                f"targets.{index}.cluster",
                f"cụm loa “{code}” không nhận lịch qua mạng (evidence={cluster.evidence.value})",
            )


async def target_resolver(
    session: AsyncSession, kept: TargetResolver | None = None
) -> TargetResolver:
    """Return the resolver of this session, read anew once the topology is touched.

    Args:
        session: Open transaction.
        kept: One of an earlier transaction, used again if the topology is still the same.
    """
    revision = await session.scalar(sa.select(Topology.revision))
    known: TargetResolver | None = session.info.get(TargetResolver, kept)
    if known is None or known.revision != revision:
        lineage, changes = await load_lineage(session), await _days_of_change(session)
        marks = await marking.load(session)
        known = TargetResolver(session, revision, lineage, changes, marks)
        known.rules = await entering.place_rules(
            session, lineage, marks, marks.clusters, changes, known.followed
        )
    known.session = session
    session.info[TargetResolver] = known
    return known


async def resolve_targets(
    session: AsyncSession, resolver: TargetResolver, occurrences: Iterable[Occurrence]
) -> dict[UUID, Resolved]:
    """Return what stored occurrences reach by the present targets of their schedules.

    Args:
        session: Transaction that holds the occurrences. Only now are their schedules read: one
            that was read together with them may be older than they.
        resolver: Of this transaction.
        occurrences: Each resolved on its local day; those that are cancelled reach nothing, and
            tell only where a calendar did it; alerts still reach where devices were told of them.
    """
    due = [
        each
        for each in occurrences
        if each.state is OccurrenceState.PLANNED
        or each.cancel_reason in SILENCES
        or (each.alert_mode is not None and each.carried_scopes)
    ]
    ids = {each.schedule_id for each in due}
    statement = sa.select(Schedule).where(Schedule.id.in_(ids))
    fresh = statement.execution_options(populate_existing=True)
    schedules = {each.id: each for each in await session.scalars(fresh)}
    return {
        each.id: await resolver.reach_at(
            schedules[each.schedule_id],
            Planned(each.recurrence_at, each.starts_at),
            None if each.alert_mode is not None else seconds_of(each),
        )
        for each in due
    }


def seconds_of(row: Occurrence) -> float:
    """Length of an occurrence's sound, as planned."""
    if row.relay_seconds is not None:
        return float(row.relay_seconds)
    late = timedelta(seconds=row.late_limit_seconds)
    return max((row.ends_by - row.starts_at - late - SLACK).total_seconds(), 0.0)


SILENCES = frozenset(Silence)
"""Reasons of occurrences that a calendar or a Quy chế has cancelled."""


class _Day(NamedTuple):
    """Clusters by area, clusters by code and devices by cluster on one day."""

    serving: dict[str, set[int]]
    clusters: dict[str, int]
    devices: dict[int, str]


class Days:
    """The last days that transactions of one process have read, as long as the topology is so.

    In a province of 5,000 clusters one takes a quarter of a second to read: who authorises an
    alert must not wait for it.
    """

    MOST = 4

    def __init__(self) -> None:
        self._revision: int | None = None
        self._days: dict[date, _Day] = {}

    def get(self, revision: int | None, on: date) -> _Day | None:
        """A day that was read at a revision of the topology."""
        return self._days.get(on) if revision == self._revision else None

    def put(self, revision: int | None, on: date, day: _Day) -> None:
        """Keep a day, whole as it was committed."""
        if revision != self._revision or len(self._days) >= self.MOST:
            self._days.clear()
        self._revision = revision
        self._days[on] = day


KEPT = "targets.days"
"""Key of `session.info`: `Days` of this process."""


class TargetResolver:
    """Resolves targets by units, clusters and devices of a day; each day is read once.

    Attributes:
        revision: Of the topology it was read from.
        session: For days that have not been read yet.
        rules: Of Quy chế, at its clusters.
    """

    def __init__(
        self,
        session: AsyncSession,
        revision: int | None,
        lineage: Lineage,
        changes: Sequence[date],
        marks: Marks | None = None,
    ) -> None:
        self.revision = revision
        self.session = session
        self._lineage = lineage
        self._changes = changes
        self._marks = marks or Marks([])
        self.rules = PlaceRules(lineage, [], self._marks, {}, changes, self.followed)
        self._days: dict[date, _Day] = {}
        self._covers: dict[tuple[Mark, date], frozenset[int]] = {}
        self._follows: dict[date, Mapping[int, Sequence[str]]] = {}
        self._known: dict[tuple[str, date, date], Resolved] = {}

    async def resolve(self, targets: Targets, targets_on: date, on: date) -> Resolved:
        """Return what targets reach on a day.

        Args:
            targets: Areas and clusters, united.
            targets_on: Day under whose units the area targets were meant.
            on: Local day of the occurrence.
        """
        key = (repr(targets), self._as_of(targets_on), self._as_of(on))
        if key not in self._known:
            self._known[key] = await self._resolve(targets, *key[1:])
        return self._known[key]

    async def reach(self, schedule: Schedule, on: date) -> Resolved:
        """Return what a schedule can reach on a local day, whatever the calendars say."""
        return await self.resolve(schedule.targets, schedule.targets_on, on)

    async def followed(self, on: date) -> Mapping[int, Sequence[str]]:
        """Return the areas that each cluster follows on a day, the nearest first."""
        on = self._as_of(on)
        if on not in self._follows:
            self._follows[on] = await followed_areas(self.session, on)
        return self._follows[on]

    async def reach_at(
        self,
        schedule: Schedule,
        planned: Planned,
        seconds: float | None,
        default: Windows = (),
    ) -> Resolved:
        """Return what one start reaches, and where a calendar or a Quy chế keeps it silent.

        Args:
            schedule: What starts.
            planned: When.
            seconds: How long it sounds; None of an alert, which no hours silence.
            default: Silent where no Quy chế speaks of silent hours; those of a schedule were asked
                when it was made.
        """
        on = planned.starts_at.astimezone(LOCAL).date()
        reached = await self.reach(schedule, on)
        marks, policy = self._marks.at(planned.starts_at, seconds), schedule.policy()
        ruled = frozenset[int]()
        if seconds is not None and (self.rules.regulations or default):
            found = await self.rules.silencing(
                planned.starts_at, seconds, reached.cluster_ids, default
            )
            ruled = ruled.union(*(there for _, there in found))
        if not marks and not policy.only_on and not ruled:
            return reached
        day = await self._day(on)
        is_moved = planned.starts_at != planned.recurrence_at
        silent = dict(
            silences(
                policy,
                marks,
                lambda mark: self._covered(mark, on, day),
                reached.cluster_ids,
                by_hand=is_moved
                or (not schedule.of_session and planned.recurrence_at in schedule.dates),
            )
        )
        for each in ruled:
            silent.setdefault(each, Silence.REGULATION)
        if not silent:
            return reached
        told = {each: why for each, why in silent.items() if why is not Silence.OTHER_DAY}
        sounding = reached.cluster_ids - silent.keys()
        if not sounding:
            # What is cancelled is found, by people, where it would have sounded.
            return Resolved(reached.scopes, sounding, told, is_off=not told)
        scopes = self._without(reached.scopes, frozenset(silent), on, day)
        return Resolved(scopes, sounding, told)

    def _covered(self, mark: Mark, on: date, day: _Day) -> frozenset[int]:
        """Clusters of a day that a mark is for."""
        key = (mark, self._as_of(on))
        if key not in self._covers:
            if mark.area_code is None:
                found: Iterable[int] = day.clusters.values()
            elif mark.clusters:
                found = (day.clusters[code] for code in mark.clusters if code in day.clusters)
            else:
                areas = resolve_area(self._lineage, mark.area_code, mark.first_on, on)
                found = chain.from_iterable(day.serving.get(code, ()) for code in areas)
            self._covers[key] = frozenset(found)
        return self._covers[key]

    def _without(
        self, scopes: Iterable[str], silent: frozenset[int], on: date, day: _Day
    ) -> list[str]:
        """Documents that reach the same clusters but for these: of fewer areas, or of devices."""
        tree = self._lineage.tree_on(on)
        at = {device: cluster for cluster, device in day.devices.items()}
        found: set[str] = set()

        def take(code: str) -> None:
            serving = day.serving.get(code, set())
            if serving.isdisjoint(silent):
                found.add(f"area/{code}")
                return
            if serving <= silent:
                return
            inside = [unit.code for unit in tree.under(code) if unit.parent_code == code]
            for each in inside:
                take(each)
            if not inside:
                devices = (day.devices.get(cluster) for cluster in serving - silent)
                found.update(f"device/{device}" for device in devices if device)

        for scope in scopes:
            family, _, name = scope.partition("/")
            if family == "area":
                take(name)
            elif at.get(name) not in silent:
                found.add(scope)
        return sorted(found)

    async def villages(
        self, targets: Targets, targets_on: date, on: date
    ) -> dict[str, frozenset[int]]:
        """Return the villages that area targets hold on a day, with the clusters that serve each.

        Those of a target that named no village are under its own code.
        """
        day, tree = await self._day(on), self._lineage.tree_on(on)
        codes = {
            village
            for target in targets
            if "area" in target
            for area in resolve_area(self._lineage, target["area"], targets_on, on)
            for village in tree.villages(area) or [area]
        }
        return {code: frozenset(day.serving.get(code, ())) for code in sorted(codes)}

    async def clusters_of(self, scopes: Iterable[str], on: date) -> frozenset[int]:
        """Return the clusters that documents of these scopes reach on a day."""
        day = await self._day(on)
        at = {device: cluster for cluster, device in day.devices.items()}
        found: set[int] = set()
        for scope in scopes:
            family, _, name = scope.partition("/")
            if family == "area":
                found |= day.serving.get(name, set())
            elif name in at:
                found.add(at[name])
        return frozenset(found)

    def name(self, code: str, on: date) -> str:
        """Return a unit as people call it."""
        unit = self._lineage.last(code, on)
        return code if unit is None else unit.name

    async def equipped(self, cluster_ids: frozenset[int], on: date) -> frozenset[int]:
        """Return those of these clusters that have a device on a day."""
        return cluster_ids & (await self._day(on)).devices.keys()

    def days_of_change(self, first: date, last: date) -> list[date]:
        """The first day and those up to the last from which something is different."""
        changes = self._changes[bisect_right(self._changes, first) :]
        return [first, *(day for day in changes if day <= last)]

    def periods(self, first_on: date) -> Iterator[tuple[date, date]]:
        """Begin and end (not included) of spans of days that are alike, from a day on."""
        later = self._changes[bisect_right(self._changes, first_on) :]
        return pairwise([first_on, *later, date.max])

    def _as_of(self, on: date) -> date:
        """First day that was like this one."""
        index = bisect_right(self._changes, on)
        return self._changes[index - 1] if index else on

    async def _resolve(self, targets: Targets, targets_on: date, on: date) -> Resolved:
        day = await self._day(on)
        areas = {
            code
            for target in targets
            if "area" in target
            for code in resolve_area(self._lineage, target["area"], targets_on, on)
        }
        single = {
            day.clusters[target["cluster"]]
            for target in targets
            if target.get("cluster") in day.clusters
        }
        devices = {day.devices[each] for each in single if each in day.devices}
        return Resolved(
            scopes=sorted({f"area/{code}" for code in areas} | {f"device/{d}" for d in devices}),
            cluster_ids=frozenset(single.union(*(day.serving[code] for code in areas))),
        )

    async def _day(self, on: date) -> _Day:
        on = self._as_of(on)
        if on not in self._days:
            self._days[on] = await self._read_day(on)
        return self._days[on]

    async def _read_day(self, on: date) -> _Day:
        info = self.session.info
        kept: Days | None = info.get(KEPT)
        if kept is None or info.get(LIMITED) is not None or TOUCHED in info:
            return await self._load_day(on)
        day = kept.get(self.revision, on)
        if day is None:
            day = await self._load_day(on)
            kept.put(self.revision, on, day)
        return day

    async def _load_day(self, on: date) -> _Day:
        rows = await self.session.execute(
            sa.select(Cluster.code, Cluster.id).where(
                Cluster.evidence == Evidence.TELEMETRY, stands_on(on)
            )
        )
        # As of the end of the day: a device that is swapped in today gets its document today.
        # By columns, because ten thousand objects take a third of a second.
        end = datetime.combine(on, time.max, LOCAL)
        devices = await self.session.execute(
            sa.select(Installation.cluster_id, Device.code)
            .join(Device, Device.id == Installation.device_id)
            .where(
                Installation.installed_at <= end,
                sa.or_(Installation.removed_at.is_(None), Installation.removed_at > end),
            )
        )
        codes: Collection[str] = [unit.code for unit in self._lineage.tree_on(on)]
        return _Day(
            serving=await clusters_serving(self.session, codes, on),
            clusters=dict(rows.all()),
            devices=dict(devices.all()),
        )


async def _days_of_change(session: AsyncSession) -> list[date]:
    """Days from which something about areas, clusters or devices is different, ascending."""

    def local(at: sa.orm.InstrumentedAttribute[Any]) -> sa.ColumnElement[date]:
        return sa.cast(sa.func.timezone(LOCAL.key, at), sa.Date)

    columns: list[sa.ColumnElement[Any]] = [
        Area.valid_from.expression,
        Area.valid_to + 1,
        AreaLineage.effective_on.expression,
        Cluster.installed_on.expression,
        Cluster.removed_on.expression,
        ClusterVillage.valid_from.expression,
        ClusterVillage.valid_to + 1,
        local(Installation.installed_at),
        local(Installation.removed_at),
        RegulationRow.valid_from.expression,
    ]
    found = await session.scalars(sa.union(*(sa.select(column) for column in columns)))
    return sorted(day for day in found if day is not None)
