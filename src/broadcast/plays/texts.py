"""The ledger in Vietnamese, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from broadcast.kit.clock import LOCAL
from broadcast.plays.settle import Grade, PlayState, Reason, Settlement
from broadcast.plays.soundings import Sounding

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
    Reason.QUOTA: "vượt số buổi hoặc số phút Quy chế cho phép",
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
    Reason.STALLED: "mất tiếng giữa chừng: không nhận được lời nói trực tiếp",
    Reason.GAPS: "không nghe đủ lời nói trực tiếp: vào nghe muộn hoặc đường truyền mất gói",
    Reason.NOT_TARGETED: "cụm loa không còn trong phạm vi phát",
    Reason.MOURNING: "ngày tang, chỉ phát lời nói, không phát nhạc",
    Reason.EXAM: "ngày thi, loa gần trường im lặng",
    Reason.REGULATION: "giờ hoặc ngày mà Quy chế không cho phát",
    Reason.HOLIDAY: "ngày nghỉ lễ, lịch này không phát ngày lễ",
    Reason.OWN_CALENDAR: "ngày trong lịch riêng mà lịch phát này tránh",
    Reason.OTHER_DAY: "lịch này chỉ phát vào các ngày đã đánh dấu",
}

REMEDIES = {
    Reason.LATE: "Thiết bị sẵn sàng quá muộn: kiểm tra nguồn điện và đường truyền của cụm loa; nếu"
    " bản tin vẫn cần, hãy xếp phát lại.",
    Reason.NO_AUDIO: "Đường truyền chậm: kiểm tra sóng 4G hoặc cáp mạng của cụm loa; lần sau xếp"
    " lịch sớm hơn để thiết bị kịp tải.",
    Reason.BAD_AUDIO: "Thiết bị sẽ tự tải lại âm thanh; nếu lặp lại, báo kỹ thuật viên kiểm tra bộ"
    " nhớ thiết bị.",
    Reason.NO_CODEC: "Báo kỹ thuật viên cập nhật phần mềm thiết bị.",
    Reason.STORAGE_FULL: "Báo kỹ thuật viên kiểm tra hoặc thay bộ nhớ thiết bị.",
    Reason.CLOCK_UNTRUSTED: "Cho thiết bị nối mạng để tự chỉnh giờ; nếu lặp lại, báo kỹ thuật viên"
    " thay pin đồng hồ.",
    Reason.QUIET_HOURS: "Xếp phát lại ngoài giờ yên tĩnh.",
    Reason.QUOTA: "Xếp phát lại vào ngày khác, hoặc bỏ bớt buổi phát của ngày đó.",
    Reason.PREEMPTED: "Xếp phát lại vào giờ khác.",
    Reason.LOCAL_OVERRIDE: "Nhờ trưởng thôn bật lại loa hoặc trả loa về chế độ tự động.",
    Reason.POWERED_OFF: "Kiểm tra nguồn điện và cầu dao của cụm loa; có điện thì xếp phát lại.",
    Reason.CLOCK_WRONG: "Cho thiết bị nối mạng để tự chỉnh giờ; nếu lặp lại, báo kỹ thuật viên"
    " thay pin đồng hồ.",
    Reason.NO_DEVICE: "Báo kỹ thuật viên lắp thiết bị cho cụm loa này.",
    Reason.PROOF_LOST: "Hỏi trưởng thôn có nghe thấy không, rồi ghi xác nhận.",
    Reason.NOT_PUBLISHED: "Báo người quản trị kiểm tra máy chủ; nếu bản tin vẫn cần, hãy xếp phát"
    " lại.",
    Reason.REFUSED: "Báo kỹ thuật viên kiểm tra khóa và đồng hồ của thiết bị.",
    Reason.NOT_RECEIVED: "Báo kỹ thuật viên kiểm tra đường truyền của thiết bị; nếu bản tin vẫn"
    " cần, hãy xếp phát lại.",
    Reason.NOT_READY: "Đường truyền chậm: kiểm tra sóng 4G hoặc cáp mạng của cụm loa; lần sau xếp"
    " lịch sớm hơn để thiết bị kịp tải.",
    Reason.MAINTENANCE: "Bảo trì xong thì xếp phát lại.",
    Reason.SERVER_AWAY: "Nhật ký của thiết bị sẽ tự gửi về; nếu sau một ngày vẫn chưa rõ, hỏi"
    " trưởng thôn.",
    Reason.OFFLINE: "Nối lại mạng thì nhật ký tự gửi về. Nếu quá một ngày, cử người kiểm tra nguồn"
    " điện, SIM và sóng của cụm loa.",
    Reason.UNEXPLAINED: "Báo kỹ thuật viên tự thử loa này; hỏi trưởng thôn có nghe thấy không.",
    Reason.POWER_CUT: "Kiểm tra nguồn điện của cụm loa; nếu bản tin vẫn cần, hãy xếp phát lại.",
    Reason.ENDS_BY: "Xếp khung giờ dài hơn, hoặc chọn giờ ít bị chen hơn.",
    Reason.WITHDRAWN: "Không cần làm gì: bản tin đã bị rút khi đang phát.",
    Reason.DECODE_ERROR: "Nếu lặp lại ở nhiều cụm loa, tạo phiên bản mới; nếu chỉ ở một cụm, báo"
    " kỹ thuật viên.",
    Reason.NO_END: "Thiết bị mất điện hoặc mất mạng giữa chừng: kiểm tra nguồn điện; nhật ký gửi"
    " thêm thì kết quả tự cập nhật.",
    Reason.STALLED: "Kiểm tra sóng 4G hoặc cáp mạng của cụm loa; nội dung quan trọng thì xếp phát"
    " lại bản thu.",
    Reason.GAPS: "Kiểm tra sóng 4G hoặc cáp mạng của cụm loa; nội dung quan trọng thì xếp phát lại"
    " bản thu.",
    Reason.NOT_TARGETED: "Nếu cụm loa này vẫn cần phát, hãy thêm nó vào lịch.",
    Reason.MOURNING: "Nếu bản tin chỉ có lời nói, hãy đánh dấu như vậy trong lịch phát.",
    Reason.EXAM: "Nếu cụm loa này không gần trường, hãy sửa ngày thi trong trang Lịch ngày.",
    Reason.REGULATION: "Dời buổi phát sang giờ Quy chế cho phép; cuối tuần có văn bản thì đánh dấu"
    " ngày đó trong trang Lịch ngày.",
    Reason.HOLIDAY: "Nếu vẫn cần phát ngày này, hãy thêm ngày đó vào lịch phát.",
    Reason.OWN_CALENDAR: "Nếu vẫn cần phát ngày này, hãy thêm ngày đó vào lịch phát.",
    Reason.OTHER_DAY: "Nếu vẫn cần phát ngày này, hãy thêm ngày đó vào lịch phát.",
}
"""What a person can do about a reason."""

EVIDENCE = {
    Grade.NONE: "chưa có bằng chứng phát",
    Grade.DEVICE: "thiết bị tự báo",
    Grade.SELF_TEST: "thiết bị tự báo, phép thử loa gần đó nghe thấy tiếng",
    Grade.AMPLIFIER: "tăng âm có dòng tải khi phát",
    Grade.MICROPHONE: "micrô nghe thấy tiếng phát",
}

SOUNDINGS = {
    Sounding.SOUNDED: "đã phát",
    Sounding.PLAYING: "đang phát",
    Sounding.PARTLY: "phát một phần",
    Sounding.WAITING: "chờ phát",
    Sounding.UNKNOWN: "chưa rõ",
    Sounding.SILENT: "không phát",
    Sounding.UNREACHED: "chưa có cụm loa",
    Sounding.CANCELLED: "đã hủy",
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
    "flooding": "gửi quá nhiều thông điệp",
    "retained": "để lại thông điệp cũ trên máy chủ",
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


def remedy(text: str) -> str:
    """What to do about a reason; nothing about a person's own words."""
    try:
        return REMEDIES[Reason(text)]
    except ValueError:
        return ""


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
        if play.relayed_seconds is not None:
            fallback = max(0.0, play.played_seconds - play.relayed_seconds)
            sentence += (
                f" (tiếp âm {seconds(play.relayed_seconds)} giây, bản tin dự phòng"
                f" {seconds(fallback)} giây)"
            )
    if play.reason:
        sentence += f": {reason(play.reason)}"
    return sentence + "."


