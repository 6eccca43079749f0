"""Life of an alert: which step leads where, and what time alone does. Pure.

Two people make an alert sound: whoever proposes it never authorises it. `alone` is the other way,
for who holds a permission of its own; it ends by itself soon, and waits for its debrief.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from broadcast.kit.errors import Conflict


class AlertState(StrEnum):
    """State of an alert, as it is now.

    `active` and `expired` follow from the time alone and are never stored.
    """

    PREPARED = "prepared"
    PROPOSED = "proposed"
    AUTHORISED = "authorised"
    """Its start is still to come."""
    ACTIVE = "active"
    UPDATED = "updated"
    """Another alert took its place."""
    ALL_CLEAR = "all_clear"
    """The all-clear was given."""
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class AlertKind(StrEnum):
    """Part of an alert in the course of an event."""

    ALERT = "alert"
    UPDATE = "update"
    ALL_CLEAR = "all_clear"


class AlertStep(StrEnum):
    """What a person can do with an alert."""

    PROPOSE = "propose"
    AUTHORISE = "authorise"
    AUTHORISE_ALONE = "authorise_alone"
    UPDATE = "update"
    """Take its place, by another alert that is authorised now."""
    CLEAR = "clear"
    """As an update: nothing is to be feared any more."""
    CANCEL = "cancel"


_S, _A = AlertState, AlertStep

TRANSITIONS = {
    (_S.PREPARED, _A.PROPOSE): _S.PROPOSED,
    (_S.PREPARED, _A.AUTHORISE_ALONE): _S.AUTHORISED,
    (_S.PREPARED, _A.CANCEL): _S.CANCELLED,
    (_S.PROPOSED, _A.AUTHORISE): _S.AUTHORISED,
    (_S.PROPOSED, _A.AUTHORISE_ALONE): _S.AUTHORISED,
    (_S.PROPOSED, _A.CANCEL): _S.CANCELLED,
    (_S.AUTHORISED, _A.UPDATE): _S.UPDATED,
    (_S.AUTHORISED, _A.CLEAR): _S.ALL_CLEAR,
    (_S.AUTHORISED, _A.CANCEL): _S.CANCELLED,
    (_S.ACTIVE, _A.UPDATE): _S.UPDATED,
    (_S.ACTIVE, _A.CLEAR): _S.ALL_CLEAR,
    (_S.ACTIVE, _A.CANCEL): _S.CANCELLED,
    (_S.EXPIRED, _A.CLEAR): _S.ALL_CLEAR,
}
"""Every permitted step. What is not here is a conflict; an event that ran out may be cleared."""

PROPOSAL_VALID = timedelta(minutes=30)
"""After which nobody authorises a proposal any more: the situation is another one."""

ALONE_AT_MOST = timedelta(minutes=15)
"""How long an alert lasts that one person issued."""

STATE_NAMES = {
    _S.PREPARED: "đang soạn",
    _S.PROPOSED: "chờ người thứ hai cho phép",
    _S.AUTHORISED: "đã cho phép, chưa đến giờ",
    _S.ACTIVE: "đang hiệu lực",
    _S.UPDATED: "đã thay bằng tin mới",
    _S.ALL_CLEAR: "đã báo yên",
    _S.CANCELLED: "đã hủy",
    _S.EXPIRED: "đã hết hiệu lực",
}

STEP_NAMES = {
    _A.PROPOSE: "đề nghị phát",
    _A.AUTHORISE: "cho phép phát",
    _A.AUTHORISE_ALONE: "một mình cho phép phát",
    _A.UPDATE: "thay bằng tin mới",
    _A.CLEAR: "báo yên",
    _A.CANCEL: "hủy",
}


def state_at(
    stored: AlertState,
    now: datetime,
    *,
    proposed_at: datetime | None,
    starts_at: datetime | None,
    ends_by: datetime | None,
) -> AlertState:
    """State at a moment.

    Args:
        stored: By the last step.
        now: The moment.
        proposed_at: When it was proposed.
        starts_at: When it begins, once that is known.
        ends_by: When it ends by itself, once it is authorised.
    """
    if stored is AlertState.PROPOSED and proposed_at and now >= proposed_at + PROPOSAL_VALID:
        return AlertState.EXPIRED
    if stored is AlertState.AUTHORISED and ends_by is not None and now >= ends_by:
        return AlertState.EXPIRED
    if stored is AlertState.AUTHORISED and starts_at is not None and now >= starts_at:
        return AlertState.ACTIVE
    return stored


def allowed(state: AlertState) -> list[AlertStep]:
    """Steps that a state permits, of anybody.

    >>> [step.value for step in allowed(AlertState.ACTIVE)]
    ['update', 'clear', 'cancel']
    """
    return [step for step in AlertStep if (state, step) in TRANSITIONS]


def follow(state: AlertState, step: AlertStep) -> AlertState:
    """State that a step leads to.

    Raises:
        Conflict: The state does not permit it; names the steps that it does permit.
    """
    following = TRANSITIONS.get((state, step))
    if following is None:
        possible = allowed(state)
        words = ", ".join(STEP_NAMES[each] for each in possible) or "không còn bước nào"
        raise Conflict(
            f"Không thể {STEP_NAMES[step]}: cảnh báo này {STATE_NAMES[state]}. Có thể: {words}.",
            state=state.value,
            allowed=[each.value for each in possible],
        )
    return following
