"""The condition of a cluster now, and of an area by its clusters.

Pure. What is not known is never called working, nor broken: a device that has just fallen silent
may be playing, and while the server itself does not listen nothing is known of any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from broadcast.telemetry.presence import Presence


class Condition(StrEnum):
    """How something is now."""

    OK = "ok"
    PARTIAL = "partial"
    """It works, and something is to be looked at."""
    BAD = "bad"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """What a cluster's condition follows from: the first of these that holds."""

    SERVER_DEAF = "server_deaf"
    NO_DEVICE = "no_device"
    NEVER_SEEN = "never_seen"
    SILENT = "silent"
    OFFLINE = "offline"
    SPEAKER_FAULT = "speaker_fault"
    DEVICE_FAULT = "device_fault"
    NOT_READY = "not_ready"
    MISSED_TODAY = "missed_today"
    WORKING = "working"
    DECLARED_OUTAGE = "declared_outage"
    """Instead of a reason that is bad or unknown, while one was declared."""
    ATTESTED = "attested"
    NOT_ATTESTED = "not_attested"


CONDITIONS: Mapping[Reason, Condition] = {
    Reason.SERVER_DEAF: Condition.UNKNOWN,
    Reason.NO_DEVICE: Condition.BAD,
    Reason.NEVER_SEEN: Condition.UNKNOWN,
    Reason.SILENT: Condition.UNKNOWN,
    Reason.OFFLINE: Condition.BAD,
    Reason.SPEAKER_FAULT: Condition.BAD,
    Reason.DEVICE_FAULT: Condition.PARTIAL,
    Reason.NOT_READY: Condition.PARTIAL,
    Reason.MISSED_TODAY: Condition.PARTIAL,
    Reason.WORKING: Condition.OK,
    Reason.DECLARED_OUTAGE: Condition.PARTIAL,
    Reason.ATTESTED: Condition.OK,
    Reason.NOT_ATTESTED: Condition.UNKNOWN,
}

DEAF = timedelta(seconds=90)
"""Time without receiving after which the server knows nothing of devices. Shorter: a restart turns
the whole map grey. Longer: it shows as working what nobody has heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a cluster."""

    reports: bool
    """It has telemetry."""
    presence: Presence | None = None
    """Of its device; None without one."""
    since: datetime | None = None
    """When `presence` became what it is."""
    last_seen_at: datetime | None = None
    speaker_fault_since: datetime | None = None
    """The oldest open fault in which no sound comes out."""
    fault_since: datetime | None = None
    """The oldest other open one."""
    is_unready: bool = False
    """A play of the coming hours could not sound, as its device reports."""
    last_missed_at: datetime | None = None
    """Planned start of the last play of today, where it was missed or partial."""
    attested_at: datetime | None = None
    outage_until: datetime | None = None
    """End of a declared outage that has begun."""


class Judged(NamedTuple):
    """How a cluster is, why, and since when as far as that is known."""

    condition: Condition
    reason: Reason
    since: datetime | None


def judge(
    facts: Facts, now: datetime, heard_until: datetime | None, attestation: timedelta
) -> Judged:
    """Judge a cluster.

    Args:
        facts: What is known of it.
        now: The present.
        heard_until: Moment up to which the server has received all reports; None: never.
        attestation: How long somebody's word holds.
    """
    reason, since = _reason(facts, now, heard_until, attestation)
    if facts.outage_until is not None and CONDITIONS[reason] in {
        Condition.BAD,
        Condition.UNKNOWN,
    }:
        reason, since = Reason.DECLARED_OUTAGE, None
    return Judged(CONDITIONS[reason], reason, since)


def is_deaf(heard_until: datetime | None, now: datetime) -> bool:
    """Tell whether the server has received nothing for so long that it knows nothing."""
    return heard_until is None or now - heard_until > DEAF


def _reason(
    facts: Facts, now: datetime, heard_until: datetime | None, attestation: timedelta
) -> tuple[Reason, datetime | None]:
    if not facts.reports:
        at = facts.attested_at
        is_attested = at is not None and now - at <= attestation
        return (Reason.ATTESTED if is_attested else Reason.NOT_ATTESTED), at
    if facts.presence is None:
        return Reason.NO_DEVICE, None
    if is_deaf(heard_until, now):
        return Reason.SERVER_DEAF, heard_until
    if facts.presence is Presence.ONLINE:
        return _online(facts)
    return _AWAY[facts.presence], facts.last_seen_at


_AWAY = {
    Presence.NEVER_SEEN: Reason.NEVER_SEEN,
    Presence.SILENT: Reason.SILENT,
    Presence.OFFLINE: Reason.OFFLINE,
}


def _online(facts: Facts) -> tuple[Reason, datetime | None]:
    """What is wrong with a cluster whose device is online, the worst first."""
    if facts.speaker_fault_since is not None:
        return Reason.SPEAKER_FAULT, facts.speaker_fault_since
    if facts.fault_since is not None:
        return Reason.DEVICE_FAULT, facts.fault_since
    if facts.is_unready:
        return Reason.NOT_READY, None
    if facts.last_missed_at is not None:
        return Reason.MISSED_TODAY, facts.last_missed_at
    return Reason.WORKING, facts.since


class Tally(NamedTuple):
    """How many clusters are in each condition."""

    ok: int = 0
    partial: int = 0
    bad: int = 0
    unknown: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def tally(conditions: Iterable[Condition]) -> Tally:
    """Count clusters by condition."""
    counted = Counter(conditions)
    return Tally(*(counted[condition] for condition in Condition))


def overall(counts: Tally) -> Condition:
    """The condition of an area with these clusters.

    Unknown where it is so of more than half, or there are none; bad where at least half of those
    that are known are; working only where all that are known do.
    """
    known = counts.total - counts.unknown
    if known < counts.unknown or known == 0:
        return Condition.UNKNOWN
    if 2 * counts.bad >= known:
        return Condition.BAD
    return Condition.OK if counts.ok == known else Condition.PARTIAL
