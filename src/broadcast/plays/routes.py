"""REST of the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import CallerDep
from broadcast.accounts.routing import Router
from broadcast.kit import clock
from broadcast.kit.errors import InvalidInput
from broadcast.kit.times import Moment
from broadcast.plays import texts
from broadcast.plays.clashes import Clash, clashes
from broadcast.plays.explain import Explanation, explain
from broadcast.plays.model import Play, PlayState
from broadcast.plays.settle import Grade, Reason
from broadcast.plays.summary import Summary, summary
from broadcast.schedules.model import Occurrence
from broadcast.stations.model import Cluster
from broadcast.stations.spans import Days, area_over, clusters_over, days_of, heard_by
from broadcast.web.rest import AppSettings, Page, PageQuery, Session, paged, require_known

router = Router(prefix="/api/v1", tags=["plays"])

DAY = timedelta(days=1)

From = Annotated[
    Moment | None,
    Query(alias="from", description="giờ phát từ, mặc định 24 giờ trước `to`"),
]
To = Annotated[Moment | None, Query(alias="to", description="giờ phát trước, mặc định bây giờ")]


class PlayView(BaseModel):
    """One occurrence at one cluster."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "occurrence_id": "0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11",
                "cluster": "QN-21025-01",
                "title": "Bản tin sáng",
                "starts_at": "2025-07-02T05:30:00+07:00",
                "ends_by": "2025-07-02T05:36:00+07:00",
                "state": "missed",
                "reason": "offline",
                "reason_text": "thiết bị mất kết nối và chưa gửi nhật ký phát",
                "started_at": None,
                "ended_at": None,
                "played_seconds": 0.0,
                "start_error_ms": None,
                "fresh_starts": 0,
                "evidence": "none",
                "evidence_text": "chưa có bằng chứng phát",
                "settled_at": "2025-07-02T05:51:00+07:00",
                "restated": 0,
            }
        }
    )

    occurrence_id: UUID
    cluster: str
    title: str
    starts_at: Moment
    ends_by: Moment
    state: PlayState
    reason: str
    reason_text: str
    started_at: Moment | None
    ended_at: Moment | None
    played_seconds: float
    start_error_ms: int | None
    fresh_starts: int
    evidence: Grade
    evidence_text: str
    settled_at: Moment | None
    restated: int


@router.get("/plays", summary="Sổ phát: từng lần phát ở từng cụm loa")
async def list_plays(
    session: Session,
    caller: CallerDep,
    paging: PageQuery,
    since: From = None,
    until: To = None,
    occurrence: Annotated[UUID | None, Query(description="một lần phát, ở mọi cụm")] = None,
    cluster: Annotated[str | None, Query(description="mã cụm loa")] = None,
    area: Annotated[str | None, Query(description="mã đơn vị, địa giới của từng ngày")] = None,
    state: Annotated[list[PlayState] | None, Query(description="một hay nhiều trạng thái")] = None,
    reason: Annotated[Reason | None, Query(description="một lý do", examples=["offline"])] = None,
    evidence: Annotated[list[Grade] | None, Query(description="một hay nhiều bậc")] = None,
) -> Page[PlayView]:
    """Plays by planned start. With `occurrence` the span of time may be left out."""
    statement = (
        sa.select(Play, Cluster.code, Occurrence.title)
        .join(Cluster, Cluster.id == Play.cluster_id)
        .join(Occurrence, Occurrence.id == Play.occurrence_id)
    )
    if occurrence is not None:
        await require_known(session, "occurrence", Occurrence.id, occurrence)
        statement = statement.where(Play.occurrence_id == occurrence)
    start, end = _span(since, until)
    if occurrence is None or since is not None or until is not None:
        statement = statement.where(Play.starts_at >= start, Play.starts_at < end)
    if cluster is not None:
        await require_known(session, "cluster", Cluster.code, cluster)
        statement = statement.where(Cluster.code == cluster)
    if area is not None:
        days = days_of(start, end) if occurrence is None else await _days(session, occurrence)
        inside = await clusters_over(session, await area_over(session, "area", area, days))
        statement = statement.where(heard_by(inside, Play.cluster_id, Play.starts_at))
    if state:
        statement = statement.where(Play.state.in_(state))
    if reason is not None:
        statement = statement.where(Play.reason == reason)
    if evidence:
        statement = statement.where(Play.evidence.in_(evidence))
    key = [Play.starts_at, Play.occurrence_id, Play.cluster_id]
    rows, following = await paged(session, statement, key, paging)
    return Page(items=[_view(*row) for row in rows], next=following)


async def _days(session: AsyncSession, occurrence_id: UUID) -> Days:
    """The day of an occurrence."""
    row = await session.get(Occurrence, occurrence_id)
    at = clock.now() if row is None else row.starts_at
    return days_of(at, at)


def _span(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    end = until or clock.now()
    start = since or end - DAY
    if start >= end:
        raise InvalidInput("from", "phải trước `to`")
    return start, end


def _view(play: Play, cluster: str, title: str) -> PlayView:
    return PlayView(
        occurrence_id=play.occurrence_id,
        cluster=cluster,
        title=title,
        starts_at=play.starts_at,
        ends_by=play.ends_by,
        state=play.state,
        reason=play.reason,
        reason_text=texts.reason(play.reason),
        started_at=play.started_at,
        ended_at=play.ended_at,
        played_seconds=play.played_seconds,
        start_error_ms=play.start_error_ms,
        fresh_starts=play.fresh_starts,
        evidence=Grade(play.evidence),
        evidence_text=texts.EVIDENCE[Grade(play.evidence)],
        settled_at=play.settled_at,
        restated=play.restated,
    )


@router.get("/plays/clashes", summary="Lần phát sắp tới trùng giờ, cùng mức ưu tiên")
async def show_clashes(session: Session, settings: AppSettings, caller: CallerDep) -> list[Clash]:
    """Of the days that are planned (eight), by start; empty when all is well."""
    now = clock.now()
    return await clashes(session, now, now + settings.rules.horizon)


@router.get("/plays/summary", summary="Sổ phát tóm tắt: bao nhiêu đã phát, không phát vì sao")
async def plays_summary(
    session: Session, caller: CallerDep, since: From = None, until: To = None
) -> Summary:
    """Figures of the plays that were to start in a span of time."""
    return await summary(session, *_span(since, until))


@router.get(
    "/plays/{occurrence_id}/{cluster}/explain", summary="Vì sao đã hoặc không phát ở cụm loa này"
)
async def explain_play(
    session: Session, caller: CallerDep, occurrence_id: UUID, cluster: str
) -> Explanation:
    """One answer with everything known: planned, published, received, ready, sounded, faults."""
    return await explain(session, occurrence_id, cluster)
