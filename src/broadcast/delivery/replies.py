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

WAITING = Gauge("broadcast_replies_waiting", "Commands that wait to be published")
LOST = Counter("broadcast_replies_lost", "Commands that could not be published")

AT_MOST = 20_000
AT_ONCE = 200

Reply = Callable[[datetime], tuple[str, bytes]]
"""Topic (without the prefix) and payload, stamped and signed at the moment it is sent."""


class Publisher(Protocol):
    """The part of the link that this module needs."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish, and return when confirmed."""


class ReplyQueue:
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
        self._queue: asyncio.Queue[Reply] = asyncio.Queue(AT_MOST)

    async def run(self) -> None:
        """Publish the queue, until cancelled."""
        while True:
            replies = [await self._queue.get()]
            while len(replies) < AT_ONCE and not self._queue.empty():
                replies.append(self._queue.get_nowait())
            WAITING.set(self._queue.qsize())
            await asyncio.gather(*(self._publish(reply) for reply in replies))

    def reply_time(self, device_code: str, token: str) -> None:
        """Answer a `time_request`."""

        def reply(now: datetime) -> tuple[str, bytes]:
            answer = TimeReply(
                command_id=str(uuid4()),
                scope=f"device/{device_code}",
                not_after=now + NEVER_LATE,
                token=token,
                server_at=now,
            )
            topic = DEVICE_COMMAND.build(device_id=device_code, kind="time_reply")
            return topic, self._key.sign(answer)

        self._put(reply)

    def confirm_journal(self, device_code: str, journal_id: str, upto_seq: int) -> None:
        """Tell a device that its records up to here are stored permanently."""

        def reply(now: datetime) -> tuple[str, bytes]:
            ack = JournalAck(
                command_id=str(uuid4()),
                scope=f"device/{device_code}",
                not_after=now + NEVER_LATE,
                journal_id=journal_id,
                upto_seq=upto_seq,
            )
            topic = DEVICE_COMMAND.build(device_id=device_code, kind="journal_ack")
            return topic, self._key.sign(ack)

        self._put(reply)

    def resend(self, device_code: str, document: bytes) -> None:
        """Send a device a document again."""
        self._put(lambda now: resend_command(document, device_code, self._key, now))

    def _put(self, reply: Reply) -> None:
        try:
            self._queue.put_nowait(reply)
        except asyncio.QueueFull:
            LOST.inc()

    async def _publish(self, reply: Reply) -> None:
        try:
            topic, payload = reply(clock.now())
        except Exception:
            # This reply is at fault; the others are not, and their task goes on.
            LOST.inc()
            log.exception("delivery.reply.invalid")
            return
        try:
            await self._link.publish(f"{self._prefix}/{topic}", payload)
        except Unavailable as error:
            LOST.inc()
            log.warning("delivery.reply.lost", topic=topic, error=str(error))
