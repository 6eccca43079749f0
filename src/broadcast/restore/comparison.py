"""The comparison of a restored database with what others hold, as it is at this moment."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.bulletins.audio.prepared import content_path
from broadcast.devices.model import Device, Installation
from broadcast.kit.clock import LOCAL
from broadcast.plays.model import Play, PlayState
from broadcast.programmes.compile import held_until
from broadcast.programmes.issue import Name
from broadcast.programmes.model import Document
from broadcast.restore.differences import (
    CHOICES,
    Difference,
    Kind,
    Newer,
    Planned,
    differences,
)
from broadcast.restore.model import NewerDocument, Restore
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.starts import LONGEST
from broadcast.stations.clusters import followed_areas
from broadcast.telemetry.model import DevicePresence
from broadcast.wire.documents import Config, Programme
from broadcast.wire.envelope import read_own


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a person decides on.

    Attributes:
        differences: By time.
        programmes: Those that the database does not know.
        lost_plays: Planned plays of the time that is lost; those of which no device tells any more
            are settled with that reason.
        devices: Enrolled ones.
        heard: Those of them that were heard since the restore was found.
        unread: Documents that devices hold newer than anybody here: what they say is not known.
    """

    differences: Sequence[Difference]
    programmes: Sequence[Newer]
    lost_plays: int
    devices: int
    heard: int
    unread: Sequence[str]

    @property
    def digest(self) -> str:
        """Digest of all differences and choices: who decides names what he has seen."""
        seen = hashlib.sha256()
        for each in self.differences:
            told = [*each.planned, *each.told, *each.choices, *each.scopes]
            seen.update("\0".join([each.name, *map(str, told)]).encode() + b"\n")
        return seen.hexdigest()[:16]


async def compare(
    session: AsyncSession, restore: Restore, settings: config.Settings, now: datetime
) -> Comparison:
    """Compare what the database would publish with what devices were told last."""
    programmes: list[Newer] = []
    devices: list[Config] = []
    rows = await session.execute(
        sa.select(NewerDocument.revision, NewerDocument.token).where(
            NewerDocument.restore_id == restore.id
        )
    )
    for revision, token in rows:
        document = read_own(token)
        if isinstance(document, Programme):
            until = held_until(document.issued_at, settings.rules.programme_span, LOCAL)
            programmes.append(
                Newer(document.scope, revision, document.issued_at, until, document.items)
            )
        elif isinstance(document, Config):
            devices.append(document)
    there = await asyncio.to_thread(_audio_there, settings.content_dir, programmes)
    found = differences(await _planned(session, now), programmes, there, now)
    found += await _moved_devices(session, devices, now)
    return Comparison(
        differences=found,
        programmes=programmes,
        lost_plays=await _lost_plays(session, restore),
        devices=await session.scalar(_ENROLLED) or 0,
        heard=await session.scalar(
            sa.select(sa.func.count()).where(DevicePresence.last_seen_at > restore.found_at)
        )
        or 0,
        unread=await _unread(session, restore),
    )


def _audio_there(folder: Path, programmes: Sequence[Newer]) -> set[str]:
    named = {audio.sha256 for each in programmes for item in each.items for audio in item.audio}
    return {sha256 for sha256 in named if content_path(folder, sha256).is_file()}


async def _planned(session: AsyncSession, now: datetime) -> list[Planned]:
    rows = await session.scalars(
        sa.select(Occurrence).where(
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.alert_mode.is_(None),
            Occurrence.live_key.is_(None),
            Occurrence.ends_by > now,
            Occurrence.starts_at > now - LONGEST,
        )
    )
    return [
        Planned(
            occurrence_id=str(row.id),
            schedule_id=str(row.schedule_id),
            title=row.title,
            scopes=frozenset(row.scopes),
            starts_at=row.starts_at,
            ends_by=row.ends_by,
            bulletin=(str(row.bulletin_id), row.bulletin_revision),
        )
        for row in rows
    ]


async def _moved_devices(
    session: AsyncSession, configs: Sequence[Config], now: datetime
) -> list[Difference]:
    """Devices that follow other areas than those of the cluster on which the register has them."""
    codes = {document.scope.removeprefix("device/"): document for document in configs}
    installed = sa.and_(Installation.device_id == Device.id, Installation.removed_at.is_(None))
    rows = (
        await session.execute(
            sa.select(Device.code, Installation.cluster_id)
            .outerjoin(Installation, installed)
            .where(Device.code.in_(codes))
        )
    ).all()
    places = {row.code: row.cluster_id for row in rows}
    areas = await followed_areas(
        session,
        now.astimezone(LOCAL).date(),
        [cluster_id for cluster_id in places.values() if cluster_id is not None],
    )
    return [
        Difference(
            kind=Kind.DEVICE,
            subject=code,
            title=f"{code}: {', '.join(document.areas) or 'không theo đơn vị nào'}",
            scopes=tuple(f"area/{area}" for area in document.areas),
            told=(document.issued_at,),
            choices=CHOICES[Kind.DEVICE],
        )
        for code, document in sorted(codes.items())
        if code not in places or set(areas.get(places[code] or 0, [])) != set(document.areas)
    ]


async def _lost_plays(session: AsyncSession, restore: Restore) -> int:
    count = await session.scalar(
        sa.select(sa.func.count()).where(
            Play.starts_at < restore.found_at,
            Play.ends_by > restore.lost_since,
            Play.state != PlayState.CANCELLED,
        )
    )
    return count or 0


_ENROLLED = sa.select(sa.func.count()).where(Device.retired_at.is_(None))


async def held_revisions(session: AsyncSession) -> dict[Name, int]:
    """Highest revision of each document that a device says to hold."""
    held = sa.func.jsonb_each_text(DevicePresence.held).table_valued("key", "value")
    rows = await session.execute(
        sa.select(held.c.key, sa.func.max(sa.cast(held.c.value, sa.BigInteger)))
        .select_from(DevicePresence)
        .join(held, sa.true())
        .group_by(held.c.key)
    )
    return {Name(*key.rsplit("/", 1)): revision for key, revision in rows if "/" in key}


async def told_revisions(session: AsyncSession, restore: Restore) -> dict[Name, int]:
    """Highest revision of each document that database or broker know."""
    known: dict[Name, int] = {}
    for source in (
        sa.select(Document.scope, Document.kind, Document.revision),
        sa.select(NewerDocument.scope, NewerDocument.kind, NewerDocument.revision).where(
            NewerDocument.restore_id == restore.id
        ),
    ):
        for scope, kind, revision in await session.execute(source):
            name = Name(scope, kind)
            known[name] = max(known.get(name, 0), revision)
    return known


async def _unread(session: AsyncSession, restore: Restore) -> list[str]:
    """Documents of which some device holds a newer revision than the database and the broker."""
    held = await held_revisions(session)
    known = await told_revisions(session, restore)
    return sorted(str(name) for name in known if held.get(name, 0) > known[name])
