"""State of a command to a device, and the earliest time for the next one. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from broadcast.wire.commands import LONGEST_TONE_SECONDS
from broadcast.wire.hours import Silence


class CommandKind(StrEnum):
    """Commands that a person gives to a device, spelt as on the wire."""

    VOLUME = "volume"
    REBOOT = "reboot"
    IDENTIFY = "identify"
    SELF_TEST = "self_test"


class CommandState(StrEnum):
    """State of a command."""

    WAITING = "waiting"
    """Not answered, and still to be obeyed."""
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    """The device tried; of a self-test: it noticed nothing of its tone."""
    EXPIRED = "expired"
    """Its time is over and no answer came: it is obeyed no more. A late answer still counts."""


VALID = timedelta(minutes=5)
"""Until when a device may obey. Shorter: a box that is connecting again, after up to 330 s, misses
all. Longer: it beeps or restarts when the person who asked for it has gone."""

APART = {
    CommandKind.VOLUME: timedelta(seconds=5),
    CommandKind.IDENTIFY: timedelta(minutes=1),
    CommandKind.SELF_TEST: timedelta(minutes=1),
    CommandKind.REBOOT: timedelta(minutes=5),
}
"""Least time between two commands of a kind to one device. The village hears tone and chirp, and a
box that restarts again and again plays nothing."""

AUDIBLE = frozenset({CommandKind.IDENTIFY, CommandKind.SELF_TEST})
"""Commands that make a device sound."""

LONGEST_TONE = timedelta(seconds=LONGEST_TONE_SECONDS)

REPLAYED = "replayed"
"""Reason of a refusal that says that the command had been obeyed: its result tells more."""


def state_of(
    result: str | None, refusal: str | None, not_after: datetime, now: datetime
) -> CommandState:
    """State of a command by what is known at `now`; a result says more than a refusal.

    Args:
        result: `command_result.result`, None when none came.
        refusal: `refusal.reason` of a refusal that names the command, None when none came.
        not_after: Until when the device may obey.
        now: The present.

    >>> noon = datetime(2025, 7, 1, 12)
    >>> [str(state_of(*answer, noon, noon)) for answer in (("done", None), (None, "scope"))]
    ['done', 'refused']
    >>> [str(state_of(None, "replayed", noon, now)) for now in (noon, noon + VALID)]
    ['waiting', 'expired']
    """
    if result is not None:
        return CommandState(result)
    if refusal == "expired":
        return CommandState.EXPIRED
    if refusal is not None and refusal != REPLAYED:
        return CommandState.REFUSED
    return CommandState.EXPIRED if now > not_after else CommandState.WAITING


def next_at(
    kind: CommandKind, state: CommandState, ordered_at: datetime, not_after: datetime
) -> datetime:
    """Earliest moment for another command of this kind to the device, by its newest one.

    One that waits is to be answered first: two of a kind under way tell nothing more.
    """
    if state is CommandState.WAITING:
        return not_after
    return ordered_at + APART[kind]


def valid_until(kind: CommandKind, now: datetime, quiet: Silence | None) -> datetime | None:
    """Until when a device may obey, so that no tone reaches into quiet hours.

    Args:
        kind: What is ordered.
        now: The present.
        quiet: The quiet hours that last, or the next ones.

    Returns:
        None when it may not be ordered now.
    """
    if kind not in AUDIBLE or quiet is None:
        return now + VALID
    last = quiet.begins_at - LONGEST_TONE
    return min(now + VALID, last) if now < last else None
