"""Bodies of REST requests and answers about schedules and occurrences."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from broadcast.auth.people import People, PersonOut
from broadcast.bulletins.schemas import NoteIn, RevisionNumber, RevisionOut
from broadcast.calendars.days import Silence
from broadcast.kit.english import Said
from broadcast.kit.sheets import Report
from broadcast.kit.text import FilledLine
from broadcast.kit.times import Day, Moment
from broadcast.schedules import grid
from broadcast.schedules.availability import FreeDay
from broadcast.schedules.check import Check
from broadcast.schedules.findings import Finding, Kind, RemedyKind
from broadcast.schedules.model import Occurrence, OccurrenceState, Schedule, ScheduleState
from broadcast.schedules.planning import Plan
from broadcast.schedules.relays import LONGEST_SECONDS, SHORTEST_SECONDS
from broadcast.schedules.revision_use import Use
from broadcast.schedules.rrule import MOST_CHARACTERS
from broadcast.schedules.start_edits import MOST_DATES
from broadcast.web.fields import GIVEN, NULL, Code, one_of_two
from broadcast.web.rest import Body
from broadcast.wire.fields import BulletinClass, OnPreempt

MOST_TARGETS = 500
LATE_LIMIT_SECONDS = 300
"""Default. Later than that people have stopped waiting for it; much shorter loses what a slow
link or a higher item held up for a moment."""

MOST_STARTS = 200

MOST_FREE_DAYS = 14


def _whole_second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


Start = Annotated[Moment, AfterValidator(_whole_second)]
"""A start to the second: the permanent id derives from it."""


class TargetIn(Body):
    """An area with everything in it, or a single cluster."""

    model_config = ConfigDict(json_schema_extra={"oneOf": one_of_two("area", "cluster")})

    area: Code | None = Field(None, description="mã tỉnh, xã hoặc thôn", examples=["21262"])
    cluster: Code | None = Field(None, description="mã cụm loa")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.area is None) == (self.cluster is None):
            raise ValueError("cần đúng một trong hai: “area” (địa bàn) hoặc “cluster” (cụm loa)")
        return self


Targets = Annotated[list[TargetIn], Field(min_length=1, max_length=MOST_TARGETS)]


Followed = Annotated[list[FilledLine], Field(max_length=10)]
"""Calendars that a schedule follows."""


class ScheduleChangeIn(Body):
    """Fields of a schedule to be changed; those that are not named stay."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"starts_at": "2026-12-15T17:30:00+07:00"}]}
    )

    starts_at: Start | None = Field(
        None, description="không ghi múi giờ nghĩa là giờ Việt Nam; tính đến giây"
    )
    rrule: Annotated[str, Field(max_length=MOST_CHARACTERS)] | None = Field(
        None,
        description="RFC 5545 không có DTSTART; null là phát một lần",
        examples=["FREQ=WEEKLY;BYDAY=MO,TH"],
    )
    dates: Annotated[list[Start], Field(max_length=MOST_DATES)] | None = Field(
        None, description="các buổi phát thêm ngoài quy tắc lặp (RDATE)"
    )
    except_on: Followed | None = Field(
        None, description="không phát vào ngày “holiday” (nghỉ lễ) hoặc ngày của lịch riêng này"
    )
    only_on: Followed | None = Field(
        None, description="chỉ phát vào ngày “holiday” (nghỉ lễ) hoặc ngày của lịch riêng này"
    )
    is_speech: bool | None = Field(
        None, description="chỉ có lời nói, không nhạc: vẫn phát trong ngày tang"
    )
    targets: Targets | None = None
    title: FilledLine | None = Field(None, description="mặc định là tên bản tin")
    bulletin_revision: int | None = Field(None, ge=1, le=10_000)
    priority: int | None = Field(
        None,
        ge=0,
        le=255,
        description="mặc định theo mức và cấp của đài: của xã 64 thông thường, 128 ưu tiên, 224",
    )
    late_limit_seconds: int | None = Field(
        None, ge=0, le=3600, description="phát muộn nhất bao nhiêu giây; mặc định 300"
    )
    on_preempt: OnPreempt | None = Field(
        None, description="bị mức cao hơn chen: “resume” phát tiếp, “restart” phát lại, “drop” bỏ"
    )
    volume: int | None = Field(None, ge=0, le=100, description="mặc định theo thiết bị")
    relay_source_id: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        description="nguồn tiếp âm; bản tin chỉ phát thay khi nguồn không có tiếng",
    )
    relay_seconds: int | None = Field(
        None,
        ge=SHORTEST_SECONDS,
        le=LONGEST_SECONDS,
        description="tiếp âm bao lâu kể từ giờ phát; hết giờ là dừng",
    )


