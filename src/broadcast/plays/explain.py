"""Explanation of a play, whether it sounded or not: all events around it, in order of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.plays import texts
from broadcast.plays.joined import HEARD
from broadcast.plays.schemas import ExplanationOut, TimelineEntryOut
from broadcast.plays.settle import SELF_TEST_COUNTS, Grade, PlayState, Settlement
from broadcast.plays.timeline import read_events
from broadcast.stations.clusters import find_cluster
from broadcast.telemetry.online_minutes import from_bits, span

MARGIN = timedelta(hours=1)
"""Time before and after a play for which presence, boots and faults are shown."""


class _Play(NamedTuple):
    occurrence_id: UUID
    cluster_id: int
    cluster: str
    title: str
    scheduled_at: datetime
    scheduled_by: int
    scheduler: str
    starts_at: datetime
    ends_by: datetime
    latest_at: datetime
    state: str
    reason: str
    device_id: int | None
    started_at: datetime | None
    ended_at: datetime | None
    played_seconds: float
    start_error_ms: int | None
    fresh_starts: int
    evidence: str
    settled_at: datetime | None
    audio_seconds: float | None
    relayed_seconds: float | None


async def explain(session: AsyncSession, occurrence_id: UUID, cluster_code: str) -> ExplanationOut:
    """Explain one play.

    Raises:
        NotFound: No such occurrence was ever planned for this cluster.
    """
    if await find_cluster(session, cluster_code) is None:
        raise _never_planned(occurrence_id, cluster_code)
    async with scope.whole(session):
        return await _explain(session, occurrence_id, cluster_code)


async def _explain(
    session: AsyncSession, occurrence_id: UUID, cluster_code: str
) -> ExplanationOut:
    play = await _play(session, occurrence_id, cluster_code)
    devices = await _devices(session, play)
    timeline = [
        TimelineEntryOut(
            at=play.scheduled_at,
            kind="scheduled",
            text=f"{play.scheduler} xếp lịch “{play.title}”",
            data={"by": {"id": play.scheduled_by, "name": play.scheduler}},
        ),
        TimelineEntryOut(at=play.starts_at, kind="planned_start", text="Giờ phát theo lịch"),
        TimelineEntryOut(
            at=play.latest_at, kind="late_limit", text="Quá giờ này thiết bị không phát nữa"
        ),
        TimelineEntryOut(at=play.ends_by, kind="planned_end", text="Hết khung giờ phát"),
    ]
    timeline += await read_events(
        session,
        {
            "occurrence_id": play.occurrence_id,
            "cluster_id": play.cluster_id,
            "devices": sorted(devices),
            "scheduled_at": play.scheduled_at,
            "since": play.starts_at - MARGIN,
            "until": play.ends_by + MARGIN,
            "tested_since": play.starts_at - SELF_TEST_COUNTS,
            "tested_until": play.ends_by + SELF_TEST_COUNTS,
            "day": play.starts_at.astimezone(LOCAL).date(),
        },
    )
    # Stable: what happened at the same moment stays in the order of cause and effect.
    timeline.sort(key=lambda entry: entry.at)
    settlement = Settlement(
        state=PlayState(play.state),
        reason=play.reason,
        started_at=play.started_at,
        ended_at=play.ended_at,
        played_seconds=play.played_seconds,
        relayed_seconds=play.relayed_seconds,
        start_error_ms=play.start_error_ms,
    )
    installed = play.device_id if play.device_id in devices else min(devices, default=None)
    expected, online = await _minutes(session, play, installed)
    return ExplanationOut(
        occurrence_id=occurrence_id,
        cluster=play.cluster,
        title=play.title,
        starts_at=play.starts_at,
        ends_by=play.ends_by,
        state=settlement.state,
        reason=play.reason,
        verdict=texts.verdict(settlement, play.audio_seconds),
        device=None if installed is None else devices[installed],
        started_at=play.started_at,
        ended_at=play.ended_at,
        played_seconds=play.played_seconds,
        relayed_seconds=play.relayed_seconds,
        audio_seconds=play.audio_seconds,
        start_error_ms=play.start_error_ms,
        evidence=Grade(play.evidence),
        evidence_text=texts.EVIDENCE[Grade(play.evidence)],
        window_minutes=expected,
        heard_minutes=online,
        timeline=timeline,
    )


_PLAY = sa.text(f"""
    SELECT p.occurrence_id, p.cluster_id, c.code AS cluster, o.title,
           s.created_at AS scheduled_at, s.created_by AS scheduled_by,
           a.name AS scheduler, p.starts_at, p.ends_by,
           p.starts_at + o.late_limit_seconds * interval '1 second' AS latest_at, p.state,
           p.reason, p.device_id, p.started_at, p.ended_at, p.played_seconds, p.start_error_ms,
           p.fresh_starts, p.evidence, p.settled_at, p.relayed_seconds,
           COALESCE(o.relay_seconds, heard.seconds, NULLIF(r.seconds, 0)) AS audio_seconds
    FROM occurrences AS o
    JOIN schedules AS s ON s.id = o.schedule_id
    JOIN accounts AS a ON a.id = s.created_by
    JOIN clusters AS c ON c.code = :cluster
    JOIN plays AS p ON p.occurrence_id = o.id AND p.cluster_id = c.id
        AND p.month = date_trunc('month', o.recurrence_at AT TIME ZONE :zone)::date
    LEFT JOIN bulletin_revisions AS r
        ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
    {HEARD}
    WHERE o.id = :occurrence
