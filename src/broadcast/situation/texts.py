"""Words for conditions, in Vietnamese: what is so, and what to do."""

from __future__ import annotations

from datetime import datetime

from broadcast.kit.clock import LOCAL
from broadcast.situation.condition import Condition, Reason, Tally

CONDITIONS = {
    Condition.OK: "hoạt động",
    Condition.PARTIAL: "hoạt động, có việc cần xem",
    Condition.BAD: "không hoạt động",
    Condition.UNKNOWN: "chưa rõ",
}

REASONS = {
    Reason.SERVER_DEAF: "máy chủ chưa nhận được số liệu từ thiết bị",
    Reason.NO_DEVICE: "chưa lắp thiết bị",
    Reason.NEVER_SEEN: "thiết bị chưa kết nối lần nào",
    Reason.SILENT: "vừa ngừng báo về",
    Reason.OFFLINE: "mất liên lạc",
    Reason.SPEAKER_FAULT: "loa hoặc tăng âm hỏng, không ra tiếng",
    Reason.DEVICE_FAULT: "thiết bị báo lỗi",
    Reason.NOT_READY: "chưa sẵn sàng cho buổi phát sắp tới",
    Reason.MISSED_TODAY: "buổi phát gần nhất hôm nay không phát hoặc phát một phần",
    Reason.WORKING: "hoạt động",
    Reason.DECLARED_OUTAGE: "đang bảo trì hoặc cắt điện đã báo trước",
    Reason.ATTESTED: "không có số liệu từ thiết bị, có người xác nhận đang hoạt động",
    Reason.NOT_ATTESTED: "không có số liệu từ thiết bị, chưa có xác nhận còn hiệu lực",
}

ADVICE = {
    Reason.SERVER_DEAF: "báo quản trị hệ thống; loa vẫn tự phát lịch đã nhận",
    Reason.NO_DEVICE: "cử kỹ thuật viên lắp thiết bị",
    Reason.NEVER_SEEN: "kiểm tra nguồn, sim và cấp quyền kết nối của thiết bị",
    Reason.SILENT: "chờ mười phút; thường tự nối lại, loa vẫn tự phát lịch đã nhận",
    Reason.OFFLINE: "hỏi thôn có điện không, rồi cử kỹ thuật viên; loa vẫn tự phát lịch đã nhận",
    Reason.SPEAKER_FAULT: "cử kỹ thuật viên kiểm tra dây loa và tăng âm",
    Reason.DEVICE_FAULT: "xem lỗi của thiết bị",
    Reason.NOT_READY: "xem vì sao âm thanh chưa về tới thiết bị",
    Reason.MISSED_TODAY: "xem vì sao không phát",
    Reason.WORKING: "",
    Reason.DECLARED_OUTAGE: "chờ hết thời gian đã báo",
    Reason.ATTESTED: "",
    Reason.NOT_ATTESTED: "gọi thôn xác nhận loa còn hoạt động rồi ghi lại",
}


def why(reason: Reason, since: datetime | None) -> str:
    """A cluster's reason with its time: “mất liên lạc từ 02:10 ngày 30/11”."""
    if since is None:
        return REASONS[reason]
    word = "ngày" if reason in {Reason.ATTESTED, Reason.NOT_ATTESTED} else "từ"
    at = since.astimezone(LOCAL)
    return f"{REASONS[reason]} {word} {at:%H:%M %d/%m/%Y}"


def summary(name: str, counts: Tally) -> str:
    """An area in one sentence."""
    if not counts.total:
        return f"{name} chưa có cụm loa."
    rest = [
        f"{count} {word}"
        for count, word in (
            (counts.bad, "không hoạt động"),
            (counts.partial, "có việc cần xem"),
            (counts.unknown, "chưa rõ"),
        )
        if count
    ]
    working = f"{name}: {counts.ok}/{counts.total} cụm loa hoạt động"
    return f"{working}; {', '.join(rest)}." if rest else f"{working}."
