"""The simulator's record of the truth, compared with the database: all counts must be 0.

Pure. What each count means:

* lost: a record that a device journalled and that is not stored as it was written, or a schedule
  that a person was told to exist and that does not;
* duplicates: a stored record that no device wrote, a play that the ledger says began more than
  once, or a second schedule of one request;
* double plays: a device made the same second and more of one occurrence audible twice (an item
  that says `restart` may begin again and is left out);
* late plays: sound that began, by true time, after the latest start of its occurrence, or before
  its start; a clock set by the server may be wrong by half of the slowest round trip;
* unexplained: a play that ended without a reason, or not at all;
* untrue: a play that the ledger says was missed although it sounded, or that it says was played
  to the end although it never came there;
* false offline: a device was said to be silent at a moment shortly before which it had sent a
  sign of life over a connection that stood.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

AUDIBLE_SECONDS = 1.0
"""What is heard of a sound for a shorter time is no sounding."""
UNHEARD_SECONDS = 0.1
"""Where so little has been heard a sound does not go on but begins (docs/wire.md §8, rule 5)."""
CLOCK_ERROR = timedelta(seconds=1)
"""Half of the slowest round trip by which the reference player sets its clock."""
ON_TIME = timedelta(seconds=1)
"""A late limit of 0 can be kept this well (docs/wire.md §8)."""
STOOD = timedelta(seconds=1)
"""A message sent so shortly before its connection broke may not have left the box."""
UNDER_WAY = timedelta(seconds=2)
"""A sign of life may need so long to become a fact in the database, and a clock set by the server
be wrong by half of it: a flip dated so shortly after the end of its patience is no false one."""
END_SECONDS = 1.0
"""So close to its end a sound has come to its end."""

RecordKey = tuple[str, str, int]
"""Device, journal, sequence number."""
PlayKey = tuple[str, str]
"""Occurrence and device."""


@dataclass(frozen=True, slots=True)
class Sounding:
    """A stretch of sound of one occurrence, from `offset` on."""

    started_at: datetime
    offset: float
    seconds: float

    @property
    def end(self) -> float:
        """Position in the audio at which it stopped."""
        return self.offset + self.seconds


@dataclass(slots=True)
class Truth:
    """The truth, as the simulator recorded it.

    Attributes:
        journalled: Kind and occurrence of every record that is on the flash of a device.
        soundings: What was made audible, in order.
        signs: When each device sent signs of life over a connection that stood, in order.
    """

    journalled: dict[RecordKey, tuple[str, str]] = field(default_factory=dict)
    soundings: dict[PlayKey, list[Sounding]] = field(default_factory=dict)
    signs: dict[str, list[datetime]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The plan."""

    starts_at: datetime
    ends_by: datetime
    late_limit: timedelta
    audio_seconds: float
    restarts: bool

    @property
    def latest(self) -> datetime:
        """Last instant at which it may start."""
        return min(self.starts_at + max(self.late_limit, ON_TIME), self.ends_by)


@dataclass(frozen=True, slots=True)
class Play:
    """The ledger's state of an occurrence at a device's cluster."""

    state: str
    reason: str
    fresh_starts: int


@dataclass(frozen=True, slots=True)
class Flip:
    """The server says that a device fell silent (after `patience` without a word)."""

    device_id: str
    presence: str
    happened_at: datetime
    patience: timedelta


