"""The ledger in Vietnamese, for people."""

from __future__ import annotations

from datetime import datetime

from broadcast.kit.clock import LOCAL
from broadcast.plays.settle import Grade, PlayState, Reason, Settlement

STATES = {
    PlayState.PLANNED: "Chờ phát",
    PlayState.PLAYING: "Đang phát",
    PlayState.PLAYED: "Đã phát",
    PlayState.PARTIAL: "Phát một phần",
    PlayState.PREEMPTED: "Bị nội dung ưu tiên hơn ngắt",
    PlayState.MISSED: "Không phát",
    PlayState.CANCELLED: "Đã hủy",
}

REASONS = {
    Reason.LATE: "thiết bị chỉ sẵn sàng sau khi đã quá hạn phát muộn",
    Reason.NO_AUDIO: "thiết bị chưa tải xong âm thanh",
    Reason.BAD_AUDIO: "âm thanh trên thiết bị hỏng hoặc không khớp mã kiểm tra",
    Reason.NO_CODEC: "thiết bị không giải mã được định dạng âm thanh",
    Reason.STORAGE_FULL: "bộ nhớ thiết bị đầy hoặc lỗi",
    Reason.CLOCK_UNTRUSTED: "đồng hồ thiết bị không tin cậy",
    Reason.QUIET_HOURS: "rơi vào giờ yên tĩnh",
    Reason.PREEMPTED: "nội dung ưu tiên hơn chiếm loa",
    Reason.LOCAL_OVERRIDE: "loa đang được dùng hoặc tắt tại chỗ",
    Reason.POWERED_OFF: "thiết bị mất điện",
    Reason.CLOCK_WRONG: "đồng hồ thiết bị sai, giờ thiết bị báo không thể đúng",
    Reason.NO_DEVICE: "cụm loa chưa lắp thiết bị",
    Reason.PROOF_LOST: "bằng chứng phát đã mất khi khôi phục dữ liệu",
    Reason.NOT_PUBLISHED: "máy chủ chưa gửi được chương trình đi trước giờ phát",
    Reason.REFUSED: "thiết bị từ chối chương trình",
    Reason.NOT_RECEIVED: "thiết bị có kết nối nhưng chưa nhận chương trình",
    Reason.NOT_READY: "thiết bị nhận chương trình nhưng chưa có âm thanh sẵn sàng",
    Reason.MAINTENANCE: "cụm loa đang bảo trì theo khai báo",
    Reason.SERVER_AWAY: "máy chủ không nghe được thiết bị trong khung giờ phát",
    Reason.OFFLINE: "thiết bị mất kết nối và chưa gửi nhật ký phát",
    Reason.UNEXPLAINED: "chưa rõ nguyên nhân: thiết bị có kết nối, đã sẵn sàng nhưng không báo gì",
    Reason.POWER_CUT: "mất điện giữa chừng",
    Reason.ENDS_BY: "hết khung giờ phát",
    Reason.WITHDRAWN: "thiết bị dừng khi nhận được tin nội dung đã bị rút",
    Reason.DECODE_ERROR: "lỗi giải mã âm thanh",
    Reason.NO_END: "thiết bị báo bắt đầu nhưng không báo kết thúc",
    Reason.NOT_TARGETED: "cụm loa không còn trong phạm vi phát",
}

EVIDENCE = {
    Grade.NONE: "chưa có bằng chứng phát",
    Grade.DEVICE: "thiết bị tự báo",
    Grade.SELF_TEST: "thiết bị tự báo, phép thử loa gần đó nghe thấy tiếng",
    Grade.AMPLIFIER: "tăng âm có dòng tải khi phát",
    Grade.MICROPHONE: "micrô nghe thấy tiếng phát",
}

HEARD = {
    "": "thiết bị không tự nghe được",
    "amplifier": "tăng âm có dòng tải",
    "microphone": "micrô nghe thấy tiếng",
}
"""Sensor that noticed the tone of a self-test."""

PRESENCE = {
    "online": "Thiết bị có kết nối",
    "silent": "Thiết bị im lặng",
    "offline": "Thiết bị mất kết nối",
}

READINESS = {
    "ready": "Thiết bị báo sẵn sàng phát",
    "waiting": "Thiết bị báo đang chờ âm thanh",
    "bad_audio": "Thiết bị báo âm thanh hỏng",
    "no_codec": "Thiết bị báo không giải mã được",
    "storage_full": "Thiết bị báo bộ nhớ đầy",
}

BOOTS = {
    "power_on": "có điện trở lại",
    "reset": "khởi động lại",
    "update": "cập nhật phần mềm",
    "reconnect": "nối lại mạng",
}


FAULTS = {
    "line_open": "đứt đường dây loa",
    "line_short": "chập đường dây loa",
    "amplifier": "tăng âm",
    "power_lost": "mất điện lưới",
    "battery_low": "ắc quy yếu",
    "hot": "quá nhiệt",
    "storage_full": "đầy bộ nhớ",
    "storage_error": "bộ nhớ",
    "clock_untrusted": "đồng hồ không tin cậy",
    "clock_wrong": "đồng hồ lệch xa giờ máy chủ",
    "bad_content": "âm thanh hỏng",
    "local_override": "đang dùng hoặc tắt tại chỗ",
    "other": "khác",
}


def reason(text: str) -> str:
    """Text of a reason; free text of a person as it is."""
    try:
        return REASONS[Reason(text)]
    except ValueError:
        return text


def clock_time(at: datetime) -> str:
    """Local time of day to the second."""
    return f"{at.astimezone(LOCAL):%H:%M:%S}"


def seconds(value: float) -> str:
    """Seconds to a tenth, with a comma."""
    return f"{value:.1f}".replace(".", ",")


def verdict(play: Settlement, audio_seconds: float | None) -> str:
    """One sentence on the outcome of a play."""
    mistimed = play.state is PlayState.PARTIAL and play.reason == Reason.CLOCK_WRONG
    parts = ["Đã phát, không đúng giờ,"] if mistimed else [STATES[play.state]]
    if play.started_at is not None:
        parts.append(f"lúc {clock_time(play.started_at)}")
        if play.start_error_ms is not None:
            late = play.start_error_ms / 1000
            parts.append(f"({'muộn' if late >= 0 else 'sớm'} {seconds(abs(late))} giây)")
    sentence = " ".join(parts)
    if play.ended_at is not None:
        of_all = f"/{seconds(audio_seconds)}" if audio_seconds else ""
        sentence += f", được {seconds(play.played_seconds)}{of_all} giây"
    if play.reason:
        sentence += f": {reason(play.reason)}"
    return sentence + "."
