"""The indicators of a day, computed, and how a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from fractions import Fraction
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Level
from broadcast.areas.units import require_unit
from broadcast.indicators import raw, snapshot
from broadcast.indicators.cache import Memory
from broadcast.indicators.definitions import OperatingRule, operating_rule
from broadcast.indicators.reach import Cause, Gap
from broadcast.indicators.results import Reason, Result, Results
from broadcast.indicators.rules import evaluate
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from broadcast.stations.model import Evidence


async def compute(
    session: AsyncSession, as_of: date, scope: str, now: datetime, memory: Memory | None = None
) -> Results:
    """Every indicator in every variant, from the evidence as it is now.

    Args:
        session: Where the evidence is.
        as_of: Local day, under whose units and by the end of which; today: up to `now`.
        scope: Code of a province, district or commune of that day.
        now: The present.
        memory: What this process remembers of this database.

    Raises:
        InvalidInput: `as_of` is in the future, or `scope` is no such unit on that day.
    """
    rule = await rule_of(session, as_of, scope, now)
    province = await snapshot.load(session, as_of, scope, rule, now, memory or Memory())
    return evaluate(province, rule)


async def recompute(session: AsyncSession, as_of: date, scope: str, now: datetime) -> Results:
    """The same as `compute`, from the raw rows alone and at once: what the other is held against.

    Raises:
        InvalidInput: As `compute`.
    """
    rule = await rule_of(session, as_of, scope, now)
    return evaluate(await raw.load(session, as_of, scope, rule, now), rule)


async def rule_of(session: AsyncSession, as_of: date, scope: str, now: datetime) -> OperatingRule:
    """The rule of a day.

    Raises:
        InvalidInput: There is no figure of this day and scope.
    """
    if as_of > now.astimezone(LOCAL).date():
        raise InvalidInput("as_of", f"{as_of} chưa tới; hãy chọn hôm nay hoặc một ngày đã qua")
    unit = await require_unit(session, "scope", scope, as_of)
    if unit.level == Level.VILLAGE:
        raise InvalidInput("scope", f"{scope} là thôn; hãy chọn xã, huyện hoặc tỉnh")
    return operating_rule(as_of)


def figures(results: Results) -> dict[str, dict[str, dict[str, Any]]]:
    """Value, numerator and denominator alone: code → variant → figures."""
    return {
        code: {
            variant: {
                "value": ratio(result.value),
                "numerator": len(result.numerator),
                "denominator": len(result.members),
            }
            for variant, result in variants.items()
        }
        for code, variants in results.items()
    }


def ratio(value: Fraction | None) -> float | None:
    """A share as JSON carries it: 0–1, six decimals."""
    return None if value is None else round(float(value), 6)


def percent(value: Fraction | None) -> str:
    """A share for reading; never rounded up to a target that is not reached.

    >>> percent(Fraction(24, 25)), percent(Fraction(2999, 3000)), percent(None)
    ('96,0 %', '99,9 %', '–')
    """
    if value is None:
        return "–"
    tenths = int(value * 1000)
    return f"{tenths // 10},{tenths % 10} %"


EVIDENCE: Mapping[Evidence, str] = {
    Evidence.TELEMETRY: "thiết bị tự báo",
    Evidence.ATTESTED: "xác nhận",
    Evidence.NONE: "chưa chứng minh",
}


def sentence(result: Result) -> str:
    """Value and what it rests on: `96,0 % (thiết bị tự báo 71,2 %, xác nhận 20,1 %, …)`."""
    if result.value is None:
        return "– (không có gì để đếm)"
    parts = ", ".join(f"{EVIDENCE[by]} {text}" for by, text in proven(result).items())
    return f"{percent(result.value)} ({parts})"


def proven(result: Result) -> dict[Evidence, str]:
    """The parts of the value for reading, rounded so that they add up to it as printed."""
    if result.value is None:
        return dict.fromkeys(EVIDENCE, percent(None))
    exact = {by: (result.proven(by) or Fraction(0)) * 1000 for by in EVIDENCE}
    tenths = {by: int(part) for by, part in exact.items()}
    short = int(result.value * 1000) - sum(tenths.values())
    for by in sorted(exact, key=lambda by: tenths[by] - exact[by])[:short]:
        tenths[by] += 1
    return {by: percent(Fraction(part, 1000)) for by, part in tenths.items()}


REASONS: Mapping[str, str] = {
    Reason.VILLAGES_UNREACHED: "còn thôn chưa có cụm loa hoạt động",
    Reason.NO_STATION: "chưa có đài truyền thanh",
    Reason.STATION_NOT_OPERATING: "đài không hoạt động",
    Reason.PARTLY: "mới chuyển đổi một phần",
    Reason.NOT_CONVERTED: "chưa chuyển đổi sang CNTT-VT",
    Reason.NOT_OPERATING: "thiết bị CNTT-VT không hoạt động",
    Reason.NOT_REPLACED: "thiết bị cũ đã thanh lý, chưa được thay",
    Reason.NO_VILLAGE: "lỗi dữ liệu: xã chưa có thôn nào; hãy nhập danh sách thôn",
    Reason.VILLAGES_UNPLACED: "lỗi dữ liệu: có thôn chưa rõ thuộc xã nào; hãy ghi vào sổ thôn",
    Reason.NO_PLANT: "lỗi dữ liệu: đài chưa có hệ thống thiết bị nào; hãy khai báo",
    Reason.NO_STATUS: "lỗi dữ liệu: đài chưa có trạng thái; hãy khai báo",
    Reason.COMMUNE_DIVIDED: "lỗi dữ liệu: xã của đài đã chia tách; hãy ghi đài thuộc xã nào",
    Reason.NO_HOMES: "thôn không có hộ dân",
    Reason.NOT_YET: "đài chưa lắp xong",
    Reason.DECOMMISSIONED: "đài đã thanh lý",
    Gap.NO_CLUSTER: "không có cụm loa",
    Gap.CLUSTER_DOWN: "cụm loa không hoạt động",
    Gap.PARTIAL: "cụm loa chỉ phủ một phần thôn",
    Gap.NEIGHBOUR: "chỉ nghe cụm loa của đài xã khác",
    Gap.UNPLACED: "lỗi dữ liệu: chưa rõ thôn thuộc xã nào; hãy ghi vào sổ thôn",
    Cause.NOTHING_EXPECTED: "không có giờ phát nào để xét",
    Cause.OFFLINE: "trực tuyến dưới ngưỡng giờ phát",
    Cause.NO_BROADCAST: "không có lịch phát",
    Cause.NO_COMPLETED_PLAY: "không phát trọn bản tin nào trong các ngày có lịch gần nhất",
    Cause.SPEAKER_FAULT: "loa hỏng quá thời hạn",
    Cause.NO_DEVICE: "chưa lắp thiết bị thu",
    Cause.NOT_ATTESTED: "chưa được xác nhận",
    Cause.ATTESTATION_EXPIRED: "xác nhận đã hết hạn",
}
"""Every reason as a person reads it, with what to do when the record is at fault."""
