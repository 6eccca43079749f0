"""A commune with two clusters, their devices, and bulletins scheduled for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.model import Bulletin, Revision, RevisionState, SourceKind
from broadcast.devices.model import Device, Installation
from broadcast.kit import db
from broadcast.kit.clock import LOCAL
from broadcast.plays import ledger, reports
from broadcast.plays.model import Play, PlayChange
from broadcast.programmes.model import ProgrammeRevision
from broadcast.schedules.model import (
    Occurrence,
    Schedule,
)
from broadcast.schedules.targets import resolve_targets, target_resolver
from broadcast.stations.model import Cluster
from broadcast.telemetry.arrival import Arrival
from broadcast.telemetry.model import (
    DevicePresence,
    ListeningSpan,
    PresenceChange,
    Readiness,
    Receipt,
)
from broadcast.telemetry.presence import Presence
from broadcast.wire import events
from broadcast.wire.fields import BulletinClass
from tests import province
from tests.callers import LAN
from tests.devices.fleet import EIGHT, MINUTE, SECOND

WAIT = timedelta(minutes=15)
BEFORE = EIGHT - timedelta(days=2)
"""When everything was set up."""
CLOSED = EIGHT + 5 * MINUTE + WAIT
"""When a play of 08:00–08:05 is closed."""
SECONDS = 120.0
COMMUNE, PROVINCE = "21025", "51"


@dataclass
class World:
    """What there is, by code."""

    session: AsyncSession
    clusters: dict[str, Cluster]
    devices: dict[str, Device]
    schedule: Schedule

    async def occurrence(self, starts_at: datetime = EIGHT, **changes: Any) -> Occurrence:
        made = province.occurrence(self.schedule, starts_at, **changes)
        self.session.add(made)
        await self.session.flush()
        return made

    async def plan(self, occurrences: Iterable[Occurrence], now: datetime) -> None:
        """Plan the plays of these occurrences by their present targets."""
        found = list(occurrences)
        resolver = await target_resolver(self.session)
        clusters = await resolve_targets(self.session, resolver, found)
        await ledger.plan(self.session, found, clusters, now)

    async def planned(self, **changes: Any) -> Occurrence:
        """An occurrence in the ledger, planned the day before."""
        made = await self.occurrence(**changes)
        await self.plan([made], EIGHT - timedelta(days=1))
        return made

    async def play(self, occurrence: Occurrence, cluster: str = "C-1") -> Play:
        found = await self.session.scalars(
            sa.select(Play)
            .where(
                Play.occurrence_id == occurrence.id,
                Play.cluster_id == self.clusters[cluster].id,
            )
            .execution_options(populate_existing=True)
        )
        return found.one()

    async def plays(self, occurrence: Occurrence) -> dict[str, tuple[str, str]]:
        """Cluster → state and reason."""
        rows = await self.session.execute(
            sa.select(Cluster.code, Play.state, Play.reason)
            .join(Cluster, Cluster.id == Play.cluster_id)
            .where(Play.occurrence_id == occurrence.id)
            .order_by(Cluster.code)
        )
        return {code: (state.value, reason) for code, state, reason in rows}

    async def changes(self, occurrence: Occurrence) -> list[tuple[str, str, str, str, str]]:
        rows = await self.session.scalars(
            sa.select(PlayChange)
            .where(PlayChange.occurrence_id == occurrence.id)
            .order_by(PlayChange.id)
        )
        return [
            (
                str(row.old_state and row.old_state.value), row.old_reason,
                row.new_state.value, row.new_reason, row.cause,
            )
            for row in rows
        ]  # fmt: skip

    async def report(
        self,
        *records: events.Record,
        device: str = "D-1",
        at: datetime = EIGHT + 3 * MINUTE,
        journal: str = "j",
        oldest: int | None = None,
    ) -> reports.Outcome:
        message = events.Playback(
            sent_at=at, journal_id=journal, records=list(records), oldest_seq=oldest
        )
        arrival = Arrival(self.devices[device].id, device, message)
        return await reports.record(self.session, [arrival], at, WAIT)

    async def swap(self, device: str, cluster: str, at: datetime) -> None:
        """Hang another device on a cluster."""
        await self.session.execute(
            sa.update(Installation)
            .where(
                Installation.removed_at.is_(None),
                Installation.cluster_id == self.clusters[cluster].id,
            )
            .values(removed_at=at)
        )
        self.session.add(
            Installation(
                device_id=self.devices[device].id,
                cluster_id=self.clusters[cluster].id,
                installed_at=at,
            )
        )
        await self.session.flush()

    # What is known around a play, one fact at a time.

    async def published(self, occurrence: Occurrence, at: datetime = BEFORE) -> None:
        self.session.add(
            ProgrammeRevision(
                scope=f"area/{COMMUNE}", revision=1000, issued_at=at, published_at=at,
                occurrence_ids=[occurrence.id],
            )
        )  # fmt: skip
        await self.session.flush()

    async def received(self, device: str = "D-1", at: datetime = BEFORE + MINUTE) -> None:
        self.session.add(
            Receipt(
                device_id=self.devices[device].id, document=f"area/{COMMUNE}/programme",
                revision=1000, received_at=at,
            )
        )  # fmt: skip
        await self.session.flush()

    async def ready(self, occurrence: Occurrence, state: str = "ready") -> None:
        self.session.add(
            Readiness(
                occurrence_id=occurrence.id, device_id=self.devices["D-1"].id,
                bulletin_revision=1, state=state, sent_at=BEFORE + 2 * MINUTE,
                received_at=BEFORE + 2 * MINUTE,
            )
        )  # fmt: skip
        await self.session.flush()

    async def presence(self, *flips: tuple[Presence, datetime], device: str = "D-1") -> None:
        """History of a device's presence; the last flip holds now."""
        key = self.devices[device].id
        for presence, at in flips:
            self.session.add(
                PresenceChange(
                    device_id=key, presence=presence, happened_at=at, recorded_at=at, cause="x"
                )
            )
        presence, since = flips[-1]
        self.session.add(
            DevicePresence(
                device_id=key, presence=presence, since=since, session=1, seq=1, gone=False,
                last_seen_at=since, silent_after=since + 150 * SECOND, clock_wrong=False, held={},
            )
        )  # fmt: skip
        await self.session.flush()

    async def listening(self, start: datetime, until: datetime) -> None:
        self.session.add(ListeningSpan(started_at=start, until=until))
        await self.session.flush()


