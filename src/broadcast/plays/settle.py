"""Settlement of one occurrence at one cluster.

Pure. The settlement is a function of everything that is known and of nothing else: any order,
repetition and delay of reports ends in the same row, and a report that comes a week late restates
it. Sound goes first (the journal of the device), then the device's reason why there was none,
then the circumstances of the play.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from broadcast.plays.records import Evidence, classified
from broadcast.plays.records import Report as Report  # noqa: PLC0414 — re-exported
from broadcast.wire.events import EndReason
from broadcast.wire.fields import OnPreempt


class Grade(StrEnum):
    """Proof that a play sounded, from nothing to the strongest."""

    NONE = "none"
    DEVICE = "device"
    """The device says so."""
    SELF_TEST = "self_test"
    """It reports so, and near in time its test tone was heard through the same loudspeakers."""
    AMPLIFIER = "amplifier"
    """The amplifier drew current while it played."""
    MICROPHONE = "microphone"
    """A microphone heard it."""


class PlayState(StrEnum):
    """State of a play.

    `planned` and `playing` are open; the others are terminal, though late evidence may restate.
    """

    PLANNED = "planned"
    PLAYING = "playing"
    PLAYED = "played"
    PARTIAL = "partial"
    PREEMPTED = "preempted"
    MISSED = "missed"
    CANCELLED = "cancelled"


OPEN = (PlayState.PLANNED, PlayState.PLAYING)
"""States that the closer must settle."""


class Reason(StrEnum):
    """Reason why a play is not simply `played`.

    Those that a device names itself are spelt as on the wire (`SkipReason`, `EndReason`).
    """

    # Missed: the device skipped it and named the reason.
    LATE = "late"
    NO_AUDIO = "no_audio"
    BAD_AUDIO = "bad_audio"
    NO_CODEC = "no_codec"
    STORAGE_FULL = "storage_full"
    CLOCK_UNTRUSTED = "clock_untrusted"
    QUIET_HOURS = "quiet_hours"
    QUOTA = "quota"
    PREEMPTED = "preempted"
    LOCAL_OVERRIDE = "local_override"
    POWERED_OFF = "powered_off"
    # Missed, or partial: the times that the device reports cannot be true.
    CLOCK_WRONG = "clock_wrong"
    # Missed: no report of the device; inferred from the circumstances.
    NO_DEVICE = "no_device"
    PROOF_LOST = "proof_lost"
    NOT_PUBLISHED = "not_published"
    REFUSED = "refused"
    NOT_RECEIVED = "not_received"
    NOT_READY = "not_ready"
    MAINTENANCE = "maintenance"
    SERVER_AWAY = "server_away"
    OFFLINE = "offline"
    UNEXPLAINED = "unexplained"
    # Partial: it sounded and did not come to its end.
    POWER_CUT = "power_cut"
    ENDS_BY = "ends_by"
    WITHDRAWN = "withdrawn"
    DECODE_ERROR = "decode_error"
    NO_END = "no_end"
    STALLED = "stalled"
    GAPS = "gaps"
    """Of live speech: it was there at the end, and too much of it was not heard."""
    # Cancelled: its targets were changed. A person who cancels it gives a text of their own.
    NOT_TARGETED = "not_targeted"
    # Cancelled by a calendar or a Quy chế (`calendars.days.Silence`).
    MOURNING = "mourning"
    EXAM = "exam"
    REGULATION = "regulation"
    HOLIDAY = "holiday"
    OWN_CALENDAR = "own_calendar"
    OTHER_DAY = "other_day"


ENOUGH_RATIO = 0.95
"""Share of the audio that must have sounded to count as played without a `completed`. Lower: a
cut sentence passes as proof. Higher: rounding and a clipped fade make a full play partial."""

AUDIBLE_SECONDS = 1.0
"""Less than this is not a sounding that a listener could have heard twice."""

SELF_TEST_COUNTS = timedelta(hours=24)
"""Time before or after a play within which a self-test is evidence. Shorter: the usual test once
a night leaves the evening out. Longer: horns that were stolen meanwhile still count."""

MAX_ERROR_MS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """Result of a self-test of a device that can tell, at this cluster."""

    device_id: int
    at: datetime
    heard: bool
    """The tone was noticed; false: it was not, though the device can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Circumstances of a play of which no record came.

    The window is `starts_at` … the latest moment at which the device might have begun.
    """

    device_id: int | None
    """Device that was installed at the planned start: it alone is judged."""
    published: bool
    """A programme with the item was published before the window closed."""
    received: bool
    """The device reported that it holds such a programme, before the window closed."""
    reachable: bool
    """It was online at some moment between publication and the end of the window."""
    online: bool
    """It was online at some moment of the window."""
    online_now: bool
    listening: bool
    """The server received from devices at some moment of the window."""
    cold_boot: bool
    """Its first boot after `starts_at` was a power-on: the power had been away."""
    outage: str | None
    """Declared outage over the window: `power_cut` or `maintenance`."""
    refused: bool
    """It refused a document that carried the item."""
    readiness: str | None
    """Its last report on the item: `ready`, `waiting`, …"""
    faults: frozenset[str]
    """Kinds of faults open in the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything a settlement follows from."""

    starts_at: datetime
    ends_by: datetime
    on_preempt: OnPreempt
    audio_seconds: float | None = None
    """Length of the sound; of a relay what was planned. None: not known."""
    is_live: bool = False
    """Live speech: who was there at its end need not have heard its beginning."""
    cancelled: str | None = None
    """Reason for which the occurrence, or this cluster of it, was cancelled."""
    reports: Sequence[Report] = ()
    self_tests: Sequence[SelfTest] = ()
    """At this cluster, at least those within `SELF_TEST_COUNTS` of a report."""
    proof_lost: bool = False
    """Reports of that time may have been confirmed to the device and lost with a database."""
    circumstances: Circumstances | None = None
    """Needed to explain silence once the wait is over; may be left out while there are reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The ledger's view of a play."""

    state: PlayState
    reason: str = ""
    device_id: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    played_seconds: float = 0.0
    relayed_seconds: float | None = None
    """Of them: of the stream; None: none was relayed, or its device cannot tell."""
    start_error_ms: int | None = None
    fresh_starts: int = 0
    evidence: Grade = Grade.NONE


