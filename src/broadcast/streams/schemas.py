"""Bodies of REST requests and answers about sources of radio streams."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from broadcast.auth.people import PersonOut
from broadcast.kit import outbound
from broadcast.kit.english import Said
from broadcast.kit.times import Day, Moment
from broadcast.streams.model import StreamCodec
from broadcast.web.fields import Code, Name, example
from broadcast.web.rest import Body

LONGEST_URL = 250
MOST_URLS = 4
"""One and three more: together they fit into `wire.limits.STREAM_BYTES`."""


StreamUrl = Annotated[
    str,
    Field(
        min_length=8,
        max_length=LONGEST_URL,
        json_schema_extra={"pattern": outbound.HTTP_URL},
    ),
    AfterValidator(outbound.clean_url),
]


class SourceIn(Body):
    """A station whose programme may be relayed."""

    model_config = example(
        name="VOV1",
        area_code="51",
        urls=["https://str.vov.vn/vov1.mp3"],
        codec="mp3",
        fallback_bulletin_id="5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11",
    )

    name: Name
    area_code: Code = Field(description="đơn vị được tiếp âm, kể cả cấp dưới")
    urls: Annotated[list[StreamUrl], Field(min_length=1, max_length=MOST_URLS)] = Field(
        description="địa chỉ http hoặc https của luồng (Icecast, HLS), theo thứ tự loa thử"
    )
    codec: StreamCodec | None = Field(None, description="bỏ trống: thiết bị tự nhận ra")
    fallback_bulletin_id: UUID = Field(
        description="bản tin đã duyệt, phát thay khi nguồn không có tiếng"
    )
    last_day: Day | None = Field(
        None, description="ngày cuối còn dùng được, nếu biết trước là địa chỉ sẽ ngừng"
    )


class SourceOut(BaseModel):
    """A source, and who has entered it."""

    id: int
    name: str
    area_code: str
    urls: list[str]
    codec: StreamCodec | None
    fallback_bulletin_id: UUID
    last_day: Day | None
    ended_at: Moment | None = Field(description="từ lúc này không lập lịch tiếp âm mới")
    entered_by: PersonOut
    entered_at: Moment


class SourceCheckOut(BaseModel):
    """What the last look at a source found."""

    source_id: int
    checked_at: Moment | None = Field(description="null: chưa thử lần nào")
    answers: bool | None
    since: Moment | None = Field(description="tình trạng này từ lúc nào")
    answered_at: Moment | None = Field(description="lần cuối có âm thanh")
    url: str | None = Field(description="địa chỉ có âm thanh")
    codec: str | None
    detail: Said = Field(description="vì sao không có, cho người")
