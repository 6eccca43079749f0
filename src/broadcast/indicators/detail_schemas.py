"""Answers that explain a figure: over time, by commune, why, and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict

from broadcast.indicators import texts
from broadcast.indicators.comparison import CommuneRow, Order, Part
from broadcast.indicators.needs import Change, Needs, RegisterEntry, Step
from broadcast.indicators.operation import ClusterDay, ClusterOperation
from broadcast.indicators.results import Cause, Member, Result, ratio
from broadcast.indicators.trend import Break, Interval, Point, Trend
from broadcast.indicators.why import Level, Sentence, cause_text
from broadcast.kit.english import Said
from broadcast.kit.times import Day, Moment
from broadcast.stations.model import Evidence


class PointOut(BaseModel):
    """The figure of one day of a trend."""

    on: Day
    value: float | None
    """0–1; null when there was nothing to count, or the scope was no unit on that day."""
    numerator: int
    denominator: int
    target: float | None
    """Of that year."""
    text: Said

    @classmethod
    def of(cls, point: Point) -> Self:
        """The point as answered."""
        result = point.result
        if result is None:
            return cls(
                on=point.on, value=None, numerator=0, denominator=0, target=None,
                text="Ngày đó chưa có đơn vị này.",
            )  # fmt: skip
        return cls(
            on=point.on,
            value=ratio(result.value),
            numerator=len(result.numerator),
            denominator=len(result.members),
            target=ratio(result.target),
            text=texts.sentence(result),
        )


class BreakOut(BaseModel):
    """Day on which communes were merged or divided: values before and after count other units."""

    on: Day
    communes_before: int
    communes: int
    text: Said

    @classmethod
    def of(cls, found: Break) -> Self:
        """The break as answered."""
        before, after = found.communes_before, found.communes
        return cls(
            on=found.on,
            communes_before=before,
            communes=after,
            text=f"{found.on:%d/%m/%Y}: sắp xếp lại từ {before} thành {after} xã",
        )


class TrendOut(BaseModel):
    """One variant over time."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "code": "1.1", "variant": "TH", "scope": "51", "interval": "month",
                "points": [{
                    "on": "2025-06-30", "value": 0.5, "numerator": 85, "denominator": 170,
                    "target": 1.0, "text": "50,0 % (thiết bị tự báo 50,0 %, xác nhận 0,0 %, chưa"
                    " chứng minh 0,0 %)",
                }],
                "breaks": [{
                    "on": "2025-07-01", "communes_before": 170, "communes": 96,
                    "text": "01/07/2025: sắp xếp lại từ 170 thành 96 xã",
                }],
            }
        }
    )  # fmt: skip

    code: str
    variant: str
    scope: str
    interval: Interval
    points: list[PointOut]
    breaks: list[BreakOut]

    @classmethod
    def of(cls, code: str, variant: str, scope: str, interval: Interval, found: Trend) -> Self:
        """The trend as answered."""
        return cls(
            code=code,
            variant=variant,
            scope=scope,
            interval=interval,
            points=[PointOut.of(point) for point in found.points],
            breaks=[BreakOut.of(each) for each in found.breaks],
        )


class UnitOut(BaseModel):
    """A unit that is counted."""

    code: str
    name: str

    @classmethod
    def of(cls, member: Member) -> Self:
        """The unit as answered."""
        return cls(code=member.code, name=member.name)


class ChangeOut(BaseModel):
    """One thing to do."""

    step: Step
    subject: RegisterEntry
    code: str
    text: Said
    """What to do, in words."""
    because: Said
    """The evidence: what is wrong now."""
    villages: list[str]
    """Codes of the villages that would be reached by it, or that a plant serves."""
    villages_count: int
    units: list[UnitOut]
    """Units that it helps to count."""
    is_certain: bool
    """False: the record does not say what is broken; somebody has to look first."""

    @classmethod
    def of(cls, change: Change, units: Sequence[Member], clusters: dict[str, str]) -> Self:
        """The change as answered; `clusters` has what is wrong with each."""
        because = clusters.get(change.code, "") if change.subject is RegisterEntry.CLUSTER else ""
        return cls(
            step=change.step,
            subject=change.subject,
            code=change.code,
            text=f"{texts.STEPS[change.step]}: {texts.SUBJECTS[change.subject]} {change.code}",
            because=because or "; ".join(texts.REASONS[each.reason or ""] for each in units[:1]),
            villages=list(change.villages),
            villages_count=len(change.villages),
            units=[UnitOut.of(unit) for unit in units],
            is_certain=change.is_certain,
        )


