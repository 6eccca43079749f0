"""What devices could not say or would not take, in Vietnamese: what happened, and what to do."""

from __future__ import annotations

from broadcast.telemetry.dead_letters import RejectReason

LETTERS = {
    RejectReason.TOPIC: "Thông điệp gửi tới địa chỉ mà thiết bị không được dùng; kiểm tra mã thiết"
    " bị và tiền tố cài trong thiết bị.",
    RejectReason.KIND: "Loại thông điệp này máy chủ chưa biết; cập nhật máy chủ, hoặc báo nhà sản"
    " xuất thiết bị.",
    RejectReason.RETAINED: "Thiết bị gửi kèm cờ lưu lại trên máy chủ MQTT, nên thông điệp cũ"
    " quay lại mãi; báo nhà sản xuất thiết bị.",
    RejectReason.EMPTY: "Thông điệp rỗng; không cần làm gì.",
    RejectReason.TOO_LARGE: "Thông điệp lớn hơn mức cho phép; báo nhà sản xuất thiết bị.",
    RejectReason.MALFORMED: "Nội dung không đúng quy ước, máy chủ không đọc được; báo nhà sản xuất"
    " thiết bị, kèm thông điệp đã lưu.",
    RejectReason.UNKNOWN_DEVICE: "Máy chủ không có thiết bị mang mã này; đăng ký thiết bị, hoặc"
    " sửa mã cài trong thiết bị.",
    RejectReason.JOURNAL_CONFLICT: "Thiết bị gửi hai bản khác nhau của cùng một dòng nhật ký phát;"
    " bản đầu được giữ. Kiểm tra bộ nhớ của thiết bị.",
    RejectReason.UNSTORABLE: "Máy chủ đọc được nhưng không lưu được vì giá trị quá mức; báo nhà"
    " sản xuất thiết bị, kèm thông điệp đã lưu.",
    RejectReason.UNREADABLE: "Máy chủ gặp lỗi của chính mình khi đọc; báo người phát triển, kèm"
    " thông điệp đã lưu.",
}
"""By the reason why a message from a device could not be taken."""

UNKNOWN_LETTER = "Không nhận được thông điệp này; xem lý do máy chủ đã ghi."
"""Of letters that were kept before reasons were."""

REFUSALS = {
    "signature": "Chữ ký không đúng: có kẻ lạ phát lên máy chủ MQTT, hoặc thiết bị lỡ lần đổi"
    " khóa. Xem mục khóa ký rồi báo quản trị.",
    "key": "Thiết bị không biết khóa đã ký: có kẻ lạ phát lên máy chủ MQTT, hoặc thiết bị lỡ"
    " lần đổi khóa. Xem mục khóa ký rồi báo quản trị.",
    "scope": "Tài liệu của nơi khác gửi đến thiết bị này; kiểm tra phân quyền của máy chủ MQTT.",
    "revision": "Bản cũ hơn bản thiết bị đang giữ; thỉnh thoảng có thì không cần làm gì.",
    "expired": "Đã quá hạn khi tới thiết bị; thỉnh thoảng có thì không cần làm gì, lệnh thì ra"
    " lại.",
    "malformed": "Thiết bị không đọc được nội dung; cập nhật phần mềm thiết bị, hoặc báo nhà sản"
    " xuất.",
    "replayed": "Lệnh này thiết bị đã làm rồi; không cần làm gì.",
}
"""By the reason that a device gives (docs/wire.md, section 10)."""

UNKNOWN_REFUSAL = "Thiết bị từ chối mà máy chủ không rõ lý do; xem chi tiết của thiết bị."


def letter(reject_reason: str | None) -> str:
    """Why a message could not be taken, and what to do.

    >>> letter("empty")
    'Thông điệp rỗng; không cần làm gì.'
    """
    if reject_reason in set(RejectReason):
        return LETTERS[RejectReason(reject_reason)]
    return UNKNOWN_LETTER


def refusal(reason: str) -> str:
    """Why a device refused something, and what to do."""
    return REFUSALS.get(reason, UNKNOWN_REFUSAL)
