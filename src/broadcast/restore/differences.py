"""What a restored database would say, compared with what devices were told last.

Pure. The newer documents are ours, signed, and whole for the days that they cover: what one of
them should name and does not, was withdrawn; what it names and the database does not know, was
made since. Of later days it says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from broadcast.wire.documents import Item


class Kind(StrEnum):
    """Kinds of differences; what a person may choose is in `CHOICES`."""

    WITHDRAWN = "withdrawn"
    """Nothing of a schedule is named any more."""
    LEFT_OUT = "left_out"
    """Single occurrences of a schedule are named no more."""
    MOVED = "moved"
    """An occurrence has another time."""
    REPLACED = "replaced"
    """A schedule has other sound: its bulletin was corrected."""
    UNKNOWN = "unknown"
    """An occurrence that the database does not know, or has cancelled."""
    DEVICE = "device"
    """A device follows other areas than the register says; or the register does not know it."""


class Choice(StrEnum):
    """What is done about a difference."""

    FOLLOW = "follow"
    """As the newer document says: withdraw, leave out, move, take in."""
    KEEP = "keep"
    """As the database says: it sounds as it would have."""
    DROP = "drop"
    """It is said no more."""


CHOICES: dict[Kind, tuple[Choice, ...]] = {
    Kind.WITHDRAWN: (Choice.FOLLOW, Choice.KEEP),
    Kind.LEFT_OUT: (Choice.FOLLOW, Choice.KEEP),
    Kind.MOVED: (Choice.FOLLOW, Choice.KEEP, Choice.DROP),
    Kind.REPLACED: (Choice.FOLLOW, Choice.KEEP, Choice.DROP),
    Kind.UNKNOWN: (Choice.FOLLOW, Choice.DROP),
    Kind.DEVICE: (Choice.KEEP,),
}
"""The first is proposed, where it can be done: nothing withdrawn sounds, nothing is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A coming occurrence as the database plans it."""

    occurrence_id: str
    schedule_id: str
    title: str
    scopes: frozenset[str]
    starts_at: datetime
    ends_by: datetime
    bulletin: tuple[str, int]
    """Id and revision."""


class Newer(NamedTuple):
    """A programme that devices were told and the database does not know."""

    scope: str
    revision: int
    issued_at: datetime
    covers_until: datetime
    """It names all that starts before."""
    items: Sequence[Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that a person decides."""

    kind: Kind
    subject: str
    """Id of the schedule (withdrawn, left out, replaced) or occurrence, or code of the device."""
    title: str
    scopes: tuple[str, ...]
    occurrences: tuple[str, ...] = ()
    planned: tuple[datetime, ...] = ()
    """Starts as the database has them."""
    told: tuple[datetime, ...] = ()
    """Starts as devices were told."""
    choices: tuple[Choice, ...]
    """The first is proposed."""

    @property
    def name(self) -> str:
        """Name by which it is decided, the same as long as it exists."""
        return f"{self.kind}/{self.subject}"


Told = tuple[Item, tuple[str, ...]]
"""An item, and the scopes whose documents name it."""


def told_items(newer: Iterable[Newer]) -> dict[str, Told]:
    """Items of all these documents with the scopes that name them; the newest document speaks."""
    scopes: defaultdict[str, list[str]] = defaultdict(list)
    items: dict[str, Item] = {}
    for document in sorted(newer, key=lambda each: (each.revision, each.scope)):
        for item in document.items:
            items[item.occurrence_id] = item
            scopes[item.occurrence_id].append(document.scope)
    return {id_: (item, tuple(sorted(scopes[id_]))) for id_, item in items.items()}


