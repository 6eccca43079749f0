"""Commands to devices in Vietnamese, for people: what became of one, and what to do next."""

from __future__ import annotations

from datetime import datetime

from broadcast.commands.state import CommandKind, CommandState
from broadcast.kit.clock import LOCAL
from broadcast.wire.hours import Silence

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

_HUSHED = {
    "quiet_hours": (
        "Thiết bị không phát tiếng vì đang trong giờ yên tĩnh; ra lệnh lại khi hết giờ yên tĩnh."
    ),
    "clock_untrusted": (
        "Thiết bị không phát tiếng vì chưa biết giờ đúng, có thể đang trong giờ yên tĩnh; ra lệnh "
        "lại khi đồng hồ của thiết bị đã đúng."
    ),
}
"""Of a refusal: the details that the contract gives a meaning."""

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
    kind: CommandKind,
    state: CommandState,
    not_after: datetime,
    *,
    published: bool,
    heard: str,
    detail: str,
) -> str:
    """Outcome of a command in words, and what to do.

    Args:
        kind: What was ordered.
        state: What became of it.
        not_after: Until when the device may obey.
        published: The broker has taken it.
        heard: Of a self-test: what noticed its tone; empty for nothing.
        detail: What the device added.
    """
    tested = kind is CommandKind.SELF_TEST
    if tested and state is CommandState.DONE:
        return _HEARD[heard]
    if tested and state is CommandState.FAILED:
        return _UNHEARD
    if state is CommandState.REFUSED and detail in _HUSHED:
        return _HUSHED[detail]
    if state in _ANSWERED:
        return _ANSWERED[state]
    return _UNANSWERED[state, published].format(until=clock_time(not_after))


def hushed(kind: CommandKind, quiet: Silence) -> str:
    """Message for a command that sounds in quiet hours: the reason, and when to order it."""
    if quiet.ends_at is None:
        return (
            f"Cả ngày là giờ yên tĩnh nên không ra được lệnh {KINDS[kind]}; hãy nhờ người quản "
            "trị xem lại cài đặt quiet_hours và Quy chế của địa bàn."
        )
    begins, ends = quiet.begins_at.astimezone(LOCAL), quiet.ends_at.astimezone(LOCAL)
    return (
        f"Lệnh {KINDS[kind]} làm thiết bị phát tiếng, mà từ {begins:%H:%M} đến {ends:%H:%M} là "
        f"giờ yên tĩnh; ra lệnh lại từ {ends:%H:%M ngày %d/%m/%Y}."
    )


def clock_time(moment: datetime) -> str:
    """Local time of day, to the second."""
    return f"{moment.astimezone(LOCAL):%H:%M:%S}"
