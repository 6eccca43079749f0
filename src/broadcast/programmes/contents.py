"""Contents of documents: rows → programmes and alerts of scopes, configs of devices; unsigned."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Set
from contextlib import suppress
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.bulletins.audio.prepared import content_path
from broadcast.bulletins.model import Bulletin, Rendition, Revision, RevisionState
from broadcast.bulletins.revisions import approved_renditions
from broadcast.bulletins.versions import current_versions
from broadcast.devices.model import Device, Installation
from broadcast.keys.keyring import Keys
from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import daily
from broadcast.programmes import compile as rule
from broadcast.programmes.compile import Carried
from broadcast.regulations.places import Windows
from broadcast.schedules.expansion import DAY
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.schedules.starts import LONGEST
from broadcast.schedules.targets import seconds_of, target_resolver
from broadcast.stations.clusters import followed_areas
from broadcast.stations.languages import languages_of_clusters
from broadcast.streams.model import StreamSource
from broadcast.wire import WireError
from broadcast.wire.documents import (
    Alerts,
    Audio,
    Config,
    Hours,
    Live,
    LiveSession,
    Passed,
    Programme,
    QuietHours,
    Stream,
)
from broadcast.wire.hours import opens_on
from broadcast.wire.limits import INLINE_BYTES, MOST_PREFETCHED, MOST_QUIET_HOURS

MINUTE = timedelta(minutes=1)

D = TypeVar("D", Programme, Alerts)


class Compiled(NamedTuple, Generic[D]):
    """Compiled documents.

    Attributes:
        documents: One per scope.
        read: Ids of the occurrences that they were compiled from.
        refused: Ids of those that no device would accept, which are not in them, and why.
        left_over: Scopes for whose document there were too many items, and how many too many.
    """

    documents: list[D]
    read: set[str]
    refused: dict[str, WireError]
    left_over: dict[str, int]


async def programmes(
    session: AsyncSession, scopes: Collection[str], settings: config.Settings, now: datetime
) -> Compiled[Programme]:
    """Compile the programmes of these scopes."""
    until = rule.held_until(now, settings.rules.programme_span, LOCAL)
    in_programmes = sa.and_(
        Occurrence.alert_mode.is_(None),
        Occurrence.live_key.is_(None),
        Occurrence.starts_at < until,
    )
    read = await _read(session, scopes, in_programmes, now)
    found = {scope: rule.items(read.carried[scope], now, until) for scope in scopes}
    passed = await _passed(session, scopes, now)
    documents = [
        rule.programme(scope, items, 1, now, passed[scope]) for scope, items in found.items()
    ]
    return _compiled(documents, read, {scope: len(items) for scope, items in found.items()})


async def _passed(
    session: AsyncSession, scopes: Collection[str], now: datetime
) -> defaultdict[str, list[Passed]]:
    """What of today has ended, by scope and start: it counts for quotas still."""
    midnight = datetime.combine(now.astimezone(LOCAL).date(), time(), LOCAL)
    rows = await session.scalars(
        sa.select(Occurrence)
        .where(
            Occurrence.alert_mode.is_(None),
            Occurrence.live_key.is_(None),
            Occurrence.scopes.overlap(list(scopes)),
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.starts_at >= midnight,
            Occurrence.ends_by <= now,
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
    )
    found: defaultdict[str, list[Passed]] = defaultdict(list)
    for row in rows:
        for scope in row.scopes:
            found[scope].append(Passed(str(row.id), row.starts_at, seconds_of(row)))
    return found


async def alerts(
    session: AsyncSession, scopes: Collection[str], settings: config.Settings, now: datetime
) -> Compiled[Alerts]:
    """Compile the alerts of these scopes; a short one that was not prefetched brings its sound."""
    read = await _read(session, scopes, Occurrence.alert_mode.is_not(None), now)
    fresh = {
        one.audio[0]
        for some in read.carried.values()
        for one in some
        if one.audio and one.bulletin_id not in read.kept_ready
    }
    inline = await asyncio.to_thread(_inline, settings.content_dir, fresh)
    documents = [
        Alerts(
            scope=scope,
            revision=1,
            issued_at=now,
            not_after=now,
            alerts=rule.alerts(read.carried[scope], inline, now),
        )
        for scope in scopes
    ]
    return _compiled(documents, read, {each.scope: len(each.alerts) for each in documents})


async def live(session: AsyncSession, scopes: Collection[str], now: datetime) -> list[Live]:
    """Compile the live sessions of these scopes."""
    if not scopes:
        return []
    rows = await session.scalars(
        sa.select(Occurrence).where(
            Occurrence.live_key.is_not(None),
            Occurrence.scopes.overlap(list(scopes)),
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.ends_by > now,
        )
    )
    found: defaultdict[str, list[LiveSession]] = defaultdict(list)
    for row in rows:
        assert row.live_key is not None
        spoken = LiveSession(
            session_id=str(row.id),
            starts_at=row.starts_at,
            ends_by=row.ends_by,
            key=row.live_key,
            priority=row.priority,
            class_=row.class_,
            title=row.title,
            volume=row.volume,
        )
        for scope in row.scopes:
            found[scope].append(spoken)
    return [
        Live(
            scope=scope,
            revision=1,
            issued_at=now,
            not_after=now,
            sessions=rule.sessions(found[scope]),
        )
        for scope in scopes
    ]


def _inline(folder: Path, audio: Iterable[Audio]) -> dict[str, bytes]:
    """Files short enough to travel with an alert; what cannot be read is fetched by devices."""
    found = {}
    for one in audio:
        if one.bytes <= INLINE_BYTES:
            with suppress(OSError):
                data = content_path(folder, one.sha256).read_bytes()
                if hashlib.sha256(data).hexdigest() == one.sha256:
                    found[one.sha256] = data
    return found


class _Read(NamedTuple):
    """Occurrences of scopes.

    Attributes:
        carried: By scope.
        ids: All that were read.
        refused: Ids of those that no device would accept, and why.
        kept_ready: Bulletins that devices hold already.
    """

    carried: defaultdict[str, list[Carried]]
    ids: set[str]
    refused: dict[str, WireError]
    kept_ready: set[str]


def _compiled(documents: list[D], read: _Read, counts: Mapping[str, int]) -> Compiled[D]:
    return Compiled(
        documents=documents,
        read=read.ids,
        refused=read.refused,
        left_over={
            scope: len(read.carried[scope]) - count
            for scope, count in counts.items()
            if count < len(read.carried[scope])
        },
    )


async def _read(
    session: AsyncSession, scopes: Collection[str], which: sa.ColumnElement[bool], now: datetime
) -> _Read:
    rows = list(
        await session.scalars(
            sa.select(Occurrence).where(
                which,
                Occurrence.scopes.overlap(list(scopes)),
                Occurrence.state == OccurrenceState.PLANNED,
                Occurrence.ends_by > now,
                Occurrence.starts_at > now - LONGEST,
            )
        )
    )
    named = {(row.bulletin_id, row.bulletin_revision) for row in rows}
    audio = await approved_renditions(session, named)
    versions = await current_versions(session, named)
    kept_ready = await session.scalars(
        sa.select(Bulletin.id).where(Bulletin.kept_ready, Bulletin.id.in_(id_ for id_, _ in named))
    )
    streams = await _streams(session, {row.relay_source_id for row in rows})
    carried: defaultdict[str, list[Carried]] = defaultdict(list)
    refused: dict[str, WireError] = {}
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
            audio=_audio(audio[key]),
            alert_mode=row.alert_mode,
            versions=() if row.alert_mode else tuple(versions.get(key, ())),
            stream=streams.get(row.relay_source_id),
            seconds=None if row.alert_mode else seconds_of(row),
        )
        try:
            rule.check(occurrence)
        except WireError as error:
            refused[str(row.id)] = error
            continue
        for scope in row.scopes:
            carried[scope].append(occurrence)
    ids = {str(row.id) for row in rows}
    return _Read(carried, ids, refused, {str(id_) for id_ in kept_ready})


async def _streams(session: AsyncSession, source_ids: Set[int | None]) -> dict[int | None, Stream]:
    """Streams as devices are told of them, by source."""
    if source_ids <= {None}:
        return {}
    found = await session.scalars(sa.select(StreamSource).where(StreamSource.id.in_(source_ids)))
    return {
        source.id: Stream(url=source.urls[0], further_urls=source.urls[1:], codec=source.codec)
        for source in found
        if source.urls  # a row without any is no reason to lose the fallback
    }


def _audio(renditions: Iterable[Rendition]) -> tuple[Audio, ...]:
    return tuple(
        Audio(sha256=r.sha256, bytes=r.size_bytes, seconds=r.seconds, codec=r.codec)
        for r in renditions
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
    today = now.astimezone(LOCAL).date()
    areas = await followed_areas(session, today, places)
    languages = await languages_of_clusters(session, today, places)
    ready = await kept_ready(session)
    hours = await _hours(session, places, settings, now)
    quotas = await (await target_resolver(session)).rules.quotas(
        places, today, today + rule.CONFIG_VALID
    )
    quiet = daily(settings.rules.quiet_hours)
    return [
        Config(
            scope=f"device/{device.code}",
            revision=1,
            issued_at=now,
            not_after=now,
            areas=areas.get(cluster_id, []),
            keys=keys.named_to(f"device/{device.code}"),
            quiet_hours=_every_night(hours.get(cluster_id, quiet), now),
            utc_offset_minutes=int((now.astimezone(LOCAL).utcoffset() or timedelta()) / MINUTE),
            volume=device.volume,
            alert_volume=device.alert_volume,
            heartbeat_seconds=settings.rules.heartbeat_seconds,
            not_before=installed_at,
            prefetch=_prefetched(ready, areas.get(cluster_id, []), device.codecs),
            languages=languages.get(cluster_id, []),
            hours=list(hours[cluster_id]) if cluster_id in hours else None,
            quotas=list(quotas.get(cluster_id, ())),
        )
        for device, cluster_id, installed_at in devices
    ]


async def _hours(
    session: AsyncSession, cluster_ids: Collection[int], settings: config.Settings, now: datetime
) -> dict[int, Windows]:
    """Windows of clusters for as long as a config holds; none where only the settings have any.

    From yesterday on: the windows of a night belong to the evening on which they opened.
    """
    resolver = await target_resolver(session)
    if not resolver.rules.has_hours:
        return {}
    today = now.astimezone(LOCAL).date()
    quiet = daily(settings.rules.quiet_hours)
    found = await resolver.rules.hours(cluster_ids, today - DAY, today + rule.CONFIG_VALID, quiet)
    if resolver.rules.regulations:
        return found
    return {each: windows for each, windows in found.items() if windows != quiet}


def _every_night(hours: Iterable[Hours], now: datetime) -> list[QuietHours]:
    """What a device keeps that knows no `hours`: silent windows of today that open every day."""
    today = now.astimezone(LOCAL).date()
    found = [
        QuietHours(from_=each.from_, until=each.until)
        for each in hours
        if each.volume is None
        and not each.days
        and opens_on(each, today)
        and (each.first_on is None or each.last_on is None)  # else of some days: an exam
    ]
    return found[:MOST_QUIET_HOURS]


class _Ready(NamedTuple):
    """Audio that devices of an area hold before anything needs it."""

    area_code: str
    audio: tuple[Audio, ...]


async def kept_ready(session: AsyncSession) -> list[_Ready]:
    """Newest approved revisions of bulletins that are kept ready, the oldest bulletin first."""
    rows = await session.execute(
        sa.select(Revision.bulletin_id, sa.func.max(Revision.number), Bulletin.area_code)
        .join(Bulletin, Bulletin.id == Revision.bulletin_id)
        .where(Bulletin.kept_ready, Revision.state == RevisionState.APPROVED)
        .group_by(Revision.bulletin_id, Bulletin.area_code, Bulletin.created_at)
        .order_by(Bulletin.created_at, Revision.bulletin_id)
    )
    found = [((bulletin_id, number), area) for bulletin_id, number, area in rows]
    audio = await approved_renditions(session, {key for key, _ in found})
    return [_Ready(area, _audio(audio.get(key, ()))) for key, area in found]


def _prefetched(
    ready: Iterable[_Ready], areas: Collection[str], codecs: Collection[str]
) -> list[Audio]:
    """Of each bulletin that is kept ready for these areas, the rendition that a device plays."""
    chosen = (
        next((one for one in each.audio if one.codec in codecs), None)
        for each in ready
        if each.area_code in areas
    )
    return [one for one in chosen if one is not None][:MOST_PREFETCHED]
