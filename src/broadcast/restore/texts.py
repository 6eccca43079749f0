"""Differences after a restore in Vietnamese: what they are, and what each choice does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from broadcast.kit.clock import LOCAL
from broadcast.restore.differences import Choice, Difference, Kind
from broadcast.restore.model import Cause

CAUSES = {
    Cause.COMMAND: "người vận hành đã khôi phục từ bản sao lưu",
    Cause.MARK: "cơ sở dữ liệu cũ hơn dấu ghi cạnh khóa ký",
    Cause.BROKER: "broker giữ chương trình đã ký mà cơ sở dữ liệu không biết",
}

CHOSEN = {
    (Kind.WITHDRAWN, Choice.FOLLOW): "thu hồi lịch này",
    (Kind.WITHDRAWN, Choice.KEEP): "vẫn phát lịch này",
    (Kind.LEFT_OUT, Choice.FOLLOW): "bỏ các buổi phát này",
    (Kind.LEFT_OUT, Choice.KEEP): "vẫn phát các lần này",
    (Kind.MOVED, Choice.FOLLOW): "dời theo giờ thiết bị đang giữ",
    (Kind.MOVED, Choice.KEEP): "theo giờ trong cơ sở dữ liệu",
    (Kind.MOVED, Choice.DROP): "bỏ buổi phát này",
    (Kind.REPLACED, Choice.FOLLOW): "phát bản thiết bị đang giữ",
    (Kind.REPLACED, Choice.KEEP): "phát bản trong cơ sở dữ liệu",
    (Kind.REPLACED, Choice.DROP): "thu hồi lịch này",
    (Kind.UNKNOWN, Choice.FOLLOW): "nhận lại buổi phát này",
    (Kind.UNKNOWN, Choice.DROP): "không phát nữa",
    (Kind.DEVICE, Choice.KEEP): "theo sổ lắp đặt trong cơ sở dữ liệu",
}
"""What each choice does."""

LISTED = 3


def sentence(difference: Difference) -> str:
    """What is different."""
    planned, told = _times(difference.planned), _times(difference.told)
    match difference.kind:
        case Kind.WITHDRAWN:
            return f"Lịch này không còn trong chương trình mới hơn: {planned}."
        case Kind.LEFT_OUT:
            return f"Các buổi phát này không còn trong chương trình mới hơn: {planned}."
        case Kind.MOVED:
            return f"Đã dời từ {planned} sang {told}."
        case Kind.REPLACED:
            return f"Bản tin đã được thay bằng bản khác sau bản sao lưu: {told}."
        case Kind.UNKNOWN:
            return f"Thiết bị đang giữ buổi phát mà cơ sở dữ liệu không biết: {told}."
        case Kind.DEVICE:
            return (
                "Thiết bị theo đơn vị khác với sổ lắp đặt; nếu nó đã được lắp chỗ khác, hãy sửa sổ"
                " lắp đặt trước khi chấp nhận."
            )


def _times(starts: Sequence[datetime]) -> str:
    named = ", ".join(f"{at.astimezone(LOCAL):%H:%M %d/%m/%Y}" for at in starts[:LISTED])
    more = len(starts) - LISTED
    return f"{named} và {more} lần nữa" if more > 0 else named
