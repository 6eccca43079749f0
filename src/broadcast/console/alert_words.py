"""Words of the pages of alerts, and their forms read as REST reads a body."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from broadcast.alerts.board import Stage
from broadcast.alerts.model import AlertEvent
from broadcast.alerts.state import AlertState
from broadcast.console.words import N_
from broadcast.kit.validation import invalid
from broadcast.wire.fields import AlertMode

M = TypeVar("M", bound=BaseModel)

EVENTS = {
    AlertEvent.STORM: N_("Bão, áp thấp nhiệt đới"),
    AlertEvent.FLOOD: N_("Lũ, ngập lụt"),
    AlertEvent.DAM_RELEASE: N_("Xả lũ hồ chứa"),
    AlertEvent.LANDSLIDE: N_("Sạt lở đất"),
    AlertEvent.TSUNAMI: N_("Sóng thần"),
    AlertEvent.EARTHQUAKE: N_("Động đất"),
    AlertEvent.FIRE: N_("Cháy"),
    AlertEvent.EPIDEMIC: N_("Dịch bệnh"),
    AlertEvent.SECURITY: N_("An ninh, trật tự"),
    AlertEvent.OTHER: N_("Việc khẩn cấp khác"),
}
STATES = {
    AlertState.PREPARED: ("waiting", N_("Đang soạn")),
    AlertState.PROPOSED: ("waiting", N_("Chờ người thứ hai cho phép")),
    AlertState.AUTHORISED: ("waiting", N_("Đã cho phép, chưa đến giờ")),
    AlertState.ACTIVE: ("partial", N_("Đang hiệu lực")),
    AlertState.UPDATED: ("ok", N_("Đã thay bằng tin mới")),
    AlertState.ALL_CLEAR: ("ok", N_("Đã báo yên")),
    AlertState.CANCELLED: ("unknown", N_("Đã hủy")),
    AlertState.EXPIRED: ("unknown", N_("Đã hết hiệu lực")),
}
MODES = {
    AlertMode.ACTUAL: N_("Thật"),
    AlertMode.EXERCISE: N_("Diễn tập"),
    AlertMode.TEST: N_("Thử thiết bị"),
}
STAGES = {
    Stage.FINISHED: ("ok", N_("Đã phát xong")),
    Stage.STARTED: ("ok", N_("Đang phát")),
    Stage.RECEIVED: ("waiting", N_("Đã nhận, chưa phát")),
    Stage.NO_ANSWER: ("unknown", N_("Chưa trả lời")),
    Stage.NOT_HEARD: ("bad", N_("Không phát")),
}
STEPS = {
    "prepare": N_("Soạn"),
    "propose": N_("Đề nghị phát"),
    "authorise": N_("Cho phép phát"),
    "authorise_alone": N_("Một mình cho phép phát"),
    "update": N_("Thay bằng tin mới"),
    "clear": N_("Báo yên"),
    "cancel": N_("Hủy"),
    "debrief": N_("Rút kinh nghiệm"),
}
WORDS: dict[str, Any] = {
    "events": EVENTS, "states": STATES, "modes": MODES, "stages": STAGES, "step_names": STEPS,
}  # fmt: skip


def checked(model: type[M], given: dict[str, Any]) -> M:
    """What a form says.

    Raises:
        InvalidInput: A field; says which.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(error.errors()) from None