def settle(facts: Facts, now: datetime, settle_after: timedelta) -> Settlement:
    """Settle a play by what is known at `now`.

    Args:
        facts: Everything known.
        now: Moment of the judgement.
        settle_after: How long after `ends_by` a report may still be on its way.
    """
    waiting = now < facts.ends_by + settle_after
    evidence = classified(facts.reports)
    if _sound_records(evidence.plausible):
        return _settle_sound(facts, evidence.plausible, waiting=waiting)
    if _sound_records(evidence.mistimed):
        found = _settle_sound(facts, _sound_records(evidence.mistimed), waiting=waiting)
        if found.state in OPEN:
            return found
        return replace(found, state=PlayState.PARTIAL, reason=Reason.CLOCK_WRONG.value)
    return _settle_silence(facts, evidence, waiting=waiting)


def _settle_silence(facts: Facts, evidence: Evidence, *, waiting: bool) -> Settlement:
    """Settle a play of which no sound is known."""
    device_id = facts.circumstances.device_id if facts.circumstances else None
    if facts.cancelled is not None:
        return Settlement(state=PlayState.CANCELLED, reason=facts.cancelled, device_id=device_id)
    skipped = max(evidence.plausible, key=_order, default=None)
    if skipped is not None:
        reason = skipped.reason
    elif waiting:
        return Settlement(state=PlayState.PLANNED, device_id=device_id)
    elif evidence.mistimed:
        skipped = max(evidence.mistimed, key=_order)
        reason = Reason.CLOCK_WRONG.value
    else:
        reason = _reason_of_silence(facts)
    if skipped is not None:
        device_id = skipped.device_id
    return Settlement(state=PlayState.MISSED, reason=str(reason), device_id=device_id)


