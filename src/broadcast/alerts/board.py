"""The board of an alert: who has received it, where it sounds, and whom to call.

Of each village the best of its loudspeakers counts. Where none has begun, somebody must be called.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.contacts import ContactOut, contacts
from broadcast.auth.caller import Caller
from broadcast.kit.times import Moment
from broadcast.plays.results import result_of
from broadcast.plays.schemas import ClusterResultOut, VillageResultOut
from broadcast.plays.soundings import Sounding


class Stage(StrEnum):
    """How far an alert has come, from the best to the worst."""

    FINISHED = "finished"
    STARTED = "started"
    RECEIVED = "received"
    """The device holds it and has not said that it sounds."""
    NO_ANSWER = "no_answer"
    NOT_HEARD = "not_heard"
    """It is known that nothing sounded, or no loudspeaker is there."""


_ORDER = list(Stage)
TO_CALL = frozenset({Stage.RECEIVED, Stage.NO_ANSWER, Stage.NOT_HEARD})

_OF_SOUNDING = {
    Sounding.SOUNDED: Stage.FINISHED,
    Sounding.PLAYING: Stage.STARTED,
    Sounding.PARTLY: Stage.STARTED,
    Sounding.SILENT: Stage.NOT_HEARD,
    Sounding.UNREACHED: Stage.NOT_HEARD,
}


class BoardVillageOut(BaseModel):
    """How far an alert has come in one village."""

    code: str
    name: str
    commune: str
    stage: Stage
    reason_text: str
    remedy: str
    clusters: list[str]
    contact: ContactOut | None


class BoardOut(BaseModel):
    """How far an alert has come, in the caller's places."""

    alert_id: UUID
    starts_at: Moment
    villages_count: int
    counts: dict[Stage, int] = Field(description="số thôn theo mức đã đến")
    clusters_count: int
    received_count: int = Field(description="số cụm loa đã nhận")
    started_count: int = Field(description="số cụm loa đã phát hoặc đang phát")
    finished_count: int = Field(description="số cụm loa đã phát xong")
    villages: list[BoardVillageOut] = Field(description="nơi phải gọi trước")
    to_call_count: int


_RECEIVED = sa.text("""
    SELECT DISTINCT c.code
    FROM plays AS p
    JOIN clusters AS c ON c.id = p.cluster_id
    JOIN installations AS i ON i.cluster_id = p.cluster_id
        AND i.installed_at <= p.ends_by AND (i.removed_at IS NULL OR i.removed_at > p.starts_at)
    JOIN programme_revisions AS d ON d.occurrence_ids @> ARRAY[p.occurrence_id]
        AND d.kind = 'alerts'
    JOIN receipts AS r ON r.device_id = i.device_id
        AND r.document = d.scope || '/alerts' AND r.revision = d.revision
    WHERE p.occurrence_id = :alert AND c.code = ANY (CAST(:clusters AS text[]))
""").bindparams(sa.bindparam("alert", type_=sa.Uuid()))
"""Clusters of the caller whose device said that it holds the document."""


async def board(session: AsyncSession, alert_id: UUID, caller: Caller) -> BoardOut:
    """The board of an alert that was authorised.

    Raises:
        NotFound: There is none in the caller's places.
    """
    result = await result_of(session, alert_id, caller)
    mine = [each.code for each in result.clusters]
    rows = await session.scalars(_RECEIVED, {"alert": alert_id, "clusters": mine})
    received = set(rows)
    stages = {
        each.code: _stage(each, is_received=each.code in received) for each in result.clusters
    }
    known = await contacts(session, [each.code for each in result.villages])
    villages = [_village(each, stages, known.get(each.code)) for each in result.villages]
    villages.sort(key=lambda each: (-_ORDER.index(each.stage), each.commune, each.name))
    counts = Counter(each.stage for each in villages)
    started = [each for each in stages.values() if each in {Stage.STARTED, Stage.FINISHED}]
    return BoardOut(
        alert_id=alert_id,
        starts_at=result.starts_at,
        villages_count=len(villages),
        counts=dict(counts),
        clusters_count=len(stages),
        received_count=len(started) + sum(each is Stage.RECEIVED for each in stages.values()),
        started_count=len(started),
        finished_count=sum(each is Stage.FINISHED for each in stages.values()),
        villages=villages,
        to_call_count=sum(counts[stage] for stage in TO_CALL),
    )


def _stage(cluster: ClusterResultOut, *, is_received: bool) -> Stage:
    found = _OF_SOUNDING.get(cluster.sounding)
    if found is None and cluster.started_at is not None:
        found = Stage.STARTED
    return found or (Stage.RECEIVED if is_received else Stage.NO_ANSWER)


def _village(
    village: VillageResultOut, stages: dict[str, Stage], contact: ContactOut | None
) -> BoardVillageOut:
    found = [stages[code] for code in village.clusters if code in stages]
    stage = min(found, key=_ORDER.index) if found else Stage.NOT_HEARD
    return BoardVillageOut(
        code=village.code,
        name=village.name,
        commune=village.commune,
        stage=stage,
        reason_text=village.reason_text,
        remedy=village.remedy,
        clusters=village.clusters,
        contact=contact,
    )
