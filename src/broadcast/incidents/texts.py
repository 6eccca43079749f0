"""Incidents in Vietnamese, for people: what happened, and what to do next."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import ClosingReason, Incident, StepKind
from broadcast.kit.clock import LOCAL


class State(StrEnum):
    """State of an incident."""

    OPEN = "open"
    RECOVERED = "recovered"
    """No device is down, but not for long enough to be closed."""
    CLOSED = "closed"
    """Everything has stayed back, or a person has closed it."""
    SUPERSEDED = "superseded"


CAUSES = {
    Cause.POWER: "Mất điện",
    Cause.NETWORK: "Mất mạng",
    Cause.AREA: "Mất liên lạc",
    Cause.DEVICE: "Mất liên lạc",
}

PLACES = {
    Kind.POWER_FEED: "tuyến {}",
    Kind.VILLAGE: "{}",
    Kind.COMMUNE: "{}",
    Kind.OPERATOR: "các cụm dùng mạng {}",
    Kind.PROVINCE: "{}",
    Kind.DEVICE: "cụm loa {}",
}

EVIDENCE = {
    Evidence.POWER: "mất điện",
    Evidence.NETWORK: "mất mạng, thiết bị vẫn chạy",
    Evidence.BOX: "thiết bị tự khởi động lại",
    Evidence.NONE: "chưa rõ",
}

REMEDIES = {
    Cause.POWER: "hỏi Điện lực giờ có điện lại; loa tự phát tiếp lịch khi có điện",
    Cause.NETWORK: "báo nhà mạng; trong lúc đó loa vẫn phát chương trình đã tải về",
    Cause.AREA: "hỏi cơ sở có mất điện không, nếu không thì báo nhà mạng",
    Cause.DEVICE: "cho người kiểm tra nguồn điện, SIM và thiết bị tại cụm loa",
}

REASONS = {
    ClosingReason.REPAIRED: "đã sửa xong",
    ClosingReason.OTHERS: "Điện lực hoặc nhà mạng đang xử lý",
    ClosingReason.PLANNED: "cắt điện, bảo trì theo kế hoạch",
    ClosingReason.REMOVED: "cụm loa đã tháo, không dùng nữa",
    ClosingReason.FALSE_ALARM: "báo nhầm, loa vẫn phát",
    ClosingReason.OTHER: "lý do khác",
}

STEPS = {
    StepKind.ASSIGNED: "giao việc",
    StepKind.RELEASED: "thôi phụ trách",
    StepKind.NOTED: "ghi chú",
    StepKind.CLOSED: "đóng sự cố",
    StepKind.REOPENED: "mở lại sự cố",
}

CLOSED_BY_HAND = "Đã có người đóng; nếu có cụm mất liên lạc thêm thì sự cố tự mở lại."
POWER_AT_THE_POLE = "cho người kiểm tra cầu dao, nguồn điện tại cụm loa"
THE_REST = "cho người kiểm tra tại chỗ các cụm còn lại"


def state_of(incident: Incident) -> State:
    """State of an incident."""
    if incident.superseded:
        return State.SUPERSEDED
    if incident.closed_at is not None or incident.closed_by_hand_at is not None:
        return State.CLOSED
    return State.OPEN if incident.recovered_at is None else State.RECOVERED


def title(incident: Incident, on: date) -> str:
    """One line: what, where, how much, since when; days other than `on` are named."""
    where = PLACES[incident.kind].format(incident.name)
    if incident.kind is Kind.DEVICE and incident.name.casefold().startswith("cụm loa"):
        where = "cụm loa" + incident.name[len("cụm loa") :]
    if (incident.kind, incident.cause) == (Kind.OPERATOR, Cause.NETWORK):
        where = incident.name
    head = f"{CAUSES[incident.cause]} {where}"
    since = f"từ {_when(incident.opened_at, on)}"
    if incident.kind is Kind.DEVICE:
        return f"{head}, {since}"
    size = f"{incident.devices_count} cụm loa"
    if incident.communes_count > 1:
        size += f", {incident.communes_count} xã"
    elif incident.villages_count > 1:
        size += f", {incident.villages_count} thôn"
    return f"{head}: {size}, {since}"


def advice(incident: Incident, on: date) -> str:
    """Progress so far, and what to do next."""
    state = state_of(incident)
    if state is not State.OPEN:
        return _not_open(incident, state, on)
    back = incident.devices_count - incident.down_count
    remedy = REMEDIES[incident.cause]
    if incident.kind is Kind.DEVICE:
        if incident.cause is Cause.POWER:
            remedy = POWER_AT_THE_POLE
        return f"{remedy[0].upper()}{remedy[1:]}."
    if back > incident.down_count:
        remedy = THE_REST
    text = f"Còn {incident.down_count} cụm mất liên lạc"
    if back:
        text += f", {back} đã trở lại"
    return f"{text}: {remedy}."


def _not_open(incident: Incident, state: State, on: date) -> str:
    if state is State.SUPERSEDED:
        if incident.superseded_by is None:
            return "Không còn là một sự cố chung; không cần làm gì."
        return f"Đã gộp vào sự cố số {incident.superseded_by}; xem sự cố đó."
    if incident.closed_at is None and state is State.CLOSED:
        down = incident.down_count
        return (f"Còn {down} cụm mất liên lạc. " if down else "") + CLOSED_BY_HAND
    assert incident.recovered_at is not None
    text = f"Đã trở lại lúc {_when(incident.recovered_at, on)}"
    if state is State.CLOSED:
        return f"{text}; không cần làm gì."
    return f"{text}; đang theo dõi, nếu không mất lại thì sự cố tự đóng."


def recurrence(kind: Kind, count: int, days: int) -> str:
    """How often the same has happened; empty for the first time.

    >>> recurrence(Kind.DEVICE, 3, 30)
    'Lần thứ 3 trong 30 ngày tại cụm loa này.'
    """
    if count < 2:
        return ""
    where = {
        Kind.DEVICE: "tại cụm loa này",
        Kind.POWER_FEED: "trên tuyến điện này",
        Kind.OPERATOR: "của nhà mạng này",
    }
    return f"Lần thứ {count} trong {days} ngày {where.get(kind, 'tại địa bàn này')}."


ALL_BACK = "mọi cụm loa đã trở lại"
STAYED_BACK = "mọi cụm loa đã trở lại và không mất lại, sự cố tự đóng"


def noticed(count: int) -> str:
    """What the server noticed first.

    >>> noticed(3)
    'phát hiện 3 cụm loa mất liên lạc'
    """
    return f"phát hiện {count} cụm loa mất liên lạc"


def assigned(name: str, *, is_own: bool, by_server: bool) -> str:
    """What was done when an incident was assigned to somebody."""
    if is_own:
        return "nhận việc"
    if by_server:
        return f"{name} phụ trách tiếp, vì sự cố của người này được gộp vào đây"
    return f"giao cho {name}"


def more_lost(count: int) -> str:
    """What the server says of devices that were lost later.

    >>> more_lost(2)
    'thêm 2 cụm loa mất liên lạc'
    """
    return f"thêm {count} cụm loa mất liên lạc"


def _when(at: datetime, on: date) -> str:
    local = at.astimezone(LOCAL)
    return f"{local:%H:%M}" if local.date() == on else f"{local:%H:%M ngày %d/%m/%Y}"
