"""Checks of a set of units and lineage rows before it is stored. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from broadcast.areas.model import Level, Part
from broadcast.areas.tree import DAY, Lineage, Step, Unit

DIGITS = {Level.PROVINCE: 2, Level.DISTRICT: 3, Level.COMMUNE: 5}
"""Length of the statistics office's codes (124/2004/QĐ-TTg and its successors)."""

PARENTS = {
    Level.PROVINCE: (),
    Level.DISTRICT: (Level.PROVINCE,),
    Level.COMMUNE: (Level.DISTRICT, Level.PROVINCE),
}


class Finding(NamedTuple):
    """An error in a unit or a lineage row: the column to look at, and the remedy."""

    where: Unit | Step
    column: str
    detail: str


def findings(units: Sequence[Unit], steps: Iterable[Step]) -> Iterator[Finding]:
    """All errors in provinces, districts, communes and their lineage."""
    for unit in units:
        yield from _findings_alone(unit)
    yield from _overlaps(units)
    steps = list(steps)
    lineage = Lineage(units, steps)
    for unit in units:
        yield from _parent_findings(unit, lineage)
    for step in steps:
        yield from _step_findings(step, lineage)


def _findings_alone(unit: Unit) -> Iterator[Finding]:
    if unit.level is Level.VILLAGE:
        yield Finding(
            unit, "level", "thôn, tổ dân phố nhập bằng tệp riêng: broadcast areas import-villages"
        )
        return
    digits = DIGITS[unit.level]
    if not re.fullmatch(rf"[0-9]{{{digits}}}", unit.code):
        yield Finding(
            unit,
            "code",
            f"mã “{unit.code}” không hợp lệ; cấp {unit.level.value} có {digits} chữ số "
            "(bảng tính có thể đã bỏ số 0 ở đầu)",
        )
    if unit.valid_to is not None and unit.valid_to < unit.valid_from:
        yield Finding(
            unit,
            "valid_to",
            f"{unit.valid_to} trước ngày bắt đầu {unit.valid_from}; đổi lại hai ngày",
        )


def _overlaps(units: Sequence[Unit]) -> Iterator[Finding]:
    ordered = sorted(units, key=lambda unit: (unit.code, unit.valid_from))
    for before, after in pairwise(ordered):
        if before.code == after.code and (
            before.valid_to is None or before.valid_to >= after.valid_from
        ):
            until = before.valid_to or "nay"
            yield Finding(
                after,
                "valid_from",
                f"mã {after.code} đã dùng từ {before.valid_from} đến {until}; "
                f"kết thúc dòng đó ngày {after.valid_from - DAY} hoặc sửa ngày này",
            )


def _parent_findings(unit: Unit, lineage: Lineage) -> Iterator[Finding]:
    if unit.level is Level.VILLAGE:
        return
    if unit.parent_code is None:
        if unit.level is not Level.PROVINCE:
            yield Finding(unit, "parent_code", "ô trống; ghi mã đơn vị cấp trên")
        return
    on = unit.valid_from
    while True:
        parent = lineage.unit(unit.parent_code, on)
        if parent is None:
            known = bool(lineage.history(unit.parent_code))
            yield Finding(
                unit,
                "parent_code",
                f"đơn vị cấp trên {unit.parent_code} không tồn tại ngày {on}"
                + ("; sửa mã hoặc ngày" if known else "; thêm đơn vị đó vào tệp trước"),
            )
            return
        if parent.level not in PARENTS[unit.level]:
            yield Finding(
                unit,
                "parent_code",
                f"{parent.name} là cấp {parent.level.value}, "
                f"không thể là cấp trên của cấp {unit.level.value}",
            )
            return
        if parent.valid_to is None or (
            unit.valid_to is not None and unit.valid_to <= parent.valid_to
        ):
            return
        on = parent.valid_to + DAY


def _step_findings(step: Step, lineage: Lineage) -> Iterator[Finding]:
    day = step.effective_on
    old = lineage.unit(step.old_code, day - DAY)
    if old is None:
        yield Finding(
            step,
            "old_code",
            f"{step.old_code} không tồn tại ngày {day - DAY}; sửa mã hoặc thêm đơn vị",
        )
    if lineage.unit(step.new_code, day) is None:
        yield Finding(
            step, "new_code", f"{step.new_code} không tồn tại ngày {day}; sửa mã hoặc thêm đơn vị"
        )
    if old is None or step.part is not Part.WHOLE:
        return
    if len(lineage.steps(step.old_code, day)) > 1:
        yield Finding(
            step,
            "part",
            f"{step.old_code} đã vào toàn bộ {step.new_code} nên không thể còn phần khác "
            f"cùng ngày {day}; ghi part cho mọi dòng của nó",
        )
    elif step.old_code != step.new_code and lineage.goes_on(step.old_code, day):
        yield Finding(
            step,
            "part",
            f"{step.old_code} vẫn còn sau ngày {day}; ghi valid_to {day - DAY} cho nó, hoặc part",
        )
