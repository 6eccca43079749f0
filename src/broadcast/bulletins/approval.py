"""Approval: permitted steps of a revision by state and role; the only way to `approved`.

A revision is decided on as it was heard: what is returned is corrected by a new revision, never
sent in again. Nothing leaves `withdrawn`.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from broadcast.auth.permissions import Permission
from broadcast.bulletins.model import RevisionState
from broadcast.kit.errors import Conflict, Forbidden, InvalidInput
from broadcast.wire.fields import BulletinClass


class Action(StrEnum):
    """Step that a person can take with a revision."""

    SUBMIT = "submit"
    APPROVE = "approve"
    RETURN = "return"
    WITHDRAW = "withdraw"


TRANSITIONS = {
    (RevisionState.DRAFT, Action.SUBMIT): RevisionState.SUBMITTED,
    (RevisionState.SUBMITTED, Action.APPROVE): RevisionState.APPROVED,
    (RevisionState.SUBMITTED, Action.RETURN): RevisionState.RETURNED,
    (RevisionState.DRAFT, Action.WITHDRAW): RevisionState.WITHDRAWN,
    (RevisionState.SUBMITTED, Action.WITHDRAW): RevisionState.WITHDRAWN,
    (RevisionState.APPROVED, Action.WITHDRAW): RevisionState.WITHDRAWN,
    (RevisionState.RETURNED, Action.WITHDRAW): RevisionState.WITHDRAWN,
}
"""Every permitted step; what is not here is a conflict."""

FOUR_EYES = frozenset((BulletinClass.PRIORITY, BulletinClass.EMERGENCY))
"""Classes whose author may not approve them, whatever role he holds."""

_STATES = {
    RevisionState.DRAFT: "bản nháp",
    RevisionState.SUBMITTED: "chờ duyệt",
    RevisionState.APPROVED: "đã duyệt",
    RevisionState.RETURNED: "bị trả lại",
    RevisionState.WITHDRAWN: "đã rút",
}
_ACTIONS = {
    Action.SUBMIT: "gửi duyệt",
    Action.APPROVE: "duyệt",
    Action.RETURN: "trả lại",
    Action.WITHDRAW: "rút",
}


def allowed(state: RevisionState, *, is_prepared: bool = True) -> list[Action]:
    """Actions that the state permits, of any role; without its sound only the withdrawal.

    >>> [action.value for action in allowed(RevisionState.SUBMITTED)]
    ['approve', 'return', 'withdraw']
    """
    return [
        action
        for action in Action
        if (state, action) in TRANSITIONS and (is_prepared or action is Action.WITHDRAW)
    ]


def decide(
    state: RevisionState,
    action: Action,
    *,
    class_: BulletinClass,
    author: int,
    actor: int,
    may: Collection[Permission],
    note: str = "",
    is_prepared: bool = True,
    second_person: bool = True,
) -> RevisionState:
    """State that the action leads to.

    Args:
        state: Present state of the revision.
        action: The step.
        class_: Class of the bulletin.
        author: Account that created the revision.
        actor: Account that takes the step.
        may: What `actor` may do.
        note: Reason, which a return must give.
        is_prepared: Whether its sound is ready; what nobody can hear is not decided on.
        second_person: Whether a normal bulletin, too, is approved by somebody else than its
            author (`four_eyes`); the others always are.

    Raises:
        Forbidden: This account may not do this, in any state.
        Conflict: The state does not permit it; `allowed` names what it permits.
        InvalidInput: A return without a reason.
    """
    own = author == actor
    _admit(action, own=own, may=may)
    if action is Action.APPROVE and own and (second_person or class_ in FOUR_EYES):
        raise Forbidden(
            "Bản tin phải do người khác duyệt, không phải người soạn. Với tin thường, đài có thể"
            " chọn khác từ một ngày sau này (approval-rules)."
        )
    following = TRANSITIONS.get((state, action))
    if following is None:
        possible = allowed(state)
        words = ", ".join(_ACTIONS[step] for step in possible) or "không còn bước nào"
        raise Conflict(
            f"Không thể {_ACTIONS[action]}: phiên bản này {_STATES[state]}. Có thể: {words}.",
            state=state.value,
            allowed=[step.value for step in possible],
        )
    if action not in allowed(state, is_prepared=is_prepared):
        raise Conflict(
            f"Không thể {_ACTIONS[action]}: âm thanh của phiên bản này chưa có. Hãy chờ chuẩn bị"
            " xong rồi nghe thử; nếu việc chuẩn bị bị từ chối, hãy tạo phiên bản mới.",
            state=state.value,
            allowed=[step.value for step in allowed(state, is_prepared=is_prepared)],
        )
    if action is Action.RETURN and not note.strip():
        raise InvalidInput("note", "trả lại phải nêu lý do để người soạn biết cần sửa gì")
    return following


def _admit(action: Action, *, own: bool, may: Collection[Permission]) -> None:
    writes = Permission.BULLETIN_WRITE in may
    approves = Permission.BULLETIN_APPROVE in may
    match action:
        case Action.SUBMIT:
            admitted = own and writes
            who = "chỉ người soạn được gửi duyệt phiên bản của mình"
        case Action.APPROVE | Action.RETURN:
            admitted = approves
            who = "cần người có vai trò duyệt tin"
        case Action.WITHDRAW:
            admitted = approves or (own and writes)
            who = "chỉ người soạn hoặc người duyệt tin được rút"
    if not admitted:
        raise Forbidden(f"Không được {_ACTIONS[action]}: {who}.")
