"""The rule by which a device makes one programme of its documents; the server previews by it.

Both rules are commutative, associative and idempotent: any order, repetition and loss of
documents ends in the programme that the newest documents say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from broadcast.wire.documents import (
    Alert,
    Alerts,
    Document,
    Item,
    Live,
    LiveSession,
    Passed,
    Programme,
)

D = TypeVar("D", Programme, Alerts, Live)
T = TypeVar("T")


def newer(held: Document | None, offered: Document) -> bool:
    """Tell whether `offered` replaces what is held for the same scope and kind."""
    return held is None or offered.revision > held.revision


def merge_items(programmes: Iterable[Programme]) -> dict[str, Item]:
    """Items by occurrence; where several documents name one, the highest revision speaks."""
    return _merged(programmes, lambda each: {item.occurrence_id: item for item in each.items})


def merge_counted(programmes: Iterable[Programme]) -> dict[str, Item | Passed]:
    """What counts for quotas, by occurrence, the highest revision speaking."""

    def named(each: Programme) -> dict[str, Item | Passed]:
        passed: dict[str, Item | Passed] = {one.occurrence_id: one for one in each.passed}
        return passed | {one.occurrence_id: one for one in each.items}

    return _merged(programmes, named)


def merge_alerts(documents: Iterable[Alerts]) -> dict[str, Alert]:
    """Alerts by id, the highest revision speaking."""
    return _merged(documents, lambda each: {alert.alert_id: alert for alert in each.alerts})


def merge_sessions(documents: Iterable[Live]) -> dict[str, LiveSession]:
    """Live sessions by id, the highest revision speaking."""
    return _merged(documents, lambda each: {one.session_id: one for one in each.sessions})


def _merged(documents: Iterable[D], named: Callable[[D], dict[str, T]]) -> dict[str, T]:
    merged: dict[str, T] = {}
    for document in sorted(documents, key=lambda each: (each.revision, each.scope)):
        merged |= named(document)
    return merged