class ScheduleIn(ScheduleChangeIn):
    """A new schedule of an approved bulletin."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "bulletin_id": "5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11",
                    "targets": [{"area": "21262"}],
                    "starts_at": "2026-12-15T17:00:00+07:00",
                    "rrule": "FREQ=WEEKLY;BYDAY=MO,TH",
                }
            ]
        },
    )

    bulletin_id: UUID | None = Field(
        None, description="bỏ trống được khi tiếp âm: bản tin dự phòng của nguồn"
    )
    bulletin_revision: int | None = Field(
        None, ge=1, le=10_000, description="mặc định là phiên bản mới nhất đã duyệt"
    )
    starts_at: Start = Field(
        description="không ghi múi giờ nghĩa là giờ Việt Nam; quy tắc lặp tính từ đây"
    )
    targets: Targets
    when_approved: bool = Field(
        False,
        description="bản tin chưa duyệt: ghi lịch ở trạng thái “proposed”, duyệt xong mới có hiệu"
        " lực; giờ chưa được giữ chỗ",
    )


class SplitIn(ScheduleChangeIn):
    """A change from one start on; what comes before stays as it is."""

    from_: Start = Field(
        alias="from", description="đổi từ buổi phát đầu tiên vào hoặc sau thời điểm này"
    )


class OccurrenceChangeIn(Body):
    """Move one occurrence, or cancel it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"starts_at": "2026-12-15T18:00:00+07:00"}],
            "oneOf": [
                {
                    "required": ["starts_at"],
                    "properties": {"starts_at": GIVEN, "cancelled": {"const": False}},
                },
                {
                    "required": ["cancelled"],
                    "properties": {"starts_at": NULL, "cancelled": {"const": True}},
                },
            ],
        }
    )

    starts_at: Start | None = None
    cancelled: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.starts_at is None) is not self.cancelled:
            raise ValueError(
                "cần đúng một trong hai: starts_at (dời giờ) hoặc cancelled (bỏ buổi này)"
            )
        return self


def _one_of(*names: str) -> dict[str, Any]:
    """Schema of a body in which exactly one of these says what becomes of a start."""
    other = {name: {"const": False} for name in names} | {"starts_at": NULL}
    given = {name: {"const": True} for name in names} | {"starts_at": GIVEN}
    return {
        "oneOf": [
            {"required": [name], "properties": other | {name: given[name]}} for name in given
        ]
    }


