"""Bodies of REST requests and answers about portals of communes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field

from broadcast.kit import outbound
from broadcast.kit.english import Said
from broadcast.kit.text import FilledLine, Reference
from broadcast.kit.times import Day, Moment
from broadcast.portals.model import CheckOutcome, Portal, PortalKind
from broadcast.portals.reading import LONGEST_TAG, LONGEST_URL, MOST_TAGS
from broadcast.portals.standing import Standing, Standings
from broadcast.portals.updating import Why
from broadcast.web.fields import Code, Name, example
from broadcast.web.rest import Body

PortalUrl = Annotated[
    str,
    Field(
        min_length=8,
        max_length=LONGEST_URL,
        json_schema_extra={"pattern": outbound.HTTP_URL},
    ),
    AfterValidator(outbound.clean_url),
]

CssClass = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z_-][A-Za-z0-9_-]{0,99})?$",
        description="tên lớp (class) trong HTML, không có dấu chấm",
    ),
]


class SourceIn(Body):
    """Where and how the news of a portal are read."""

    model_config = example(
        source_url="https://nghiahanh.example/tin-tuc.rss", kind="feed", item_class="",
        date_class="",
    )  # fmt: skip

    source_url: PortalUrl = Field(description="nơi đọc tin: tệp RSS/Atom, sitemap hoặc trang tin")
    kind: PortalKind
    item_class: CssClass = Field("", description="trang danh sách: lớp của mỗi tin")
    date_class: CssClass = Field(
        "", description="trang danh sách: lớp của ngày đăng; bỏ trống: tự tìm trong tin"
    )


class PortalIn(SourceIn):
    """A portal of a commune."""

    model_config = example(
        area_code="21025", name="Trang thông tin điện tử xã Nghĩa Hành",
        url="https://nghiahanh.example/", source_url="https://nghiahanh.example/tin-tuc.rss",
        kind="feed", tags=["Thông tin thiết yếu"], valid_from="2025-07-01",
    )  # fmt: skip

    area_code: Code = Field(description="xã, phường, thị trấn, đặc khu")
    name: Name
    url: PortalUrl = Field(description="trang mà người dân mở")
    tags: Annotated[
        list[Annotated[FilledLine, Field(max_length=LONGEST_TAG)]], Field(max_length=MOST_TAGS)
    ] = Field([], description="chuyên mục, thẻ của trang dùng cho thông tin thiết yếu")
    valid_from: Day = Field(description="tính từ ngày nào")


class CheckOut(BaseModel):
    """A look at a portal."""

    checked_at: Moment
    outcome: CheckOutcome
    detail: Said = Field(description="sai gì và cần làm gì; rỗng: không sai gì")
    listed: int = Field(description="số tin trang đang liệt kê")
    added: int = Field(description="trong đó số tin mới")


class PortalOut(BaseModel):
    """A portal, and what is known of it today."""

    id: int
    area_code: str
    name: str
    url: str
    source_url: str
    kind: PortalKind
    item_class: str
    date_class: str
    tags: list[str]
    valid_from: Day
    ended_on: Day | None
    entered_at: Moment
    last_check: CheckOut | None = Field(description="null: chưa đọc lần nào")


class ItemOut(BaseModel):
    """Something that a portal has published."""

    id: int
    url: str
    title: str
    tags: list[str]
    published_on: Day | None = Field(description="null: không rõ ngày, không tính")
    is_dated: bool = Field(description="trang có ghi ngày; không thì tính ngày thấy lần đầu")
    is_essential: bool | None = Field(description="người đã chọn; null: theo chuyên mục, thẻ")
    counts: bool = Field(description="là thông tin thiết yếu")
    seen_at: Moment


class PortalNameOut(BaseModel):
    """A portal by its name."""

    id: int
    name: str


class StandingOut(BaseModel):
    """How a commune stands by what its portals have published."""

    area_code: str
    name: str
    portals: list[PortalNameOut]
    counted: int = Field(description="tin thiết yếu trong khoảng ngày")
    by_tag: int = Field(description="trong đó theo chuyên mục, thẻ")
    by_person: int = Field(description="trong đó do người xác nhận")
    others: int = Field(description="tin khác trong khoảng ngày")
    newest_on: Day | None
    why: Why | None = Field(description="vì sao chưa thường xuyên cập nhật; null: đạt")

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """The commune as answered."""
        found = standing.verdict
        return cls(
            area_code=standing.code, name=standing.name, counted=found.counted,
            by_tag=found.by_tag, by_person=found.by_person, others=found.others,
            newest_on=found.newest_on, why=found.why,
            portals=[PortalNameOut(id=each.id, name=each.name) for each in found.portals],
        )  # fmt: skip


class StandingsOut(BaseModel):
    """The communes of a day."""

    as_of: Day
    items_wanted: int
    days: int = Field(description="trong bao nhiêu ngày gần nhất")
    communes: list[StandingOut]
    undecided: list[PortalNameOut] = Field(
        description="trang của xã đã chia tách hoặc không còn: cần ghi lại thuộc xã nào"
    )

    @classmethod
    def of(cls, found: Standings, as_of: date, undecided: Iterable[Portal]) -> Self:
        """The communes as answered, with those undecided portals that the caller may see."""
        return cls(
            as_of=as_of, items_wanted=found.rule.items, days=found.rule.days,
            communes=[StandingOut.of(each) for each in found.communes],
            undecided=[PortalNameOut(id=each.id, name=each.name) for each in undecided],
        )  # fmt: skip


class DecisionIn(Body):
    """Whether an item is essential information."""

    is_essential: bool | None = Field(description="null: để chuyên mục, thẻ quyết định")


class FoundItemOut(BaseModel):
    """An item that was found when trying a source."""

    url: str
    title: str
    published_at: Moment | None
    tags: list[str]


class TrialOut(BaseModel):
    """What a look at a source finds; nothing is stored."""

    outcome: CheckOutcome
    detail: Said
    listed: int
    items: list[FoundItemOut] = Field(description="mười tin đầu")


class UpdateRuleIn(Body):
    """How much counts as regularly updated."""

    model_config = example(items=4, days=30, document="Công văn 12/SVHTTDL")

    items: int = Field(ge=1, le=1000, description="ít nhất bao nhiêu tin thiết yếu")
    days: int = Field(ge=1, le=366, description="trong bao nhiêu ngày gần nhất")
    document: Reference = Field(description="văn bản quyết định")


class UpdateRuleOut(BaseModel):
    """A rule, and from which day on it holds."""

    valid_from: Day | None = Field(description="null: khi tỉnh chưa quyết định")
    items: int
    days: int
    document: str
