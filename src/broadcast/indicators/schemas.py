"""Requests and answers of the indicators, over REST and on the command line."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from broadcast.auth.people import People, PersonOut
from broadcast.indicators.definitions import operating_rule
from broadcast.indicators.model import Restatement, VillageExclusion
from broadcast.indicators.results import Exclusion, Member, Result, Results, ratio
from broadcast.indicators.texts import REASONS, RESTATEMENT_CAUSES, sentence
from broadcast.kit.english import Said
from broadcast.kit.text import Reference
from broadcast.kit.times import Day, Moment
from broadcast.stations.model import Evidence
from broadcast.web.fields import Code
from broadcast.web.rest import Body


class ProvenOut(BaseModel):
    """Parts of the value by what they rest on; they add up to it."""

    telemetry: float
    attested: float
    none: float


class FigureOut(BaseModel):
    """One variant of one indicator on one day. Shares are 0–1."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "code": "1.1", "variant": "TH", "version": 1,
                "title": "Xã có truyền thanh hoạt động đến mọi thôn, tổ dân phố (chặt)",
                "value": 0.9375, "numerator": 90, "denominator": 96,
                "proven": {"telemetry": 0.71875, "attested": 0.21875, "none": 0.0},
                "text": "93,7 % (thiết bị tự báo 71,9 %, xác nhận 21,8 %, chưa chứng minh 0,0 %)",
                "target": 1.0, "gap": 0.0625, "excluded": 2, "partly": 0, "data_errors": 1,
                "numerator_rule": "mọi thôn có cụm loa chính đang hoạt động",
                "denominator_rule": "mọi xã, phường, thị trấn, đặc khu trong ngày",
                "legal_basis": "Kế hoạch 148/KH-UBND ngày 09/7/2024, mục II, chỉ tiêu 1.1",
                "valid_from": "2024-07-09",
            }
        }
    )  # fmt: skip

    code: str
    variant: str
    version: int
    title: Said
    value: float | None
    """Null when there is nothing to count."""
    numerator: int
    denominator: int
    proven: ProvenOut | None
    text: Said
    target: float | None
    """Of the year asked about; null when the plan names none."""
    gap: float | None
    """Target less value."""
    excluded: int
    partly: int
    data_errors: int
    numerator_rule: Said
    denominator_rule: Said
    legal_basis: Said
    valid_from: Day
    """Day from which this version of the definition holds."""

    @classmethod
    def of(cls, result: Result) -> FigureOut:
        """The figure without its lists."""
        return cls(**_figure(result))


class MemberOut(BaseModel):
    """One unit of the denominator."""

    code: str
    name: str
    counted: bool
    evidence: Evidence
    reason: str | None
    """Reason why it is not in the numerator."""
    reason_text: Said | None
    share: float | None
    """1.1: villages reached ÷ villages; 1.2: villages served by converted plants ÷ by any."""
    causes: list[str]
    """1.1: villages of the commune that are not reached, or what is wrong with the clusters."""

    @classmethod
    def of(cls, member: Member) -> MemberOut:
        """The member as answered."""
        return cls(
            code=member.code,
            name=member.name,
            counted=member.counted,
            evidence=member.evidence,
            reason=member.reason,
            reason_text=None if member.reason is None else REASONS[member.reason],
            share=ratio(member.share),
            causes=list(member.causes),
        )


class ExclusionOut(BaseModel):
    """A unit left out of the denominator."""

    code: str
    name: str
    reason: str
    reason_text: Said
    document: str | None

    @classmethod
    def of(cls, unit: Exclusion) -> ExclusionOut:
        """The unit as answered."""
        return cls(
            code=unit.code,
            name=unit.name,
            reason=unit.reason,
            reason_text=REASONS[unit.reason],
            document=unit.document,
        )


class ResultOut(FigureOut):
    """A figure with the lists it is made of."""

    as_of: Day
    scope: str
    numerator_list: list[str]
    denominator_list: list[MemberOut]
    excluded_list: list[ExclusionOut]
    partly_list: list[MemberOut]
    data_error_list: list[MemberOut]

    @classmethod
    def with_lists(cls, result: Result, as_of: date, scope: str) -> ResultOut:
        """The figure and its lists."""
        return cls(
            **_figure(result),
            as_of=as_of,
            scope=scope,
            numerator_list=[member.code for member in result.numerator],
            denominator_list=[MemberOut.of(member) for member in result.members],
            excluded_list=[ExclusionOut.of(unit) for unit in result.excluded],
            partly_list=[MemberOut.of(member) for member in result.partly],
            data_error_list=[MemberOut.of(member) for member in result.data_errors],
        )


