"""Commands to devices in Vietnamese, for people: what became of one, and what to do next."""

from __future__ import annotations

from datetime import datetime

from broadcast.clock import LOCAL
from broadcast.devices.command_state import CommandKind, CommandState

KINDS = {
    CommandKind.VOLUME: "đặt âm lượng",
    CommandKind.REBOOT: "khởi động lại",
    CommandKind.IDENTIFY: "nháy đèn hoặc kêu để tìm",
    CommandKind.SELF_TEST: "tự thử loa",
}

_ANSWERED = {
    CommandState.DONE: "Thiết bị đã thực hiện.",
    CommandState.FAILED: "Thiết bị không thực hiện được; xem chi tiết rồi ra lệnh lại.",
    CommandState.REFUSED: "Thiết bị từ chối lệnh; xem chi tiết, xử lý rồi ra lệnh lại.",
}

_UNANSWERED = {
    (CommandState.WAITING, True): "Đã gửi; chờ thiết bị trả lời đến {until}.",
    (CommandState.WAITING, False): (
        "Chưa gửi được; máy chủ tự gửi khi có kết nối MQTT, chậm nhất {until}."
    ),
    (CommandState.EXPIRED, True): (
        "Thiết bị không thực hiện trước khi lệnh hết hạn lúc {until}; xem tình trạng kết nối của "
        "thiết bị rồi ra lệnh lại."
    ),
    (CommandState.EXPIRED, False): (
        "Lệnh hết hạn lúc {until} khi chưa gửi được; kiểm tra kết nối MQTT và tiến trình dispatch "
        "của máy chủ rồi ra lệnh lại."
    ),
}
"""By whether the broker has taken the command."""

_HEARD = {
    "amplifier": "Tăng âm có dòng tải khi phát tiếng thử.",
    "microphone": "Micrô nghe thấy tiếng thử.",
    "": "Thiết bị đã phát tiếng thử nhưng không tự nghe được; hãy nhờ người nghe tại chỗ.",
}
"""Of a self-test that is done: what noticed its tone."""

_UNHEARD = "Không nhận thấy tiếng thử; hãy kiểm tra tăng âm, dây loa và loa."


def explained(
    kind: CommandKind, state: CommandState, not_after: datetime, *, published: bool, heard: str
) -> str:
    """What became of a command, and what to do.

    Args:
        kind: What was ordered.
        state: What became of it.
        not_after: Until when the device may obey.
        published: The broker has taken it.
        heard: Of a self-test: what noticed its tone; empty for nothing.
    """
    tested = kind is CommandKind.SELF_TEST
    if tested and state is CommandState.DONE:
        return _HEARD[heard]
    if tested and state is CommandState.FAILED:
        return _UNHEARD
    if state in _ANSWERED:
        return _ANSWERED[state]
    return _UNANSWERED[state, published].format(until=clock_time(not_after))


def clock_time(moment: datetime) -> str:
    """Local time of day, to the second."""
    return f"{moment.astimezone(LOCAL):%H:%M:%S}"