class StartChangeIn(Body):
    """What is to become of one start of a schedule, however far ahead it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"recurrence_at": "2027-02-06T17:00:00+07:00", "cancelled": True}],
            **_one_of("cancelled", "restored", "added", "dropped"),
        }
    )

    recurrence_at: Start = Field(description="giờ theo quy tắc của buổi phát, hoặc giờ thêm")
    starts_at: Start | None = Field(None, description="dời sang giờ này")
    cancelled: bool = Field(False, description="bỏ buổi này")
    restored: bool = Field(False, description="đưa buổi đã dời hoặc đã bỏ về giờ theo lịch")
    added: bool = Field(
        False, description="phát thêm vào giờ này, kể cả vào ngày mà lịch ngày làm im"
    )
    dropped: bool = Field(False, description="không phát thêm vào giờ này nữa")

    @model_validator(mode="after")
    def _one(self) -> Self:
        said = (
            self.starts_at is not None, self.cancelled, self.restored, self.added, self.dropped
        )  # fmt: skip
        if said.count(True) != 1:
            raise ValueError(
                "cần đúng một trong: starts_at (dời giờ), cancelled (bỏ), restored (phát lại),"
                " added (thêm), dropped (bỏ buổi thêm)"
            )
        return self


class RowOut(BaseModel):
    """A representation of a row."""

    model_config = ConfigDict(from_attributes=True)


TargetOut = Annotated[dict[str, str], Field(examples=[{"area": "21262"}])]


class ScheduleOut(BaseModel):
    """A schedule as stored."""

    id: UUID
    bulletin_id: UUID
    bulletin_revision: int
    title: str
    starts_at: Moment
    rrule: str | None
    dates: list[Moment]
    except_on: list[str]
    only_on: list[str]
    is_speech: bool
    targets: list[TargetOut]
    priority: int
    late_limit_seconds: int
    on_preempt: OnPreempt
    volume: int | None
    relay_source_id: int | None = Field(description="null: không tiếp âm")
    relay_seconds: int | None
    state: ScheduleState
    created_by: PersonOut
    created_at: Moment
    changed_at: Moment

    @classmethod
    def of(cls, schedule: Schedule, people: People) -> ScheduleOut:
        """Translate a row."""
        columns = {name: getattr(schedule, name) for name in ScheduleOut.model_fields}
        return ScheduleOut(**columns | {"created_by": people[schedule.created_by]})


class OverlapOut(BaseModel):
    """Another item at the same loudspeakers at the same time, and what comes of it."""

    starts_at: Moment
    other_occurrence_id: UUID
    other_title: str
    other_starts_at: Moment
    other_priority: int
    outcome: grid.Outcome = Field(
        description="preempts: chen bản tin kia; preempted: bị chen; clash: cùng mức, bị từ chối"
    )
    cluster_count: int


class ReachedOut(BaseModel):
    """Clusters that one target reaches at the first start."""

    target: TargetOut
    cluster_count: int
    with_device_count: int


class StartOut(RowOut):
    """One start of a schedule, as far as it is known now."""

    recurrence_at: Moment
    starts_at: Moment | None = Field(description="null: đã bỏ riêng lần này")
    silent: Silence | None = Field(description="lịch ngày làm im ở tất cả hoặc một số cụm loa")
    silent_count: int = Field(description="số cụm loa im")
    cluster_count: int = Field(description="số cụm loa phát")
    is_added: bool = Field(description="thêm bằng tay, ngoài quy tắc hoặc bất chấp lịch ngày")


class SkippedOut(RowOut):
    """A start that a calendar keeps silent, at all of its clusters or at some."""

    starts_at: Moment
    reason: Silence
    text: Said = Field(description="cho người")
    cluster_count: int = Field(description="số cụm loa im lặng")
    sounds_elsewhere: bool = Field(description="các cụm loa còn lại vẫn phát")


class PlanOut(BaseModel):
    """Coming starts, reach, overlaps and warnings of a schedule."""

    starts: list[Moment] = Field(description=f"các buổi phát sắp tới, nhiều nhất {MOST_STARTS}")
    skipped: list[SkippedOut] = Field(
        description=f"các lần không phát vì lịch ngày, nhiều nhất {MOST_STARTS}"
    )
    cluster_count: int
    reached: list[ReachedOut]
    overlaps: list[OverlapOut]
    checked_until: Moment = Field(
        description="overlaps liệt kê đến lúc này; trùng cùng mức ưu tiên được xét mười năm"
    )
    warnings: list[Said]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Translate a plan."""
        return cls(
            starts=[slot.starts_at for slot in plan.slots[:MOST_STARTS]],
            skipped=[SkippedOut.model_validate(each) for each in plan.skipped[:MOST_STARTS]],
            cluster_count=len(frozenset().union(*(slot.cluster_ids for slot in plan.slots))),
            reached=[ReachedOut.model_validate(each._asdict()) for each in plan.reached],
            overlaps=[OverlapOut.model_validate(grid.described(p)) for p in plan.overlaps],
            checked_until=plan.checked_until,
            warnings=plan.warnings,
        )


class RemedyOut(RowOut):
    """A change of the schedule that takes a finding away."""

    kind: RemedyKind
    text: Said = Field(description="cho người: chữ trên nút bấm")
    change: dict[str, Any] = Field(
        description="các trường cần đổi, gửi kèm như khi sửa lịch",
        examples=[{"starts_at": "2026-12-15T17:30:00+07:00"}],
    )


