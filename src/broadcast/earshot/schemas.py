"""Groups within earshot, over REST."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from broadcast.auth.people import PersonOut
from broadcast.earshot.spread import Cause, Verdict
from broadcast.kit.english import Said
from broadcast.kit.text import Line
from broadcast.kit.times import Moment
from broadcast.web.rest import Body


class StartOut(BaseModel):
    """How one cluster began."""

    cluster: str
    name: str
    late_ms: float | None = Field(
        description="sau giờ hẹn, theo giờ máy chủ; âm: sớm; null: không phát"
    )
    uncertainty_ms: int | None = Field(description="sai số, về cả hai phía; null: không rõ")
    verdict: Verdict
    verdict_text: Said
    cause: Cause | None
    cause_text: Said
    remedy: Said


class SpreadOut(BaseModel):
    """How the clusters of a group began at one occurrence."""

    occurrence_id: UUID
    title: str
    starts_at: Moment
    width_ms: float | None = Field(description="giữa cụm đầu và cụm cuối")
    doubt_ms: int | None = Field(description="sai số của khoảng đó; null: có thiết bị không báo")
    verdict: Verdict
    starts: list[StartOut] = Field(description="lệch nhiều trước")


class MemberOut(BaseModel):
    """A cluster of a group."""

    code: str
    name: str
    latitude: float | None
    longitude: float | None


class LinkOut(BaseModel):
    """Two clusters that are heard at one place, or of which a person says that they are not."""

    cluster: str
    other: str
    metres: float | None
    heard: bool
    said: bool = Field(description="do người đặt, không phải tính từ khoảng cách")


class GroupOut(BaseModel):
    """Clusters that are heard together."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "cluster": "QN-21025-01",
                "clusters_count": 2,
                "answer": "Buổi gần nhất, 2 cụm loa bắt đầu cách nhau 24 ms, sai số 31 ms; tất cả"
                " trong khoảng 50 ms, không nghe vọng.",
                "clusters": [
                    {"code": "QN-21025-01", "name": "Nhà văn hóa thôn 1",
                     "latitude": 15.12, "longitude": 108.8},
                    {"code": "QN-21025-02", "name": "Nhà văn hóa thôn 2",
                     "latitude": 15.123, "longitude": 108.8},
                ],
                "links": [
                    {"cluster": "QN-21025-01", "other": "QN-21025-02", "metres": 333.6,
                     "heard": True, "said": False}
                ],
                "spreads": [],
            }
        }
    )  # fmt: skip

    cluster: str = Field(description="cụm loa có mã nhỏ nhất; gọi tên nhóm")
    clusters_count: int
    answer: Said
    clusters: list[MemberOut]
    links: list[LinkOut]
    spreads: list[SpreadOut] = Field(description="các buổi gần đây, mới trước")


class PairIn(Body):
    """What a person says of two clusters."""

    heard: bool = Field(description="có nơi nghe thấy cả hai cụm")
    note: Line = ""


class PairOut(BaseModel):
    """What a person has said of two clusters."""

    cluster: str
    other: str
    heard: bool
    note: str
    set_by: PersonOut
    set_at: Moment
