"""Definitions of indicators 1.1, 1.2 and 1.3, as versioned data.

A figure is recomputed with the definition that was in force on its day, so a definition is never
edited: a new one is added with the day from which it holds. docs/indicators.md explains them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from fractions import Fraction
from typing import TypeVar


@dataclass(frozen=True, kw_only=True)
class OperatingRule:
    """Conditions under which a loudspeaker cluster operates (cụm loa hoạt động)."""

    version: int
    valid_from: date
    window_days: int
    """Local days looked back over, the day asked about included."""
    broadcast_hours: tuple[tuple[time, time], ...]
    """Local times from (inclusive) – to (exclusive) in which a cluster is expected to be online.

    Part of the definition and not of the settings: changing today's quiet hours must not change
    last year's figure.
    """
    online_share: Fraction
    """Least share of the expected minutes. Higher: weak mobile links fail villages that hear
    everything, since audio is fetched ahead. Lower: a cluster dead for a week still counts."""
    play_within_days: int
    """Days with broadcasts among which one completed play must fall."""
    speaker_fault: timedelta
    """Longest time for which a speaker fault may be open: the time to get a technician there."""
    speaker_faults: frozenset[str]
    """Kinds of `wire.events.Fault` in which no sound comes out."""
    attestation: timedelta
    """Time for which an attestation holds for a cluster without telemetry."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One variant of one indicator."""

    code: str
    variant: str
    version: int
    valid_from: date
    title: str
    denominator: str
    numerator: str
    legal_basis: str
    targets: Mapping[int, Fraction]
    """Year → what the plan wants of it."""
    village_share: Fraction | None = field(default=None)
    """1.1 TH and NG(τ): least share of a commune's villages that must be reached."""


PLAN = date(2024, 7, 9)
"""Day of plan 148/KH-UBND."""

OPERATING_RULES = (
    OperatingRule(
        version=1,
        valid_from=PLAN,
        window_days=30,
        broadcast_hours=((time(5), time(22)),),
        online_share=Fraction(80, 100),
        play_within_days=7,
        speaker_fault=timedelta(hours=72),
        speaker_faults=frozenset({"line_open", "line_short", "amplifier"}),
        attestation=timedelta(days=30),
    ),
)

_PLAN_1_1 = "Kế hoạch 148/KH-UBND ngày 09/7/2024, mục II, chỉ tiêu 1.1; Quyết định 184/QĐ-BTTTT"
_PLAN_1_2 = "Kế hoạch 148/KH-UBND ngày 09/7/2024, mục II, chỉ tiêu 1.2; Quyết định 184/QĐ-BTTTT"
_PLAN_1_3 = "Kế hoạch 148/KH-UBND ngày 09/7/2024, mục II, chỉ tiêu 1.3 và mục III.2"
_TARGETS_1_1 = {2024: Fraction(98, 100), 2025: Fraction(1)}
_TARGETS_1_2 = {2024: Fraction(40, 100), 2025: Fraction(1)}
_COMMUNES = "mọi xã, phường, thị trấn, đặc khu trong ngày"
_CONVERTED = "mọi hệ thống thiết bị là CNTT-VT và đang hoạt động"