@dataclass(frozen=True, slots=True)
class Stored:
    """The database's record."""

    records: Mapping[RecordKey, tuple[str, str]]
    occurrences: Mapping[str, Occurrence]
    plays: Mapping[PlayKey, Play]
    flips: Sequence[Flip]
    schedules: frozenset[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Number of times that each promise was broken, and where."""

    lost: int
    duplicates: int
    double_plays: int
    late_plays: int
    unexplained: int
    untrue: int
    false_offline: int
    details: list[str]

    @property
    def counts(self) -> dict[str, int]:
        """All that must be 0."""
        found = asdict(self)
        del found["details"]
        return found

    @property
    def clean(self) -> bool:
        """Nothing was broken."""
        return not any(self.counts.values())


def read_truth(lines: Iterable[str]) -> Truth:
    """The simulator's record, one JSON object a line; a line cut short is not read."""
    truth = Truth()
    playing: dict[str, dict[str, Any]] = {}
    sent: defaultdict[str, list[datetime]] = defaultdict(list)
    signs: defaultdict[str, list[datetime]] = defaultdict(list)
    newest: Counter[str] = Counter()
    for line in lines:
        if not line.endswith("\n"):
            break
        fact = json.loads(line)
        device_id, at = fact["device_id"], datetime.fromisoformat(fact["at"])
        truth.counts[fact["event"]] += 1
        match fact["event"]:
            case "journalled":
                key = (device_id, fact["journal_id"], fact["seq"])
                truth.journalled[key] = (fact["kind"], fact["occurrence_id"])
            case "started":
                playing[device_id] = fact
            case "ended":
                start = playing.pop(device_id)
                began_at = datetime.fromisoformat(start["at"])
                sounding = Sounding(began_at, start["offset"], fact["seconds"])
                play = (start["occurrence_id"], device_id)
                truth.soundings.setdefault(play, []).append(sounding)
            case "sent":
                # A repetition, or one that a newer one has overtaken, is no sign of life.
                if fact["number"] > newest[device_id]:
                    newest[device_id] = fact["number"]
                    sent[device_id].append(at)
            case "disconnected" | "power_off":
                signs[device_id] += [each for each in sent.pop(device_id, ()) if each < at - STOOD]
    for device_id, rest in sent.items():
        signs[device_id] += rest
    truth.signs = dict(signs)
    return truth


def judge(truth: Truth, stored: Stored, asked: Sequence[str] = ()) -> Verdict:
    """Hold the one against the other.

    Args:
        truth: What the simulator says.
        stored: What the database says, when nothing is under way any more.
        asked: Ids of the schedules that REST answered with, one for each that a person wanted.
    """
    details: dict[str, list[str]] = {
        "lost": _lost(truth, stored, asked),
        "duplicates": _duplicates(truth, stored, asked),
        "double_plays": _double_plays(truth, stored),
        "late_plays": _late_plays(truth, stored),
        "unexplained": [
            f"{occurrence_id} at {device_id}: {play.state} {play.reason}".strip()
            for (occurrence_id, device_id), play in stored.plays.items()
            if play.reason == "unexplained" or play.state in {"planned", "playing"}
        ],
        "untrue": _untrue(truth, stored),
        "false_offline": _false_offline(truth, stored),
    }
    return Verdict(
        **{name: len(found) for name, found in details.items()},
        details=[f"{name}: {each}" for name, found in details.items() for each in found],
    )


def _lost(truth: Truth, stored: Stored, asked: Sequence[str]) -> list[str]:
    found = [
        f"record {seq} of {journal_id} ({kind} {occurrence_id}): {stored.records.get(key)}"
        for key, (kind, occurrence_id) in truth.journalled.items()
        for _, journal_id, seq in (key,)
        if stored.records.get(key) != (kind, occurrence_id)
    ]
    return found + [f"schedule {each}" for each in asked if each not in stored.schedules]


def _duplicates(truth: Truth, stored: Stored, asked: Sequence[str]) -> list[str]:
    found = [f"record {key}" for key in stored.records if key not in truth.journalled]
    found += [
        f"{occurrence_id} at {device_id}: {play.fresh_starts} starts"
        for (occurrence_id, device_id), play in stored.plays.items()
        if play.fresh_starts > 1 and not stored.occurrences[occurrence_id].restarts
    ]
    return found + [f"schedule {each}" for each in stored.schedules - set(asked)]


def _double_plays(truth: Truth, stored: Stored) -> list[str]:
    found = []
    for (occurrence_id, device_id), soundings in truth.soundings.items():
        occurrence = stored.occurrences.get(occurrence_id)
        twice = _twice(soundings)
        if twice >= AUDIBLE_SECONDS and not (occurrence and occurrence.restarts):
            found.append(f"{occurrence_id} at {device_id}: {twice:.1f} s")
    return found


def _twice(soundings: Sequence[Sounding]) -> float:
    """Seconds of the audio that were heard more than once."""
    upto = total = 0.0
    for each in sorted(soundings, key=lambda each: each.offset):
        total += max(0.0, min(upto, each.end) - each.offset)
        upto = max(upto, each.end)
    return total


def _late_plays(truth: Truth, stored: Stored) -> list[str]:
    found = []
    for (occurrence_id, device_id), soundings in truth.soundings.items():
        occurrence = stored.occurrences.get(occurrence_id)
        if occurrence is None:
            found.append(f"{occurrence_id} at {device_id}: never planned")
            continue
        for each in soundings:
            early = occurrence.starts_at - CLOCK_ERROR - each.started_at
            begins = each.offset < UNHEARD_SECONDS
            latest = occurrence.latest if begins else occurrence.ends_by
            late = each.started_at - latest - CLOCK_ERROR
            if max(early, late) > timedelta(0):
                found.append(
                    f"{occurrence_id} at {device_id}: {each.started_at - occurrence.starts_at} "
                    "after its start"
                )
    return found


def _untrue(truth: Truth, stored: Stored) -> list[str]:
    found = []
    for key, play in stored.plays.items():
        occurrence_id, device_id = key
        soundings = truth.soundings.get(key, [])
        heard = sum(each.seconds for each in soundings)
        end = stored.occurrences[occurrence_id].audio_seconds - END_SECONDS
        silent = play.state not in {"played", "partial", "preempted", "playing"}
        unheard = play.state == "played" and not any(each.end >= end for each in soundings)
        if unheard or (silent and heard >= AUDIBLE_SECONDS):
            found.append(
                f"{occurrence_id} at {device_id}: {play.state} {play.reason}, {heard:.1f} s heard"
            )
    found += [
        f"{occurrence_id} at {device_id}: sounded, no play"
        for occurrence_id, device_id in truth.soundings
        if (occurrence_id, device_id) not in stored.plays
    ]
    return found


def _false_offline(truth: Truth, stored: Stored) -> list[str]:
    found = []
    for flip in stored.flips:
        signs = truth.signs.get(flip.device_id, [])
        newest = bisect_right(signs, flip.happened_at - UNDER_WAY)
        if newest and signs[newest - 1] > flip.happened_at - flip.patience + UNDER_WAY:
            since = flip.happened_at - signs[newest - 1]
            found.append(
                f"{flip.device_id} {flip.presence} at {flip.happened_at:%H:%M:%S.%f}, "
                f"sign of life {since.total_seconds():.1f} s before"
            )
    return found
