"""Groups within earshot in Vietnamese, for people."""

from __future__ import annotations

from broadcast.earshot.spread import ECHO_MS, Cause, Judged, Verdict

VERDICTS = {
    Verdict.IN: "đúng nhịp",
    Verdict.UNSURE: "chưa rõ",
    Verdict.OUT: "lệch nhịp",
}

CAUSES = {
    Cause.MISSED: "không phát",
    Cause.LATE: "bắt đầu muộn so với chính đồng hồ của thiết bị",
    Cause.CLOCK_OFF: "đồng hồ mạng (NTP) của thiết bị lệch giờ máy chủ",
    Cause.CLOCK_UNSURE: "đường truyền chậm nên chưa biết giờ thiết bị chính xác tới đâu",
    Cause.CLOCK_UNTOLD: "thiết bị không báo đồng hồ chính xác tới đâu",
}

REMEDIES = {
    Cause.MISSED: "Xem kết quả của buổi phát để biết vì sao.",
    Cause.LATE: "Xem buổi phát: loa thiếu điện, thiếu âm thanh hoặc phải chờ nội dung khác.",
    Cause.CLOCK_OFF: "Báo kỹ thuật viên đặt lại nguồn giờ (NTP) của thiết bị, hoặc tắt đi để thiết"
    " bị lấy giờ máy chủ.",
    Cause.CLOCK_UNSURE: "Kiểm tra sóng 4G hoặc cáp mạng; thiết bị có GPS hay NTP gần sẽ chính xác"
    " hơn.",
    Cause.CLOCK_UNTOLD: "Báo kỹ thuật viên cập nhật phần mềm thiết bị.",
}
"""What a person can do about a cause."""


def milliseconds(value: float) -> str:
    """Whole milliseconds."""
    return f"{abs(value):.0f} ms"


def answer(
    clusters_count: int, width_ms: float | None, doubt_ms: int | None, judged: list[Judged]
) -> str:
    """One sentence on how a group began."""
    if width_ms is None:
        return f"{clusters_count} cụm loa nghe chung một nơi; chưa có buổi phát để so."
    out = sum(each.verdict is Verdict.OUT for each in judged)
    unsure = sum(each.verdict is Verdict.UNSURE for each in judged)
    told = f"Buổi gần nhất, {clusters_count} cụm loa bắt đầu cách nhau {milliseconds(width_ms)}"
    told += "" if doubt_ms is None else f", sai số {milliseconds(doubt_ms)}"
    if not out and not unsure:
        return f"{told}; tất cả trong khoảng {ECHO_MS} ms, không nghe vọng."
    parts = [
        *([f"{out} cụm lệch quá {ECHO_MS} ms"] if out else []),
        *([f"{unsure} cụm chưa rõ"] if unsure else []),
    ]
    return f"{told}; {', '.join(parts)}."