class NeedsOut(BaseModel):
    """What would bring a figure to its target, by the fewest changes that the record knows."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "code": "1.1", "variant": "TH", "as_of": "2025-11-30", "scope": "51", "aim": 1.0,
                "is_target": True, "missing": 6, "reachable": 5,
                "text": "Còn thiếu 6 xã mới đạt 100,0 %. 7 việc dưới đây đưa được 5 xã vào.",
                "changes": [{
                    "step": "repair", "subject": "cluster", "code": "QN-21025-01",
                    "text": "Sửa: cụm loa QN-21025-01",
                    "because": "trực tuyến 12,0 % giờ phát của 30 ngày, cần ít nhất 80,0 %",
                    "villages": ["21025-001"], "villages_count": 1,
                    "units": [{"code": "21025", "name": "Xã Nghĩa An"}], "is_certain": True,
                }],
                "unclear": [],
            }
        }
    )  # fmt: skip

    code: str
    variant: str
    as_of: Day
    scope: str
    aim: float
    is_target: bool
    """The plan names it for the year; else all units are aimed at."""
    missing: int
    """Units more that have to count."""
    reachable: int
    """Those of them that the changes make count."""
    text: Said
    changes: list[ChangeOut]
    """The greatest gain in villages first."""
    unclear: list[UnitOut]
    """Units for which the record does not say what to do."""

    @classmethod
    def of(
        cls, result: Result, found: Needs, clusters: dict[str, str], as_of: date, scope: str
    ) -> Self:
        """The needs as answered."""
        definition = result.definition
        changes = [ChangeOut.of(change, units, clusters) for change, units in found.changes]
        return cls(
            code=definition.code,
            variant=definition.variant,
            as_of=as_of,
            scope=scope,
            aim=float(found.aim),
            is_target=found.is_target,
            missing=found.missing,
            reachable=len(found.plans),
            text=_needs_text(found, len(changes)),
            changes=changes,
            unclear=[UnitOut.of(unit) for unit in found.unclear],
        )


def _needs_text(found: Needs, changes: int) -> str:
    aim = texts.percent(found.aim)
    aim = f"mục tiêu {aim}" if found.is_target else f"{aim} (kế hoạch không nêu mục tiêu năm này)"
    if not found.missing:
        return f"Đã đạt {aim}."
    said = f"Còn thiếu {found.missing} đơn vị mới đạt {aim}."
    if found.plans:
        said += f" {changes} việc dưới đây đưa thêm {len(found.plans)} đơn vị vào diện được tính."
    if len(found.plans) < found.missing:
        said += (
            f" {found.missing - len(found.plans)} đơn vị còn lại chưa đủ dữ liệu để nói cần gì."
        )
    return said


class PartOut(BaseModel):
    """Units of a commune in one variant: itself, its villages or its stations."""

    counted: int
    units: int
    reasons: list[Said]
    """In words, why units do not count."""

    @classmethod
    def of(cls, part: Part) -> Self:
        """The part as answered."""
        return cls(
            counted=part.counted,
            units=part.units,
            reasons=[texts.REASONS[reason] for reason in part.reasons],
        )


class CommuneOut(BaseModel):
    """A commune beside the others."""

    code: str
    name: str
    share: float | None
    """1.1: villages reached ÷ villages; 1.2: villages on converted plants ÷ on any."""
    villages: int
    villages_reached: int
    clusters: int
    clusters_operating: int
    parts: dict[str, PartOut]
    """By variant."""

    @classmethod
    def of(cls, row: CommuneRow) -> Self:
        """The row as answered."""
        return cls(
            code=row.code,
            name=row.name,
            share=ratio(row.share),
            villages=row.villages,
            villages_reached=row.villages_reached,
            clusters=row.clusters,
            clusters_operating=row.clusters_operating,
            parts={variant: PartOut.of(part) for variant, part in row.parts.items()},
        )


class ComparisonOut(BaseModel):
    """Communes of a scope side by side."""

    code: str
    as_of: Day
    scope: str
    sort: Order
    communes: list[CommuneOut]


class SentenceOut(BaseModel):
    """One link of an explanation; what explains it follows, one level deeper."""

    level: Level
    depth: int
    code: str
    name: str
    text: Said
    is_well: bool
    """Nothing is to be done here."""
    address: str | None
    """Where the evidence behind it is answered."""

    @classmethod
    def of(cls, sentence: Sentence, as_of: date) -> Self:
        """The sentence as answered."""
        address = None
        if sentence.level is Level.CLUSTER:
            address = f"/api/v1/clusters/{sentence.code}/operation?as_of={as_of}"
        elif sentence.level is Level.PORTAL:
            address = f"/api/v1/portals/{sentence.code}/items"
        return cls(**sentence._asdict(), address=address)


class WhyOut(BaseModel):
    """Why a unit counts or does not."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "code": "1.1", "variant": "TH", "as_of": "2025-11-30", "scope": "51",
                "title": "Xã có truyền thanh hoạt động đến mọi thôn, tổ dân phố (chặt)",
                "counted": False,
                "chain": [{
                    "level": "unit", "depth": 0, "code": "21025", "name": "Xã Nghĩa An",
                    "text": "không được tính vì còn thôn chưa có cụm loa hoạt động; 8 trên 9 thôn"
                    " nghe được, cần ít nhất 9", "is_well": False, "address": None,
                }],
            }
        }
    )  # fmt: skip

    code: str
    variant: str
    as_of: Day
    scope: str
    title: Said
    counted: bool
    chain: list[SentenceOut]


