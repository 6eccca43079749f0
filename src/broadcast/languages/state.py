"""How a version stands against the newest approved revision of its original. Pure."""

from __future__ import annotations

from enum import StrEnum

from broadcast.bulletins.model import RevisionState


class VersionState(StrEnum):
    """From being asked for to being heard."""

    WAITING = "waiting"  # nobody has read it yet
    RECORDED = "recorded"  # read, and not submitted
    REVIEW = "review"  # somebody else who knows the language is to hear and approve it
    RETURNED = "returned"
    STALE = "stale"  # approved for an earlier revision of the original: to confirm, or read anew
    APPROVED = "approved"


OPEN = (VersionState.WAITING, VersionState.RECORDED, VersionState.RETURNED)
"""Something is left for the reader to do."""

_OF_REVISION = {
    RevisionState.DRAFT: VersionState.RECORDED,
    RevisionState.SUBMITTED: VersionState.REVIEW,
    RevisionState.RETURNED: VersionState.RETURNED,
    RevisionState.APPROVED: VersionState.APPROVED,
}


def state_of(
    newest: RevisionState | None, *, has_approved: bool, has_earlier: bool
) -> VersionState:
    """How a version stands.

    Args:
        newest: State of its newest revision that says what the original says now; None without.
        has_approved: Some revision that does so is approved.
        has_earlier: A revision is approved that says what the original said before.

    >>> state_of(None, has_approved=False, has_earlier=True).value
    'stale'
    >>> state_of(RevisionState.SUBMITTED, has_approved=False, has_earlier=True).value
    'review'
    """
    if has_approved:
        return VersionState.APPROVED
    state = VersionState.WAITING if newest is None else _OF_REVISION.get(newest)
    if state in {None, VersionState.WAITING}:
        return VersionState.STALE if has_earlier else VersionState.WAITING
    assert state is not None
    return state
