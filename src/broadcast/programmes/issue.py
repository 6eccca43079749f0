"""Issuing documents: what is dirty is compiled, signed and stored, to be published from there.

A cause marks scopes dirty in its own transaction. Everything here can be repeated, and two
dispatchers at once would only do the same work twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast import config
from broadcast.bulletins.revisions import approved_keys, renditions
from broadcast.clock import LOCAL
from broadcast.devices.enrolment import installed
from broadcast.devices.model import Device
from broadcast.programmes import compile as rule
from broadcast.programmes.compile import Carried
from broadcast.programmes.keys import Keys
from broadcast.programmes.model import (
    DirtyScope,
    ProgrammeRevision,
    PublishedContent,
)
from broadcast.programmes.model import Document as Stored
from broadcast.schedules.model import Occurrence, OccurrenceState
from broadcast.stations.clusters import followed_areas
from broadcast.wire.documents import Audio, Config, Document, Programme, QuietHours
from broadcast.wire.envelope import read_own

log = structlog.get_logger()

ISSUED = Counter("broadcast_documents_issued", "Documents signed and stored", ["kind"])

AT_ONCE = 200
"""Scopes of one transaction: a change of the whole province is seen to progress."""

KEEP_CONTENT = timedelta(days=1)
"""How long audio stays at the broker after its last item: a device may be catching up."""


async def mark_dirty(
    session: AsyncSession, scopes: Iterable[str], kind: str, now: datetime
) -> None:
    """Have these documents compiled again, with the caller's commit."""
    rows = [{"scope": scope, "kind": kind, "since": now} for scope in sorted(set(scopes))]
    if rows:
        await session.execute(insert(DirtyScope).values(rows).on_conflict_do_nothing())


async def mark_configs_dirty(session: AsyncSession, now: datetime) -> None:
    """Have the config of every enrolled device compiled again."""
    codes = await session.scalars(sa.select(Device.code).where(Device.retired_at.is_(None)))
    await mark_dirty(session, (f"device/{code}" for code in codes), "config", now)


async def mark_rolling(session: AsyncSession, now: datetime, span: timedelta) -> None:
    """Mark programmes that new items have entered by time alone, and documents grown old.

    Call it well within `PROGRAMME_REISSUE`.
    """
    entering = sa.select(sa.func.unnest(Occurrence.scopes).label("scope")).where(
        Occurrence.state == OccurrenceState.PLANNED,
        Occurrence.starts_at > now,
        Occurrence.starts_at < now + span,
    )
    await mark_dirty(session, await session.scalars(entering.distinct()), "programme", now)
    for kind, age in (("programme", rule.PROGRAMME_REISSUE), ("config", rule.CONFIG_REISSUE)):
        old = sa.select(Stored.scope).where(Stored.kind == kind, Stored.issued_at < now - age)
        await mark_dirty(session, await session.scalars(old), kind, now)


async def issue_dirty(
    session: AsyncSession, keys: Keys, settings: config.Settings, now: datetime
) -> int:
    """Compile up to `AT_ONCE` dirty documents and store those that say something new.

    Returns:
        How many were looked at; fewer than `AT_ONCE` when none is left.
    """
    dirty = (
        await session.execute(
            sa.delete(DirtyScope)
            .where(
                sa.tuple_(DirtyScope.scope, DirtyScope.kind).in_(
                    sa.select(DirtyScope.scope, DirtyScope.kind)
                    .order_by(DirtyScope.since, DirtyScope.scope)
                    .limit(AT_ONCE)
                    .with_for_update(skip_locked=True)
                )
            )
            .returning(DirtyScope.scope, DirtyScope.kind)
        )
    ).all()
    scopes = [scope for scope, kind in dirty if kind == "programme"]
    devices = [scope for scope, kind in dirty if kind == "config"]
    stored = await _stored(session, [(scope, kind) for scope, kind in dirty])
    compiled: list[Document] = [
        *await _programmes(session, scopes, settings, now),
        *await _configs(session, devices, keys, settings, now),
    ]
    for document in compiled:
        await _keep(session, document, stored.get((document.scope, _kind(document))), keys, now)
    return len(dirty)


async def issue_above(
    session: AsyncSession, scope: str, kind: str, revision: int, keys: Keys, now: datetime
) -> None:
    """Issue a stored document again under a revision higher than `revision`.

    For a database that is older than what devices and broker hold.
    """
    stored = await session.get(Stored, (scope, kind), with_for_update=True)
    if stored is None:
        empty = rule.programme(scope, [], 1, now)
        await _sign(session, empty, max(revision, 0), keys, now)
        return
    await _sign(session, read_own(stored.token), max(revision, stored.revision), keys, now)


def _kind(document: Document) -> str:
    return "programme" if isinstance(document, Programme) else "config"