class FindingOut(RowOut):
    """One thing that a check has found."""

    kind: Kind
    refuses: bool = Field(description="còn điều này thì không lưu được")
    text: Said = Field(description="cho người")
    villages: list[str] = Field(description="mã các thôn liên quan")
    cluster_count: int
    starts_at: Moment | None = Field(description="buổi đầu tiên liên quan")
    starts_count: int
    other: OverlapOut | None = Field(description="bản tin kia, buổi đầu tiên gặp")
    remedies: list[RemedyOut]

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """Translate a finding."""
        return cls(
            kind=finding.kind,
            refuses=finding.refuses,
            text=finding.text,
            villages=list(finding.villages),
            cluster_count=len(finding.cluster_ids),
            starts_at=finding.starts_at,
            starts_count=finding.starts_count,
            other=finding.other and OverlapOut.model_validate(grid.described(finding.other)),
            remedies=[RemedyOut.model_validate(each) for each in finding.remedies],
        )


class ConsequenceOut(RowOut):
    """What becomes of the starts that are planned."""

    lost: list[Moment] = Field(description="các giờ sẽ không còn phát")
    gained: list[Moment] = Field(description="các giờ phát mới")
    village_count: int
    cluster_count: int
    out_of_contact: int = Field(description="cụm loa mất liên lạc, chưa nhận được thay đổi")
    summary: Said = Field(description="cho người")


class AffectedOut(RowOut):
    """A schedule of which some starts sound no more, or sound again."""

    schedule_id: UUID
    title: str
    silenced: list[Moment] = Field(description="các giờ sẽ im ở ít nhất một cụm loa")
    sounding: list[Moment] = Field(description="các giờ sẽ lại phát ở ít nhất một cụm loa")


class EffectOut(RowOut):
    """What marking days in a calendar comes to; nothing was saved."""

    schedules: list[AffectedOut]
    village_count: int
    cluster_count: int
    summary: Said = Field(description="cho người")


class RegulationsReport(Report):
    """What an import of Quy chế made, or would make, of each row and of schedules."""

    effect: EffectOut | None = Field(
        None, description="khi chỉ xem trước: các Quy chế của tệp cùng làm buổi nào im"
    )


class CheckOut(BaseModel):
    """What is to be known before a schedule is saved; nothing was saved."""

    refused: bool = Field(description="nếu lưu như vậy sẽ bị từ chối")
    findings: list[FindingOut]
    plan: PlanOut | None
    consequence: ConsequenceOut | None = Field(description="khi sửa một lịch đã có")

    @classmethod
    def of(cls, check: Check) -> Self:
        """Translate a check."""
        return cls(
            refused=check.refused,
            findings=[FindingOut.of(each) for each in check.findings],
            plan=check.plan and PlanOut.of(check.plan),
            consequence=check.consequence and ConsequenceOut.model_validate(check.consequence),
        )


class CheckChangeIn(ScheduleChangeIn):
    """A change to be checked, of the whole schedule or from one start on."""

    from_: Start | None = Field(
        None, alias="from", description="như khi tách lịch; bỏ trống là cả lịch"
    )


