"""Before air time: at how many clusters a broadcast is ready, and what keeps the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.bulletins.model import Revision
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import OFFSET, daily
from broadcast.plays import forecast_texts
from broadcast.plays.forecast import Ahead, Cause, Forecast, Outlook, Planned, forecast, outranked
from broadcast.plays.forecast_schemas import ClusterForecastOut, ForecastOut
from broadcast.plays.ledger import month_of
from broadcast.plays.model import Play, PlayState
from broadcast.plays.silence import DECLARED_OUTAGE
from broadcast.programmes.compile import PROGRAMME_VALID
from broadcast.regulations.places import Windows
from broadcast.schedules.expansion import DAY
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleException
from broadcast.schedules.queries import get_occurrence
from broadcast.schedules.quota_check import Exceeded, exceeded
from broadcast.schedules.targets import TargetResolver, target_resolver
from broadcast.stations.model import Cluster
from broadcast.telemetry.presence import Presence
from broadcast.wire import quotas
from broadcast.wire.fields import OnPreempt
from broadcast.wire.hours import loudest, silent_until
from broadcast.wire.quotas import Limits, Sound

LONGEST_SOUND = timedelta(hours=3)
"""How long before a start others may have begun that still sound; no bulletin is longer."""

ON_TIME = timedelta(seconds=1)
"""A device may always start so late (docs/wire.md §8)."""

_ORDER = list(Outlook)
_CAUSES = list(Cause)


async def forecast_of(
    session: AsyncSession, occurrence_id: UUID, rules: Rules, now: datetime
) -> ForecastOut:
    """What is to be expected of an occurrence at the clusters of the caller's places.

    Raises:
        NotFound: There is no such occurrence in the caller's places.
    """
    return await _forecast(session, await get_occurrence(session, occurrence_id), rules, now)


async def next_of(
    session: AsyncSession,
    rules: Rules,
    now: datetime,
    *,
    schedule_id: UUID | None = None,
    bulletin_id: UUID | None = None,
) -> ForecastOut | None:
    """The forecast of the next start of a schedule, or of a bulletin; None without one."""
    occurrence = await session.scalar(
        sa.select(Occurrence)
        .where(
            Occurrence.starts_at > now,
            Occurrence.state == OccurrenceState.PLANNED,
            Occurrence.alert_mode.is_(None),
            *([] if schedule_id is None else [Occurrence.schedule_id == schedule_id]),
            *([] if bulletin_id is None else [Occurrence.bulletin_id == bulletin_id]),
        )
        .order_by(Occurrence.starts_at, Occurrence.id)
        .limit(1)
    )
    return None if occurrence is None else await _forecast(session, occurrence, rules, now)


async def _forecast(
    session: AsyncSession, occurrence: Occurrence, rules: Rules, now: datetime
) -> ForecastOut:
    is_alert = occurrence.alert_mode is not None  # it sounds at once: see its board
    is_planned = occurrence.state is OccurrenceState.PLANNED and not is_alert
    is_over = occurrence.starts_at <= now or not is_planned
    listed, exceeded = ([], []) if is_over else await _listed(session, occurrence, rules, now)
    listed.sort(
        key=lambda each: (
            _ORDER.index(each.outlook), _CAUSES.index(each.cause) if each.cause else -1, each.code
        )
    )  # fmt: skip
    counts = Counter(each.outlook for each in listed)
    others = [
        (each.name, each.outlook, each.cause_text)
        for each in listed
        if each.outlook is not Outlook.READY
    ]
    return ForecastOut(
        occurrence_id=occurrence.id,
        schedule_id=occurrence.schedule_id,
        title=occurrence.title,
        starts_at=occurrence.starts_at,
        at=now,
        is_over=is_over,
        answer=forecast_texts.answer(counts, others, occurrence.starts_at, is_over=is_over),
        clusters_count=len(listed),
        counts=dict(counts),
        exceeded=exceeded,
        clusters=listed,
    )


async def _listed(
    session: AsyncSession, occurrence: Occurrence, rules: Rules, now: datetime
) -> tuple[list[ClusterForecastOut], list[str]]:
    """Every cluster of the plan that the caller finds, judged; the quotas exceeded at them."""
    rows = await session.execute(
        sa.select(Cluster.id, Cluster.code, Cluster.name)
        .join(Play, Play.cluster_id == Cluster.id)
        .where(
            Play.occurrence_id == occurrence.id,
            Play.month == month_of(occurrence.recurrence_at),
            Play.state == PlayState.PLANNED,
        )
    )
    named = {id_: (code, name) for id_, code, name in rows}
    if not named:
        return [], []
    async with scope.whole(session):
        documents = await _documents(session, occurrence)
        known = await _known(session, occurrence, documents, named)
        resolver = await target_resolver(session)
        hours = await _hours(resolver, occurrence, named, rules)
        exceeded, over = await _quotas(session, resolver, occurrence, named)
        lost = await _outranked(session, occurrence, named, over)
        seconds = await _seconds(session, occurrence)
    found = []
    for each in known:
        judged = forecast(
            _ahead(
                each, occurrence, documents, lost, hours[each.cluster_id], seconds,
                over_quota=occurrence.id in over.get(each.cluster_id, ()),
            ),
            now,
        )  # fmt: skip
        found.append(_shown(each, *named[each.cluster_id], judged))
    return found, [each.text.format(where=_where(each)) for each in exceeded]


def _where(exceeded: Exceeded) -> str:
    return f"ở {len(exceeded.cluster_ids)} cụm loa"


class _Carrier(NamedTuple):
    """A published revision that carries the item as it is now."""

    revision: int
    lapses_at: datetime


class _Known(NamedTuple):
    """A row of `_KNOWN`."""

    cluster_id: int
    device: str | None
    volume: int | None
    presence: str | None
    last_seen_at: datetime | None
    mains: bool | None
    clock_wrong: bool
    held: Mapping[str, int] | None
    readiness: str | None
    faults: list[str]
    outage: str | None
    refused: bool


def _ahead(
    known: _Known,
    occurrence: Occurrence,
    documents: Mapping[str, Collection[_Carrier]],
    lost: Collection[int],
    hours: Windows,
    seconds: float,
    *,
    over_quota: bool,
) -> Ahead:
    starts_at = occurrence.starts_at
    latest = _latest(starts_at, occurrence.late_limit_seconds, occurrence.ends_by)
    silent = silent_until(hours, OFFSET, starts_at)
    wished = known.volume if occurrence.volume is None else occurrence.volume
    held = known.held or {}
    return Ahead(
        starts_at=occurrence.starts_at,
        has_device=known.device is not None,
        presence=Presence(known.presence or Presence.NEVER_SEEN),
        published=any(documents.values()),
        holds=any(
            held.get(document) == each.revision and each.lapses_at >= occurrence.starts_at
            for document, carriers in documents.items()
            for each in carriers
        ),
        refused=known.refused,
        readiness=known.readiness,
        quiet=silent is not None and silent > latest,
        volume=min(100 if wished is None else wished, loudest(hours, OFFSET, starts_at, seconds)),
        over_quota=over_quota,
        outage=known.outage,
        faults=frozenset(known.faults),
        clock_wrong=known.clock_wrong,
        mains=known.mains,
        outranked=known.cluster_id in lost,
    )


def _shown(known: _Known, code: str, name: str, judged: Forecast) -> ClusterForecastOut:
    return ClusterForecastOut(
        code=code,
        name=name,
        device=known.device,
        outlook=judged.outlook,
        outlook_text=forecast_texts.OUTLOOKS[judged.outlook],
        cause=judged.cause,
        cause_text=forecast_texts.cause(judged.cause),
        remedy=forecast_texts.remedy(judged.cause),
        last_seen_at=known.last_seen_at,
    )


def _latest(starts_at: datetime, late_limit_seconds: int, ends_by: datetime) -> datetime:
    return min(ends_by, starts_at + max(ON_TIME, timedelta(seconds=late_limit_seconds)))


async def _hours(
    resolver: TargetResolver, occurrence: Occurrence, clusters: Collection[int], rules: Rules
) -> dict[int, Windows]:
    """Windows of silence and of less volume around the start, by Quy chế and settings."""
    on = occurrence.starts_at.astimezone(LOCAL).date()
    return await resolver.rules.hours(clusters, on - DAY, on + DAY, daily(rules.quiet_hours))


async def _seconds(session: AsyncSession, occurrence: Occurrence) -> float:
    """How long it lasts from its start on, at the longest."""
    if occurrence.relay_seconds is not None:
        return occurrence.relay_seconds
    key = (occurrence.bulletin_id, occurrence.bulletin_revision)
    return (await session.get_one(Revision, key)).air_seconds


_OF_DAY = sa.text("""
    SELECT p.cluster_id, o.id, o.starts_at,
           COALESCE(o.relay_seconds, GREATEST(r.seconds, r.longest_seconds), 0) AS seconds
    FROM plays AS p
    JOIN occurrences AS o ON o.id = p.occurrence_id
        AND o.state = 'planned' AND o.alert_mode IS NULL AND o.live_key IS NULL
    JOIN bulletin_revisions AS r
        ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
    WHERE p.starts_at >= :since AND p.starts_at < :until AND p.state <> 'cancelled'
      AND p.cluster_id = ANY(CAST(:clusters AS integer[]))
