"""Who may move a revision where."""

from __future__ import annotations

import doctest
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.auth.permissions import PERMISSIONS, Permission, Role
from broadcast.bulletins import approval
from broadcast.bulletins.approval import TRANSITIONS, Action, allowed, decide
from broadcast.bulletins.model import RevisionState
from broadcast.kit.errors import BroadcastError, Conflict, Forbidden, InvalidInput
from broadcast.wire.fields import BulletinClass
from tests.callers import HUNG, LAN, MAI

DRAFT, SUBMITTED, APPROVED, RETURNED, WITHDRAWN = RevisionState
NORMAL, PRIORITY, EMERGENCY = BulletinClass


def by(actor: int, role: Role, **changes: Any) -> dict[str, Any]:
    """Arguments of `decide` for a revision that Lan wrote."""
    asked: dict[str, Any] = {"class_": NORMAL, "author": LAN, "note": "sai ngày"}
    return asked | {"actor": actor, "may": PERMISSIONS[role]} | changes


THE_AUTHOR = by(LAN, Role.PROVINCE_EDITOR)
AN_APPROVER = by(HUNG, Role.PROVINCE_APPROVER)


def test_the_ordinary_way_leads_on_air() -> None:
    submitted = decide(DRAFT, Action.SUBMIT, **THE_AUTHOR)
    assert submitted is SUBMITTED
    assert decide(submitted, Action.APPROVE, **AN_APPROVER) is APPROVED


@pytest.mark.parametrize(("state", "action"), list(itertools.product(RevisionState, Action)))
def test_what_the_table_does_not_name_is_a_conflict_that_names_what_is_possible(
    state: RevisionState, action: Action
) -> None:
    anyone = by(LAN, Role.PROVINCE_ADMIN, second_person=False)
    if (state, action) in TRANSITIONS:
        assert decide(state, action, **anyone) is TRANSITIONS[state, action]
        return
    with pytest.raises(Conflict) as caught:
        decide(state, action, **anyone)
    assert caught.value.extra["state"] == state.value
    assert caught.value.extra["allowed"] == [step.value for step in allowed(state)]


def test_nothing_is_approved_without_having_been_submitted() -> None:
    assert {state for (state, _), to in TRANSITIONS.items() if to is APPROVED} == {SUBMITTED}


def test_withdrawn_is_the_end() -> None:
    assert allowed(WITHDRAWN) == []


@pytest.mark.parametrize(
    ("state", "action", "who"),
    [
        (DRAFT, Action.SUBMIT, by(HUNG, Role.PROVINCE_APPROVER)),
        (DRAFT, Action.SUBMIT, by(MAI, Role.PROVINCE_EDITOR)),
        (DRAFT, Action.SUBMIT, by(LAN, Role.TECHNICIAN)),
        (SUBMITTED, Action.APPROVE, by(LAN, Role.PROVINCE_EDITOR)),
        (SUBMITTED, Action.APPROVE, by(MAI, Role.PROVINCE_EDITOR)),
        (SUBMITTED, Action.APPROVE, by(MAI, Role.PROVINCE_MONITOR)),
        (SUBMITTED, Action.RETURN, by(LAN, Role.PROVINCE_EDITOR)),
        (APPROVED, Action.WITHDRAW, by(MAI, Role.PROVINCE_EDITOR)),
        (APPROVED, Action.WITHDRAW, by(LAN, Role.PROVINCE_MONITOR)),
    ],
)
def test_who_may_not_is_forbidden(
    state: RevisionState, action: Action, who: dict[str, Any]
) -> None:
    with pytest.raises(Forbidden):
        decide(state, action, **who)


def test_who_may_not_learns_nothing_of_the_state() -> None:
    with pytest.raises(Forbidden):
        decide(WITHDRAWN, Action.APPROVE, **THE_AUTHOR)


@pytest.mark.parametrize("class_", [PRIORITY, EMERGENCY])
@pytest.mark.parametrize("role", [Role.PROVINCE_APPROVER, Role.PROVINCE_ADMIN])
def test_four_eyes_see_what_interrupts_others(class_: BulletinClass, role: Role) -> None:
    with pytest.raises(Forbidden, match="người khác"):
        decide(SUBMITTED, Action.APPROVE, **by(LAN, role, class_=class_))
    assert decide(SUBMITTED, Action.APPROVE, **by(HUNG, role, class_=class_)) is APPROVED


@pytest.mark.parametrize("role", [Role.COMMUNE_APPROVER, Role.PROVINCE_ADMIN])
def test_a_normal_bulletin_of_ones_own_is_approved_only_where_the_station_chose_so(
    role: Role,
) -> None:
    with pytest.raises(Forbidden, match="người khác"):
        decide(SUBMITTED, Action.APPROVE, **by(LAN, role))
    asked = by(LAN, role) | {"second_person": False}
    assert decide(SUBMITTED, Action.APPROVE, **asked) is APPROVED
    for class_ in (PRIORITY, EMERGENCY):
        with pytest.raises(Forbidden, match="người khác"):
            decide(SUBMITTED, Action.APPROVE, **(asked | {"class_": class_}))


@pytest.mark.parametrize("note", ["", "  \n"])
def test_a_return_without_a_reason_is_refused(note: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        decide(SUBMITTED, Action.RETURN, **(AN_APPROVER | {"note": note}))
    assert caught.value.field == "note"


@pytest.mark.parametrize("state", [DRAFT, SUBMITTED, APPROVED, RETURNED])
def test_the_author_and_any_approver_may_withdraw(state: RevisionState) -> None:
    assert decide(state, Action.WITHDRAW, **THE_AUTHOR) is WITHDRAWN
    assert decide(state, Action.WITHDRAW, **AN_APPROVER) is WITHDRAWN


people = st.sampled_from([LAN, HUNG, MAI])


@given(
    class_=st.sampled_from(BulletinClass),
    second_person=st.booleans(),
    asked=st.lists(st.tuples(st.sampled_from(Action), people, st.sampled_from(Role))),
)
def test_however_one_tries_approval_has_a_submission_by_the_author_and_an_approver(
    class_: BulletinClass, second_person: bool, asked: list[tuple[Action, int, Role]]
) -> None:
    state, done = DRAFT, []
    for action, actor, role in asked:
        try:
            given = by(actor, role, class_=class_) | {"second_person": second_person}
            state = decide(state, action, **given)
        except BroadcastError:
            continue
        done.append((action, actor, role))
    if APPROVED not in {TRANSITIONS.get((SUBMITTED, action)) for action, _, _ in done}:
        assert state is not APPROVED
        return
    (submitted, author, _), (approved, approver, role), *_ = done
    assert (submitted, author, approved) == (Action.SUBMIT, LAN, Action.APPROVE)
    assert Permission.BULLETIN_APPROVE in PERMISSIONS[role]
    assert approver != LAN or (class_ is NORMAL and not second_person)


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(approval).failed == 0
