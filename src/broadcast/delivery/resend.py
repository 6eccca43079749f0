"""Reconciling on heartbeat: a device that is behind is sent the document again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.delivery.desired import DesiredDocuments, tokens
from broadcast.delivery.replies import ReplyQueue
from broadcast.kit import db

log = structlog.get_logger()

DEVICES_AT_ONCE = 20
"""After one batch: a fleet that lost everything must not fill the broker's queues."""

BYTES_AT_ONCE = 16 * 2**20
"""Beyond this the rest waits for the next batch: one document may have half of it."""


class Resender:
    """Compares the documents that devices hold with those they should, and resends."""

    def __init__(self, engine: AsyncEngine, replies: ReplyQueue) -> None:
        self._engine = engine
        self._replies = replies
        self._desired = DesiredDocuments()

    async def compare(
        self, reported: Sequence[tuple[str, Mapping[str, int]]], now: datetime
    ) -> None:
        """Send documents again to those of these devices that are behind.

        Args:
            reported: Devices and what they hold.
            now: Moment at which they reported them.
        """
        if self._desired.is_due(now):
            async with db.transaction(self._engine) as session:
                await self._desired.refresh(session, now)
        late: dict[str, list[str]] = {}
        for code, held in reported:
            missing = self._desired.missing(code, held, now)
            if missing and len(late) < DEVICES_AT_ONCE:
                late[code] = missing
        if not late:
            return
        async with db.transaction(self._engine) as session:
            found = await tokens(session, {key for keys in late.values() for key in keys})
        devices = size = 0
        for code, documents in late.items():
            sent = [key for key in documents if key in found]
            size += sum(len(found[key]) for key in sent)
            if devices and size > BYTES_AT_ONCE:
                break
            for key in sent:
                self._replies.resend(code, found[key])
            self._desired.sent(code, documents, now)
            devices += 1
        log.info("programmes.documents.resent", devices=devices)