MOST_NAMED = 3
"""Villages that an answer names."""

UNREACHED_REMEDY = "Thôn này chưa có cụm loa thông minh; cần lắp cụm loa hoặc báo tin cách khác."


def answer(
    counts: Mapping[Sounding, int],
    others: Sequence[tuple[str, Sounding, str]],
    starts_at: datetime,
    cancel_reason: str | None = None,
) -> str:
    """One sentence on how an occurrence sounded.

    Args:
        counts: Villages by what was heard there.
        others: Name, sounding and reason of the villages where something is amiss, worst first.
        starts_at: Planned start.
        cancel_reason: Of a cancelled occurrence; None of any other.
    """
    of_all = sum(counts.values()) - counts[Sounding.CANCELLED]
    at = f"{starts_at.astimezone(LOCAL):%H:%M %d/%m/%Y}"
    if cancel_reason is not None:
        why = f": {reason(cancel_reason)}" if cancel_reason else ""
        return f"Đã hủy, không phát lúc {at}{why}."
    if not of_all:
        return "Không có thôn, tổ dân phố nào trong phạm vi phát."
    if counts[Sounding.WAITING] == of_all - counts[Sounding.UNREACHED]:
        sentence = f"Chờ phát lúc {at} ở {counts[Sounding.WAITING]} thôn, tổ dân phố"
    else:
        under_way = counts[Sounding.PLAYING] + counts[Sounding.WAITING]
        verb = "Đang phát; tới lúc này đã phát xong" if under_way else "Đã phát"
        sentence = f"{verb} ở {counts[Sounding.SOUNDED]} trong {of_all} thôn, tổ dân phố"
    named = [
        f"{name} {SOUNDINGS[sounding]}"
        + (f" ({why})" if why not in {"", SOUNDINGS[sounding]} else "")
        for name, sounding, why in others[:MOST_NAMED]
    ]
    if len(others) > MOST_NAMED:
        named.append(f"và {len(others) - MOST_NAMED} nơi khác")
    return "; ".join([sentence, *named]) + "."