class CauseOut(BaseModel):
    """A cause why a cluster does not operate."""

    cause: Cause
    text: Said


class ClusterDayOut(BaseModel):
    """A local day of a cluster, as far as it was over."""

    day: Day
    expected_minutes: int
    online_minutes: int
    is_due: bool
    """Something was to be broadcast."""
    is_completed: bool
    """Something was, to its end."""

    @classmethod
    def of(cls, day: ClusterDay) -> Self:
        """The day as answered."""
        return cls(
            day=day.day,
            expected_minutes=day.expected_minutes,
            online_minutes=day.online_minutes,
            is_due=day.is_due,
            is_completed=day.is_completed,
        )


class ClusterOperationOut(BaseModel):
    """Whether a cluster operates in the sense of the indicators, and the days behind it."""

    cluster: str
    as_of: Day
    operates: bool
    evidence: Evidence
    text: Said
    causes: list[CauseOut]
    window_days: int
    expected_minutes: int
    online_minutes: int
    online_share: float | None
    required_share: float
    fault_since: Moment | None
    attested_at: Moment | None
    villages: list[UnitOut]
    """Those that it serves as primary, of the commune."""
    days: list[ClusterDayOut]
    """The last one first; none of a cluster that is judged by attestation."""

    @classmethod
    def of(cls, found: ClusterOperation, as_of: date) -> Self:
        """The judgement as answered."""
        cluster, rule, operation = found.cluster, found.rule, found.operation
        causes = [
            CauseOut(cause=each, text=cause_text(each, cluster, rule)) for each in operation.causes
        ]
        said = "; ".join(each.text for each in causes)
        proof = texts.EVIDENCE[operation.evidence]
        return cls(
            cluster=cluster.code,
            as_of=as_of,
            operates=not operation.causes,
            evidence=operation.evidence,
            text=f"Không hoạt động: {said}." if said else f"Hoạt động ({proof}).",
            causes=causes,
            window_days=rule.window_days,
            expected_minutes=cluster.expected_minutes,
            online_minutes=cluster.online_minutes,
            online_share=ratio(cluster.online_share),
            required_share=float(rule.online_share),
            fault_since=cluster.fault_since,
            attested_at=cluster.attested_at,
            villages=[UnitOut(code=each.code, name=each.name) for each in found.villages],
            days=[ClusterDayOut.of(day) for day in found.days],
        )
