"""A commune to which anything may happen that changes a figure of a past day, in any order.

`HAPPENINGS` draws them, `Happenings` lets them happen and holds what the server answers in between
against the raw rows.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import sqlalchemy as sa
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import records
from broadcast.areas.model import Area, Level
from broadcast.areas.tree import Unit
from broadcast.areas.units import COLUMNS
from broadcast.config import Rules
from broadcast.devices.model import Installation
from broadcast.indicators import rollup
from broadcast.indicators.definitions import OPERATING_RULES, OperatingRule
from broadcast.indicators.figures import Cache, load_province, load_raw_province
from broadcast.indicators.model import ClusterDay, RolledUpDay
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.kit.sheets import Report
from broadcast.plays.model import Play, PlayState
from broadcast.schedules.model import Occurrence
from broadcast.stations.model import (
    Attestation,
    Cluster,
    ClusterVillage,
    Grade,
    Outage,
    OutageKind,
)
from broadcast.telemetry import heartbeats
from broadcast.telemetry.arrival import Arrival
from broadcast.wire.events import Clock, Heartbeat
from tests.callers import LAN
from tests.devices.fleet import record_all
from tests.plays.world import COMMUNE, PROVINCE, make

T = TypeVar("T")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
RULE = replace(
    OPERATING_RULES[0],
    window_days=4,
    broadcast_hours=((time(5), time(5, 10)), (time(23, 55), time(0, 5))),
    play_within_days=2,
)
OTHER_HOURS = replace(RULE, broadcast_hours=((time(5, 3), time(5, 30)),))
FIRST, TODAY = date(2025, 6, 28), date(2025, 7, 3)
DAYS = [FIRST + offset * DAY for offset in range((TODAY - FIRST).days + 1)]
NOW = datetime.combine(TODAY, time(5, 7, 20), LOCAL)
FAR = NOW + 500 * DAY

moments = st.builds(
    lambda day, minute, second: (
        datetime.combine(day, time(), LOCAL) + timedelta(minutes=minute, seconds=second)
    ),
    st.sampled_from(DAYS),
    st.sampled_from([*range(8), *range(297, 313), *range(1433, 1440), 0, 300, 600]),
    st.sampled_from([0, 0, 1, 59]),
)
hours = st.builds(
    lambda day, minute: datetime.combine(day, time(5, minute), LOCAL),
    st.sampled_from(DAYS[2:-1]),
    st.integers(0, 9),
)
"""In the broadcast hours of days that are rolled up."""
places = st.sampled_from(["C-1", "C-2", PROVINCE, COMMUNE, "V-1", "V-2"])
clusters = st.sampled_from(["C-1", "C-2"])
devices = st.sampled_from(["D-1", "D-2", "D-3"])
villages = st.sampled_from(["V-1", "V-2"])
days = st.sampled_from(DAYS)
lengths = st.sampled_from([1, 4, 700, 3000])
whereabouts = st.dictionaries(
    days, st.sampled_from([COMMUNE, COMMUNE, PROVINCE, None]), min_size=1, max_size=3
)
"""Where a village lies from which day on; None: there is none."""


class Commune(NamedTuple):
    """Ids by code, of what there is."""

    session: AsyncSession
    clusters: dict[str, int]
    devices: dict[str, int]


async def settle_down(session: AsyncSession) -> Commune:
    """Two clusters in a commune, with their devices, and partitions for the days."""
    made = await make(session)
    for day in (FIRST, TODAY):
        await db.ensure_partition(session, "plays", day)
    for offset in range(-2, 20):
        await db.ensure_day(session, FIRST + offset * DAY)
    await made.occurrence(starts_at=FAR)
    return Commune(
        session,
        {code: row.id for code, row in made.clusters.items()},
        {code: row.id for code, row in made.devices.items()},
    )


_OCCURRENCE = sa.text("""
INSERT INTO occurrences
SELECT (jsonb_populate_record(pattern, jsonb_build_object(
    'id', CAST(:id AS uuid), 'starts_at', CAST(:starts_at AS timestamptz),
    'ends_by', CAST(:starts_at AS timestamptz) + interval '6 minutes',
    'recurrence_at', CAST(:starts_at AS timestamptz) + make_interval(secs => :seconds)
))).* FROM occurrences pattern ORDER BY pattern.starts_at DESC LIMIT 1
""")
"""No two of a schedule recur at one moment: each a microsecond after the one before."""


class Action(NamedTuple):
    """A call of a method of `Happenings`."""

    name: str
    values: tuple[Any, ...]

    async def __call__(self, world: Happenings) -> None:
        await getattr(world, self.name)(*self.values)


def action(name: str, *drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[Action]:
    return st.builds(Action, st.just(name), st.tuples(*drawn))


BEFOREHAND = st.tuples(
    action("register_anew", villages, whereabouts),
    action("cut", st.just(COMMUNE), hours, st.sampled_from([1, 4])),
    action("cut", st.just(COMMUNE), hours, st.sampled_from([1, 4])),
    action("beat", devices, hours, st.integers(4, 12), st.just(0)),
    action("beat", devices, hours, st.integers(4, 12), st.just(0)),
)
"""Before the days are first rolled up, so that a correction of the register matters."""

INSTALLATIONS_CORRECTED = st.one_of(
    action("never_installed", st.integers(0, 5)),
    action("correct_installation", st.integers(0, 5), st.fixed_dictionaries({
        "installed_at": moments,
    })),
    action("correct_installation", st.integers(0, 5), st.fixed_dictionaries({
        "removed_at": st.none() | moments,
    })),
    action("correct_installation", st.integers(0, 5), st.fixed_dictionaries({}, optional={
        "device_id": devices, "cluster_id": clusters, "removed_at": st.none() | moments,
    })),
)  # fmt: skip
"""What is said afterwards about devices on their poles."""

VILLAGES_CORRECTED = st.one_of(
    action("move", villages, days),
    action("lay_all_along", villages, st.sampled_from([COMMUNE, PROVINCE])),
    action("register_anew", villages, whereabouts),
    action("register_anew", villages, whereabouts),
)
"""What is said afterwards about villages in their communes."""

HAPPENINGS = st.one_of(
    INSTALLATIONS_CORRECTED,
    VILLAGES_CORRECTED,
    action("beat", devices, hours, st.integers(1, 12), st.integers(0, 6)),
    action("beat", devices, moments, st.integers(1, 12), st.integers(0, 6)),
    action("cut", places, hours, st.sampled_from([1, 4])),
    action("swap", devices, clusters, moments),
    action("remove", clusters, moments),
    action("unheard", st.integers(0, 5)),
    action("cut", places, moments, lengths),
    action("mend_cut", st.integers(0, 5), st.sampled_from([None, None, 3, 900])),
    action("correct_cut", st.integers(0, 5), places, moments | hours, lengths),
    action("broadcast", clusters, moments),
    action("settle", st.integers(0, 9), st.sampled_from([*PlayState])),
    action("postpone", st.integers(0, 9), moments),
    action("serve", clusters, villages, days),
    action("correct_service", st.integers(0, 5), st.fixed_dictionaries({}, optional={
        "cluster_id": clusters, "valid_from": days, "valid_to": st.none() | days,
        "grade": st.sampled_from([*Grade]),
    })),
    action("never_served", st.integers(0, 5)),
    action("attest", clusters, moments),
    action("close", clusters, st.none() | days),
    action("announce_and_roll_up", st.sets(st.sampled_from(DAYS[:-1]))),
    action("apply_invalidations"),
    action("forget", days),
    action("look", days, st.sampled_from([PROVINCE, COMMUNE]), st.integers(0, 1)),
    action("look_by_other_hours", days),
)  # fmt: skip


def pick(rows: list[T], number: int) -> list[T]:
    """One of them, or none when there is none."""
    return [rows[number % len(rows)]] if rows else []


class Happenings:
    """A commune to which things happen, and the caches of two servers asked in between."""

    def __init__(self, commune: Commune) -> None:
        self.commune, self.session = commune, commune.session
        self.cache = Cache()
        self.caches = self.cache, Cache()
        self.seq = 0
        self.cuts: list[Outage] = []
        self.plays: list[Play] = []

    async def beat(self, device: str, first: datetime, count: int, late: int) -> None:
        """Heartbeats, the last of them twice, that reach the server days late and in one go."""
        code = self.commune.devices[device]
        beats = []
        for number in range(count):
            self.seq += 1
            message = Heartbeat(
                session=1, seq=self.seq, sent_at=first + number * MINUTE, clock=Clock(trusted=True)
            )
            beats.append(Arrival(code, device, message))
        received_at = beats[-1].message.sent_at + late * DAY
        await record_all(
            self.session, [], [*beats, beats[-1]], [], received_at, live=False,
            thresholds=heartbeats.presence_thresholds(Rules()),
        )  # fmt: skip

    async def unheard(self, number: int) -> None:
        """Heartbeats of a day were another device's, and are taken out."""
        rows = await self.session.execute(
            sa.text("SELECT device_id, day FROM online_minutes ORDER BY device_id, day")
        )
        for device_id, day in pick(list(rows), number):
            for table, on in (
                ("online_minutes", "day"),
                ("heartbeats", "(sent_at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date"),
            ):
                await self.session.execute(
                    sa.text(f"DELETE FROM {table} WHERE device_id = :device AND {on} = :day"),
                    {"device": device_id, "day": day},
                )

    async def _installations(self) -> list[Installation]:
        return list(
            await self.session.scalars(
                sa.select(Installation)
                .order_by(Installation.installed_at, Installation.device_id)
                .execution_options(populate_existing=True)
            )
        )

    async def swap(self, device: str, cluster: str, at: datetime) -> None:
        code, place = self.commune.devices[device], self.commune.clusters[cluster]
        concerned = [
            row
            for row in await self._installations()
            if code == row.device_id or place == row.cluster_id
        ]
        if any(row.installed_at >= at or (row.removed_at or at) > at for row in concerned):
            return
        for row in concerned:
            row.removed_at = row.removed_at or at
        await self.session.flush()
        self.session.add(Installation(device_id=code, cluster_id=place, installed_at=at))
        await self.session.flush()

    async def remove(self, cluster: str, at: datetime) -> None:
        for row in await self._installations():
            if row.cluster_id == self.commune.clusters[cluster] and not row.removed_at:
                row.removed_at = at if at > row.installed_at else None
        await self.session.flush()

    async def never_installed(self, number: int) -> None:
        """An installation was a mistake."""
        for row in pick(await self._installations(), number):
            await self.session.delete(row)
        await self.session.flush()

    def _ids(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Changes with ids for codes."""
        known = self.commune.devices | self.commune.clusters
        ids = {name: known[changes[name]] for name in changes if name.endswith("_id")}
        return changes | ids

    async def correct_installation(self, number: int, changes: dict[str, Any]) -> None:
        """Another device, another place, earlier, later, or not taken down at all."""
        rows = await self._installations()
        for row in pick(rows, number):
            new: dict[str, Any] = {
                "device_id": row.device_id, "cluster_id": row.cluster_id,
                "installed_at": row.installed_at, "removed_at": row.removed_at,
            } | self._ids(changes)  # fmt: skip
            ends = new["removed_at"] or FAR
            if ends <= new["installed_at"] or any(
                other.installed_at < ends and new["installed_at"] < (other.removed_at or FAR)
                for other in rows
                if other is not row
                and (other.device_id == new["device_id"] or other.cluster_id == new["cluster_id"])
            ):
                return
            for name, value in new.items():
                setattr(row, name, value)
        await self.session.flush()

    async def cut(self, place: str, starts_at: datetime, minutes: int) -> None:
        cluster = self.commune.clusters.get(place)
        row = Outage(
            kind=OutageKind.POWER_CUT, cluster_id=cluster, declared_by=LAN,
            area_code=None if cluster else place, starts_at=starts_at,
            ends_at=starts_at + minutes * MINUTE,
        )  # fmt: skip
        self.session.add(row)
        await self.session.flush()
        self.cuts.append(row)

    async def mend_cut(self, number: int, minutes: int | None) -> None:
        """It was shorter or longer, or there was none."""
        for row in pick(self.cuts, number):
            if minutes is None:
                self.cuts.remove(row)
                await self.session.delete(row)
            else:
                row.ends_at = row.starts_at + minutes * MINUTE
        await self.session.flush()

    async def correct_cut(
        self, number: int, place: str, starts_at: datetime, minutes: int
    ) -> None:
        """It was elsewhere and at another time."""
        for row in pick(self.cuts, number):
            row.cluster_id = self.commune.clusters.get(place)
            row.area_code = None if row.cluster_id else place
            row.starts_at, row.ends_at = starts_at, starts_at + minutes * MINUTE
        await self.session.flush()

    async def broadcast(self, cluster: str, starts_at: datetime) -> None:
        number = UUID(int=len(self.plays) + 1)
        await self.session.execute(
            _OCCURRENCE,
            {"id": number, "starts_at": starts_at, "seconds": len(self.plays) / 1_000_000},
        )
        row = Play(
            occurrence_id=number, cluster_id=self.commune.clusters[cluster],
            month=starts_at.date().replace(day=1), starts_at=starts_at,
            ends_by=starts_at + 6 * MINUTE, state=PlayState.PLANNED, device_id=None,
            started_at=None, ended_at=None, start_error_ms=None, settled_at=None,
        )  # fmt: skip
        self.session.add(row)
        await self.session.flush()
        self.plays.append(row)

    async def settle(self, number: int, state: PlayState) -> None:
        """Settle or restate a play."""
        for row in pick(self.plays, number):
            row.state = state
            row.ended_at = row.starts_at + 4 * MINUTE if state is PlayState.PLAYED else None
        await self.session.flush()

    async def postpone(self, number: int, starts_at: datetime) -> None:
        """An occurrence is moved, perhaps to a day in another month."""
        for row in pick(self.plays, number):
            row.starts_at, row.ends_by = starts_at, starts_at + 6 * MINUTE
            await self.session.execute(
                sa.update(Occurrence)
                .where(Occurrence.id == row.occurrence_id)
                .values(starts_at=row.starts_at, ends_by=row.ends_by)
            )
        await self.session.flush()

    async def serve(self, cluster: str, village: str, since: date) -> None:
        """A village gets another cluster from a day on."""
        key = self.commune.clusters[cluster], village, since
        if await self.session.get(ClusterVillage, key) is not None:
            return
        rows = await self.session.scalars(
            sa.select(ClusterVillage).where(
                ClusterVillage.village_code == village, ClusterVillage.valid_to.is_(None)
            )
        )
        for row in rows:
            if row.valid_from >= since:
                return
            row.valid_to = since - DAY
        await self.session.flush()
        self.session.add(
            ClusterVillage(
                cluster_id=self.commune.clusters[cluster], village_code=village,
                valid_from=since, valid_to=None, grade=Grade.PRIMARY,
            )
        )  # fmt: skip
        await self.session.flush()

    async def _services(self, number: int) -> list[ClusterVillage]:
        rows = await self.session.scalars(
            sa.select(ClusterVillage)
            .order_by(ClusterVillage.village_code, ClusterVillage.valid_from)
            .execution_options(populate_existing=True)
        )
        return pick(list(rows), number)

    async def correct_service(self, number: int, changes: dict[str, Any]) -> None:
        """Another cluster served the village, since or until another day, or another part."""
        for row in await self._services(number):
            new: dict[str, Any] = {"cluster_id": row.cluster_id, "valid_from": row.valid_from}
            new |= self._ids(changes)
            known = await self.session.get(
                ClusterVillage, (new["cluster_id"], row.village_code, new["valid_from"])
            )
            if known is not None and known is not row:
                return
            for name, value in new.items():
                setattr(row, name, value)
        await self.session.flush()

    async def never_served(self, number: int) -> None:
        for row in await self._services(number):
            await self.session.delete(row)
        await self.session.flush()

    async def move(self, village: str, since: date) -> None:
        """A village leaves its commune for the province, or comes back."""
        parameters = {"code": village, "since": since, "eve": since - DAY, "commune": COMMUNE}
        moved = await self.session.execute(
            sa.text(
                "UPDATE areas SET valid_to = :eve"
                " WHERE code = :code AND valid_to IS NULL AND valid_from < :since"
                " RETURNING parent_code"
            ),
            {key: parameters[key] for key in ("code", "since", "eve")},
        )
        for (parent,) in moved:
            parameters["parent"] = PROVINCE if parent == COMMUNE else COMMUNE
            await self.session.execute(
                sa.text(
                    "INSERT INTO areas (code, level, kind, name, parent_code, valid_from)"
                    " VALUES (:code, 'village', 'thôn', :code, :parent, :since)"
                ),
                {key: parameters[key] for key in ("code", "parent", "since")},
            )

    async def lay_all_along(self, village: str, parent: str) -> None:
        """A village's rows named a wrong parent, and are corrected by hand."""
        await self.session.execute(
            sa.update(Area).where(Area.code == village).values(parent_code=parent)
        )

    async def register_anew(self, village: str, whereabouts: dict[date, str | None]) -> None:
        """The register said wrongly where a village lay from which day on, or that it existed."""
        begins = sorted(whereabouts)
        ends = [*(day - DAY for day in begins[1:]), None]
        stored = await self.session.execute(sa.select(*COLUMNS).where(Area.code == village))
        wanted = [
            Unit(village, Level.VILLAGE, "thôn", village, whereabouts[begin], begin, end)
            for begin, end in zip(begins, ends, strict=True)
            if whereabouts[begin] is not None
        ]
        await records.store(self.session, [Unit(*row) for row in stored], wanted, Report())

    async def attest(self, cluster: str, at: datetime) -> None:
        self.session.add(
            Attestation(
                cluster_id=self.commune.clusters[cluster],
                attested_at=at,
                attested_by="Lan",
                reference="x",
            )
        )
        await self.session.flush()

    async def close(self, cluster: str, since: date | None) -> None:
        """A cluster is given up, or is not after all."""
        await self.session.execute(
            sa.update(Cluster).where(Cluster.code == cluster).values(removed_on=since)
        )

    async def announce_and_roll_up(self, days: set[date]) -> None:
        await rollup.announce_days(self.session, NOW, RULE)
        await rollup.roll_up_days(self.session, sorted(days), RULE, NOW)

    async def apply_invalidations(self) -> None:
        await rollup.apply_invalidations(self.session, date.min, date.max, RULE, NOW)

    async def forget(self, day: date) -> None:
        """The cache may be dropped at any time."""
        for table in (RolledUpDay, ClusterDay):
            await self.session.execute(sa.delete(table).where(table.day == day))

    async def look(
        self, as_of: date, scope: str = PROVINCE, server: int = 0, rule: OperatingRule = RULE
    ) -> None:
        """Ask for a day and hold the answer against the raw rows."""
        cache = self.caches[server]
        ours = await load_province(self.session, as_of, scope, rule, NOW, cache)
        assert ours == await load_raw_province(self.session, as_of, scope, rule, NOW)

    async def look_by_other_hours(self, as_of: date) -> None:
        """A rule holds from some day on; a day before it is asked by the old one."""
        await self.look(as_of, rule=OTHER_HOURS)
