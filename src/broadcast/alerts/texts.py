"""Words for alerts, as people say them."""

from __future__ import annotations

from broadcast.alerts.model import AlertEvent
from broadcast.alerts.state import AlertKind
from broadcast.wire.fields import AlertMode

EVENTS = {
    AlertEvent.STORM: "bão, áp thấp nhiệt đới",
    AlertEvent.FLOOD: "lũ, ngập lụt",
    AlertEvent.DAM_RELEASE: "xả lũ hồ chứa",
    AlertEvent.LANDSLIDE: "sạt lở đất",
    AlertEvent.TSUNAMI: "sóng thần",
    AlertEvent.EARTHQUAKE: "động đất",
    AlertEvent.FIRE: "cháy",
    AlertEvent.EPIDEMIC: "dịch bệnh",
    AlertEvent.SECURITY: "an ninh, trật tự",
    AlertEvent.OTHER: "việc khẩn cấp khác",
}

MODES = {
    AlertMode.ACTUAL: "thật",
    AlertMode.EXERCISE: "diễn tập",
    AlertMode.TEST: "thử thiết bị",
}

KINDS = {
    AlertKind.ALERT: "cảnh báo",
    AlertKind.UPDATE: "tin cập nhật",
    AlertKind.ALL_CLEAR: "tin báo yên",
}

REPLACED = {
    AlertKind.UPDATE: "thay bằng tin cập nhật",
    AlertKind.ALL_CLEAR: "đã báo yên",
}
"""Why the occurrence of an alert is cancelled by what takes its place."""
