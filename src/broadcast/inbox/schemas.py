"""What REST takes and gives of inboxes."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from broadcast.areas.model import Level
from broadcast.auth.people import People, PersonOut
from broadcast.bulletins.model import Bulletin
from broadcast.inbox.compliance import Counts
from broadcast.inbox.items import State
from broadcast.inbox.model import InboxItem
from broadcast.inbox.orders import Orders, Settled
from broadcast.kit.english import Said
from broadcast.kit.text import Note
from broadcast.kit.times import Day, Moment
from broadcast.schedules.model import AuthorityOrder
from broadcast.schedules.rrule import MOST_CHARACTERS
from broadcast.schedules.schemas import MOST_TARGETS, PlannedScheduleOut, Start, Targets
from broadcast.web.fields import Code, example
from broadcast.web.rest import Body
from broadcast.wire.fields import BulletinClass


class SendIn(Body):
    """An approved bulletin for the inboxes of communes."""

    model_config = example(
        bulletin_id="5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11",
        areas=["51"],
        useful_until="2026-12-20T18:00:00+07:00",
    )

    bulletin_id: UUID = Field(description="của tỉnh hoặc huyện, đã duyệt")
    areas: Annotated[list[Code], Field(min_length=1, max_length=MOST_TARGETS)] = Field(
        description="mã tỉnh, huyện, xã hoặc thôn; mỗi xã trong đó nhận một tin, chỉ cho các thôn"
        " được ghi nếu không ghi cả xã"
    )
    useful_until: Moment = Field(description="sau lúc này không phát nữa")


class PickIn(Body):
    """When and where a commune broadcasts it; all of it may be left to the proposal."""

    model_config = example(starts_at="2026-12-15T17:00:00+07:00")

    starts_at: Start | None = Field(None, description="bỏ trống: giờ trống được đề nghị")
    rrule: Annotated[str, Field(max_length=MOST_CHARACTERS)] | None = Field(
        None, description="RFC 5545 không có DTSTART; tự kết thúc khi tin hết hạn"
    )
    targets: Targets | None = Field(
        None, description="trong nơi được gửi đến; bỏ trống: mọi nơi được gửi đến"
    )
    volume: int | None = Field(None, ge=0, le=100, description="mặc định theo thiết bị")
    air_session: UUID | None = Field(
        None,
        description="thay cho giờ: buổi phát thanh mà tin thành một mục, đến khi tin hết hạn",
    )

    def columns(self) -> dict[str, Any]:
        """Columns of the schedule that are named."""
        named = {
            name: value
            for name in ("starts_at", "rrule", "volume", "air_session")
            if (value := getattr(self, name)) is not None
        }
        if self.targets is not None:
            named["targets"] = [each.model_dump(exclude_none=True) for each in self.targets]
        return named


class DeclineIn(Body):
    """Why a commune does not broadcast it."""

    model_config = example(reason="Đã phát nội dung này tuần trước.")

    reason: Note = Field(description="cho nơi gửi; bắt buộc")


class OrderIn(Body):
    """Which comes first."""

    model_config = example(source_first=False)

    source_first: bool = Field(description="true: tin cấp trên trước; false: tin của xã trước")


class ItemOut(BaseModel):
    """A bulletin from above at one commune."""

    model_config = ConfigDict(populate_by_name=True)

    id: UUID
    bulletin_id: UUID
    title: str
    class_: BulletinClass = Field(alias="class")
    language: str
    from_area: str = Field(description="mã đơn vị gửi")
    commune_code: str = Field(description="xã nhận, theo ngày gửi")
    villages: list[str] = Field(description="chỉ cho các thôn này, theo ngày gửi; trống: cả xã")
    state: State
    useful_until: Moment
    sent_by: PersonOut
    sent_at: Moment
    answered_by: PersonOut | None
    answered_at: Moment | None
    reason: str = Field(description="vì sao từ chối")
    schedule_id: UUID | None
    not_placed: Said = Field(description="vì sao hệ thống không xếp được giờ, để xã tự chọn")

    @classmethod
    def of(cls, item: InboxItem, bulletin: Bulletin, state: str, *, people: People) -> ItemOut:
        """Translate rows."""
        return cls(
            id=item.id,
            bulletin_id=item.bulletin_id,
            title=bulletin.title,
            class_=bulletin.class_,
            language=bulletin.language,
            from_area=bulletin.area_code,
            commune_code=item.commune_code,
            villages=item.villages,
            state=State(state),
            useful_until=item.useful_until,
            sent_by=people[item.sent_by],
            sent_at=item.sent_at,
            answered_by=None if item.answered_by is None else people[item.answered_by],
            answered_at=item.answered_at,
            reason=item.reason,
            schedule_id=item.schedule_id,
            not_placed=item.not_placed,
        )


class PickedOut(BaseModel):
    """What was picked, and its schedule."""

    item: ItemOut
    schedule: PlannedScheduleOut


class SoundingOut(BaseModel):
    """An item in one of the orders."""

    model_config = ConfigDict(from_attributes=True)

    title: str
    starts_at: Moment
    seconds: float
    is_source: bool = Field(description="tin của cấp trên")


class OrdersOut(BaseModel):
    """A choice of the commune, and what each order sounds like."""

    deadline_at: Moment
    settled: Settled = Field(
        description="open: còn chọn được; decided: xã đã chọn; by_default: quá hạn, theo mặc định"
    )
    is_source_first: bool = Field(description="thứ tự đang có hiệu lực")
    decided_by: PersonOut | None
    decided_at: Moment | None
    source_first: list[SoundingOut]
    own_first: list[SoundingOut]

    @classmethod
    def of(cls, orders: Orders, people: People) -> OrdersOut:
        """Translate a choice."""
        choice = orders.choice
        return cls(
            deadline_at=choice.deadline_at,
            settled=orders.settled,
            is_source_first=choice.source_first,
            decided_by=None if choice.decided_by is None else people[choice.decided_by],
            decided_at=choice.decided_at,
            source_first=[SoundingOut.model_validate(each) for each in orders.source_first],
            own_first=[SoundingOut.model_validate(each) for each in orders.own_first],
        )


class ReasonOut(BaseModel):
    """A reason that communes gave, and how often."""

    reason: str
    count: int


class CountsOut(BaseModel):
    """What communes did with what was sent to them in some days."""

    commune_code: str | None = Field(description="null: tất cả")
    name: str
    offered: int = Field(description="tin thông thường đã gửi")
    picked: int
    declined: int
    left: int = Field(description="để quá hạn không trả lời")
    withdrawn: int = Field(description="nơi gửi rút trước khi xã trả lời")
    waiting: int
    pick_seconds: float | None = Field(description="trung vị, từ lúc gửi đến lúc nhận phát")
    reasons: list[ReasonOut]
    priority: int = Field(description="tin ưu tiên đã gửi")
    placed: int
    priority_declined: int = Field(description="tin ưu tiên không xếp được giờ, xã từ chối")
    aired_on_time: int = Field(description="đã đến giờ và có cụm loa phát đúng giờ")
    not_aired: int = Field(description="đã qua giờ mà không cụm loa nào phát đúng giờ")
    orders_decided: int
    orders_by_default: int

    @classmethod
    def of(cls, counts: Counts) -> CountsOut:
        """Translate counts."""
        columns = {name: getattr(counts, name) for name in cls.model_fields if name != "reasons"}
        reasons = [ReasonOut(reason=text, count=number) for text, number in counts.reasons]
        return cls(**columns, reasons=reasons)


class ComplianceOut(BaseModel):
    """All communes together, and each."""

    first_on: Day = Field(alias="from")
    last_on: Day = Field(alias="to")
    total: CountsOut
    communes: list[CountsOut]

    model_config = ConfigDict(populate_by_name=True)


class AuthorityOrderIn(Body):
    """Which authority goes before which within a class."""

    model_config = example(levels=["province", "district", "commune"])

    levels: Annotated[list[Level], Field(min_length=3, max_length=3)] = Field(
        description="province, district, commune; cấp đứng đầu phát trước"
    )


class AuthorityOrderOut(BaseModel):
    """An order, and the day from which it holds."""

    valid_from: Day
    levels: list[Level]
    set_at: Moment

    @classmethod
    def of(cls, row: AuthorityOrder) -> AuthorityOrderOut:
        """Translate a row."""
        return cls(
            valid_from=row.valid_from,
            levels=[Level(each) for each in row.levels],
            set_at=row.set_at,
        )