""").bindparams(  # noqa: S608 — text of ours
    sa.bindparam("zone", LOCAL.key, sa.Text()),
    sa.bindparam("cluster", type_=sa.Text()),
    sa.bindparam("occurrence", type_=sa.Uuid()),
)


async def _play(session: AsyncSession, occurrence_id: UUID, cluster_code: str) -> _Play:
    keys = {"occurrence": occurrence_id, "cluster": cluster_code}
    row = (await session.execute(_PLAY, keys)).mappings().one_or_none()
    if row is None:
        raise _never_planned(occurrence_id, cluster_code)
    return _Play(**row)


def _never_planned(occurrence_id: UUID, cluster_code: str) -> NotFound:
    return NotFound(f"Buổi phát {occurrence_id} chưa từng được xếp cho cụm loa {cluster_code}.")


_DEVICES = sa.text("""
    SELECT d.id, d.code FROM devices AS d
    WHERE d.id IN (
        SELECT i.device_id FROM installations AS i
        WHERE i.cluster_id = :cluster_id AND i.installed_at <= :starts_at
          AND (i.removed_at IS NULL OR i.removed_at > :starts_at)
        UNION
        SELECT j.device_id FROM journal_records AS j
        WHERE j.occurrence_id = :occurrence AND j.cluster_id = :cluster_id
    )
""")


async def _devices(session: AsyncSession, play: _Play) -> dict[int, str]:
    rows = await session.execute(
        _DEVICES,
        {
            "cluster_id": play.cluster_id,
            "starts_at": play.starts_at,
            "occurrence": str(play.occurrence_id),
        },
    )
    return {row.id: row.code for row in rows}


async def _minutes(session: AsyncSession, play: _Play, device_id: int | None) -> tuple[int, int]:
    days = {play.starts_at.astimezone(LOCAL).date(), play.ends_by.astimezone(LOCAL).date()}
    expected_minutes = {day: span(day, play.starts_at, play.ends_by, LOCAL) for day in days}
    rows = await session.execute(
        sa.text(
            "SELECT day, minutes::text AS minutes FROM online_minutes"
            " WHERE device_id = :device_id AND day = ANY(CAST(:days AS date[]))"
        ),
        {"device_id": device_id or 0, "days": sorted(days)},
    )
    online = {row.day: from_bits(row.minutes) for row in rows}
    return (
        sum(value.bit_count() for value in expected_minutes.values()),
        sum((value & online.get(day, 0)).bit_count() for day, value in expected_minutes.items()),
    )
