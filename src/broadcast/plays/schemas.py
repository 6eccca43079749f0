"""Answers of the ledger, over REST and in the demonstration."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from broadcast.kit.english import Said
from broadcast.kit.times import Moment
from broadcast.plays import texts
from broadcast.plays.model import Play, PlayState
from broadcast.plays.settle import Grade
from broadcast.plays.soundings import Sounding
from broadcast.schedules.model import OccurrenceState
from broadcast.web.fields import example
from broadcast.wire.fields import BulletinClass


class PlayOut(BaseModel):
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
                "relayed_seconds": None,
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
    reason_text: Said
    started_at: Moment | None
    ended_at: Moment | None
    played_seconds: float
    relayed_seconds: float | None = Field(description="trong đó: tiếp âm; null: không tiếp âm")
    start_error_ms: int | None
    fresh_starts: int
    evidence: Grade
    evidence_text: Said
    settled_at: Moment | None
    restated: int

    @classmethod
    def of(cls, play: Play, cluster: str, title: str) -> Self:
        """A play, with the code of its cluster and the title of its bulletin."""
        return cls(
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
            relayed_seconds=play.relayed_seconds,
            start_error_ms=play.start_error_ms,
            fresh_starts=play.fresh_starts,
            evidence=Grade(play.evidence),
            evidence_text=texts.EVIDENCE[Grade(play.evidence)],
            settled_at=play.settled_at,
            restated=play.restated,
        )


class ClashOut(BaseModel):
    """Two occurrences of equal priority at the same clusters at the same time."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "starts_at": "2025-07-08T17:00:00+07:00",
                "occurrence_id": "0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11",
                "title": "Bản tin chiều xã Nghĩa Phú",
                "other_starts_at": "2025-07-08T17:05:00+07:00",
                "other_occurrence_id": "7d0c8a51-2f5e-5b8b-8a5e-0f6f1c0a9d22",
                "other_title": "Bản tin chiều xã Nghĩa An",
                "priority": 64,
                "cluster_count": 2,
            }
        },
    )

    starts_at: Moment
    occurrence_id: UUID
    title: str
    other_starts_at: Moment = Field(description="sẽ phải chờ, và có thể bị bỏ")
    other_occurrence_id: UUID
    other_title: str
    priority: int
    cluster_count: int


class SummaryOut(BaseModel):
    """Figures of the plays that were to start in a span of time."""

    model_config = example(
        since="2025-07-01T00:00:00+07:00", until="2025-07-02T00:00:00+07:00", expected=6000,
        played=5821,
        partial=40, preempted=12, missed=127, missed_by_reason={"powered_off": 88, "offline": 39},
        unexplained=0, waiting=0, cancelled=4, clock_wrong=3, restated=17, duplicates=0, late=0,
        start_error_ms_p50=40, start_error_ms_p99=310,
    )  # fmt: skip

    since: Moment
    until: Moment
    expected: int = Field(description="plays that were not cancelled")
    played: int
    partial: int
    preempted: int
    missed: int
    missed_by_reason: dict[str, int]
    unexplained: int
    waiting: int = Field(description="planned or playing")
    cancelled: int
    clock_wrong: int = Field(
        description="of partial and missed: reported with a time that cannot be true"
    )
    restated: int = Field(description="changed by later evidence after they were settled")
    duplicates: int = Field(description="sounded from the beginning more than once")
    late: int = Field(description="began after the late limit")
    start_error_ms_p50: int | None = Field(description="median distance from the planned start")
    start_error_ms_p99: int | None


class TimelineEntryOut(BaseModel):
    """An event around a play."""

    at: Moment
    kind: str
    text: Said
    data: dict[str, Any] = {}