def differences(
    planned: Collection[Planned], newer: Collection[Newer], there: Collection[str], now: datetime
) -> list[Difference]:
    """Compare what is still to sound; sorted by time.

    Args:
        planned: All that has not ended and is not cancelled.
        newer: Programmes that the database does not know.
        there: SHA-256 of the audio that can be sent: what lacks it cannot be taken in.
        now: What has ended by then is no matter of publishing any more.
    """
    told = told_items(newer)
    by_scope: dict[str, Newer] = {each.scope: each for each in newer}
    coming = [each for each in planned if each.ends_by > now]
    known = {each.occurrence_id for each in coming}
    found = [*_moved(coming, told), *_replaced(coming, told, there)]
    found += _missing(coming, told, by_scope)
    found += [
        Difference(
            kind=Kind.UNKNOWN,
            subject=id_,
            title=item.title,
            scopes=scopes,
            occurrences=(id_,),
            told=(item.starts_at,),
            choices=_possible(Kind.UNKNOWN, [item], there),
        )
        for id_, (item, scopes) in told.items()
        if id_ not in known and item.ends_by > now
    ]
    return sorted(found, key=lambda each: ((each.told or each.planned)[0], each.name))


def _missing(
    coming: Iterable[Planned],
    told: Mapping[str, Told],
    by_scope: Mapping[str, Newer],
) -> list[Difference]:
    """What documents do not name that should, by schedule."""
    gone: defaultdict[str, list[Planned]] = defaultdict(list)
    stays = set()
    for each in coming:
        if each.occurrence_id in told:
            stays.add(each.schedule_id)
        elif any(_covers(by_scope[scope], each) for scope in each.scopes & by_scope.keys()):
            gone[each.schedule_id].append(each)
    found = []
    for schedule_id, rows in gone.items():
        rows.sort(key=lambda each: each.starts_at)
        kind = Kind.LEFT_OUT if schedule_id in stays else Kind.WITHDRAWN
        found.append(
            Difference(
                kind=kind,
                subject=schedule_id,
                title=rows[0].title,
                scopes=tuple(sorted(set().union(*(each.scopes for each in rows)))),
                occurrences=tuple(each.occurrence_id for each in rows),
                planned=tuple(each.starts_at for each in rows),
                choices=CHOICES[kind],
            )
        )
    return found


def _covers(document: Newer, each: Planned) -> bool:
    return each.starts_at < document.covers_until and each.ends_by > document.issued_at


def _moved(coming: Iterable[Planned], told: Mapping[str, Told]) -> list[Difference]:
    return [
        Difference(
            kind=Kind.MOVED,
            subject=each.occurrence_id,
            title=item.title,
            scopes=scopes,
            occurrences=(each.occurrence_id,),
            planned=(each.starts_at,),
            told=(item.starts_at,),
            choices=CHOICES[Kind.MOVED],
        )
        for each in coming
        if each.occurrence_id in told
        for item, scopes in (told[each.occurrence_id],)
        if each.starts_at != item.starts_at
    ]


def _replaced(
    coming: Iterable[Planned], told: Mapping[str, Told], there: Collection[str]
) -> list[Difference]:
    """Schedules of which devices were told other sound: all that they come to has it since."""
    changed: defaultdict[str, list[Planned]] = defaultdict(list)
    for each in coming:
        if each.occurrence_id in told:
            item, _ = told[each.occurrence_id]
            if each.bulletin != (item.bulletin_id, item.bulletin_revision):
                changed[each.schedule_id].append(each)
    found = []
    for schedule_id, rows in changed.items():
        rows.sort(key=lambda each: (each.starts_at, each.occurrence_id))
        items = [told[each.occurrence_id][0] for each in rows]
        found.append(
            Difference(
                kind=Kind.REPLACED,
                subject=schedule_id,
                title=items[-1].title,
                scopes=tuple(sorted(set().union(*(each.scopes for each in rows)))),
                occurrences=tuple(each.occurrence_id for each in rows),
                planned=tuple(each.starts_at for each in rows),
                told=tuple(item.starts_at for item in items),
                choices=_possible(Kind.REPLACED, items, there),
            )
        )
    return found


def _possible(kind: Kind, items: Iterable[Item], there: Collection[str]) -> tuple[Choice, ...]:
    """Choices that can be carried out, the safest of them first."""
    if all(audio.sha256 in there for item in items for audio in item.audio):
        return CHOICES[kind]
    left = [choice for choice in CHOICES[kind] if choice is not Choice.FOLLOW]
    # Sound that was replaced must not come back by itself.
    return tuple(sorted(left, key=lambda choice: choice is not Choice.DROP))
