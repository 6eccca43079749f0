"""What a check of a schedule finds, and what would remedy it.

A remedy is a change of the fields of the schedule (`schemas.ScheduleChangeIn`), so that a page can
offer it as one button and REST can send it as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from broadcast.kit.clock import LOCAL
from broadcast.schedules.grid import Outcome, Overlap
from broadcast.schedules.priority import HIGHEST
from broadcast.wire.fields import BulletinClass

MOST_NAMED = 5
"""Villages or clusters that a sentence names."""


class Kind(StrEnum):
    """What was found."""

    NOT_APPROVED = "not_approved"
    PASSED = "passed"
    QUIET = "quiet"
    CLASH = "clash"
    OVERFULL = "overfull"
    EXCEEDED = "exceeded"
    """More sessions or minutes than a Quy chế allows."""
    UNHEARD = "unheard"
    """No cluster serves a village."""
    NOT_READY = "not_ready"
    PREEMPTED = "preempted"
    PREEMPTS = "preempts"
    NOTICE = "notice"
    """Anything else that the author should know."""


REFUSES = frozenset({Kind.PASSED, Kind.QUIET, Kind.CLASH, Kind.OVERFULL, Kind.EXCEEDED})
"""With one of these a schedule is not saved."""


class RemedyKind(StrEnum):
    """What a remedy changes."""

    OTHER_TIME = "other_time"
    FEWER_VILLAGES = "fewer_villages"
    LOWER_PRIORITY = "lower_priority"
    HIGHER_PRIORITY = "higher_priority"
    ONCE = "once"
    WEEKDAYS = "weekdays"


class Remedy(NamedTuple):
    """A change of a schedule that takes a finding away."""

    kind: RemedyKind
    text: str
    change: dict[str, Any]
    """Fields of the schedule, by name."""


class Finding(NamedTuple):
    """One thing that a check has found, in words."""

    kind: Kind
    text: str
    villages: tuple[str, ...] = ()
    """Codes of the villages that it concerns."""
    cluster_ids: frozenset[int] = frozenset()
    """Clusters that it concerns."""
    starts_at: datetime | None = None
    """The first start that it concerns."""
    starts_count: int = 0
    other: Overlap | None = None
    remedies: tuple[Remedy, ...] = ()

    @property
    def refuses(self) -> bool:
        """It is not saved so."""
        return self.kind in REFUSES


class Place(NamedTuple):
    """A village that a schedule is for, or a cluster named by itself."""

    target: int
    """Number of the target that holds it."""
    code: str
    name: str
    cluster_ids: frozenset[int]
    is_village: bool = True


def at(places: Iterable[Place], cluster_ids: Collection[int]) -> list[Place]:
    """Places that some of these clusters serve."""
    return [place for place in places if not place.cluster_ids.isdisjoint(cluster_ids)]


def without(
    targets: Sequence[Mapping[str, Any]], places: Sequence[Place], gone: Collection[Place]
) -> list[dict[str, Any]] | None:
    """Targets that leave some places out; None when nothing is left.

    A target that holds none of them stays as it is, the others become what remains of them.
    """
    left_out = {(place.is_village, place.code) for place in gone}
    kept: dict[str, dict[str, Any]] = {}
    for number, target in enumerate(targets):
        mine = [place for place in places if place.target == number]
        stay = [place for place in mine if (place.is_village, place.code) not in left_out]
        if len(stay) == len(mine):
            kept.setdefault(repr(target), dict(target))
            continue
        for place in stay:
            named = {"area" if place.is_village else "cluster": place.code}
            kept.setdefault(repr(named), named)
    return list(kept.values()) or None


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them, the first few of many.

    >>> listed(["Thôn Một", "Thôn Hai"]), listed(map(str, range(8)))
    ('Thôn Một, Thôn Hai', '0, 1, 2, 3, 4 và 3 nơi khác')
    """
    every = list(names)
    named = ", ".join(every[:MOST_NAMED])
    more = len(every) - MOST_NAMED
    return f"{named} và {more} nơi khác" if more > 0 else named


def moment(at: datetime) -> str:
    """A moment as a sentence names it.

    >>> moment(datetime(2026, 11, 30, 5, 30, tzinfo=LOCAL))
    '05:30 thứ Hai 30/11'
    """
    local = at.astimezone(LOCAL)
    return f"{local:%H:%M} {WEEKDAYS[local.weekday()]} {local.day}/{local.month}"


WEEKDAYS = ("thứ Hai", "thứ Ba", "thứ Tư", "thứ Năm", "thứ Sáu", "thứ Bảy", "Chủ nhật")


def of_overlaps(overlaps: Iterable[Overlap], places: Sequence[Place]) -> list[Finding]:
    """One finding for each other item and outcome, however often they meet."""
    groups: dict[tuple[Outcome, str, int], list[Overlap]] = {}
    for pair in overlaps:
        groups.setdefault((pair.outcome, pair.other.title, pair.other.priority), []).append(pair)
    found = [_of_overlap(pairs, places) for pairs in groups.values()]
    return sorted(found, key=lambda each: each.kind is not Kind.CLASH)


