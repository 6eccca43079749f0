"""Bodies of REST requests and answers about alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from broadcast.alerts.model import Alert, AlertEvent
from broadcast.alerts.state import AlertKind, AlertState, AlertStep
from broadcast.auth.people import People, PersonOut
from broadcast.bulletins.model import PreparationState
from broadcast.bulletins.schemas import Language, Script
from broadcast.kit.english import Said
from broadcast.kit.text import FilledLine, Note
from broadcast.kit.times import Moment
from broadcast.schedules.schemas import TargetIn, Targets
from broadcast.web.rest import Body
from broadcast.wire.fields import AlertMode

MOST_MINUTES = 360
"""No occurrence is longer; what lasts on is said again by an update."""

USUAL_MINUTES = 60
"""How long an alert is valid of which neither people nor a template say it."""

Minutes = Annotated[int, Field(ge=1, le=MOST_MINUTES)]
Repeats = Annotated[int, Field(ge=1, le=5, description="số lần đọc")]


class SoundIn(Body):
    """What is said: exactly one of template, text, approved emergency bulletin or recording."""

    template_id: UUID | None = Field(None, description="mẫu đã duyệt, loa đã tải sẵn")
    text: Script | None = Field(None, description="văn bản được đọc thành tiếng Việt")
    bulletin_id: UUID | None = Field(
        None, description="bản tin mức khẩn cấp đã duyệt; dùng phiên bản mới nhất"
    )
    recording: bool = Field(
        False, description="bản thu của chính mình ở /bulletin-drafts/alert; dùng xong thì hết"
    )
    translations: dict[Language, Script] = Field(
        {}, description="nội dung bằng tiếng khác, để hiển thị", max_length=6
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [self.template_id, self.text, self.bulletin_id, self.recording or None]
        if given.count(None) != 3:
            raise ValueError("cần đúng một: “template_id”, “text”, “bulletin_id” hoặc “recording”")
        return self


class AlertIn(SoundIn):
    """A new alert. It names no mode: with `drill_id` it is what the drill is, else it is meant."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "headline": "Xả lũ hồ Nước Trong",
                    "event": "dam_release",
                    "text": "Hồ Nước Trong xả lũ lúc 14 giờ. Bà con ven sông lên chỗ cao ngay.",
                    "targets": [{"area": "21262"}],
                }
            ]
        }
    )

    headline: FilledLine
    event: AlertEvent
    targets: Targets
    drill_id: UUID | None = Field(None, description="đợt diễn tập; loa nói rõ đây là diễn tập")
    starts_at: Moment | None = Field(None, description="mặc định: ngay khi được cho phép")
    valid_minutes: Minutes | None = Field(
        None, description="sau bao nhiêu phút thì hết hiệu lực; mặc định của mẫu, không có thì 60"
    )
    tone: bool = Field(True, description="có tiếng báo động trước lời")
    repeats: Repeats = 2
    priority: int = Field(255, ge=224, le=255, description="cao hơn thì chen trước")
    volume: int | None = Field(None, ge=0, le=100, description="mặc định theo thiết bị")


class ReplacementIn(SoundIn):
    """What takes the place of an alert, in the same places and of the same mode."""

    headline: FilledLine
    valid_minutes: Minutes | None = Field(None, description="mặc định của mẫu, không có thì 60")
    tone: bool = True
    repeats: Repeats = 2
    kind: AlertKind = Field(AlertKind.UPDATE, description="update: cập nhật; all_clear: báo yên")

    @model_validator(mode="after")
    def _replaces(self) -> Self:
        if self.kind is AlertKind.ALERT:
            raise ValueError("kind: cần “update” (cập nhật) hoặc “all_clear” (báo yên)")
        return self


class ReasonIn(Body):
    """Why."""

    reason: Annotated[Note, Field(min_length=1)]


class SoundOut(BaseModel):
    """The sound of an alert, and how far its preparation is."""

    bulletin_id: UUID
    bulletin_revision: int
    state: PreparationState
    percent: int
    detail: Said
    seconds: float | None


class StepOut(BaseModel):
    """Who has done what, and when."""

    step: str
    at: Moment
    by: PersonOut
    note: str = ""


class AlertOut(BaseModel):
    """An alert as it is now."""

    id: UUID
    kind: AlertKind
    replaces_id: UUID | None
    replaced_by_id: UUID | None
    mode: AlertMode
    drill_id: UUID | None
    event: AlertEvent
    headline: str
    texts: dict[str, str]
    area_code: str
    targets: list[TargetIn]
    template_id: UUID | None
    sound: SoundOut
    tone: bool
    repeats: int
    priority: int
    volume: int | None
    starts_at: Moment | None
    valid_minutes: int
    not_after: Moment | None = Field(description="cảnh báo của nơi phát khác hết hiệu lực lúc này")
    ends_by: Moment | None
    state: AlertState
    allowed: list[AlertStep]
    occurrence_id: UUID | None
    is_alone: bool
    alone_reason: str
    awaits_debrief: bool
    debrief: str
    created_by: PersonOut
    created_at: Moment
    proposed_by: PersonOut | None
    proposed_at: Moment | None
    steps: list[StepOut]

    @classmethod
    def of(
        cls,
        alert: Alert,
        sound: SoundOut,
        replaced_by: UUID | None,
        people: People,
        now: datetime,
    ) -> AlertOut:
        """An alert, its sound, and who has done what for it."""
        columns: dict[str, Any] = {
            name: getattr(alert, name)
            for name in cls.model_fields
            if name not in _DERIVED and hasattr(alert, name)
        }
        return cls(
            **{
                **columns,
                "sound": sound,
                "replaced_by_id": replaced_by,
                "state": alert.state_at(now),
                "allowed": alert.allowed_at(now),
                "awaits_debrief": awaits_debrief(alert),
                "created_by": people[alert.created_by],
                "proposed_by": people.get(alert.proposed_by or 0),
                "steps": _steps(alert, people),
            }
        )


_DERIVED = {"state", "created_by", "proposed_by"}


def awaits_debrief(alert: Alert) -> bool:
    """Tell whether people still have to talk over what one of them did alone."""
    return alert.is_alone and alert.debriefed_at is None


def _steps(alert: Alert, people: People) -> list[StepOut]:
    step = "authorise_alone" if alert.is_alone else "authorise"
    taken = (
        ("prepare", alert.created_by, alert.created_at, ""),
        ("propose", alert.proposed_by, alert.proposed_at, ""),
        (step, alert.authorised_by, alert.authorised_at, alert.alone_reason),
        (_ENDS.get(alert.state, "cancel"), alert.ended_by, alert.ended_at, alert.end_note),
        ("debrief", alert.debriefed_by, alert.debriefed_at, alert.debrief),
    )
    return [
        StepOut(step=name, at=at, by=people[by], note=note)
        for name, by, at, note in taken
        if by is not None and at is not None
    ]


_ENDS = {AlertState.UPDATED: "update", AlertState.ALL_CLEAR: "clear"}


class ReachOut(BaseModel):
    """Where an alert sounds: so many loudspeakers in so many villages."""

    clusters_count: int
    equipped_count: int = Field(description="số cụm loa có thiết bị")
    villages_count: int
    silent_villages: list[str] = Field(description="thôn không có cụm loa nào nhận được")
    summary: Said = Field(examples=["38 cụm loa ở 9 thôn, ngay khi được cho phép"])


class AlertDetailOut(AlertOut):
    """An alert with where it sounds."""

    reach: ReachOut
