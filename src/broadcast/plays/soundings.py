"""How a play, a village and a whole occurrence sounded, in words that a listener has. Pure.

A play that was settled as missed only because its device could not be heard may have sounded:
that is not known, and is not called silence (`UNKNOWN`).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from broadcast.plays.settle import PlayState, Reason


class Sounding(StrEnum):
    """What was heard, from the best to the worst."""

    SOUNDED = "sounded"
    """To its end, by the device's own journal."""
    PLAYING = "playing"
    PARTLY = "partly"
    """It began, and did not come to its end."""
    WAITING = "waiting"
    """It is yet to begin, or has begun without our knowing yet."""
    UNKNOWN = "unknown"
    """Nobody told us whether it sounded."""
    SILENT = "silent"
    UNREACHED = "unreached"
    """A village of the audience that no loudspeaker of this system serves."""
    CANCELLED = "cancelled"


UNKNOWN_REASONS = frozenset(
    {
        Reason.OFFLINE,
        Reason.SERVER_AWAY,
        Reason.PROOF_LOST,
        Reason.UNEXPLAINED,
        Reason.CLOCK_WRONG,
    }
)
"""Reasons of a missed play by which it may have sounded all the same."""

_OF_STATE = {
    PlayState.PLANNED: Sounding.WAITING,
    PlayState.PLAYING: Sounding.PLAYING,
    PlayState.PLAYED: Sounding.SOUNDED,
    PlayState.PARTIAL: Sounding.PARTLY,
    PlayState.PREEMPTED: Sounding.PARTLY,
    PlayState.MISSED: Sounding.SILENT,
    PlayState.CANCELLED: Sounding.CANCELLED,
}
_ORDER = list(Sounding)


def of_play(state: PlayState, reason: str) -> Sounding:
    """What was heard of one play.

    >>> of_play(PlayState.MISSED, "offline").value
    'unknown'
    """
    if state is PlayState.MISSED and reason in UNKNOWN_REASONS:
        return Sounding.UNKNOWN
    return _OF_STATE[state]


def of_village(plays: Iterable[Sounding]) -> Sounding:
    """What was heard in a village: the best of the loudspeakers that serve it.

    >>> of_village([Sounding.SILENT, Sounding.SOUNDED]).value
    'sounded'
    >>> of_village([]).value
    'unreached'
    """
    return min(plays, key=_ORDER.index, default=Sounding.UNREACHED)