def _reason_of_silence(facts: Facts) -> Reason:
    if facts.circumstances is None:
        return Reason.PROOF_LOST if facts.proof_lost else Reason.UNEXPLAINED
    reason = reason_of_silence(facts.circumstances)
    # Of a time that is lost no other circumstance is known, either.
    return Reason.PROOF_LOST if facts.proof_lost and reason is not Reason.NO_DEVICE else reason


def _order(report: Report) -> tuple[datetime, str, int]:
    return report.at, report.journal_id, report.seq


def _sound_records(reports: Iterable[Report]) -> list[Report]:
    return [report for report in reports if report.event != "skipped"]


def _settle_sound(facts: Facts, reports: Sequence[Report], *, waiting: bool) -> Settlement:
    """Settle by what sounded.

    Args:
        facts: The play. Of its reports only the beginnings are counted.
        reports: Those that count.
        waiting: More may be on its way.
    """
    sound = _sound_records(reports)
    ends = [report for report in sound if report.event == "ended"]
    starts = [report for report in sound if report.event == "started"]
    last = _newest_journal(reports)[-1]
    seconds = max((end.played_seconds for end in ends), default=0.0)
    started_at = min((start.at for start in starts), default=None)
    state, reason = _sound_state(facts, ends, last, seconds, waiting=waiting)
    return Settlement(
        state=state,
        reason=reason,
        device_id=last.device_id,
        started_at=started_at,
        ended_at=max((end.at for end in ends), default=None),
        played_seconds=seconds,
        relayed_seconds=max(
            (end.relayed_seconds for end in ends if end.relayed_seconds is not None), default=None
        ),
        start_error_ms=None if started_at is None else _error_ms(started_at - facts.starts_at),
        fresh_starts=fresh_starts(_sound_records(facts.reports)),
        evidence=grade(sound, facts.self_tests),
    )


def _newest_journal(reports: Sequence[Report]) -> list[Report]:
    """Reports of the journal with the last one, in the order in which it wrote them.

    Within a journal the sequence decides and no clock; a second journal means that the device,
    or its flash, was replaced in the middle.
    """
    newest = max(reports, key=lambda report: (report.at, report.device_id, report.journal_id))
    return sorted(
        (report for report in reports if report.journal == newest.journal),
        key=lambda report: report.seq,
    )


def _sound_state(
    facts: Facts, ends: Sequence[Report], last: Report, seconds: float, *, waiting: bool
) -> tuple[PlayState, str]:
    enough = facts.audio_seconds is not None and seconds >= ENOUGH_RATIO * facts.audio_seconds
    completed = any(end.reason == EndReason.COMPLETED for end in ends)
    if completed and facts.is_live and facts.audio_seconds is not None and not enough:
        return PlayState.PARTIAL, Reason.GAPS.value
    if completed or (ends and enough):
        return PlayState.PLAYED, ""
    if last.event == "started":
        if waiting:
            return PlayState.PLAYING, ""
        unended = Reason.PROOF_LOST if facts.proof_lost else Reason.NO_END
        return PlayState.PARTIAL, unended.value
    if last.event == "skipped":  # it gave up resuming
        end = max(ends, key=lambda end: (end.played_seconds, *_order(end)), default=last)
        reason = end.reason
    else:
        reason = last.reason
        dropped = facts.on_preempt is OnPreempt.DROP and reason == EndReason.PREEMPTED
        interrupted = {EndReason.PREEMPTED, EndReason.POWER_CUT, EndReason.STALLED}
        resumes = reason in interrupted and not dropped
        if resumes and waiting:
            return PlayState.PLAYING, ""
    state = PlayState.PREEMPTED if reason == EndReason.PREEMPTED else PlayState.PARTIAL
    return state, reason


