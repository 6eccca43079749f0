"""Quotas of a place, sessions a day and minutes of a session and a day: one rule for both sides.

Pure. What counts is what is *planned*, at its planned time, whether it sounds or not: so a start
that was late, interrupted or missed changes nothing about what else may sound, and server and
device, who know the same plan, come to the same. Items are taken in the order in which they are
planned to start; one that would exceed a quota with those taken before it is over quota, and
counts for none. What begins later decides nothing, so no edit takes back what has sounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

from broadcast.wire.documents import Item, Passed, Quotas

APART = timedelta(minutes=5)
"""Sounds that follow one another within this are one session."""

MINUTE = timedelta(minutes=1)

Id = TypeVar("Id", UUID, str)
"""An occurrence's id; its canonical text sorts alike."""


class Limits(NamedTuple):
    """Quotas of one day; None: there is none."""

    sessions_per_day: int | None = None
    minutes_per_session: int | None = None
    minutes_per_day: int | None = None


class Sound(NamedTuple):
    """A stretch of sound at a place, as planned."""

    begins_at: datetime
    ends_at: datetime


def on_day(quotas: Iterable[Quotas], day: date) -> Limits:
    """Quotas that hold on a local day: the least of each."""
    held = [
        each
        for each in quotas
        if (each.first_on is None or each.first_on <= day)
        and (each.last_on is None or day <= each.last_on)
    ]
    return Limits(
        *(
            min((n for each in held if (n := getattr(each, name)) is not None), default=None)
            for name in Limits._fields
        )
    )


def planned(item: Item | Passed) -> Sound:
    """The sound that an item counts as."""
    seconds = item.seconds
    if seconds is not None:
        return Sound(item.starts_at, item.starts_at + timedelta(seconds=seconds))
    assert isinstance(item, Item)
    if item.stream is not None:
        return Sound(item.starts_at, max(item.starts_at, item.ends_by))
    longest = max((audio.seconds for audio in item.audio), default=0.0)
    return Sound(item.starts_at, item.starts_at + timedelta(seconds=longest))


def local_day(at: datetime, offset: timedelta) -> date:
    """Day on which a sound counts that is planned to start at a moment."""
    return (at.astimezone(UTC) + offset).date()


def over(limits: Limits, sounds: Mapping[Id, Sound]) -> frozenset[Id]:
    """Which of the sounds of one day at one place are over quota.

    Args:
        limits: Of the day.
        sounds: All that is planned to start on it, alerts and live speech apart.
    """
    if limits == Limits():
        return frozenset()
    found = []
    count, minutes, of_day = 0, timedelta(), timedelta()
    until: datetime | None = None
    for id_, sound in sorted(sounds.items(), key=lambda pair: (pair[1].begins_at, pair[0])):
        begins = until is None or sound.begins_at > until + APART
        heard = sound.begins_at if begins or until is None else max(sound.begins_at, until)
        adds = max(sound.ends_at - heard, timedelta())
        session = adds if begins else minutes + adds
        if (
            _exceeds(count + begins, limits.sessions_per_day)
            or _exceeds(session / MINUTE, limits.minutes_per_session)
            or _exceeds((of_day + adds) / MINUTE, limits.minutes_per_day)
        ):
            found.append(id_)
            continue
        count, minutes, of_day = count + begins, session, of_day + adds
        until = sound.ends_at if until is None else max(until, sound.ends_at)
    return frozenset(found)


def _exceeds(found: float, allowed: int | None) -> bool:
    return allowed is not None and found > allowed


def sessions(sounds: Iterable[Sound]) -> Sequence[Sequence[Sound]]:
    """Sounds by sessions; those that overlap are one sound: there is one voice at a time."""
    found: list[list[Sound]] = []
    for each in sorted(sounds):
        last = found[-1][-1] if found else None
        if last is None or each.begins_at > last.ends_at + APART:
            found.append([each])
        elif each.begins_at <= last.ends_at:
            found[-1][-1] = Sound(last.begins_at, max(last.ends_at, each.ends_at))
        else:
            found[-1].append(each)
    return found