class IndicatorsOut(BaseModel):
    """All indicators of a day and a scope."""

    as_of: Day
    scope: str
    restated_at: Moment | None
    """Time at which later evidence last changed the record of a cluster on the day or on a day of
    the window before it; the reason is in `/indicators/restatements`."""
    indicators: list[FigureOut]

    @classmethod
    def of(
        cls, results: Results, as_of: date, scope: str, restated_at: datetime | None = None
    ) -> IndicatorsOut:
        """All figures, without their lists."""
        figures = [
            FigureOut.of(result) for variants in results.values() for result in variants.values()
        ]
        return cls(as_of=as_of, scope=scope, restated_at=restated_at, indicators=figures)


class RestatementOut(BaseModel):
    """Evidence that came later changed the record of clusters on a past day."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "day": "2026-05-31", "figures_until": "2026-06-29", "restated_on": "2026-07-20",
                "first_at": "2026-07-20T08:12:07+07:00",
                "restated_at": "2026-07-20T08:15:42+07:00",
                "causes": ["plays"], "text": "nhật ký phát đến muộn hoặc sổ phát được sửa",
                "cluster_days": 14,
            }
        }
    )  # fmt: skip

    day: Day
    figures_until: Day
    """The figures of `day` up to this day rest on it, and were computed again."""
    restated_on: Day
    """Local day on which that was."""
    first_at: Moment
    restated_at: Moment
    """The last time on that day."""
    causes: list[str]
    text: Said
    cluster_days: int
    """Clusters whose record of the day changed, each time counted."""

    @classmethod
    def of(cls, row: Restatement) -> RestatementOut:
        """The restatement as answered."""
        window_days = operating_rule(row.day).window_days
        causes = row.cause.split(",")
        return cls(
            day=row.day,
            figures_until=row.day + timedelta(days=window_days - 1),
            restated_on=row.restated_on,
            first_at=row.first_at,
            restated_at=row.restated_at,
            causes=causes,
            text="; ".join(RESTATEMENT_CAUSES[cause] for cause in causes),
            cluster_days=row.cluster_days,
        )


class VillageExclusionOut(BaseModel):
    """A village without homes, left out by a document."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "example": {
                "village_code": "21034-007",
                "valid_from": "2025-09-01",
                "valid_to": None,
                "document": "Công văn 12/UBND ngày 28/8/2025",
                "declared_by": {"id": 7, "name": "Nguyễn Thị Lan"},
            }
        },
    )

    village_code: str
    valid_from: Day
    valid_to: Day | None
    """Last day, inclusive."""
    document: str
    declared_by: PersonOut

    @classmethod
    def of(cls, row: VillageExclusion, people: People) -> Self:
        """Translate a row."""
        return cls(
            village_code=row.village_code,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            document=row.document,
            declared_by=people[row.declared_by],
        )


class VillageExclusionIn(Body):
    """A village to leave out, from when, and by which document."""

    village_code: Code
    valid_from: Day
    valid_to: Day | None = None
    document: Reference = Field(description="văn bản xác nhận", examples=["Công văn 12/UBND"])


class EndOfExclusionIn(Body):
    """Last day on which the village does not count."""

    valid_to: Day


def _figure(result: Result) -> dict[str, object]:
    definition = result.definition
    proven = {by.value: ratio(result.proven(by)) for by in Evidence}
    return {
        "code": definition.code,
        "variant": definition.variant,
        "version": definition.version,
        "title": definition.title,
        "value": ratio(result.value),
        "numerator": len(result.numerator),
        "denominator": len(result.members),
        "proven": None if result.value is None else proven,
        "text": sentence(result),
        "target": ratio(result.target),
        "gap": ratio(result.gap),
        "excluded": len(result.excluded),
        "partly": len(result.partly),
        "data_errors": len(result.data_errors),
        "numerator_rule": definition.numerator,
        "denominator_rule": definition.denominator,
        "legal_basis": definition.legal_basis,
        "valid_from": definition.valid_from,
    }