class FreeTimesIn(Body):
    """Where and for what a time is sought."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "bulletin_id": "5b2b6c1e-6a54-4c0e-9d43-0a4c8f0f8a11",
                    "targets": [{"area": "21262"}],
                    "from": "2026-12-14",
                }
            ]
        }
    )

    bulletin_id: UUID
    bulletin_revision: int | None = Field(None, ge=1, le=10_000)
    targets: Targets
    first_on: Day | None = Field(None, alias="from", description="mặc định hôm nay")
    days: int = Field(7, ge=1, le=MOST_FREE_DAYS)


class OccupiedOut(BaseModel):
    """Something that sounds there already."""

    occurrence_id: UUID
    title: str
    starts_at: Moment
    ends_at: Moment
    priority: int
    cluster_count: int


class FreeDayOut(BaseModel):
    """One day."""

    day: Day
    starts: list[Moment] = Field(description="giờ còn trống, cách nhau ít nhất 5 phút")
    occupied: list[OccupiedOut]

    @classmethod
    def of(cls, free: FreeDay) -> Self:
        """Translate a day."""
        return cls(
            day=free.day,
            starts=free.starts,
            occupied=[
                OccupiedOut(
                    **{name: getattr(slot, name) for name in _OF_SLOT},
                    cluster_count=len(slot.cluster_ids),
                )
                for slot in free.occupied
            ],
        )


_OF_SLOT = ("occurrence_id", "title", "starts_at", "ends_at", "priority")


class PlannedScheduleOut(ScheduleOut):
    """A schedule that was just created or changed, with its plan."""

    plan: PlanOut

    @classmethod
    def with_plan(cls, schedule: Schedule, plan: Plan, people: People) -> Self:
        """Translate a row and its plan."""
        return cls(**dict(ScheduleOut.of(schedule, people)), plan=PlanOut.of(plan))


class OccurrenceOut(RowOut):
    """One dated firing."""

    id: UUID
    schedule_id: UUID
    title: str
    recurrence_at: Moment = Field(description="giờ theo quy tắc; không đổi khi dời buổi phát")
    starts_at: Moment
    ends_by: Moment
    bulletin_id: UUID
    bulletin_revision: int
    class_: BulletinClass = Field(alias="class", validation_alias="class_")
    priority: int
    late_limit_seconds: int
    on_preempt: OnPreempt
    volume: int | None
    relay_source_id: int | None = Field(description="null: không tiếp âm")
    relay_seconds: int | None
    state: OccurrenceState
    cancel_reason: str | None
    scopes: list[str] = Field(description="tài liệu mang buổi phát này đến thiết bị")

    @classmethod
    def of(cls, row: Occurrence) -> Self:
        """Translate a row."""
        return cls.model_validate(row)


# --- steps of a revision -----------------------------------------------------------------------


class StepIn(NoteIn):
    """Reason of a step; of a withdrawal also the revision that its schedules go on with."""

    move_schedules_to: RevisionNumber | None = Field(
        None,
        description="chỉ khi rút: trước hết chuyển các lịch đang dùng phiên bản này sang phiên bản"
        " đã duyệt này, thay vì thu hồi chúng",
    )
    heard_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None,
        description="chỉ khi duyệt: SHA-256 của âm thanh (renditions) đã nghe đến hết; ghi vào"
        " nhật ký kiểm toán",
    )


class MoveSchedulesIn(Body):
    """Schedules to move."""

    earlier: RevisionNumber | None = Field(
        None, alias="from", description="chỉ các lịch của phiên bản này; mặc định mọi phiên bản"
    )


class ScheduleUseOut(BaseModel):
    """A schedule that uses a revision, and its coming starts."""

    schedule: ScheduleOut
    starts: list[Moment] = Field(
        description=f"các buổi phát sắp tới đã lập, nhiều nhất {MOST_STARTS}"
    )
    starts_count: int

    @classmethod
    def of(cls, use: Use, people: People) -> ScheduleUseOut:
        """Translate a use."""
        return cls(
            schedule=ScheduleOut.of(use.schedule, people),
            starts=use.starts[:MOST_STARTS],
            starts_count=len(use.starts),
        )


class WithdrawalOut(BaseModel):
    """Schedules that the withdrawal of a revision would cancel."""

    cancels: list[ScheduleUseOut]
    newer_approved: int | None = Field(description="phiên bản đã duyệt mà các lịch có thể dùng")
    summary: Said = Field(description="cho người: điều gì sẽ xảy ra, có thể làm gì khác")


class RevisionStepOut(RevisionOut):
    """A revision after a step, with the schedules that the step changed or left as they were."""

    cancelled: list[ScheduleUseOut] = Field(description="khi rút: các lịch đã thu hồi")
    moved: list[ScheduleOut] = Field(description="khi rút: các lịch đã chuyển sang bản khác")
    left_behind: list[ScheduleUseOut] = Field(
        description="khi duyệt: các lịch vẫn phát phiên bản cũ; chuyển bằng POST …/schedules"
    )
    activated: list[ScheduleOut] = Field(description="khi duyệt: các lịch đề nghị nay có hiệu lực")
    still_proposed: list[ScheduleOut] = Field(
        description="khi duyệt: các lịch đề nghị chưa có hiệu lực; `notes` nói vì sao"
    )
    notes: list[Said] = Field(description="cho người")


class MovedScheduleOut(BaseModel):
    """A schedule that goes on with another revision, with its plan."""

    schedule: ScheduleOut
    plan: PlanOut | None = Field(description="null: không còn buổi phát nào sắp tới")
