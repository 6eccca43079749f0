"""The rule by which a device makes one programme of its documents; the server previews by it.

Both rules are commutative, associative and idempotent: any order, repetition and loss of
documents ends in the programme that the newest documents say.
"""

from __future__ import annotations

from collections.abc import Iterable

from broadcast.wire.documents import (
    Alert,
    Alerts,
    Document,
    Item,
    Live,
    LiveSession,
    Programme,
)


def newer(held: Document | None, offered: Document) -> bool:
    """Tell whether `offered` replaces what is held for the same scope and kind."""
    return held is None or offered.revision > held.revision


def merge_items(programmes: Iterable[Programme]) -> dict[str, Item]:
    """Items by occurrence; where several documents name one, the highest revision speaks."""
    merged: dict[str, tuple[int, str, Item]] = {}
    for programme in programmes:
        for item in programme.items:
            candidate = (programme.revision, programme.scope, item)
            held = merged.get(item.occurrence_id)
            if held is None or candidate[:2] > held[:2]:
                merged[item.occurrence_id] = candidate
    return {occurrence_id: item for occurrence_id, (_, _, item) in merged.items()}


def merge_alerts(documents: Iterable[Alerts]) -> dict[str, Alert]:
    """Alerts by id, the highest revision speaking."""
    merged: dict[str, tuple[int, str, Alert]] = {}
    for document in documents:
        for alert in document.alerts:
            candidate = (document.revision, document.scope, alert)
            held = merged.get(alert.alert_id)
            if held is None or candidate[:2] > held[:2]:
                merged[alert.alert_id] = candidate
    return {alert_id: alert for alert_id, (_, _, alert) in merged.items()}


def merge_sessions(documents: Iterable[Live]) -> dict[str, LiveSession]:
    """Live sessions by id, the highest revision speaking."""
    merged: dict[str, tuple[int, str, LiveSession]] = {}
    for document in documents:
        for session in document.sessions:
            candidate = (document.revision, document.scope, session)
            held = merged.get(session.session_id)
            if held is None or candidate[:2] > held[:2]:
                merged[session.session_id] = candidate
    return {session_id: session for session_id, (_, _, session) in merged.items()}
