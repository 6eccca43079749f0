"""Bodies of REST requests and answers about Quy chế."""

from __future__ import annotations

from typing import Annotated, Any, Self

import structlog
from pydantic import BaseModel, ConfigDict, Field, model_validator

from broadcast.auth.people import PersonOut
from broadcast.kit.times import Day, Moment
from broadcast.regulations.model import RegulationRow
from broadcast.regulations.rules import Provisions, Weekend, Window
from broadcast.web.fields import Code, LocalTime, Name, example
from broadcast.web.rest import Body

log = structlog.get_logger()

MOST_WINDOWS = 8
MOST_CLUSTERS = 500

Volume = Annotated[int, Field(ge=0, le=100, description="phần trăm")]


class WindowIn(Body):
    """Local hours of every day."""

    from_: LocalTime = Field(alias="from")
    until: LocalTime = Field(description="không phát đến trước giờ này; có thể sang ngày sau")


class LimitedIn(WindowIn):
    """Hours in which loudspeakers are softer."""

    volume: Volume


class ProvisionsIn(Body):
    """What a Quy chế provides; what is left out is as the unit above has it."""

    silent: Annotated[list[WindowIn], Field(max_length=MOST_WINDOWS)] | None = Field(
        None, description="giờ loa im, chỉ cảnh báo khẩn cấp được phát; []: không có giờ nào"
    )
    limited: Annotated[list[LimitedIn], Field(max_length=MOST_WINDOWS)] | None = Field(
        None, description="giờ phát nhỏ: âm lượng cao nhất"
    )
    weekend: Weekend | None = Field(
        None, description="thứ Bảy, Chủ nhật; silent: im, trừ ngày đánh dấu open hoặc working"
    )
    sessions_per_day: Annotated[int, Field(ge=1, le=48)] | None = Field(
        None, description="số buổi mỗi ngày; các bản tin cách nhau dưới 5 phút là một buổi"
    )
    minutes_per_session: Annotated[int, Field(ge=1, le=600)] | None = Field(
        None, description="kể cả tiếp âm và bản tin của cấp trên"
    )
    minutes_per_day: Annotated[int, Field(ge=1, le=1440)] | None = None
    warns_repeats: bool | None = Field(
        None, description="báo khi cùng một âm thanh phát hai lần trong ngày"
    )


class RegulationText(Body):
    """A document, where it holds and from when."""

    area_code: Code
    number: Name = Field(description="số, ký hiệu văn bản")
    signed_on: Day
    valid_from: Day = Field(description="từ hôm nay trở đi")


class RegulationIn(ProvisionsIn, RegulationText):
    """A Quy chế to be entered."""

    model_config = example(
        area_code="21253", number="12/2026/QC-UBND", signed_on="2026-11-20",
        valid_from="2026-12-01", silent=[{"from": "21:00", "until": "05:00"}],
        limited=[{"from": "05:00", "until": "06:00", "volume": 50}], weekend="silent",
        sessions_per_day=2, minutes_per_session=45,
    )  # fmt: skip

    clusters: Annotated[list[Code], Field(max_length=MOST_CLUSTERS)] = Field(
        [], description="chỉ các cụm loa này; bỏ trống là cả địa bàn"
    )
    replaces: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        None, description="Quy chế mới nhất của địa bàn này; null: chưa có"
    )
    silences: bool = Field(
        False, description="đồng ý để các buổi phát trái Quy chế này im; không thì bị từ chối"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        self.clusters = sorted({*self.clusters})
        return self


class WindowOut(BaseModel):
    """Local hours of every day."""

    model_config = ConfigDict(populate_by_name=True)

    from_: str = Field(alias="from")
    until: str


class LimitedOut(WindowOut):
    """Hours in which loudspeakers are softer."""

    volume: int


class ProvisionsOut(BaseModel):
    """Provisions; null: as the unit above has it."""

    silent: list[WindowOut] | None
    limited: list[LimitedOut] | None
    weekend: Weekend | None
    sessions_per_day: int | None
    minutes_per_session: int | None
    minutes_per_day: int | None
    warns_repeats: bool | None

    @classmethod
    def of(cls, provisions: Provisions) -> Self:
        """What holds at a place."""
        values = provisions._asdict()
        for name in ("silent", "limited"):
            if values[name] is not None:
                values[name] = [stored(each) for each in values[name]]
        return cls(**values)


class RegulationOut(ProvisionsOut):
    """A Quy chế, and who has entered it."""

    id: int
    area_code: str
    clusters: list[str]
    number: str
    signed_on: Day
    valid_from: Day
    entered_by: PersonOut
    entered_at: Moment
    withdrawn_by: PersonOut | None
    withdrawn_at: Moment | None

    @classmethod
    def of_row(cls, row: RegulationRow, by: str, withdrawn_by: str | None) -> Self:
        """Translate a row, with the names of those who entered and withdrew it."""
        values: dict[str, Any] = {
            name: getattr(row, name) for name in cls.model_fields if not name.endswith("_by")
        }
        return cls(
            **values,
            entered_by=PersonOut(id=row.entered_by, name=by),
            withdrawn_by=PersonOut(id=row.withdrawn_by, name=withdrawn_by)
            if row.withdrawn_by is not None and withdrawn_by is not None
            else None,
        )


class SourceOut(BaseModel):
    """A Quy chế that holds at a place."""

    id: int
    area_code: str
    number: str
    signed_on: Day
    valid_from: Day


class InForceOut(BaseModel):
    """What holds in a unit on a day."""

    area_code: str
    on: Day
    sources: list[SourceOut] = Field(description="gần nhất trước; điều nào không nói thì theo sau")
    provisions: ProvisionsOut
    default_silent: list[WindowOut] = Field(
        description="giờ yên tĩnh của máy chủ, khi không Quy chế nào nói"
    )


class WithdrawalIn(Body):
    """What is to become of starts that the change forbids."""

    silences: bool = Field(False, description="đồng ý để các buổi phát đó im")


def stored(window: Window) -> dict[str, Any]:
    """A window as its column has it."""
    found: dict[str, Any] = {"from": window.from_, "until": window.until}
    return found if window.volume is None else found | {"volume": window.volume}


def provisions_of(row: RegulationRow) -> Provisions:
    """Provisions of a row."""

    def windows(values: list[dict[str, Any]] | None) -> tuple[Window, ...] | None:
        if values is None:
            return None
        return tuple(Window(each["from"], each["until"], each.get("volume")) for each in values)

    return Provisions(
        windows(row.silent), windows(row.limited), row.weekend, row.sessions_per_day,
        row.minutes_per_session, row.minutes_per_day, row.warns_repeats,
    )  # fmt: skip


def is_readable(row: RegulationRow) -> bool:
    """Whether a row says what a person could have entered; others are left out."""
    try:
        for name in ("silent", "limited"):
            for each in getattr(row, name) or ():
                LimitedIn.model_validate({"volume": 0, **each})
    except (TypeError, ValueError):
        log.warning("regulations.regulation.unreadable", regulation_id=row.id)
        return False
    return True


def columns_of(body: ProvisionsIn) -> dict[str, Any]:
    """Columns of the provisions of a request."""
    named = ProvisionsIn.model_fields
    return body.model_dump(mode="json", by_alias=True, include=set(named))
