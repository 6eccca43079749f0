"""Records of journals as evidence; times that cannot be true are found.

Pure. The time of a record is the device's, and a device may be wrong. What proves that is the
moment at which the server received it: nothing is received before it has happened. A record that
came late may well be true, so only impossible times are found:

* a time after its own reception: the clock was fast;
* within one journal, whose order no clock decides: an end before its start, or more sound than
  lies between the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from broadcast.telemetry.online_minutes import AHEAD
from broadcast.wire.events import SkipReason

Journal = tuple[int, str]
"""Device and journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One record of a journal, about one play."""

    device_id: int
    journal_id: str
    seq: int
    event: str
    """`started`, `ended` or `skipped`."""
    at: datetime
    received_at: datetime
    """Time at which it was first received."""
    reason: str = ""
    offset_seconds: float = 0.0
    played_seconds: float = 0.0
    relayed_seconds: float | None = None
    evidence: str = "device"

    @property
    def journal(self) -> Journal:
        """Identity of the journal."""
        return self.device_id, self.journal_id


def comes_before_it_happens(event: str, reason: str, at: datetime, received_at: datetime) -> bool:
    """Tell whether a record has a time after its reception.

    A device that skips because it does not trust its clock does not attest the time either.
    """
    attested = event != "skipped" or reason != SkipReason.CLOCK_UNTRUSTED
    return attested and at > received_at + AHEAD


@dataclass(frozen=True, slots=True)
class Evidence:
    """The records of one play, by whether their times can be true."""

    plausible: Sequence[Report]
    """Sound and skips whose times can be true."""
    mistimed: Sequence[Report]
    """Of journals in which a time cannot be true. They sounded, or were skipped, at another time;
    at the latest when that was received."""


def classified(reports: Iterable[Report]) -> Evidence:
    """Separate records whose times can be true from those that cannot.

    All records of a sound in one journal are classified together. A skip is classified alone: the
    same clock, once corrected, may report a true time of the same play.
    """
    by_journal = sorted(reports, key=lambda report: (report.journal, report.seq))
    plausible: list[Report] = []
    mistimed: list[Report] = []
    for _, records in groupby(by_journal, key=lambda report: report.journal):
        journal = list(records)
        sound = [report for report in journal if report.event != "skipped"]
        (mistimed if _is_impossible(sound) else plausible).extend(sound)
        for report in journal:
            if report.event == "skipped":
                (mistimed if _comes_early(report) else plausible).append(report)
    return Evidence(plausible, [_bounded(report) for report in mistimed])


def _comes_early(report: Report) -> bool:
    return comes_before_it_happens(report.event, report.reason, report.at, report.received_at)


def _is_impossible(sound: Sequence[Report]) -> bool:
    """Tell whether the times of a journal about one sound, in its order, cannot all be true."""
    if any(_comes_early(report) for report in sound):
        return True
    before = 0.0
    start: Report | None = None
    for report in sound:
        if report.event == "started":
            start = report
            continue
        if start is not None:
            heard_before = max(before, start.offset_seconds)
            sounded = timedelta(seconds=report.played_seconds - heard_before)
            if report.at + AHEAD < start.at + max(sounded, timedelta(0)):
                return True
        before, start = report.played_seconds, None
    return False


def _bounded(report: Report) -> Report:
    return replace(report, at=min(report.at, report.received_at))
