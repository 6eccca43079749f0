"""The messages that the broker retains, and the repair of what differs from the outbox.

A broker may lose what it retained (no persistence, or a snapshot half an hour old), and so may
the database (a restored backup). Subscribing to everything shows, after each connect, exactly
what the broker has; no bookkeeping of ours can.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.delivery import content
from broadcast.delivery.outbox import Publisher
from broadcast.delivery.reconcile import Kept, compare
from broadcast.keys.keyring import Keys
from broadcast.programmes import issue
from broadcast.programmes.model import Document
from broadcast.restore import state
from broadcast.restore.model import Cause
from broadcast.wire.envelope import Verifier
from broadcast.wire.topics import (
    AREA_LIVE,
    AREA_STATE,
    CONTENT,
    DEVICE_LIVE,
    DEVICE_STATE,
    scope_of,
    scope_topic,
)


class RetainedMessage(Protocol):
    """A message from the broker under a topic that only we publish to."""

    @property
    def topic(self) -> str:
        """With the prefix."""

    @property
    def payload(self) -> bytes:
        """As stored."""

    @property
    def retain(self) -> bool:
        """The broker had stored it when we subscribed; otherwise it was published just now."""

    @property
    def connection(self) -> int:
        """Number of the connection it came over."""


class Broker(Publisher, Protocol):
    """The part of the link that the dispatcher needs."""

    @property
    def connected(self) -> bool:
        """The connection stands."""

    @property
    def connection(self) -> int:
        """Number of the present connection."""

    async def receive(self) -> Sequence[RetainedMessage]:
        """At least one message."""


def mirrored(prefix: str) -> list[tuple[str, int]]:
    """Subscriptions that show what the broker retains: documents, and the first blocks.

    At QoS 0: nothing is to be queued for us while we are away, and what the broker drops because
    we are slow counts as lost, which costs no more than publishing it again.
    """
    return [
        (f"{prefix}/{topic}", 0)
        for topic in (
            AREA_STATE.filter(),
            DEVICE_STATE.filter(),
            AREA_LIVE.filter(),
            DEVICE_LIVE.filter(),
            CONTENT.filter(index="0"),
        )
    ]


_AGAIN = sa.text("""
    UPDATE documents AS d SET published_revision = 0
    FROM unnest(CAST(:scopes AS text[]), CAST(:kinds AS text[])) AS lost (scope, kind)
    WHERE d.scope = lost.scope AND d.kind = lost.kind
""")
"""Two parameters, however many were lost: PostgreSQL's protocol knows 65,535 at most."""


class Repaired(NamedTuple):
    """Number of differences found at the broker, and repaired."""

    documents: int
    """Will be published again."""
    files: int
    """Audio that will be published again, or removed."""
    foreign: list[str]
    """Topics, without the prefix, under which there is what we have not signed; to be removed."""
    restored: bool = False
    """Nothing was repaired: the database is older than the broker, or somebody says so."""


class BrokerMirror:
    """The messages that the broker has shown since the last connect that it retains.

    Attributes:
        count: Stored messages since then; as long as it grows the broker is still sending.
    """

    def __init__(self, prefix: str) -> None:
        self.count = 0
        self._prefix = f"{prefix}/"
        self._connection = -1
        self._documents: dict[str, bytes] = {}
        self._content: set[str] = set()

    def belong_to(self, connection: int) -> None:
        """Forget what was seen over another connection: the broker sends all again."""
        if connection > self._connection:
            self._connection = connection
            self._documents.clear()
            self._content.clear()
            self.count = 0

    def note(self, message: RetainedMessage) -> None:
        """Note a message: with an empty payload the broker retains it no longer.

        One that came over an older connection than the present one counts for nothing.
        """
        self.belong_to(message.connection)
        if message.connection < self._connection:
            return
        self.count += message.retain
        topic, payload = message.topic.removeprefix(self._prefix), message.payload
        block = CONTENT.match(topic)
        if block is not None:
            if block["index"] == "0":
                (self._content.add if payload else self._content.discard)(block["sha256"])
        elif payload:
            self._documents[topic] = payload
        else:
            self._documents.pop(topic, None)

    async def repair(self, session: AsyncSession, keys: Keys, now: datetime) -> Repaired:
        """Have published again what the broker lost.

        What it has newer than the database shows that this was restored: nothing is repaired, and
        nothing published, before a person has decided (docs/decisions/0049).
        """
        names: dict[str, tuple[str, str]] = {}
        kept: dict[str, Kept] = {}
        rows = await session.execute(
            sa.select(Document.scope, Document.kind, Document.revision, Document.token)
        )
        for scope, kind, revision, token in rows:
            try:
                topic = scope_topic(scope, kind)
            except ValueError:
                continue  # reported where it is published
            names[topic] = scope, kind
            kept[topic] = Kept(revision, token)
        differences = compare(kept, self._documents, Verifier(keys.trusted()))
        if await self._is_restored(session, differences.newer, now):
            return Repaired(0, 0, [], restored=True)
        spoilt = {
            issue.Name(*names[topic]): revision for topic, revision in differences.spoilt.items()
        }
        await issue.issue_above(session, spoilt, now)
        lost = [names[topic] for topic in differences.missing]
        await session.execute(
            _AGAIN, {"scopes": [e[0] for e in lost], "kinds": [e[1] for e in lost]}
        )
        files = await content.compare(session, self._content)
        foreign = self._documents.keys() - kept.keys() - differences.newer.keys()
        return Repaired(len(lost) + len(spoilt), files, sorted(foreign))

    async def _is_restored(
        self, session: AsyncSession, newer: Mapping[str, int], now: datetime
    ) -> bool:
        """Tell whether a restore is open, and have what the broker has newer compared."""
        accepted = await state.accepted(session) if newer else {}
        unknown: dict[state.Name, tuple[int, bytes]] = {}
        for topic, revision in newer.items():
            name = scope_of(topic)
            if name is not None and accepted.get(name, 0) < revision:
                unknown[name] = revision, self._documents[topic]
        if unknown:
            await state.begin(session, Cause.BROKER, now)
        if not await state.is_open(session):
            return False
        await state.learn(session, unknown, now)
        return True