""")


async def _quotas(
    session: AsyncSession,
    resolver: TargetResolver,
    occurrence: Occurrence,
    clusters: Collection[int],
) -> tuple[list[Exceeded], dict[int, frozenset[UUID]]]:
    """Quotas that the day of a start exceeds at these clusters, and what is over quota at each."""
    on = occurrence.starts_at.astimezone(LOCAL).date()
    limits = await resolver.rules.limits(on)
    concerned = {cluster: limits[cluster] for cluster in clusters if cluster in limits}
    if not concerned:
        return [], {}
    begin = datetime.combine(on, time(), LOCAL)
    span = {"since": begin, "until": begin + DAY, "clusters": sorted(concerned)}
    sounds: defaultdict[int, dict[UUID, Sound]] = defaultdict(dict)
    for row in await session.execute(_OF_DAY, span):
        ends_at = row.starts_at + timedelta(seconds=row.seconds)
        sounds[row.cluster_id][row.id] = Sound(row.starts_at, ends_at)
    # Most clusters have the same items: what is over quota is reckoned once.
    known: dict[tuple[Limits, frozenset[UUID]], frozenset[UUID]] = {}
    over = {}
    for cluster, heard in sounds.items():
        key = concerned[cluster].quotas, frozenset(heard)
        if key not in known:
            known[key] = quotas.over(key[0], heard)
        over[cluster] = known[key]
    found = exceeded(on, concerned, {id_: list(each.values()) for id_, each in sounds.items()})
    return found, over


_DOCUMENTS = sa.text("""
    SELECT p.scope || '/' || p.kind AS document, p.revision, p.issued_at,
           p.revision = d.published_revision AS is_newest
    FROM programme_revisions AS p
    LEFT JOIN documents AS d ON d.scope = p.scope AND d.kind = p.kind
    WHERE p.occurrence_ids @> ARRAY[CAST(:occurrence_id AS uuid)] AND p.published_at IS NOT NULL