_KINDS = {
    Outcome.CLASH: Kind.CLASH,
    Outcome.PREEMPTS: Kind.PREEMPTS,
    Outcome.PREEMPTED: Kind.PREEMPTED,
}
_WORDS = {
    Outcome.CLASH: "Trùng giờ với “{title}” lúc {at}, cùng mức ưu tiên, tại {where}{often}.",
    Outcome.PREEMPTS: "Sẽ chen “{title}” lúc {at} tại {where}{often}.",
    Outcome.PREEMPTED: "Sẽ bị “{title}” lúc {at} chen tại {where}{often}.",
}


def _of_overlap(pairs: Sequence[Overlap], places: Sequence[Place]) -> Finding:
    first = pairs[0]
    shared = frozenset[int]().union(
        *(pair.new.cluster_ids & pair.other.cluster_ids for pair in pairs)
    )
    met = at(places, shared)
    starts = {pair.new.starts_at for pair in pairs}
    return Finding(
        _KINDS[first.outcome],
        _WORDS[first.outcome].format(
            title=first.other.title,
            at=moment(first.other.starts_at),
            where=f"{len(shared)} cụm loa ({listed(dict.fromkeys(p.name for p in met))})"
            if met
            else f"{len(shared)} cụm loa",
            often=f", {len(starts)} buổi" if len(starts) > 1 else "",
        ),
        villages=_villages(met),
        cluster_ids=shared,
        starts_at=first.new.starts_at,
        starts_count=len(starts),
        other=first,
    )


def _villages(places: Iterable[Place]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(place.code for place in places if place.is_village))


def of_places(
    kind: Kind, text: str, places: Sequence[Place], cluster_ids: Collection[int] = ()
) -> Finding:
    """A finding about places; `{names}` in the text stands for theirs."""
    names = listed(dict.fromkeys(place.name for place in places))
    return Finding(
        kind,
        text.replace("{names}", names),
        villages=_villages(places),
        cluster_ids=frozenset(cluster_ids),
    )


def other_priorities(class_: BulletinClass, priority: int) -> list[Remedy]:
    """Give way to what has the same priority, or go before it, as the class allows."""
    remedies = []
    if priority > 0:
        remedies.append(
            Remedy(
                RemedyKind.LOWER_PRIORITY,
                "Hạ ưu tiên: nhường bản tin kia",
                {"priority": priority - 1},
            )
        )
    if priority < HIGHEST[class_]:
        remedies.append(
            Remedy(
                RemedyKind.HIGHER_PRIORITY,
                "Nâng ưu tiên: phát trước, bản tin kia phải chờ",
                {"priority": priority + 1},
            )
        )
    return remedies


def no_weekends(rrule: str | None) -> list[Remedy]:
    """Sound from Monday to Friday only, where a rule names weekdays or is daily.

    >>> [each.change for each in no_weekends("FREQ=DAILY;COUNT=9")]
    [{'rrule': 'FREQ=DAILY;COUNT=9;BYDAY=MO,TU,WE,TH,FR'}]
    >>> [each.change for each in no_weekends("FREQ=WEEKLY;BYDAY=FR,SA")]
    [{'rrule': 'FREQ=WEEKLY;BYDAY=FR'}]
    """
    parts = dict(part.split("=", 1) for part in (rrule or "").split(";") if "=" in part)
    named = parts.get("BYDAY", "MO,TU,WE,TH,FR,SA,SU" if parts.get("FREQ") == "DAILY" else "")
    kept = [day for day in named.split(",") if day in {"MO", "TU", "WE", "TH", "FR"}]
    if not kept:
        return []
    changed = ";".join(
        f"{name}={value}" for name, value in {**parts, "BYDAY": ",".join(kept)}.items()
    )
    return [Remedy(RemedyKind.WEEKDAYS, "Không phát thứ Bảy, Chủ nhật", {"rrule": changed})]


def other_times(starts: Iterable[datetime], wanted: datetime) -> list[Remedy]:
    """Free starts as remedies; of the same day only the time is named."""
    day = wanted.astimezone(LOCAL).date()
    remedies = []
    for start in starts:
        local = start.astimezone(LOCAL)
        text = f"{local:%H:%M}" if local.date() == day else moment(start)
        remedies.append(
            Remedy(RemedyKind.OTHER_TIME, f"Phát lúc {text}", {"starts_at": local.isoformat()})
        )
    return remedies


def fewer_villages(
    targets: Sequence[Mapping[str, Any]], places: Sequence[Place], gone: Collection[Place]
) -> list[Remedy]:
    """Leave places out, where something is left."""
    kept = without(targets, places, gone)
    if kept is None or not gone:
        return []
    names = listed(dict.fromkeys(place.name for place in gone))
    return [Remedy(RemedyKind.FEWER_VILLAGES, f"Bỏ {names}", {"targets": kept})]