def fresh_starts(sound: Iterable[Report]) -> int:
    """Count the starts from the beginning; above 1 listeners heard the beginning twice.

    A start that was cut off before anything was audible does not count when it is made again.
    """
    count = 0
    audible: dict[tuple[int, str], float] = {}
    for report in sorted(sound, key=lambda r: (r.device_id, r.journal_id, r.seq)):
        journal = (report.device_id, report.journal_id)
        if report.event == "ended":
            audible[journal] = report.played_seconds
        elif (
            report.offset_seconds == 0 and audible.get(journal, AUDIBLE_SECONDS) >= AUDIBLE_SECONDS
        ):
            count += 1
    return count


def _error_ms(error: timedelta) -> int:
    milliseconds = round(error / timedelta(milliseconds=1))
    return max(-MAX_ERROR_MS, min(MAX_ERROR_MS, milliseconds))


_STRENGTH = list(Grade)


def grade(sound: Sequence[Report], self_tests: Iterable[SelfTest]) -> Grade:
    """Grade the proof that it sounded.

    A measurement while it played outweighs any test. Where only the device reports it, the
    self-test of the same device that is nearest in time to one of its records decides; of two
    equally near ones, that which heard nothing.
    """
    measured = max((Grade(report.evidence) for report in sound), key=_STRENGTH.index)
    if measured is not Grade.DEVICE:
        return measured
    near = [
        (abs(test.at - report.at), test.heard)
        for test in self_tests
        for report in sound
        if test.device_id == report.device_id
    ]
    distance, heard = min(near, default=(SELF_TEST_COUNTS, False))
    return Grade.SELF_TEST if heard and distance <= SELF_TEST_COUNTS else Grade.DEVICE


def reason_of_silence(circumstances: Circumstances) -> Reason:
    """Most likely reason of silence, when the device reported nothing.

    The nearest to the source comes first: what was never published cannot have been received,
    what was never received cannot have been ready.
    """
    received = circumstances.received or circumstances.readiness is not None
    undelivered = not received and circumstances.reachable
    powerless = (
        circumstances.cold_boot
        or circumstances.outage == "power_cut"
        or "power_lost" in circumstances.faults
    )
    problem = _device_problem(circumstances) if received else None
    causes = (
        (Reason.NO_DEVICE, circumstances.device_id is None),
        (Reason.NOT_PUBLISHED, not circumstances.published),
        (Reason.REFUSED, undelivered and circumstances.refused),
        (Reason.NOT_RECEIVED, undelivered),
        (Reason.POWERED_OFF, not circumstances.online and powerless),
        (Reason.MAINTENANCE, not circumstances.online and circumstances.outage is not None),
        (problem, problem is not None),
        (Reason.SERVER_AWAY, not circumstances.online and not circumstances.listening),
        (Reason.OFFLINE, not circumstances.online),
        (Reason.OFFLINE, not circumstances.online_now),  # its journal is still on the device
        (Reason.NOT_RECEIVED, not received),
        (Reason.NOT_READY, circumstances.readiness is None),
    )
    return next((reason for reason, holds in causes if reason and holds), Reason.UNEXPLAINED)


_UNREADY = {
    "waiting": Reason.NOT_READY,
    "bad_audio": Reason.BAD_AUDIO,
    "no_codec": Reason.NO_CODEC,
    "storage_full": Reason.STORAGE_FULL,
}
_FAULTS = {
    "clock_untrusted": Reason.CLOCK_UNTRUSTED,
    "clock_wrong": Reason.CLOCK_WRONG,
    "local_override": Reason.LOCAL_OVERRIDE,
    "bad_content": Reason.BAD_AUDIO,
    "storage_full": Reason.STORAGE_FULL,
    "storage_error": Reason.STORAGE_FULL,
}


def _device_problem(circumstances: Circumstances) -> Reason | None:
    """Problem that the device had reported of the item or of itself."""
    if circumstances.readiness in _UNREADY:
        return _UNREADY[circumstances.readiness]
    return next(
        (reason for fault, reason in _FAULTS.items() if fault in circumstances.faults), None
    )
