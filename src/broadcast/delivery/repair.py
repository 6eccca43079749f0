"""Comparison of the broker with the outbox: after each connect, and after a foreign message."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.delivery.mirror import Broker, BrokerMirror, RetainedMessage
from broadcast.delivery.outbox import DOCUMENTS, Outbox
from broadcast.delivery.restored import RestoreWatch
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db

log = structlog.get_logger()

QUIET = timedelta(seconds=2)
"""When nothing came for so long the broker has sent all that it retains: thousands a second."""

REPAIR_EVERY = timedelta(seconds=5)
"""At most so often the broker is compared while somebody else publishes where only we do."""


class BrokerRepair:
    """Brings what the broker retains back to what the outbox says.

    Attributes:
        mirror: What the broker retains.
        compared: The broker has been compared since this process leads: before, nothing is
            published, since the database may be older than what the broker has.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        link: Broker,
        outbox: Outbox,
        keyring: Keyring,
        prefix: str,
        restores: RestoreWatch,
    ) -> None:
        self.mirror = BrokerMirror(prefix)
        self.compared = False
        self._engine = engine
        self._link = link
        self._outbox = outbox
        self._keyring = keyring
        self._restores = restores
        self._seen = -1, 0
        """Connection and number of messages at which the mirror last grew, and when that was."""
        self._seen_at: datetime | None = None
        self._repaired: int | None = None
        """Connection over which the broker has been compared."""
        self._due_at: datetime | None = None
        self._overwritten = False
        """Somebody else has published under the topic of a document since then."""

    def note(self, message: RetainedMessage) -> None:
        """Note a message under one of our own topics; devices receive it, too."""
        if (
            not message.retain
            and any(each in message.topic for each in DOCUMENTS)
            and not self._outbox.is_own(message.topic, message.payload)
        ):
            self._overwritten = True
        self.mirror.note(message)

    async def step(self, now: datetime) -> None:
        """Compare and repair, if that is due and the broker has sent all that it retains."""
        connection = self._link.connection
        again = self._overwritten and clock.is_due(self._due_at, now, REPAIR_EVERY)
        if not self._link.connected or (self._repaired == connection and not again):
            return
        self.mirror.belong_to(connection)
        seen = connection, self.mirror.count
        if seen != self._seen or self._seen_at is None:
            self._seen, self._seen_at = seen, now
        if now < self._seen_at + QUIET:
            return
        self._overwritten = False
        async with db.transaction(self._engine) as session:
            found = await self.mirror.repair(session, self._keyring.keys, now)
            if found.restored:
                await self._restores.hold_credentials(session, now)
        self._repaired, self._due_at = connection, now + REPAIR_EVERY
        self._restores.comparing = found.restored
        self.compared = True
        await self._outbox.remove(found.foreign)
        if any(found[:3]):
            log.warning(
                "dispatch.broker.repaired",
                documents=found.documents,
                files=found.files,
                foreign=found.foreign[:5],
            )
