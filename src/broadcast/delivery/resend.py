"""Reconciling on heartbeat: who is behind is handed the document again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.delivery.replies import Orders
from broadcast.delivery.wanted import Wanted, tokens
from broadcast.kit import db

log = structlog.get_logger()

DEVICES_AT_ONCE = 20
"""After one batch: a fleet that lost everything must not fill the broker's queues."""

BYTES_AT_ONCE = 16 * 2**20
"""Beyond this the rest waits for the next batch: one document may have half of it."""


class Resender:
    """Compares what devices hold with what they should, and says so to the orders."""

    def __init__(self, engine: AsyncEngine, orders: Orders) -> None:
        self._engine = engine
        self._orders = orders
        self._wanted = Wanted()

    async def look(self, heard: Sequence[tuple[str, Mapping[str, int]]], now: datetime) -> None:
        """Hand documents again to those of these devices that are behind.

        Args:
            heard: Devices and what they hold.
            now: Moment at which they said so.
        """
        if self._wanted.is_due(now):
            async with db.transaction(self._engine) as session:
                await self._wanted.refresh(session, now)
        late: dict[str, list[str]] = {}
        for code, held in heard:
            missing = self._wanted.missing(code, held, now)
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
                self._orders.resend(code, found[key])
            self._wanted.sent(code, documents, now)
            devices += 1
        log.info("programmes.documents.resent", devices=devices)
