"""Contents of documents: rows → programmes of scopes and configs of devices, not yet signed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.bulletins.revisions import approved_renditions
from broadcast.devices.model import Device, Installation
from broadcast.keys.keyring import Keys
from broadcast.kit.clock import LOCAL
from broadcast.programmes import compile as rule
from broadcast.programmes.compile import Carried
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.starts import LONGEST
from broadcast.stations.clusters import followed_areas
from broadcast.wire import WireError
from broadcast.wire.documents import Audio, Config, Programme, QuietHours

MINUTE = timedelta(minutes=1)


class Programmes(NamedTuple):
    """Compiled programmes.

    Attributes:
        documents: One per scope.
        read: Ids of the occurrences that they were compiled from.
        refused: Ids of those that no device would accept, which are not in them, and why.
        left_over: Scopes for whose document there were too many items, and how many too many.
    """

    documents: list[Programme]
    read: set[str]
    refused: dict[str, WireError]
    left_over: dict[str, int]


async def programmes(
    session: AsyncSession, scopes: Collection[str], settings: config.Settings, now: datetime
) -> Programmes:
    """Compile the programmes of these scopes."""
    until = rule.held_until(now, settings.rules.programme_span, LOCAL)
    rows = list(
        await session.scalars(
            sa.select(Occurrence).where(
                Occurrence.scopes.overlap(list(scopes)),
                Occurrence.state == OccurrenceState.PLANNED,
                Occurrence.ends_by > now,
                Occurrence.starts_at > now - LONGEST,
                Occurrence.starts_at < until,
            )
        )
    )
    named = {(row.bulletin_id, row.bulletin_revision) for row in rows}
    audio = await approved_renditions(session, named)
    carried: dict[str, list[Carried]] = defaultdict(list)
    refused: dict[UUID, WireError] = {}
    for row in rows:
        key = (row.bulletin_id, row.bulletin_revision)
        if key not in audio:
            continue
        occurrence = Carried(
            occurrence_id=str(row.id),
            bulletin_id=str(row.bulletin_id),
            bulletin_revision=row.bulletin_revision,
            title=row.title,
            class_=row.class_,
            priority=row.priority,
            on_preempt=row.on_preempt,
            volume=row.volume,
            starts_at=row.starts_at,
            late_limit_seconds=row.late_limit_seconds,
            ends_by=row.ends_by,
            audio=tuple(
                Audio(sha256=r.sha256, bytes=r.size_bytes, seconds=r.seconds, codec=r.codec)
                for r in audio[key]
            ),
        )
        try:
            rule.check(occurrence)
        except WireError as error:
            refused[row.id] = error
            continue
        for scope in row.scopes:
            carried[scope].append(occurrence)
    found = {scope: rule.items(carried[scope], now, until) for scope in scopes}
    return Programmes(
        documents=[rule.programme(scope, items, 1, now) for scope, items in found.items()],
        read={str(row.id) for row in rows},
        refused={str(id_): error for id_, error in refused.items()},
        left_over={
            scope: len(carried[scope]) - len(items)
            for scope, items in found.items()
            if len(items) < len(carried[scope])
        },
    )


async def configs(
    session: AsyncSession,
    scopes: Collection[str],
    keys: Keys,
    settings: config.Settings,
    now: datetime,
) -> list[Config]:
    """Compile the configs of the devices of these scopes."""
    if not scopes:
        return []
    codes = [scope.removeprefix("device/") for scope in scopes]
    is_installed = sa.and_(Installation.device_id == Device.id, Installation.removed_at.is_(None))
    rows = await session.execute(
        sa.select(Device, Installation.cluster_id, Installation.installed_at)
        .outerjoin(Installation, is_installed)
        .where(Device.code.in_(codes))
    )
    devices = rows.all()
    places = [cluster_id for _, cluster_id, _ in devices if cluster_id is not None]
    areas = await followed_areas(session, now.astimezone(LOCAL).date(), places)
    quiet = [
        QuietHours(from_=f"{begin:%H:%M}", until=f"{until:%H:%M}")
        for begin, until in settings.rules.quiet_hours
    ]
    return [
        Config(
            scope=f"device/{device.code}",
            revision=1,
            issued_at=now,
            not_after=now,
            areas=areas.get(cluster_id, []),
            keys=keys.named_to(f"device/{device.code}"),
            quiet_hours=quiet,
            utc_offset_minutes=int((now.astimezone(LOCAL).utcoffset() or timedelta()) / MINUTE),
            volume=device.volume,
            alert_volume=device.alert_volume,
            heartbeat_seconds=settings.rules.heartbeat_seconds,
            not_before=installed_at,
        )
        for device, cluster_id, installed_at in devices
    ]
