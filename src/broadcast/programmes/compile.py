"""Occurrences → the items of one scope's programme, and when it must be issued again.

Pure. What is compiled from the same occurrences is the same, so comparing with what was issued
tells whether devices have anything new to learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import accumulate
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec

from broadcast.wire import order
from broadcast.wire.codec import decode, encode
from broadcast.wire.documents import (
    Alert,
    Alerts,
    Audio,
    Config,
    Document,
    Item,
    Live,
    LiveSession,
    Passed,
    Programme,
    Stream,
    Version,
)
from broadcast.wire.fields import AlertMode, BulletinClass, OnPreempt
from broadcast.wire.limits import (
    INLINE_BYTES,
    ITEMS_BYTES,
    MOST_ALERTS,
    MOST_ITEMS,
    MOST_LIVE,
    MOST_PASSED,
)

PROGRAMME_VALID = timedelta(days=8)
"""A day more than the seven it holds: the daily issue may be a day late and the promise stands."""

CONFIG_VALID = timedelta(days=60)
CONFIG_REISSUE = timedelta(days=7)
"""Ten thousand configs a week are nothing; a box that was in a drawer for a month still joins."""

INLINE_BYTES_OF_ALL = 8 * INLINE_BYTES
"""Of a document of alerts, so that a flood of them does not delay the first."""

D = TypeVar("D", Programme, Alerts, Config, Live, Document)


@dataclass(frozen=True)
class Carried:
    """An occurrence as a programme carries it, with the renditions of its revision."""

    occurrence_id: str
    bulletin_id: str
    bulletin_revision: int
    title: str
    class_: BulletinClass
    priority: int
    on_preempt: OnPreempt
    volume: int | None
    starts_at: datetime
    late_limit_seconds: int
    ends_by: datetime
    audio: tuple[Audio, ...]
    alert_mode: AlertMode | None = None
    versions: tuple[Version, ...] = ()
    stream: Stream | None = None
    """What it relays; the renditions are the fallback then."""
    seconds: float | None = None
    """How long it counts for quotas."""


def held_until(now: datetime, span: timedelta, zone: ZoneInfo) -> datetime:
    """End of the local day in which `span` from now ends: up to then a programme holds all.

    Whole days, so that new items come once a day at midnight and not one by one: every issue
    travels to every device of the area.
    """
    last = (now + span).astimezone(zone).date()
    return datetime.combine(last + timedelta(days=1), time.min, zone)


def items(carried: Iterable[Carried], now: datetime, until: datetime) -> list[Item]:
    """Items of a programme: what has not ended and starts before `until`, by start.

    As many as a document holds (`broadcast.wire.limits`). Saving a schedule refuses what would
    come to more; where more come all the same, from a merger of areas, the lowest priority is left
    out first, and of that the latest. No item gives way to the languages of another: where these
    do not fit, devices play the original.
    """
    due = [_item(each) for each in carried if each.ends_by > now and each.starts_at < until]
    due.sort(key=lambda item: order.first(item.priority, item.starts_at, item.occurrence_id))
    plain = [msgspec.structs.replace(item, versions=[]) for item in due]
    sizes = list(accumulate(len(encode(item)) + 1 for item in plain))
    fitting = min(sum(size <= ITEMS_BYTES for size in sizes), MOST_ITEMS)
    kept = plain[:fitting]
    room = ITEMS_BYTES - (sizes[fitting - 1] if fitting else 0)
    for index, item in enumerate(due[:fitting]):
        if item.versions:
            room -= len(encode(item)) - len(encode(kept[index]))
            if room < 0:
                break
            kept[index] = item
    return sorted(kept, key=lambda item: (item.starts_at, item.occurrence_id))


def check(carried: Carried) -> None:
    """Refuse what no device would accept in a programme.

    Raises:
        WireError: Names the field.
    """
    if carried.alert_mode is None:
        decode(encode(_item(carried)), Item)
    else:
        decode(encode(_alert(carried)), Alert)


def alerts(carried: Iterable[Carried], inline: Mapping[str, bytes], now: datetime) -> list[Alert]:
    """Alerts of a scope: what has not ended, the highest priority first, then the earliest.

    Args:
        carried: Occurrences of alerts.
        inline: Audio that may travel with the document, by SHA-256; as much of it does as
            `INLINE_BYTES_OF_ALL` holds.
        now: Present.
    """
    due = [_alert(each) for each in carried if each.ends_by > now]
    due.sort(key=lambda alert: (-alert.priority, alert.starts_at, alert.alert_id))
    room, found = INLINE_BYTES_OF_ALL, []
    for alert in due[:MOST_ALERTS]:
        sound = inline.get(alert.audio[0].sha256) if alert.audio else None
        if sound is not None and len(sound) <= min(room, INLINE_BYTES):
            room -= len(sound)
            alert = msgspec.structs.replace(alert, inline=sound)  # noqa: PLW2901
        found.append(alert)
    return found


def sessions(spoken: Iterable[LiveSession]) -> list[LiveSession]:
    """Live sessions of a scope, the highest priority first, then the earliest."""
    ordered = sorted(spoken, key=lambda one: (-one.priority, one.starts_at, one.session_id))
    return ordered[:MOST_LIVE]


def _alert(each: Carried) -> Alert:
    assert each.alert_mode is not None
    return Alert(
        alert_id=each.occurrence_id,
        starts_at=each.starts_at,
        ends_by=each.ends_by,
        audio=_in_order(each.audio),
        mode=each.alert_mode,
        title=each.title,
        priority=each.priority,
        volume=each.volume,
    )


def _in_order(audio: Iterable[Audio]) -> list[Audio]:
    return sorted(audio, key=lambda one: one.codec, reverse=True)


def _item(each: Carried) -> Item:
    return Item(
        occurrence_id=each.occurrence_id,
        bulletin_id=each.bulletin_id,
        bulletin_revision=each.bulletin_revision,
        starts_at=each.starts_at,
        late_limit_seconds=each.late_limit_seconds,
        ends_by=each.ends_by,
        priority=each.priority,
        class_=each.class_,
        title=each.title,
        on_preempt=each.on_preempt,
        volume=each.volume,
        audio=_in_order(each.audio),
        versions=[
            msgspec.structs.replace(version, audio=_in_order(version.audio))
            for version in each.versions
        ],
        stream=each.stream,
        seconds=each.seconds,
    )


def next_revision(previous: int, now: datetime) -> int:
    """Revision of a document: its time in milliseconds, forced to grow.

    >>> from datetime import UTC
    >>> next_revision(7, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000
    >>> next_revision(1000, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1001
    """
    return max(previous + 1, int(now.timestamp() * 1000))


def programme(
    scope: str, due: Sequence[Item], revision: int, now: datetime, passed: Sequence[Passed] = ()
) -> Programme:
    """The document of a scope."""
    empty = Programme(
        scope=scope, revision=1, issued_at=now, not_after=now, items=list(due),
        passed=list(passed[-MOST_PASSED:]),
    )  # fmt: skip
    return issued(empty, revision, now)


def issued(document: D, revision: int, now: datetime) -> D:
    """A document as it is issued now: its revision, and how long it holds."""
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    valid = CONFIG_VALID if isinstance(document, Config) else PROGRAMME_VALID
    return msgspec.structs.replace(document, revision=revision, issued_at=at, not_after=at + valid)


def is_equivalent(held: Document, compiled: Document, now: datetime) -> bool:
    """Tell whether a compiled document tells devices nothing new.

    Items that have ended leave a programme without a new revision.
    """
    if isinstance(held, Programme) and isinstance(compiled, Programme):
        return [item for item in held.items if item.ends_by > now] == compiled.items
    times = {"issued_at": held.issued_at, "not_after": held.not_after}
    return held == msgspec.structs.replace(compiled, revision=held.revision, **times)


def stale_before(kind: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Documents issued before this are issued again although nothing changed.

    Programmes with every local day, when their items change anyway, and alerts with them; configs
    by their age.
    """
    if kind != "config":
        return datetime.combine(now.astimezone(zone).date(), time.min, zone)
    return now - CONFIG_REISSUE


def is_stale(held: Document, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether a document must be issued again although nothing changed.

    An empty one need not: when it lapses it says nothing more than none at all.
    """
    if isinstance(held, Programme):
        return bool(held.items) and held.issued_at < stale_before("programme", now, zone)
    if isinstance(held, Alerts):
        return bool(held.alerts) and held.issued_at < stale_before("alerts", now, zone)
    if isinstance(held, Live):
        return False  # no session lasts so long
    return held.issued_at < stale_before("config", now, zone)