async def _stored(
    session: AsyncSession, names: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Stored]:
    rows = await session.scalars(
        sa.select(Stored).where(sa.tuple_(Stored.scope, Stored.kind).in_(names)).with_for_update()
    )
    return {(row.scope, row.kind): row for row in rows}


async def _keep(
    session: AsyncSession, document: Document, stored: Stored | None, keys: Keys, now: datetime
) -> None:
    if stored is not None:
        held = read_own(stored.token)
        if rule.says_the_same(held, document, now) and not rule.is_stale(held, now):
            return
    elif isinstance(document, Programme) and not document.items:
        return
    await _sign(session, document, 0 if stored is None else stored.revision, keys, now)


async def _sign(
    session: AsyncSession, document: Document, previous: int, keys: Keys, now: datetime
) -> None:
    revision = rule.next_revision(previous, now)
    issued = rule.issued(document, revision, now)
    values = {
        "revision": revision,
        "token": keys.programme.sign(issued),
        "issued_at": issued.issued_at,
        "not_after": issued.not_after,
    }
    statement = insert(Stored).values(
        scope=issued.scope, kind=_kind(issued), published_revision=0, **values
    )
    await session.execute(
        statement.on_conflict_do_update(index_elements=["scope", "kind"], set_=values)
    )
    ISSUED.labels(_kind(issued)).inc()
    if isinstance(issued, Programme):
        await _remember(session, issued)


async def _remember(session: AsyncSession, programme: Programme) -> None:
    """Keep what a revision carried, and want its audio at the broker."""
    session.add(
        ProgrammeRevision(
            scope=programme.scope,
            revision=programme.revision,
            issued_at=programme.issued_at,
            published_at=None,
            occurrence_ids=[UUID(item.occurrence_id) for item in programme.items],
        )
    )
    until: dict[str, datetime] = {}
    sizes: dict[str, int] = {}
    for item in programme.items:
        for audio in item.audio:
            sizes[audio.sha256] = audio.bytes
            wanted = item.ends_by + KEEP_CONTENT
            until[audio.sha256] = max(until.get(audio.sha256, wanted), wanted)
    if not sizes:
        return
    statement = insert(PublishedContent).values(
        [
            {"sha256": sha256, "size_bytes": size, "wanted_until": until[sha256]}
            for sha256, size in sorted(sizes.items())
        ]
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["sha256"],
            set_={
                "wanted_until": sa.func.greatest(
                    PublishedContent.wanted_until, statement.excluded.wanted_until
                ),
                "published_at": sa.case(
                    (PublishedContent.removed_at.is_(None), PublishedContent.published_at),
                    else_=None,
                ),
                "removed_at": None,
            },
        )
    )


async def _programmes(
    session: AsyncSession, scopes: Collection[str], settings: config.Settings, now: datetime
) -> list[Document]:
    if not scopes:
        return []
    rows = list(
        await session.scalars(
            sa.select(Occurrence).where(
                Occurrence.scopes.overlap(list(scopes)),
                Occurrence.state == OccurrenceState.PLANNED,
                Occurrence.ends_by > now,
                Occurrence.starts_at < now + settings.rules.programme_span,
            )
        )
    )
    named = {(row.bulletin_id, row.bulletin_revision) for row in rows}
    approved = await approved_keys(session, named)
    audio = await renditions(session, approved)
    carried: dict[str, list[Carried]] = defaultdict(list)
    for row in rows:
        key = (row.bulletin_id, row.bulletin_revision)
        if key not in approved:
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
        for scope in row.scopes:
            carried[scope].append(occurrence)
    span = settings.rules.programme_span
    return [
        rule.programme(scope, rule.items(carried[scope], now, span), 1, now) for scope in scopes
    ]


async def _configs(
    session: AsyncSession,
    scopes: Collection[str],
    keys: Keys,
    settings: config.Settings,
    now: datetime,
) -> list[Document]:
    if not scopes:
        return []
    codes = [scope.removeprefix("device/") for scope in scopes]
    devices = list(await session.scalars(sa.select(Device).where(Device.code.in_(codes))))
    clusters = {device.id: cluster for cluster, device in (await installed(session, now)).items()}
    places = [clusters[device.id] for device in devices if device.id in clusters]
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
            areas=areas.get(clusters.get(device.id, 0), []),
            keys=keys.public(),
            quiet_hours=quiet,
            utc_offset_minutes=int((now.astimezone(LOCAL).utcoffset() or timedelta()) / MINUTE),
            volume=device.volume,
            alert_volume=device.alert_volume,
            heartbeat_seconds=settings.rules.heartbeat_seconds,
        )
        for device in devices
    ]


MINUTE = timedelta(minutes=1)
