"""The counts of communes as a CSV file, for a spreadsheet."""

from __future__ import annotations

import csv
from io import StringIO

from broadcast.inbox.schemas import ComplianceOut, CountsOut
from broadcast.kit.sheets import as_text

TITLES = {
    "commune_code": "Mã xã",
    "name": "Xã",
    "offered": "Tin thông thường đã gửi",
    "picked": "Đã nhận phát",
    "declined": "Từ chối",
    "left": "Để quá hạn",
    "withdrawn": "Nơi gửi rút",
    "waiting": "Đang chờ",
    "pick_seconds": "Thời gian nhận, trung vị (giây)",
    "reasons": "Lý do từ chối",
    "priority": "Tin ưu tiên đã gửi",
    "placed": "Đã xếp giờ",
    "priority_declined": "Từ chối tin ưu tiên",
    "aired_on_time": "Phát đúng giờ",
    "not_aired": "Không phát đúng giờ",
    "orders_decided": "Xã chọn thứ tự",
    "orders_by_default": "Thứ tự mặc định",
}
"""Columns, and what stands above them."""


def sheet(found: ComplianceOut) -> str:
    """A line for each commune and one for all, with the figures of REST."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(TITLES.values())
    for each in found.communes:
        writer.writerow(_row(each, each.name))
    writer.writerow(_row(found.total, "Tất cả"))
    return "\ufeff" + text.getvalue()  # by which a spreadsheet knows UTF-8


def _row(counts: CountsOut, name: str) -> list[str]:
    values = {field: getattr(counts, field) for field in TITLES}
    values["name"] = name
    values["reasons"] = "; ".join(f"{each.reason} ({each.count})" for each in counts.reasons)
    return ["" if value is None else as_text(str(value)) for value in values.values()]
