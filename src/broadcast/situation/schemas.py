"""What REST answers of the situation."""

from __future__ import annotations

from pydantic import BaseModel, Field
from pydantic.config import JsonValue

from broadcast.areas.model import Level
from broadcast.kit.english import Said
from broadcast.kit.times import Moment
from broadcast.situation.condition import Condition, Reason
from broadcast.web.fields import example


class CountsOut(BaseModel):
    """Clusters by condition."""

    ok: int
    partial: int
    bad: int
    unknown: int
    total: int


class PlaysOut(BaseModel):
    """Plays of today by outcome, without those that were cancelled."""

    played: int = 0
    partial: int = Field(default=0, description="partial or pre-empted")
    missed: int = 0
    waiting: int = Field(default=0, description="planned or playing")


class PlaceOut(BaseModel):
    """How an area is now."""

    code: str
    name: str
    level: Level
    condition: Condition
    summary: Said = Field(description="một câu, cho người đọc")
    clusters: CountsOut
    plays: PlaysOut
    incidents: int = Field(description="sự cố đang mở có cụm loa ở đây")


class ClusterConditionOut(BaseModel):
    """How a cluster is now."""

    code: str
    name: str
    condition: Condition
    reason: Reason
    text: Said
    """The reason in words, with its time."""
    advice: Said
    """What to do; empty where nothing is."""
    since: Moment | None
    device: str | None
    villages: list[str]
    latitude: float | None
    longitude: float | None
    plays: PlaysOut


_PLACE: dict[str, JsonValue] = {
    "code": "21034", "name": "Xã An Phú", "level": "commune", "condition": "partial",
    "summary": "Xã An Phú: 8/9 cụm loa hoạt động; 1 không hoạt động.",
    "clusters": {"ok": 8, "partial": 0, "bad": 1, "unknown": 0, "total": 9},
    "plays": {"played": 17, "partial": 0, "missed": 1, "waiting": 9}, "incidents": 1,
}  # fmt: skip


class SituationOut(PlaceOut):
    """How an area is now, with the areas below it, and the clusters of a commune or village."""

    model_config = example(
        **_PLACE, at="2025-07-02T08:00:00+07:00", heard_until="2025-07-02T07:59:58+07:00",
        listening=True,
        above=[{"code": "51", "name": "Tỉnh Quảng Ngãi"}],
        areas=[_PLACE | {"code": "T-1", "name": "Thôn 1", "level": "village"}],
        listed=[{
            "code": "C-1", "name": "Cụm loa Thôn 1", "condition": "bad", "reason": "offline",
            "text": "mất liên lạc từ 02:10 02/07/2025", "advice": "hỏi thôn có điện không",
            "since": "2025-07-02T02:10:00+07:00", "device": "QN-000417", "villages": ["T-1"],
            "latitude": 15.1, "longitude": 108.8,
            "plays": {"played": 1, "partial": 0, "missed": 1, "waiting": 1},
        }],
    )  # fmt: skip

    at: Moment
    heard_until: Moment | None
    """Moment up to which the server has received what devices report."""
    listening: bool
    """It has received them just now; else nothing is known of any device."""
    above: list[NamedOut]
    """Units above, nearest first."""
    areas: list[PlaceOut]
    """Communes of a province or district, villages of a commune; as `listed`."""
    listed: list[ClusterConditionOut]
    """Clusters of a commune or village, those with something to do first."""


class NamedOut(BaseModel):
    """A unit."""

    code: str
    name: str
