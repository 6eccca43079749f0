"""Incidents in Vietnamese, for people: what happened, and what to do next."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from broadcast.incidents.causes import Cause, Evidence
from broadcast.incidents.grouping import Kind
from broadcast.incidents.model import Incident
from broadcast.kit.clock import LOCAL


class State(StrEnum):
    """State of an incident."""

    OPEN = "open"
    RECOVERED = "recovered"
    """No device is down, but not for long enough to be closed."""
    CLOSED = "closed"
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

POWER_AT_THE_POLE = "cho người kiểm tra cầu dao, nguồn điện tại cụm loa"
THE_REST = "cho người kiểm tra tại chỗ các cụm còn lại"


def state_of(incident: Incident) -> State:
    """State of an incident."""
    if incident.superseded:
        return State.SUPERSEDED
    if incident.closed_at is not None:
        return State.CLOSED
    return State.OPEN if incident.recovered_at is None else State.RECOVERED


def title(incident: Incident, on: date) -> str:
    """One line: what, where, how much, since when; days other than `on` are named."""
    where = PLACES[incident.kind].format(incident.name)
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
    if state is State.SUPERSEDED:
        if incident.superseded_by is None:
            return "Không còn là một sự cố chung; không cần làm gì."
        return f"Đã gộp vào sự cố số {incident.superseded_by}; xem sự cố đó."
    back = incident.devices_count - incident.down_count
    if state is not State.OPEN:
        assert incident.recovered_at is not None
        text = f"Đã trở lại lúc {_when(incident.recovered_at, on)}"
        if state is State.CLOSED:
            return f"{text}; không cần làm gì."
        return f"{text}; đang theo dõi, nếu không mất lại thì sự cố tự đóng."
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


def _when(at: datetime, on: date) -> str:
    local = at.astimezone(LOCAL)
    return f"{local:%H:%M}" if local.date() == on else f"{local:%H:%M ngày %d/%m/%Y}"
