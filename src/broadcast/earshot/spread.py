"""How near to each other the loudspeakers of a group began, and who did not begin with the others.

Pure. A start is dated by the clock of its device, which says how far that is from the server's and
how wrong that may be (docs/wire.md §9). What is known is therefore an interval.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

ECHO_MS = 50
"""Above this an echo is heard: what has to be kept on either side of the planned start."""


class Verdict(StrEnum):
    """Whether a start lay within `ECHO_MS` of the plan."""

    OUT = "out"
    UNSURE = "unsure"
    IN = "in"


class Cause(StrEnum):
    """Why a start was not surely within `ECHO_MS`."""

    MISSED = "missed"
    """It did not sound."""
    LATE = "late"
    """It began later by its own clock: it had no power, no sound, or no turn."""
    CLOCK_OFF = "clock_off"
    """It keeps to NTP that says something else than the server."""
    CLOCK_UNSURE = "clock_unsure"
    """Its clock is not known so well: its link is slow, or one way is slower than the other."""
    CLOCK_UNTOLD = "clock_untold"
    """It does not tell how well it knows the time."""


class Start(NamedTuple):
    """First start of one cluster."""

    cluster_id: int
    error_ms: float | None
    """By its own clock, after the planned start; None when it did not sound."""
    offset_ms: int | None = None
    """Its clock minus the server's."""
    uncertainty_ms: int | None = None
    """How wrong that may be, either way."""


class Judged(NamedTuple):
    """A start by the server's clock."""

    cluster_id: int
    late_ms: float | None
    """After the planned start; None when it did not sound."""
    uncertainty_ms: int | None
    verdict: Verdict
    cause: Cause | None


class Spread(NamedTuple):
    """Starts of a group at one occurrence."""

    width_ms: float | None
    """Between the first and the last; None when fewer than two sounded."""
    doubt_ms: int | None
    """By how much that may be wrong, either way; None when one of them does not tell."""
    starts: list[Judged]
    """The worst first."""

    @property
    def verdict(self) -> Verdict:
        """The worst of those that sounded."""
        order = list(Verdict)
        sounded = [each.verdict for each in self.starts if each.late_ms is not None]
        return min(sounded, key=order.index, default=Verdict.UNSURE)


def judge(start: Start) -> Judged:
    """Judge one start by itself: all of a group are to begin at the same planned moment."""
    if start.error_ms is None:
        return Judged(start.cluster_id, None, None, Verdict.OUT, Cause.MISSED)
    late = start.error_ms - (start.offset_ms or 0)
    doubt = start.uncertainty_ms
    if doubt is not None and abs(late) + doubt <= ECHO_MS:
        return Judged(start.cluster_id, late, doubt, Verdict.IN, None)
    cause = _cause(start, late)
    is_out = abs(late) - (doubt or 0) > ECHO_MS
    unknown = doubt is None and cause is not Cause.LATE
    verdict = Verdict.OUT if is_out and not unknown else Verdict.UNSURE
    return Judged(start.cluster_id, late, doubt, verdict, cause)


def _cause(start: Start, late: float) -> Cause:
    if start.error_ms is not None and abs(start.error_ms) > ECHO_MS:
        return Cause.LATE
    if start.uncertainty_ms is None:
        return Cause.CLOCK_UNTOLD
    return Cause.CLOCK_OFF if abs(late) > ECHO_MS else Cause.CLOCK_UNSURE


def spread(starts: Iterable[Start]) -> Spread:
    """What the starts of a group at one occurrence come to."""
    order = list(Verdict)
    judged = sorted(
        map(judge, starts),
        key=lambda each: (order.index(each.verdict), -abs(each.late_ms or 0), each.cluster_id),
    )
    sounded = [each for each in judged if each.late_ms is not None]
    if len(sounded) < 2:
        return Spread(None, None, judged)
    first = min(sounded, key=lambda each: each.late_ms or 0)
    last = max(sounded, key=lambda each: each.late_ms or 0)
    ends = [first.uncertainty_ms, last.uncertainty_ms]
    doubt = None if None in ends else sum(each or 0 for each in ends)
    return Spread((last.late_ms or 0) - (first.late_ms or 0), doubt, judged)
