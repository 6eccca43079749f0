"""The forecast of a broadcast, over REST."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from broadcast.kit.english import Said
from broadcast.kit.times import Moment
from broadcast.plays.forecast import Cause, Outlook


class ClusterForecastOut(BaseModel):
    """What is to be expected at one cluster."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "code": "QN-21025-04",
                "name": "Nhà văn hóa thôn 4",
                "device": "QN-000417",
                "outlook": "misses",
                "outlook_text": "sẽ không phát",
                "cause": "offline",
                "cause_text": "thiết bị mất liên lạc khi chưa nhận chương trình mới nhất",
                "remedy": "Kiểm tra nguồn điện, SIM và sóng của cụm loa; nối lại mạng thì"
                " thiết bị tự nhận chương trình.",
                "last_seen_at": "2025-07-02T02:10:00+07:00",
            }
        }
    )

    code: str
    name: str
    device: str | None
    outlook: Outlook
    outlook_text: Said
    cause: Cause | None = Field(description="vì sao; null nếu sẵn sàng")
    cause_text: Said
    remedy: Said = Field(description="việc cần làm trước giờ phát")
    last_seen_at: Moment | None = Field(description="nghe thiết bị lần cuối")


class ForecastOut(BaseModel):
    """What is to be expected of a broadcast, before its start."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "occurrence_id": "0b9c7d52-6a0e-5c1a-9d6e-5a3c0f0e8f11",
                "schedule_id": "7d0c8a51-2f5e-4b8b-8a5e-0f6f1c0a9d22",
                "title": "Bản tin sáng",
                "starts_at": "2025-07-02T05:30:00+07:00",
                "at": "2025-07-02T05:00:00+07:00",
                "is_over": False,
                "answer": "Sẵn sàng ở 8 trong 9 cụm loa để phát lúc 05:30 02/07/2025; 1 cụm sẽ"
                " không phát. Nhà văn hóa thôn 4 sẽ không phát: thiết bị mất liên lạc khi chưa"
                " nhận chương trình mới nhất.",
                "clusters_count": 9,
                "counts": {"misses": 1, "ready": 8},
                "exceeded": [],
                "clusters": [],
            }
        }
    )

    occurrence_id: UUID
    schedule_id: UUID
    title: str
    starts_at: Moment
    at: Moment = Field(description="lúc xem")
    is_over: bool = Field(description="đã tới giờ phát, hoặc đã hủy: không còn gì để đoán")
    answer: Said
    clusters_count: int
    counts: dict[Outlook, int]
    exceeded: list[Said] = Field(
        description="hạn mức của Quy chế mà ngày đó vượt quá; phần vượt không phát"
    )
    clusters: list[ClusterForecastOut] = Field(description="nơi sẽ không phát trước")