async def make(session: AsyncSession) -> World:
    """The world before anything is planned."""
    await db.ensure_partitions(session, EIGHT.astimezone(LOCAL).date())
    made = await province.commune(session, COMMUNE, {"V-1": "1", "V-2": "2"}, BEFORE)
    spare = province.device("D-3", BEFORE)
    session.add(spare)
    bulletin = Bulletin(
        id=uuid4(), title="Bản tin sáng", class_=BulletinClass.NORMAL, language="vi",
        area_code=COMMUNE, created_by=LAN, created_at=BEFORE,
    )  # fmt: skip
    session.add(bulletin)
    await session.flush()
    session.add(
        Revision(
            bulletin_id=bulletin.id, number=1, state=RevisionState.APPROVED,
            source_kind=SourceKind.UPLOAD, seconds=SECONDS, loudness_lufs=-16, true_peak_dbtp=-1.5,
            facts={}, created_by=LAN, created_at=BEFORE,
        )
    )  # fmt: skip
    await session.flush()
    schedule = province.schedule(
        bulletin.id, EIGHT, BEFORE, title="Bản tin sáng", targets=[{"area": COMMUNE}],
        targets_on=date(2025, 7, 1), priority=100, late_limit_seconds=60,
    )  # fmt: skip
    session.add(schedule)
    await session.flush()
    return World(session, made.clusters, made.devices | {"D-3": spare}, schedule)


def started(seq: int, of: Occurrence | UUID | str, at: datetime = EIGHT) -> events.Started:
    return events.Started(seq=seq, occurrence_id=_id(of), at=at)


def ended(
    seq: int,
    of: Occurrence | UUID | str,
    at: datetime = EIGHT + SECONDS * SECOND,
    played: float = SECONDS,
    reason: str = "completed",
) -> events.Ended:
    return events.Ended(
        seq=seq, occurrence_id=_id(of), at=at, reason=events.EndReason(reason),
        played_seconds=played,
    )  # fmt: skip


def skipped(seq: int, of: Occurrence | UUID | str, reason: str) -> events.Skipped:
    return events.Skipped(
        seq=seq, occurrence_id=_id(of), at=EIGHT + MINUTE, reason=events.SkipReason(reason)
    )


def _id(of: Occurrence | UUID | str) -> str:
    return str(of.id if isinstance(of, Occurrence) else of)
