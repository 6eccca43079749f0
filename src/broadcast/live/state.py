"""Life of a live session: what time alone does with it. Pure.

Prepared by a person, it begins when their microphone is there, and ends by their hand, by its
longest duration, or when nothing has been heard for a while.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from broadcast.wire.fields import BulletinClass


class LiveState(StrEnum):
    """State of a live session, as it is now."""

    PREPARED = "prepared"
    SPEAKING = "speaking"
    ENDED = "ended"
    LAPSED = "lapsed"
    """Prepared, and never begun."""


class LiveEnd(StrEnum):
    """Why a live session ended."""

    STOPPED = "stopped"
    """By a person."""
    ABANDONED = "abandoned"
    """Nothing came from the microphone any more."""
    TOO_LONG = "too_long"
    """Its time was over, or quiet hours began."""


PREPARED_VALID = timedelta(minutes=10)
"""In which what was prepared may begin: what was looked at then is still so."""

ABANDONED_AFTER = timedelta(seconds=20)
"""Without a word from the microphone. Shorter: a phone that changes its mast ends the session;
longer: loudspeakers wait for who has gone."""

TAIL = timedelta(seconds=4)
"""From the last word until devices stop by themselves: what they still have in their buffers, and
the way of the last packet."""

MOST_MINUTES = {BulletinClass.PRIORITY: 60, BulletinClass.EMERGENCY: 15}
"""Longest duration. An emergency passes quiet hours, and one person alone speaks it."""


def state_at(
    now: datetime, created_at: datetime, begun_at: datetime | None, ended_at: datetime | None
) -> LiveState:
    """State at a moment.

    Args:
        now: The moment.
        created_at: When it was prepared.
        begun_at: When its microphone was there.
        ended_at: When it ended.
    """
    if ended_at is not None:
        return LiveState.ENDED
    if begun_at is not None:
        return LiveState.SPEAKING
    return LiveState.PREPARED if now < created_at + PREPARED_VALID else LiveState.LAPSED


def end_of(now: datetime, heard_at: datetime, ends_by: datetime) -> LiveEnd | None:
    """Why a session that was begun is to end now; None while it goes on.

    Args:
        now: Present.
        heard_at: When something last came from the microphone.
        ends_by: End of its longest duration.
    """
    if now >= ends_by:
        return LiveEnd.TOO_LONG
    return LiveEnd.ABANDONED if now >= heard_at + ABANDONED_AFTER else None
