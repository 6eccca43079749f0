"""Commands to devices, published after what caused them has been committed.

They wait in memory only: whatever is lost here, the device asks for again (it repeats its journal,
its question, its heartbeat).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import structlog
from prometheus_client import Counter, Gauge

from broadcast.delivery.reconcile import resend_command
from broadcast.kit import clock
from broadcast.kit.errors import Unavailable
from broadcast.wire.commands import NEVER_LATE, JournalAck, TimeReply
from broadcast.wire.envelope import SigningKey
from broadcast.wire.topics import DEVICE_COMMAND

log = structlog.get_logger()

WAITING = Gauge("broadcast_orders_waiting", "Commands that wait to be published")
LOST = Counter("broadcast_orders_lost", "Commands that could not be published")

AT_MOST = 20_000
AT_ONCE = 200

Order = Callable[[datetime], tuple[str, bytes]]
"""Topic (without the prefix) and payload, stamped and signed at the moment it is sent."""


class Publisher(Protocol):
    """What this module needs of the link."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish, and return when confirmed."""


class Orders:
    """A bounded queue of commands, and the task that publishes them."""

    def __init__(self, link: Publisher, prefix: str, key: SigningKey) -> None:
        """Make an empty queue.

        Args:
            link: To publish over.
            prefix: First levels of every topic.
            key: Programme key.
        """
        self._link = link
        self._prefix = prefix
        self._key = key
        self._queue: asyncio.Queue[Order] = asyncio.Queue(AT_MOST)

    async def run(self) -> None:
        """Publish what is said, for ever."""
        while True:
            orders = [await self._queue.get()]
            while len(orders) < AT_ONCE and not self._queue.empty():
                orders.append(self._queue.get_nowait())
            WAITING.set(self._queue.qsize())
            await asyncio.gather(*(self._publish(order) for order in orders))

    def reply_time(self, device_code: str, token: str) -> None:
        """Answer a `time_request`."""

        def order(now: datetime) -> tuple[str, bytes]:
            reply = TimeReply(
                command_id=str(uuid4()),
                scope=f"device/{device_code}",
                not_after=now + NEVER_LATE,
                token=token,
                server_at=now,
            )
            topic = DEVICE_COMMAND.build(device_id=device_code, kind="time_reply")
            return topic, self._key.sign(reply)

        self._say(order)

    def confirm_journal(self, device_code: str, journal_id: str, upto_seq: int) -> None:
        """Tell a device that its records up to here are stored for good."""

        def order(now: datetime) -> tuple[str, bytes]:
            ack = JournalAck(
                command_id=str(uuid4()),
                scope=f"device/{device_code}",
                not_after=now + NEVER_LATE,
                journal_id=journal_id,
                upto_seq=upto_seq,
            )
            topic = DEVICE_COMMAND.build(device_id=device_code, kind="journal_ack")
            return topic, self._key.sign(ack)

        self._say(order)

    def resend(self, device_code: str, document: bytes) -> None:
        """Hand a device a document again."""
        self._say(lambda now: resend_command(document, device_code, self._key, now))

    def _say(self, order: Order) -> None:
        try:
            self._queue.put_nowait(order)
        except asyncio.QueueFull:
            LOST.inc()

    async def _publish(self, order: Order) -> None:
        try:
            topic, payload = order(clock.now())
        except Exception:
            # What was to be said is at fault; the other orders are not, and their task goes on.
            LOST.inc()
            log.exception("programmes.order.unsayable")
            return
        try:
            await self._link.publish(f"{self._prefix}/{topic}", payload)
        except Unavailable as error:
            LOST.inc()
            log.warning("programmes.order.lost", topic=topic, error=str(error))
