"""Bodies of REST requests and answers about live speech."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from broadcast.alerts.schemas import ReachOut
from broadcast.auth.people import People, PersonOut
from broadcast.kit.text import FilledLine
from broadcast.kit.times import Moment
from broadcast.live.model import LiveSession
from broadcast.live.state import LiveEnd, LiveState
from broadcast.schedules.schemas import TargetIn, Targets
from broadcast.web.rest import Body
from broadcast.wire.fields import BulletinClass


class LiveIn(Body):
    """A live session to come; it begins when the microphone is there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"title": "Chủ tịch xã nói chuyện với bà con", "targets": [{"area": "21262"}]}
            ]
        }
    )

    title: FilledLine
    targets: Targets
    class_: Literal[BulletinClass.PRIORITY, BulletinClass.EMERGENCY] = Field(
        BulletinClass.PRIORITY,
        alias="class",
        description="emergency: phát cả trong giờ yên tĩnh, tối đa 15 phút",
    )
    most_minutes: int = Field(15, ge=1, le=60, description="sau bao nhiêu phút thì tự dừng")
    volume: int | None = Field(None, ge=0, le=100, description="mặc định theo thiết bị")


class LiveOut(BaseModel):
    """A live session as it is now."""

    id: UUID
    title: str
    class_: BulletinClass = Field(alias="class")
    area_code: str
    targets: list[TargetIn]
    volume: int | None
    most_minutes: int
    state: LiveState
    created_by: PersonOut
    created_at: Moment
    begun_at: Moment | None
    ends_by: Moment | None
    seconds: float = Field(description="đã nói bao nhiêu giây")
    ended_at: Moment | None
    ended_by: PersonOut | None = Field(description="null: tự dừng")
    end_reason: LiveEnd | None
    is_recorded: bool = Field(description="đã có bản thu trong bản tin cùng mã")
    occurrence_id: UUID | None
    clusters_count: int = Field(description="số cụm loa được phát tới, khi đã bắt đầu")
    listening_count: int = Field(description="số cụm loa báo đang phát")

    @classmethod
    def of(
        cls, live: LiveSession, counts: tuple[int, int], people: People, now: datetime
    ) -> LiveOut:
        """Translate a row, with how many loudspeakers it reaches and how many sound it."""
        columns = {
            name: getattr(live, name)
            for name in cls.model_fields
            if name not in _DERIVED and name != "class_"
        }
        return cls(
            **{
                **columns,
                "class": live.class_,
                "state": live.state_at(now),
                "created_by": people[live.created_by],
                "ended_by": people.get(live.ended_by or 0),
                "is_recorded": live.kept_at is not None and live.seconds > 0,
                "clusters_count": counts[0],
                "listening_count": counts[1],
            }
        )


_DERIVED = {
    "state", "created_by", "ended_by", "is_recorded", "clusters_count", "listening_count",
}  # fmt: skip


class LiveDetailOut(LiveOut):
    """A live session with where it sounds."""

    reach: ReachOut
