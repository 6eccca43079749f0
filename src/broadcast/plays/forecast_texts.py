"""The forecast of a broadcast in Vietnamese, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from broadcast.kit.clock import LOCAL
from broadcast.plays.forecast import Cause, Outlook
from broadcast.plays.texts import MOST_NAMED

OUTLOOKS = {
    Outlook.MISSES: "sẽ không phát",
    Outlook.UNSURE: "chưa chắc",
    Outlook.ON_THE_WAY: "đang tải",
    Outlook.READY: "sẵn sàng",
}

CAUSES = {
    Cause.NO_DEVICE: "cụm loa chưa lắp thiết bị",
    Cause.QUIET_HOURS: "giờ phát rơi vào giờ yên tĩnh",
    Cause.MUTED: "âm lượng bằng 0 vào giờ phát",
    Cause.QUOTA: "hạn mức của Quy chế trong ngày đã dùng hết",
    Cause.POWER_CUT: "đã khai báo mất điện vào giờ phát",
    Cause.NOT_PUBLISHED: "máy chủ chưa gửi chương trình đi",
    Cause.REFUSED: "thiết bị từ chối chương trình",
    Cause.NEVER_SEEN: "thiết bị chưa kết nối lần nào",
    Cause.NOT_RECEIVED: "thiết bị chưa nhận chương trình mới nhất",
    Cause.OFFLINE: "thiết bị mất liên lạc khi chưa nhận chương trình mới nhất",
    Cause.NO_AUDIO: "thiết bị chưa tải xong âm thanh",
    Cause.BAD_AUDIO: "âm thanh trên thiết bị hỏng, chưa tải lại được",
    Cause.NO_CODEC: "thiết bị không giải mã được định dạng âm thanh",
    Cause.STORAGE_FULL: "bộ nhớ thiết bị đầy hoặc lỗi",
    Cause.CLOCK_UNTRUSTED: "đồng hồ thiết bị không tin cậy",
    Cause.CLOCK_WRONG: "đồng hồ thiết bị sai giờ",
    Cause.LOCAL_OVERRIDE: "loa đang được dùng hoặc tắt tại chỗ",
    Cause.OUTRANKED: "nội dung ưu tiên hơn chiếm loa suốt khung giờ",
    Cause.SPEAKER_FAULT: "đường dây loa hoặc tăng âm đang hỏng",
    Cause.ON_BATTERY: "mất điện lưới, thiết bị chạy ắc quy",
    Cause.ALONE: "mất liên lạc, âm thanh đã có sẵn",
    Cause.MAINTENANCE: "cụm loa đang bảo trì theo khai báo",
}

REMEDIES = {
    Cause.NO_DEVICE: "Báo kỹ thuật viên lắp thiết bị cho cụm loa này.",
    Cause.QUIET_HOURS: "Dời buổi phát ra ngoài giờ yên tĩnh.",
    Cause.MUTED: "Xem Quy chế của xã (giờ phát nhỏ), âm lượng của lịch phát và của thiết bị; dời"
    " buổi phát hoặc tăng âm lượng.",
    Cause.QUOTA: "Bỏ hoặc rút ngắn bản tin phát sớm hơn trong ngày, hoặc dời buổi phát sang ngày"
    " khác.",
    Cause.POWER_CUT: "Dời buổi phát sang giờ có điện, hoặc báo tin cách khác cho các thôn này.",
    Cause.NOT_PUBLISHED: "Chờ một phút rồi xem lại; nếu vẫn chưa gửi, báo người quản trị kiểm tra"
    " máy chủ.",
    Cause.REFUSED: "Báo kỹ thuật viên kiểm tra khóa và đồng hồ của thiết bị.",
    Cause.NEVER_SEEN: "Báo kỹ thuật viên cấp quyền kết nối và bật thiết bị.",
    Cause.NOT_RECEIVED: "Thiết bị sẽ tự nhận; nếu sắp tới giờ mà vẫn chưa nhận, báo kỹ thuật viên"
    " kiểm tra đường truyền.",
    Cause.OFFLINE: "Kiểm tra nguồn điện, SIM và sóng của cụm loa; nối lại mạng thì thiết bị tự"
    " nhận chương trình.",
    Cause.NO_AUDIO: "Đường truyền chậm: kiểm tra sóng 4G hoặc cáp mạng của cụm loa, hoặc dời buổi"
    " phát muộn hơn.",
    Cause.BAD_AUDIO: "Thiết bị tự tải lại; nếu lặp lại, báo kỹ thuật viên kiểm tra bộ nhớ của"
    " thiết bị.",
    Cause.NO_CODEC: "Báo kỹ thuật viên cập nhật phần mềm thiết bị.",
    Cause.STORAGE_FULL: "Báo kỹ thuật viên kiểm tra hoặc thay bộ nhớ thiết bị.",
    Cause.CLOCK_UNTRUSTED: "Cho thiết bị nối mạng để tự chỉnh giờ; nếu lặp lại, báo kỹ thuật viên"
    " thay pin đồng hồ.",
    Cause.CLOCK_WRONG: "Cho thiết bị nối mạng để tự chỉnh giờ; nếu lặp lại, báo kỹ thuật viên thay"
    " pin đồng hồ.",
    Cause.LOCAL_OVERRIDE: "Nhờ trưởng thôn bật lại loa hoặc trả loa về chế độ tự động.",
    Cause.OUTRANKED: "Dời buổi phát sang giờ khác.",
    Cause.SPEAKER_FAULT: "Báo kỹ thuật viên kiểm tra dây loa và tăng âm; hỏi trưởng thôn có nghe"
    " thấy không.",
    Cause.ON_BATTERY: "Kiểm tra nguồn điện và cầu dao của cụm loa trước giờ phát.",
    Cause.ALONE: "Loa tự phát nếu còn điện. Kiểm tra nguồn điện và sóng của cụm loa.",
    Cause.MAINTENANCE: "Hỏi kỹ thuật viên đã bảo trì xong trước giờ phát chưa.",
}
"""What a person can do about a cause before the start."""


def cause(found: Cause | None) -> str:
    """Text of a cause; none of what is ready."""
    return "" if found is None else CAUSES[found]


def remedy(found: Cause | None) -> str:
    """What to do about a cause."""
    return "" if found is None else REMEDIES[found]


def answer(
    counts: Mapping[Outlook, int],
    others: Sequence[tuple[str, Outlook, str]],
    starts_at: datetime,
    *,
    is_over: bool = False,
) -> str:
    """One sentence on what is to be expected of a broadcast.

    Args:
        counts: Clusters by outlook.
        others: Name, outlook and cause of those that are not ready, worst first.
        starts_at: Planned start.
        is_over: The start has passed: nothing is to be expected any more.
    """
    at = f"{starts_at.astimezone(LOCAL):%H:%M %d/%m/%Y}"
    if is_over:
        return f"Đã tới giờ phát lúc {at}: xem kết quả của buổi phát."
    of_all = sum(counts.values())
    if not of_all:
        return "Không có cụm loa nào trong phạm vi phát: hãy thêm nơi phát vào lịch."
    ready = counts.get(Outlook.READY, 0)
    sentence = f"Sẵn sàng ở {ready} trong {of_all} cụm loa để phát lúc {at}"
    if not others:
        return f"{sentence}."
    misses, unsure, coming = (
        counts.get(each, 0) for each in (Outlook.MISSES, Outlook.UNSURE, Outlook.ON_THE_WAY)
    )
    told = [
        *([f"{misses} cụm sẽ không phát"] if misses else []),
        *([f"{unsure} cụm chưa chắc phát được"] if unsure else []),
        *([f"{coming} cụm đang tải"] if coming else []),
    ]
    named = [_named(*each) for each in others[:MOST_NAMED]]
    if len(others) > MOST_NAMED:
        named.append(f"và {len(others) - MOST_NAMED} cụm khác")
    return f"{sentence}; {', '.join(told)}. {'; '.join(named)}."


def _named(name: str, outlook: Outlook, why: str) -> str:
    match outlook:
        case Outlook.MISSES:
            return f"{name} sẽ không phát: {why}"
        case Outlook.UNSURE:
            return f"{name} chưa chắc phát được: {why}"
        case _:
            return f"{name} đang tải: {why}"
