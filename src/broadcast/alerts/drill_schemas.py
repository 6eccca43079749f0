"""Bodies of REST requests and answers about drills."""

from __future__ import annotations

from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from broadcast.alerts.model import Drill
from broadcast.auth.people import People, PersonOut
from broadcast.kit.english import Said
from broadcast.kit.text import FilledLine, Note
from broadcast.kit.times import Day, Moment
from broadcast.plays.schemas import VillageResultOut
from broadcast.plays.soundings import Sounding
from broadcast.web.fields import Code
from broadcast.web.rest import Body


class DrillIn(Body):
    """A drill of the calendar. It is an exercise or a test; there is no third value."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Diễn tập xả lũ quý IV",
                    "mode": "exercise",
                    "area_code": "21262",
                    "starts_at": "2026-12-15T08:00:00+07:00",
                    "ends_at": "2026-12-15T09:00:00+07:00",
                    "reserve_on": "2026-12-16",
                }
            ]
        }
    )

    title: FilledLine
    mode: Literal["exercise", "test"] = Field(
        "exercise", description="exercise: diễn tập cho người dân; test: thử thiết bị"
    )
    area_code: Code = Field(description="địa bàn diễn tập")
    starts_at: Moment
    ends_at: Moment
    reserve_on: Day | None = Field(None, description="ngày dự phòng")
    note: Note = ""

    @model_validator(mode="after")
    def _span(self) -> Self:
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at: phải sau lúc bắt đầu (starts_at)")
        return self


class DrillOut(BaseModel):
    """A drill of the calendar."""

    id: UUID
    title: str
    mode: Literal["exercise", "test"]
    area_code: str
    starts_at: Moment
    ends_at: Moment
    reserve_on: Day | None
    note: str
    created_by: PersonOut
    created_at: Moment
    cancelled_at: Moment | None

    @classmethod
    def of(cls, drill: Drill, people: People) -> DrillOut:
        """A drill and who entered it."""
        columns = {name: getattr(drill, name) for name in cls.model_fields}
        return cls(**{**columns, "created_by": people[drill.created_by]})


class DrillSoundingOut(BaseModel):
    """How one alert of a drill sounded."""

    alert_id: UUID
    headline: str
    starts_at: Moment
    villages_count: int
    counts: dict[Sounding, int]
    answer: Said
    not_heard: list[VillageResultOut]


class DrillReportOut(BaseModel):
    """What became of a drill, in the caller's places."""

    alerts_count: int
    counts: dict[Sounding, int] = Field(description="số lượt thôn, cộng mọi cảnh báo của đợt")
    soundings: list[DrillSoundingOut]
    is_over: bool