""")


async def _documents(session: AsyncSession, occurrence: Occurrence) -> dict[str, list[_Carrier]]:
    """Documents that were published with the item as it is now.

    What is issued anew says of most items what it said before: an older revision will do, too, if
    nobody has changed the schedule or moved this start since.
    """
    changed_at = await session.scalar(
        sa.select(sa.func.greatest(Schedule.changed_at, ScheduleException.changed_at))
        .outerjoin(
            ScheduleException,
            sa.and_(
                ScheduleException.schedule_id == Schedule.id,
                ScheduleException.recurrence_at == occurrence.recurrence_at,
            ),
        )
        .where(Schedule.id == occurrence.schedule_id)
    )
    found: defaultdict[str, list[_Carrier]] = defaultdict(list)
    for row in await session.execute(_DOCUMENTS, {"occurrence_id": occurrence.id}):
        if row.is_newest or (changed_at is not None and row.issued_at >= changed_at):
            carrier = _Carrier(row.revision, row.issued_at + PROGRAMME_VALID)
            found[row.document].append(carrier)
    return found


_KNOWN = sa.text(f"""
    WITH n AS (
        SELECT cluster_id, CAST(:starts_at AS timestamptz) AS starts_at,
               CAST(:latest_at AS timestamptz) AS latest_at
        FROM unnest(CAST(:clusters AS integer[])) AS c (cluster_id)
    )
    SELECT n.cluster_id, d.code AS device, d.volume, p.presence, p.last_seen_at, p.mains,
        COALESCE(p.clock_wrong, false) AS clock_wrong, p.held, r.state AS readiness,
        ARRAY(
            SELECT f.kind FROM faults AS f
            WHERE f.device_id = d.id AND f.closed_at IS NULL
        ) AS faults,
        outage.kind AS outage,
        EXISTS (
            SELECT FROM refusals AS f
            WHERE f.device_id = d.id AND f.reason <> 'revision'
              AND f.received_at >= CAST(:since AS timestamptz)
              AND EXISTS (
                  SELECT FROM unnest(CAST(:topics AS text[])) AS t (topic)
                  WHERE right(f.topic, length(t.topic)) = t.topic
              )
        ) AS refused
    FROM n
    LEFT JOIN installations AS i ON i.cluster_id = n.cluster_id AND i.removed_at IS NULL
    LEFT JOIN devices AS d ON d.id = i.device_id
    LEFT JOIN device_presence AS p ON p.device_id = d.id
    LEFT JOIN readiness AS r
        ON r.device_id = d.id AND r.occurrence_id = :occurrence_id
        AND r.bulletin_revision = :bulletin_revision
    {DECLARED_OUTAGE}
