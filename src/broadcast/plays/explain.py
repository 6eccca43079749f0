"""Why a play did or did not sound, in one answer: everything known around it, in order of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import NotFound
from broadcast.kit.times import Moment
from broadcast.plays import texts
from broadcast.plays.settle import SELF_TEST_COUNTS, Grade, PlayState, Settlement
from broadcast.plays.timeline import Entry, around
from broadcast.telemetry.online_minutes import from_bits, span
from broadcast.web.fields import example

AROUND = timedelta(hours=1)
"""How far before and after a play presence, boots and faults are told."""


class Explanation(BaseModel):
    """What became of a play, why, and from what this follows."""

    model_config = example(
        occurrence_id="0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11", cluster="QN-21025-01",
        title="Bản tin sáng", starts_at="2025-07-02T05:30:00+07:00",
        ends_by="2025-07-02T05:36:00+07:00",
        state="missed", reason="powered_off", verdict="Không phát: thiết bị mất điện.",
        device="QN-000417", started_at=None, ended_at=None, played_seconds=0.0,
        audio_seconds=305.2, start_error_ms=None, evidence="none",
        evidence_text="chưa có bằng chứng phát", window_minutes=6, heard_minutes=0,
        timeline=[
            {"at": "2025-07-02T05:12:30+07:00", "kind": "presence", "text": "Thiết bị im lặng",
             "data": {"device": "QN-000417", "presence": "silent", "cause": "silence"}},
            {"at": "2025-07-02T05:30:00+07:00", "kind": "planned_start",
             "text": "Giờ phát theo lịch", "data": {}},
        ],
    )  # fmt: skip

    occurrence_id: UUID
    cluster: str
    title: str
    starts_at: Moment
    ends_by: Moment
    state: PlayState
    reason: str
    verdict: str = Field(description="một câu, cho người đọc")
    device: str | None = Field(description="thiết bị đã phát, hoặc lẽ ra phải phát")
    started_at: Moment | None
    ended_at: Moment | None
    played_seconds: float
    audio_seconds: float | None
    start_error_ms: int | None
    evidence: Grade
    evidence_text: str
    window_minutes: int = Field(description="số phút của khung giờ phát")
    heard_minutes: int = Field(description="trong đó nghe được thiết bị")
    timeline: list[Entry]


class _Play(NamedTuple):
    occurrence_id: UUID
    cluster_id: int
    cluster: str
    title: str
    scheduled_at: datetime
    scheduled_by: str
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


async def explain(session: AsyncSession, occurrence_id: UUID, cluster_code: str) -> Explanation:
    """Explain one play.

    Raises:
        NotFound: No such occurrence was ever planned for this cluster.
    """
    play = await _play(session, occurrence_id, cluster_code)
    devices = await _devices(session, play)
    timeline = [
        Entry(
            at=play.scheduled_at,
            kind="scheduled",
            text=f"{play.scheduled_by} xếp lịch “{play.title}”",
            data={"by": play.scheduled_by},
        ),
        Entry(at=play.starts_at, kind="planned_start", text="Giờ phát theo lịch"),
        Entry(at=play.latest_at, kind="late_limit", text="Quá giờ này thiết bị không phát nữa"),
        Entry(at=play.ends_by, kind="planned_end", text="Hết khung giờ phát"),
    ]
    timeline += await around(
        session,
        {
            "occurrence_id": play.occurrence_id,
            "cluster_id": play.cluster_id,
            "devices": sorted(devices),
            "scheduled_at": play.scheduled_at,
            "since": play.starts_at - AROUND,
            "until": play.ends_by + AROUND,
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
        start_error_ms=play.start_error_ms,
    )
    hanging = play.device_id if play.device_id in devices else min(devices, default=None)
    expected, heard = await _minutes(session, play, hanging)
    return Explanation(
        occurrence_id=occurrence_id,
        cluster=play.cluster,
        title=play.title,
        starts_at=play.starts_at,
        ends_by=play.ends_by,
        state=settlement.state,
        reason=play.reason,
        verdict=texts.verdict(settlement, play.audio_seconds),
        device=None if hanging is None else devices[hanging],
        started_at=play.started_at,
        ended_at=play.ended_at,
        played_seconds=play.played_seconds,
        audio_seconds=play.audio_seconds,
        start_error_ms=play.start_error_ms,
        evidence=Grade(play.evidence),
        evidence_text=texts.EVIDENCE[Grade(play.evidence)],
        window_minutes=expected,
        heard_minutes=heard,
        timeline=timeline,
    )


_PLAY = sa.text("""
    SELECT p.occurrence_id, p.cluster_id, c.code AS cluster, o.title,
           s.created_at AS scheduled_at, s.created_by AS scheduled_by, p.starts_at, p.ends_by,
           p.starts_at + o.late_limit_seconds * interval '1 second' AS latest_at, p.state,
           p.reason, p.device_id, p.started_at, p.ended_at, p.played_seconds, p.start_error_ms,
           p.fresh_starts, p.evidence, p.settled_at, NULLIF(r.seconds, 0) AS audio_seconds
    FROM occurrences AS o
    JOIN schedules AS s ON s.id = o.schedule_id
    JOIN clusters AS c ON c.code = :cluster
    JOIN plays AS p ON p.occurrence_id = o.id AND p.cluster_id = c.id
        AND p.month = date_trunc('month', o.recurrence_at AT TIME ZONE :zone)::date
    LEFT JOIN bulletin_revisions AS r
        ON r.bulletin_id = o.bulletin_id AND r.number = o.bulletin_revision
    WHERE o.id = :occurrence
""").bindparams(
    sa.bindparam("zone", LOCAL.key, sa.Text()),
    sa.bindparam("cluster", type_=sa.Text()),
    sa.bindparam("occurrence", type_=sa.Uuid()),
)


async def _play(session: AsyncSession, occurrence_id: UUID, cluster_code: str) -> _Play:
    keys = {"occurrence": occurrence_id, "cluster": cluster_code}
    row = (await session.execute(_PLAY, keys)).one_or_none()
    if row is None:
        raise NotFound(f"Lần phát {occurrence_id} chưa từng được xếp cho cụm loa {cluster_code}.")
    return _Play(*row)


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
    wanted = {day: span(day, play.starts_at, play.ends_by, LOCAL) for day in days}
    rows = await session.execute(
        sa.text(
            "SELECT day, minutes::text FROM online_minutes"
            " WHERE device_id = :device_id AND day = ANY(CAST(:days AS date[]))"
        ),
        {"device_id": device_id or 0, "days": sorted(days)},
    )
    heard = {row[0]: from_bits(row[1]) for row in rows}
    return (
        sum(value.bit_count() for value in wanted.values()),
        sum((value & heard.get(day, 0)).bit_count() for day, value in wanted.items()),
    )