DEFINITIONS = (
    Definition(
        code="1.1", variant="BC", version=1, valid_from=PLAN,
        title="Xã có đài truyền thanh đang hoạt động (cách báo cáo của Bộ)",
        denominator=_COMMUNES,
        numerator="có đài ở trạng thái hoạt động hoặc xuống cấp",
        legal_basis=f"{_PLAN_1_1}; cách đếm trong báo cáo tổng kết của Bộ",
        targets=_TARGETS_1_1,
    ),
    Definition(
        code="1.1", variant="TH", version=1, valid_from=PLAN,
        title="Xã có truyền thanh hoạt động đến mọi thôn, tổ dân phố (chặt)",
        denominator=_COMMUNES,
        numerator="mọi thôn có cụm loa chính đang hoạt động",
        legal_basis=_PLAN_1_1,
        targets=_TARGETS_1_1,
        village_share=Fraction(1),
    ),
    Definition(
        code="1.1", variant="NG67", version=1, valid_from=PLAN,
        title="Xã có truyền thanh hoạt động đến ít nhất 2/3 số thôn",
        denominator=_COMMUNES,
        numerator="ít nhất 2/3 số thôn có cụm loa chính đang hoạt động",
        legal_basis=f"{_PLAN_1_1}; ngưỡng 2/3 tạm lấy, chờ đối chiếu tiêu chí 8 nông thôn mới",
        targets=_TARGETS_1_1,
        village_share=Fraction(2, 3),
    ),
    Definition(
        code="1.1", variant="NG80", version=1, valid_from=PLAN,
        title="Xã có truyền thanh hoạt động đến ít nhất 80 % số thôn",
        denominator=_COMMUNES,
        numerator="ít nhất 80 % số thôn có cụm loa chính đang hoạt động",
        legal_basis=f"{_PLAN_1_1}; ngưỡng 80 % để so sánh",
        targets=_TARGETS_1_1,
        village_share=Fraction(80, 100),
    ),
    Definition(
        code="1.1", variant="THON", version=1, valid_from=PLAN,
        title="Tỷ lệ thôn, tổ dân phố có cụm loa hoạt động",
        denominator="mọi thôn trong ngày, trừ thôn không có hộ dân có văn bản",
        numerator="có cụm loa chính đang hoạt động",
        legal_basis=f"{_PLAN_1_1}; số liên tục để theo dõi, không có mục tiêu riêng",
        targets={},
    ),
    Definition(
        code="1.2", variant="BC", version=1, valid_from=PLAN,
        title="Đài đã chuyển đổi trên tổng số đài (cách báo cáo của Bộ)",
        denominator="mọi đài trong ngày, trừ đài chưa lắp xong và đài đã thanh lý",
        numerator=_CONVERTED,
        legal_basis=f"{_PLAN_1_2}; cách đếm trong báo cáo tổng kết của Bộ",
        targets=_TARGETS_1_2,
    ),
    Definition(
        code="1.2", variant="GOC", version=1, valid_from=PLAN,
        title="Đài có dây/FM trong danh sách gốc đã chuyển đổi",
        denominator="mọi đài có dây/FM trong danh sách chốt khi bắt đầu kế hoạch",
        numerator="mọi hệ thống thiết bị gốc là CNTT-VT và đang hoạt động, hoặc đã được thay",
        legal_basis=_PLAN_1_2,
        targets=_TARGETS_1_2,
    ),
    Definition(
        code="1.2", variant="XA", version=1, valid_from=PLAN,
        title="Xã có đài truyền thanh CNTT-VT",
        denominator=_COMMUNES,
        numerator=f"có đài và {_CONVERTED}",
        legal_basis=f"{_PLAN_1_2}; mục III.1 (100 % xã năm 2025)",
        targets=_TARGETS_1_2,
    ),
    Definition(
        code="1.3", variant="TX", version=1, valid_from=PLAN,
        title="Xã thường xuyên cập nhật thông tin thiết yếu trên trang thông tin điện tử",
        denominator=_COMMUNES,
        numerator="các trang của xã có đủ tin thiết yếu theo quy định của tỉnh về số tin, số ngày",
        legal_basis=_PLAN_1_3,
        targets={2024: Fraction(1), 2025: Fraction(1)},
    ),
    Definition(
        code="1.3", variant="CO", version=1, valid_from=PLAN,
        title="Xã có trang thông tin điện tử (cách nêu của Bộ)",
        denominator=_COMMUNES,
        numerator="có trang mà hệ thống đọc được trong khoảng ngày xét",
        legal_basis=f"{_PLAN_1_3}; Quyết định 184/QĐ-BTTTT (85 % năm 2024)",
        targets={2024: Fraction(85, 100)},
    ),
)  # fmt: skip

V = TypeVar("V", OperatingRule, Definition)


def _in_force(versions: Sequence[V], on: date) -> V:
    ordered = sorted(versions, key=lambda version: version.valid_from)
    earlier = [version for version in ordered if version.valid_from <= on]
    return earlier[-1] if earlier else ordered[0]


def operating_rule(on: date, rules: Sequence[OperatingRule] = OPERATING_RULES) -> OperatingRule:
    """The rule in force on a day; the first one also answers for the time before it."""
    return _in_force(rules, on)


def definitions(on: date, known: Sequence[Definition] = DEFINITIONS) -> list[Definition]:
    """The version in force on a day of every variant, in the order they were first defined.

    The first version also answers for the time before it: a past year can be restated.
    """
    variants: dict[tuple[str, str], list[Definition]] = {}
    for definition in known:
        variants.setdefault((definition.code, definition.variant), []).append(definition)
    return [_in_force(versions, on) for versions in variants.values()]
