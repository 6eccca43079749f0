"""What REST takes and gives of sessions."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from broadcast.auth.people import People, PersonOut
from broadcast.grid.filling import Day as FilledDay
from broadcast.grid.filling import Part
from broadcast.grid.model import AirSession
from broadcast.grid.planner import Kind, Reason
from broadcast.grid.play_now import When
from broadcast.grid.sessions import MOST_ITEMS, MOST_SKIPPED, ItemChange
from broadcast.kit.english import Said
from broadcast.kit.times import Day, Moment
from broadcast.schedules import listening
from broadcast.schedules.hearing import Outcome
from broadcast.schedules.model import ScheduleState
from broadcast.schedules.relays import LONGEST_SECONDS, SHORTEST_SECONDS
from broadcast.schedules.rrule import MOST_CHARACTERS
from broadcast.schedules.schemas import Followed, Start, TargetOut, Targets
from broadcast.schedules.silent_days import SILENT
from broadcast.web.fields import Code, LocalTime, Name, example
from broadcast.web.rest import Body
from broadcast.wire.fields import BulletinClass

REASONS = {
    Reason.NO_TIME: "không đủ giờ trong buổi phát nên bị bỏ",
    Reason.QUIET_HOURS: "sẽ kéo vào giờ yên tĩnh nên bị bỏ",
    Reason.QUOTA: "vượt hạn mức của Quy chế nên bị bỏ",
    Reason.RELAY: "vướng giờ tiếp âm cố định nên bị bỏ",
}
"""Why an item does not sound, for people."""

Rrule = Annotated[str, Field(max_length=MOST_CHARACTERS)]
Length = Annotated[int, Field(ge=60, le=7200)]


class AirItemIn(Body):
    """An item of a session; its place in the list is its place in the session."""

    id: UUID | None = Field(None, description="mục đã có; bỏ trống là mục mới")
    bulletin_id: UUID | None = Field(
        None,
        description="của mục mới: bản tin đã duyệt; tiếp âm thì mặc định bản dự phòng của nguồn",
    )
    kind: Kind = Field(
        Kind.OWN,
        description="signature: nhạc hiệu; relay: tiếp âm; above: tin cấp trên; own: tin của xã;"
        " closing: lời kết",
    )
    first_on: Day | None = Field(None, description="phát từ ngày; mặc định hôm nay")
    last_on: Day | None = Field(None, description="đến hết ngày; null: mọi buổi")
    is_speech: bool = Field(False, description="chỉ có lời nói: vẫn phát trong ngày tang")
    relay_source_id: int | None = Field(
        None, ge=1, le=2**31 - 1, description="của mục tiếp âm mới (kind: relay): nguồn tiếp âm"
    )
    relay_at: LocalTime | None = Field(
        None, description="giờ bắt đầu tiếp âm, cố định trong buổi; bỏ trống là giữ nguyên"
    )
    relay_seconds: int | None = Field(
        None,
        ge=SHORTEST_SECONDS,
        le=LONGEST_SECONDS,
        description="tiếp âm bao lâu thì dừng hẳn; bỏ trống là giữ nguyên",
    )

    def change(self) -> ItemChange:
        """As the use case takes it."""
        return ItemChange(
            self.id, self.bulletin_id, self.kind, self.first_on, self.last_on, self.is_speech,
            self.relay_source_id,
            None if self.relay_at is None else time.fromisoformat(self.relay_at),
            self.relay_seconds,
        )  # fmt: skip


Items = Annotated[list[AirItemIn], Field(max_length=MOST_ITEMS)]


class AirSessionChangeIn(Body):
    """Fields of a session to be changed; those that are not named stay."""

    model_config = example(seconds=1800, may_overrun=False)

    name: Name | None = None
    starts_at: Start | None = Field(None, description="buổi đầu tiên; giờ của mọi buổi")
    rrule: Rrule | None = Field(None, description="RFC 5545 không có DTSTART; mỗi ngày một lần")
    seconds: Length | None = Field(None, description="buổi dài bao nhiêu giây")
    may_overrun: bool | None = Field(
        None, description="mục cuối được kéo dài quá giờ kết thúc, nếu bắt đầu trước giờ đó"
    )
    except_on: Followed | None = Field(
        None, description="không phát vào ngày “holiday” (nghỉ lễ) hoặc ngày của lịch riêng này"
    )
    skipped_on: Annotated[list[Day], Field(max_length=MOST_SKIPPED)] | None = Field(
        None, description="các ngày bỏ cả buổi"
    )
    targets: Targets | None = Field(None, description="trong địa bàn; mặc định cả địa bàn")
    items: Items | None = Field(None, description="tất cả các mục, theo thứ tự phát")

    def columns(self) -> dict[str, Any]:
        """Columns that the request names."""
        named = {
            name: value
            for name in AirSessionChangeIn.model_fields
            if name not in {"items", "targets"} and (value := getattr(self, name)) is not None
        }
        if self.targets is not None:
            named["targets"] = [each.model_dump(exclude_none=True) for each in self.targets]
        return named

    def changes(self) -> list[ItemChange] | None:
        """Items as the use case takes them; None where none are named."""
        return None if self.items is None else [each.change() for each in self.items]


class AirSessionIn(AirSessionChangeIn):
    """A new session."""

    model_config = example(
        area_code="21262",
        name="Buổi sáng",
        starts_at="2026-12-15T05:00:00+07:00",
        rrule="FREQ=DAILY",
        seconds=1800,
        items=[{"bulletin_id": "5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11", "kind": "signature"}],
    )

    area_code: Code = Field(description="mã xã")
    name: Name
    starts_at: Start = Field(description="buổi đầu tiên; giờ của mọi buổi")
    rrule: Rrule = Field("FREQ=DAILY", description="RFC 5545 không có DTSTART; mỗi ngày một lần")
    seconds: Length = Field(description="buổi dài bao nhiêu giây")
    may_overrun: bool = Field(
        False, description="mục cuối được kéo dài quá giờ kết thúc, nếu bắt đầu trước giờ đó"
    )


class AirItemOut(BaseModel):
    """An item of a session, and what sounds of it."""

    id: UUID
    kind: Kind
    bulletin_id: UUID
    bulletin_revision: int
    title: str
    seconds: float
    priority: int
    schedule_id: UUID
    schedule_state: ScheduleState = Field(description="withdrawn: bản tin đã rút, không phát nữa")
    first_on: Day
    last_on: Day | None
    is_speech: bool
    relay_source_id: int | None = Field(description="null: không tiếp âm")
    relay_at: LocalTime | None = Field(description="giờ tiếp âm, cố định trong buổi")
    relay_seconds: int | None

    @classmethod
    def of(cls, part: Part) -> AirItemOut:
        """Translate rows."""
        return cls(
            id=part.item.id,
            kind=part.item.kind,
            bulletin_id=part.bulletin.id,
            bulletin_revision=part.schedule.bulletin_revision,
            title=part.schedule.title,
            seconds=part.seconds,
            priority=part.schedule.priority,
            schedule_id=part.schedule.id,
            schedule_state=part.schedule.state,
            first_on=part.item.first_on,
            last_on=part.item.last_on,
            is_speech=part.schedule.is_speech,
            relay_source_id=part.schedule.relay_source_id,
            relay_at=None if part.item.relay_at is None else f"{part.item.relay_at:%H:%M}",
            relay_seconds=part.schedule.relay_seconds,
        )


class AirSessionOut(BaseModel):
    """A session with its items."""

    id: UUID
    area_code: str
    name: str
    starts_at: Moment
    rrule: str
    seconds: int
    may_overrun: bool
    except_on: list[str]
    skipped_on: list[Day]
    targets: list[TargetOut]
    items: list[AirItemOut]
    created_by: PersonOut
    created_at: Moment
    changed_at: Moment
    ended_at: Moment | None

    @classmethod
    def of(cls, air: AirSession, parts: list[Part], people: People) -> AirSessionOut:
        """Translate rows."""
        plain = {
            name: getattr(air, name)
            for name in cls.model_fields
            if name not in {"items", "created_by"}
        }
        return cls(
            **plain,
            items=[AirItemOut.of(each) for each in parts],
            created_by=people[air.created_by],
        )


class PlacedOut(BaseModel):
    """An item in the session of one day."""

    item_id: UUID
    title: str
    kind: Kind
    seconds: float
    starts_at: Moment | None = Field(description="null: không phát trong ngày này")
    dropped: Reason | None = Field(description="vì sao không đủ chỗ")
    by_hand: bool = Field(description="có người đã dời hoặc bỏ riêng lần này")
    text: Said = Field(description="cho người: vì sao không phát")


class AirDayOut(BaseModel):
    """A session on one day that has not begun."""

    day: Day
    begins_at: Moment
    ends_at: Moment
    items: list[PlacedOut] = Field(description="theo giờ phát; mục không phát ở cuối")

    @classmethod
    def of(cls, day: FilledDay, parts: list[Part]) -> AirDayOut:
        """Translate a day; items that are not for it are left out."""
        items = []
        for part in parts:
            id_ = part.item.id
            if id_ not in {*day.starts, *day.dropped, *day.by_hand}:
                continue
            dropped, by_hand = day.dropped.get(id_), id_ in day.by_hand
            at = day.starts.get(id_, day.by_hand.get(id_))
            text = REASONS[dropped] if dropped is not None else ""
            if by_hand and at is None:
                text = "bỏ riêng lần này"
            items.append(
                PlacedOut(
                    item_id=id_, title=part.schedule.title, kind=part.item.kind,
                    seconds=part.seconds, starts_at=at, dropped=dropped,
                    by_hand=by_hand, text=text,
                )
            )  # fmt: skip
        items.sort(key=lambda each: (each.starts_at is None, each.starts_at or day.begins_at))
        return cls(day=day.on, begins_at=day.begins_at, ends_at=day.ends_at, items=items)


class PlayNowIn(Body):
    """What is to sound now, and where."""

    model_config = example(
        bulletin_id="5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11",
        targets=[{"area": "21262"}],
        when="after",
    )

    bulletin_id: UUID = Field(description="đã duyệt; phiên bản mới nhất đã duyệt được phát")
    targets: Targets
    when: When = Field(
        When.AFTER,
        description="at_once: chen những gì cùng mức đang phát; after: khi nơi đó hết tiếng",
    )
    volume: int | None = Field(None, ge=0, le=100, description="mặc định theo thiết bị")


class SpanOut(BaseModel):
    """A stretch of sound."""

    model_config = ConfigDict(from_attributes=True)

    begins_at: Moment
    ends_at: Moment


class HeardOut(BaseModel):
    """Something that is planned where a village hears it, and what becomes of it there."""

    occurrence_id: UUID
    schedule_id: UUID
    bulletin_id: UUID
    bulletin_revision: int
    title: str
    class_: BulletinClass = Field(alias="class")
    area_code: str = Field(description="đơn vị có đài phát bản tin này")
    starts_at: Moment = Field(description="giờ đã xếp")
    seconds: float
    languages: list[str] = Field(description="nghe bằng tiếng nào, theo thứ tự; trống: tiếp âm")
    audio: str = Field(description="nghe thử đúng bản mà nơi này nghe")
    is_over_quota: bool = Field(description="hạn mức của Quy chế trong ngày đã hết nên không phát")
    outcome: Outcome = Field(description="whole: nghe trọn; part: một phần; none: không nghe")
    spans: list[SpanOut] = Field(description="khi nào nghe được")
    text: Said = Field(description="cho người: vì sao không nghe trọn, hoặc nghe muộn")

    model_config = ConfigDict(populate_by_name=True)

    @classmethod
    def of(cls, item: listening.Item) -> HeardOut:
        """Translate what a village hears."""
        row, heard = item.occurrence, item.heard
        return cls(
            occurrence_id=row.id, schedule_id=row.schedule_id, bulletin_id=row.bulletin_id,
            bulletin_revision=row.bulletin_revision, title=row.title, class_=row.class_,
            area_code=item.area_code, starts_at=row.starts_at, seconds=item.seconds,
            languages=list(item.languages), audio=_audio(item),
            is_over_quota=item.is_over_quota,
            outcome=heard.outcome, spans=[SpanOut.model_validate(each) for each in heard.spans],
            text=_why(item),
        )  # fmt: skip


def _audio(item: listening.Item) -> str:
    row = item.occurrence
    path = f"/api/v1/bulletins/{row.bulletin_id}/revisions/{row.bulletin_revision}/audio"
    version = f"&languages={','.join(item.languages)}" if item.is_version else ""
    return f"{path}?codec=mp3{version}"


def _why(item: listening.Item) -> str:
    """Why something is not heard whole, or later than planned."""
    heard, by = item.heard, item.kept_by
    if item.silent is not None:
        over = "vượt hạn mức của Quy chế nên không phát"
        return over if item.is_over_quota else SILENT[item.silent]
    if heard.outcome is Outcome.WHOLE:
        if len(heard.spans) > 1:
            return f"bị “{by}” chen, rồi phát tiếp"
        is_late = heard.spans[0].begins_at > item.occurrence.starts_at
        return f"phát sau khi “{by}” hết" if is_late else ""
    if heard.is_quiet:
        return "không phát trong giờ yên tĩnh"
    if heard.outcome is Outcome.NONE:
        return f"không phát vì “{by}” phát đến quá muộn"
    return f"bị “{by}” chen, không phát hết"


class EarOut(BaseModel):
    """Loudspeakers of a village that sound alike."""

    cluster_count: int
    languages: list[str] = Field(description="tiếng của người dân ở đó, theo thứ tự")
    items: list[HeardOut] = Field(description="theo giờ đã xếp")


class VillageHeardOut(BaseModel):
    """What a village is to hear on a day."""

    code: str
    name: str
    cluster_count: int
    ears: list[EarOut] = Field(description="nhiều hơn một nếu các cụm loa phát khác nhau")

    @classmethod
    def of(cls, village: listening.Village) -> VillageHeardOut:
        """Translate a village."""
        return cls(
            code=village.code, name=village.name, cluster_count=village.cluster_count,
            ears=[
                EarOut(
                    cluster_count=ear.cluster_count, languages=list(ear.languages),
                    items=[HeardOut.of(i) for i in ear.items],
                )
                for ear in village.ears
            ],
        )  # fmt: skip
