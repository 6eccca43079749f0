"""The documents a device holds, which ones it would take, and the one programme they make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from broadcast.wire import WireError
from broadcast.wire.documents import (
    Alert,
    Alerts,
    Config,
    Document,
    Item,
    Live,
    LiveSession,
    Passed,
    Programme,
    Stream,
    expired,
)
from broadcast.wire.envelope import BadSignature
from broadcast.wire.fields import BulletinClass
from broadcast.wire.merge import merge_alerts, merge_counted, merge_items, merge_sessions
from broadcast.wire.topics import scope_topic
from device_sim.box import Box
from device_sim.sealed import Keys, Sealed, stored, verified

RefusalReason = Literal[
    "signature", "key", "scope", "revision", "expired", "malformed", "replayed"
]


@dataclass(frozen=True, slots=True)
class Merged:
    """Items of all documents together."""

    items: dict[str, Item]
    """By occurrence; alerts as items. Those of documents past their `not_after` are among them."""
    alerts: frozenset[str]
    """Those that pass quiet hours, mute and an untrusted clock: alerts, spoken emergencies."""
    live: dict[str, LiveSession]
    """Those of the items that are spoken live."""
    lapsed: frozenset[str]
    """Items that only documents past their `not_after` name: not to begin, but to be told."""
    lapse_at: datetime | None
    """When the next document lapses."""
    not_before: datetime | None
    """What was to start before is another device's, and not among the items."""
    counted: dict[str, Item | Passed]
    """All that the documents name for quotas, also what is another device's or has ended."""