class ExplanationOut(BaseModel):
    """The outcome of a play, its reason, and the events from which it follows."""

    model_config = example(
        occurrence_id="0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11", cluster="QN-21025-01",
        title="Bản tin sáng", starts_at="2025-07-02T05:30:00+07:00",
        ends_by="2025-07-02T05:36:00+07:00",
        state="missed", reason="powered_off", verdict="Không phát: thiết bị mất điện.",
        device="QN-000417", started_at=None, ended_at=None, played_seconds=0.0,
        relayed_seconds=None, audio_seconds=305.2, start_error_ms=None, evidence="none",
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
    verdict: Said = Field(description="một câu, cho người đọc")
    device: str | None = Field(description="thiết bị đã phát, hoặc lẽ ra phải phát")
    started_at: Moment | None
    ended_at: Moment | None
    played_seconds: float
    relayed_seconds: float | None = Field(description="trong đó: tiếp âm; null: không tiếp âm")
    audio_seconds: float | None
    start_error_ms: int | None
    evidence: Grade
    evidence_text: Said
    window_minutes: int = Field(description="số phút của khung giờ phát")
    heard_minutes: int = Field(description="trong đó nghe được thiết bị")
    timeline: list[TimelineEntryOut]


class ClusterResultOut(BaseModel):
    """How one cluster sounded in an occurrence: its proof, or the reason and what to do."""

    code: str
    name: str
    villages: list[str] = Field(description="mã các thôn, tổ dân phố mà cụm loa phục vụ")
    sounding: Sounding
    verdict: Said = Field(description="một câu, cho người đọc")
    state: PlayState
    reason: str
    reason_text: Said
    remedy: Said = Field(description="cần làm gì; trống khi không cần")
    started_at: Moment | None
    ended_at: Moment | None
    played_seconds: float
    start_error_ms: int | None
    evidence: Grade
    evidence_text: Said
    settled_at: Moment | None


class VillageResultOut(BaseModel):
    """How an occurrence sounded in one village: the best of the clusters that serve it."""

    code: str
    name: str = Field(description="kèm loại: thôn, tổ dân phố …")
    commune_code: str
    commune: str
    sounding: Sounding
    reason_text: Said
    remedy: Said
    clusters: list[str] = Field(description="mã các cụm loa phục vụ thôn, tổ dân phố này")


class OccurrenceCountsOut(BaseModel):
    """One occurrence, with the clusters of the caller's places counted by what was heard."""

    model_config = example(
        occurrence_id="0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11",
        schedule_id="6f1c9d0e-7a4b-4c1d-9e2f-3a5b7c9d1e2f",
        bulletin_id="5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11", title="Bản tin sáng",
        starts_at="2025-07-02T05:30:00+07:00", state="planned", bulletin_revision=1,
        audio_seconds=305.2, clusters_count=9, counts={"sounded": 8, "silent": 1},
        **{"class": "normal"},
    )  # fmt: skip

    occurrence_id: UUID
    schedule_id: UUID
    bulletin_id: UUID
    bulletin_revision: int
    title: str
    class_: BulletinClass = Field(alias="class", validation_alias="class_")
    starts_at: Moment
    audio_seconds: float | None
    state: OccurrenceState
    cancel_reason: str | None = Field(
        None,
        description="vì sao bỏ; do lịch ngày: mourning, exam, holiday, own_calendar, other_day;"
        " do Quy chế: regulation",
    )
    clusters_count: int = Field(description="số cụm loa trong phạm vi phát")
    counts: dict[Sounding, int] = Field(description="số cụm loa theo kết quả")


class OccurrenceResultOut(BaseModel):
    """How an occurrence sounded, village by village, in the caller's places."""

    model_config = example(
        occurrence_id="0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11",
        schedule_id="6f1c9d0e-7a4b-4c1d-9e2f-3a5b7c9d1e2f",
        bulletin_id="5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11", title="Bản tin sáng",
        starts_at="2025-07-02T05:30:00+07:00", ends_by="2025-07-02T05:36:00+07:00",
        state="planned", cancel_reason=None,
        bulletin_revision=1, audio_seconds=305.2, is_settled=True,
        answer="Đã phát ở 8 trong 9 thôn, tổ dân phố; thôn Phú Nghĩa không phát (thiết bị mất"
        " điện).",
        villages_count=9, counts={"sounded": 8, "silent": 1}, villages=[], clusters=[],
        **{"class": "normal"},
    )  # fmt: skip

    occurrence_id: UUID
    schedule_id: UUID
    bulletin_id: UUID
    bulletin_revision: int
    title: str
    class_: BulletinClass = Field(alias="class", validation_alias="class_")
    starts_at: Moment
    ends_by: Moment
    state: OccurrenceState
    cancel_reason: str | None
    audio_seconds: float | None
    is_settled: bool = Field(description="mọi cụm loa đã có kết quả; vẫn có thể đổi khi có thêm")
    answer: Said = Field(description="một câu, cho người đọc")
    villages_count: int = Field(description="số thôn, tổ dân phố trong phạm vi phát")
    counts: dict[Sounding, int] = Field(description="số thôn, tổ dân phố theo kết quả")
    villages: list[VillageResultOut] = Field(description="chỗ cần chú ý trước")
    clusters: list[ClusterResultOut] = Field(description="theo mã cụm loa")