""").bindparams(  # noqa: S608 — made of constants
    sa.bindparam("zone", LOCAL.key, sa.Text())
)


async def _known(
    session: AsyncSession,
    occurrence: Occurrence,
    documents: Mapping[str, Collection[_Carrier]],
    clusters: Iterable[int],
) -> list[_Known]:
    """What the devices on these clusters have reported."""
    issued = [each.lapses_at - PROGRAMME_VALID for found in documents.values() for each in found]
    rows = await session.execute(
        _KNOWN,
        {
            "occurrence_id": occurrence.id,
            "bulletin_revision": occurrence.bulletin_revision,
            "starts_at": occurrence.starts_at,
            "latest_at": _latest(
                occurrence.starts_at, occurrence.late_limit_seconds, occurrence.ends_by
            ),
            "clusters": sorted(clusters),
            "since": min(issued, default=occurrence.starts_at),
            "topics": [_topic(document) for document in documents],
        },
    )
    return [_Known(**row) for row in rows.mappings()]


def _topic(document: str) -> str:
    owner, _, kind = document.rpartition("/")
    return f"{owner}/state/{kind}"


_PLANNED = sa.text("""
    SELECT p.cluster_id, o.id AS occurrence_id, o.priority, o.starts_at, o.late_limit_seconds,
           o.ends_by, o.on_preempt,
           COALESCE(o.relay_seconds, GREATEST(r.seconds, r.longest_seconds), 0) AS seconds
    FROM plays AS p
    JOIN occurrences AS o ON o.id = p.occurrence_id AND o.state = 'planned'
    JOIN bulletin_revisions AS r
        ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
    WHERE p.starts_at > :since AND p.starts_at <= :until AND p.state = 'planned'
      AND p.cluster_id = ANY(CAST(:clusters AS integer[]))
""")


async def _outranked(
    session: AsyncSession,
    occurrence: Occurrence,
    clusters: Iterable[int],
    over: Mapping[int, Collection[UUID]],
) -> set[int]:
    """Clusters at which others have the loudspeaker as long as the occurrence may begin.

    What is over quota there does not sound, and keeps nothing waiting.
    """
    latest = _latest(occurrence.starts_at, occurrence.late_limit_seconds, occurrence.ends_by)
    rows = await session.execute(
        _PLANNED,
        {
            "since": occurrence.starts_at - LONGEST_SOUND,
            "until": latest,
            "clusters": sorted(clusters),
        },
    )
    there: defaultdict[int, set[Planned]] = defaultdict(set)
    for row in rows.mappings():
        if row["occurrence_id"] not in over.get(row["cluster_id"], ()):
            there[row["cluster_id"]].add(_planned(row))
    # Most clusters have the same items: what they come to is reckoned once.
    lost: dict[frozenset[Planned], bool] = {}
    found = set()
    for cluster_id, items in there.items():
        key = frozenset(items)
        if key not in lost:
            lost[key] = str(occurrence.id) in outranked(key)
        if lost[key]:
            found.add(cluster_id)
    return found


def _planned(row: Mapping[Any, Any]) -> Planned:
    return Planned(
        occurrence_id=str(row["occurrence_id"]),
        priority=row["priority"],
        starts_at=row["starts_at"],
        latest_at=_latest(row["starts_at"], row["late_limit_seconds"], row["ends_by"]),
        ends_by=row["ends_by"],
        seconds=row["seconds"],
        on_preempt=OnPreempt(row["on_preempt"]),
    )