class Refused(Exception):
    """The device does not accept a document."""

    def __init__(self, reason: RefusalReason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Shelf:
    """The documents in force. A config among them is the box's `config`."""

    def __init__(self, box: Box, held: dict[str, int]) -> None:
        self._box = box
        self._held = held
        self._documents: dict[str, Sealed] = {}
        self.keys: Keys = box.identity.keys

    @property
    def areas(self) -> list[str]:
        """Codes of the areas to follow."""
        return self._box.config.areas if self._box.config else []

    @property
    def newest_issue(self) -> datetime | None:
        """Time of issue of the newest document, by the server's clock."""
        issued = (sealed.document.issued_at for sealed in self._documents.values())
        return max(issued, default=None)

    def load(self) -> list[str]:
        """Take up what flash holds; names what no longer has a valid signature."""
        tokens = self._box.memory.documents
        config = tokens.get(f"{self._box.identity.scope}/config")
        if config is not None:
            self.take(stored(config))
        unsigned = []
        for key, token in tokens.items():
            if key not in self._documents:
                try:
                    self.take(verified(self.keys, token))
                except WireError:
                    unsigned.append(key)
        return unsigned

    def judge(self, topic: str, token: bytes, time: datetime) -> Sealed | None:
        """Open a document and tell whether it replaces what is held; None when it is the same.

        1. Signed by a pinned key that may sign this kind.
        2. Under the topic of its scope, and of a scope that this device follows.
        3. Not past its `not_after`.
        4. Not older than the one that is held.
        5. A config must leave a key for programmes, or nothing could ever be told again.

        Raises:
            Refused: It breaks one of these rules.
        """
        try:
            sealed = verified(self.keys, token)
        except WireError as error:
            raise Refused(refusal_reason(error), error.reason) from None
        document = sealed.document
        held = self._held.get(sealed.key, 0)
        if (
            topic != scope_topic(document.scope, sealed.kind)
            or document.scope not in self._scopes()
        ):
            raise Refused("scope", document.scope)
        if expired(document, time):
            raise Refused("expired")
        if document.revision < held:
            raise Refused("revision", f"{document.revision} < {held}")
        if isinstance(document, Config) and all(key.use != "programme" for key in document.keys):
            raise Refused("malformed", "$.keys: no key may sign programmes")
        return None if document.revision == held else sealed

    def take(self, sealed: Sealed) -> None:
        """Put a document in force."""
        document = sealed.document
        self._documents[sealed.key] = sealed
        self._held[sealed.key] = document.revision
        if isinstance(document, Config):
            self._box.config = document
            self.keys = tuple(document.keys)

    def drop_unfounded(self) -> list[str]:
        """Drop what the config in force leaves no ground for: its area or its key is gone."""
        scopes = self._scopes()
        kids = {key.kid for key in self.keys}
        unfounded = [
            key
            for key, sealed in self._documents.items()
            if sealed.document.scope not in scopes
            or (sealed.kid not in kids and not isinstance(sealed.document, Config))
        ]
        for key in unfounded:
            del self._documents[key]
            del self._held[key]
        return unfounded

    def merge(self, time: datetime) -> Merged:
        """Make one programme of the documents in force."""
        documents = [sealed.document for sealed in self._documents.values()]
        live = [document for document in documents if not expired(document, time)]
        items, alerts = _merged(live)
        sessions = merge_sessions(d for d in live if isinstance(d, Live))
        lapsed: frozenset[str] = frozenset()
        if len(live) < len(documents):
            all_items, all_alerts = _merged(documents)
            lapsed = frozenset(
                (all_items.keys() | all_alerts.keys()) - (items.keys() | alerts.keys())
            )
            items, alerts = all_items | items, all_alerts | alerts
        config = self._box.config
        since = config.not_before if config else None
        if since is not None:
            items = {name: item for name, item in items.items() if item.starts_at >= since}
        items |= alerts
        items |= {name: _as_spoken(session) for name, session in sessions.items()}
        urgent = {name for name, each in sessions.items() if each.class_ == "emergency"}
        # A config stays in force: no quiet hours at all would be worse than old ones.
        ends = [document.not_after for document in live if not isinstance(document, Config)]
        return Merged(
            items,
            frozenset(alerts) | urgent,
            sessions,
            lapsed,
            min(ends, default=None),
            since,
            merge_counted(d for d in documents if isinstance(d, Programme)),
        )

    def _scopes(self) -> set[str]:
        return {self._box.identity.scope, *(f"area/{code}" for code in self.areas)}


def refusal_reason(error: WireError) -> RefusalReason:
    """Report to the server on a message that could not be opened."""
    if not isinstance(error, BadSignature):
        return "malformed"
    return "key" if error.field == "kid" else "signature"


def _merged(documents: list[Document]) -> tuple[dict[str, Item], dict[str, Item]]:
    """Items by occurrence, and alerts as items."""
    items = merge_items(d for d in documents if isinstance(d, Programme))
    alerts = merge_alerts(d for d in documents if isinstance(d, Alerts))
    return items, {alert_id: _as_item(alert) for alert_id, alert in alerts.items()}


def _as_item(alert: Alert) -> Item:
    """An alert takes its turn like an item that may start until it ends."""
    return Item(
        occurrence_id=alert.alert_id,
        bulletin_id=alert.alert_id,
        bulletin_revision=1,
        starts_at=alert.starts_at,
        late_limit_seconds=max(0, int((alert.ends_by - alert.starts_at).total_seconds())),
        ends_by=alert.ends_by,
        priority=alert.priority,
        class_=BulletinClass.EMERGENCY,
        title=alert.title,
        volume=alert.volume,
        audio=alert.audio,
    )


def _as_spoken(session: LiveSession) -> Item:
    """Live speech takes its turn like a stream that may start until it ends."""
    return Item(
        occurrence_id=session.session_id,
        bulletin_id=session.session_id,
        bulletin_revision=1,
        starts_at=session.starts_at,
        late_limit_seconds=max(0, int((session.ends_by - session.starts_at).total_seconds())),
        ends_by=session.ends_by,
        priority=session.priority,
        class_=session.class_,
        title=session.title,
        volume=session.volume,
        stream=Stream(url=f"live:{session.session_id}"),
    )
