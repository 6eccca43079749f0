"""Bodies of REST requests and answers about calendars."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from broadcast.auth.people import PersonOut
from broadcast.calendars.days import Kind
from broadcast.kit.times import Day, Moment
from broadcast.web.fields import Code, LocalTime, Name, Text, example
from broadcast.web.rest import Body

MOST_CLUSTERS = 500

LONGEST = timedelta(days=366)
"""Of one marking."""


class CalendarDayIn(Body):
    """Days to be marked in the calendar of a unit."""

    model_config = example(
        kind="mourning",
        name="Quốc tang",
        area_code="51",
        first_on="2026-12-15",
        last_on="2026-12-16",
        document="Thông cáo đặc biệt ngày 14/12/2026",
    )

    kind: Kind = Field(
        description="holiday: nghỉ lễ; working: đi làm bù; mourning: ngày tang, không phát nhạc;"
        " exam: ngày thi, loa im; open: được phát dù Quy chế cấm cuối tuần, cần"
        " ghi văn bản; own: lịch riêng mà lịch phát theo"
    )
    name: Name = Field(description="loại “own”: tên lịch riêng, ví dụ “Chợ phiên”")
    area_code: Code
    first_on: Day
    last_on: Day
    from_time: LocalTime | None = Field(
        None, description="loại “exam”: chỉ im từ giờ này mỗi ngày; bỏ trống là cả ngày"
    )
    until_time: LocalTime | None = Field(None, description="đến trước giờ này, trong cùng ngày")
    clusters: Annotated[list[Code], Field(max_length=MOST_CLUSTERS)] = Field(
        [], description="chỉ các cụm loa này; bỏ trống là cả địa bàn"
    )
    document: Text = Field("", description="văn bản làm căn cứ")


class CalendarDayOut(BaseModel):
    """Marked days, and who has entered them."""

    id: int
    kind: Kind
    name: str
    area_code: str
    first_on: Day
    last_on: Day
    from_time: str | None = Field(description="loại “exam”: im từ giờ này; null: cả ngày")
    until_time: str | None
    clusters: list[str]
    document: str
    entered_by: PersonOut
    entered_at: Moment


class MarkOut(BaseModel):
    """What marks one day."""

    kind: Kind
    name: str
    id: int | None = Field(description="null: ngày nghỉ theo Bộ luật Lao động")
    area_code: str | None = Field(description="null: cả nước")
    from_time: str | None = Field(description="chỉ từ giờ này của ngày; null: cả ngày")
    until_time: str | None
    is_assumed: bool = Field(
        description="luật để Thủ tướng quyết định từng năm; đây là theo lệ các năm trước"
    )


class DateOut(BaseModel):
    """One day of a calendar."""

    day: Day
    lunar: str = Field(description="ngày/tháng âm lịch", examples=["1/1", "15/6 nhuận"])
    lunar_year: int
    marks: list[MarkOut]
