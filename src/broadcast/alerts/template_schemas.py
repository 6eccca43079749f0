"""Bodies of REST requests and answers about templates of alerts."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from broadcast.alerts.model import AlertEvent, AlertTemplate
from broadcast.alerts.schemas import USUAL_MINUTES, Minutes, Repeats, SoundOut
from broadcast.auth.people import People, PersonOut
from broadcast.bulletins.model import RevisionState
from broadcast.bulletins.schemas import Language, Script
from broadcast.kit.text import FilledLine
from broadcast.kit.times import Moment
from broadcast.web.fields import Code
from broadcast.web.rest import Body

MOST_LANGUAGES = 5


class AlertTemplateIn(Body):
    """An alert prepared ahead: a text, a recording, or an approved emergency bulletin."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Xả lũ hồ chứa",
                    "event": "dam_release",
                    "area_code": "21262",
                    "text": "Hồ chứa đang xả lũ. Bà con ven sông di chuyển ngay lên chỗ cao.",
                }
            ]
        }
    )

    title: FilledLine
    event: AlertEvent
    area_code: Code = Field(description="tỉnh hoặc xã của đài; loa ở đó tải sẵn")
    text: Script | None = Field(None, description="văn bản được đọc thành tiếng Việt")
    bulletin_id: UUID | None = Field(None, description="bản tin mức khẩn cấp đã duyệt")
    recording: bool = Field(False, description="bản thu của mình ở /bulletin-drafts/alert")
    translations: dict[Language, Script] = Field({}, max_length=6)
    also_bulletins: list[UUID] = Field(
        [],
        max_length=MOST_LANGUAGES,
        description="bản tin khẩn cấp đã duyệt bằng tiếng khác, phát tiếp sau lời tiếng Việt",
    )
    tone: bool = Field(True, description="có tiếng báo động trước lời")
    repeats: Repeats = 2
    valid_minutes: Minutes = USUAL_MINUTES

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.text, self.bulletin_id, self.recording or None].count(None) != 2:
            raise ValueError("cần đúng một: “text”, “bulletin_id” hoặc “recording”")
        return self


class AlertTemplateOut(BaseModel):
    """A template, and whether devices may hold it already."""

    id: UUID
    title: str
    event: AlertEvent
    area_code: str
    texts: dict[str, str]
    languages: list[str] = Field(description="tiếng nào được phát, theo thứ tự")
    tone: bool
    repeats: int
    valid_minutes: int
    sound: SoundOut
    approval: RevisionState
    is_ready: bool = Field(description="đã duyệt: loa ở địa bàn tải sẵn, dùng được ngay")
    created_by: PersonOut
    created_at: Moment
    withdrawn_at: Moment | None

    @classmethod
    def of(
        cls, template: AlertTemplate, sound: SoundOut, approval: RevisionState, people: People
    ) -> AlertTemplateOut:
        """A template, its sound, and who made it."""
        columns = {
            name: getattr(template, name)
            for name in cls.model_fields
            if name not in {"sound", "approval", "is_ready", "created_by"}
        }
        return cls(
            **columns,
            sound=sound,
            approval=approval,
            is_ready=approval is RevisionState.APPROVED and template.withdrawn_at is None,
            created_by=people[template.created_by],
        )
