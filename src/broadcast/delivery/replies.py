"""Commands to devices, published after what caused them has been committed.

They wait in memory only: whatever is lost here, the device asks for again (it repeats its journal,
its question, its heartbeat).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import structlog
from prometheus_client import Counter, Gauge

from broadcast.delivery.reconcile import resend_command
from broadcast.keys.keyring import Keyring, Keys
from broadcast.kit import clock
from broadcast.kit.errors import Unavailable
from broadcast.wire.commands import NEVER_LATE, JournalAck, Resend, TimeReply
from broadcast.wire.topics import DEVICE_COMMAND

log = structlog.get_logger()

WAITING = Gauge("broadcast_replies_waiting", "Commands that wait to be published")
LOST = Counter("broadcast_replies_lost", "Commands that could not be published")

AT_MOST = 20_000
AT_ONCE = 200

Reply = Callable[[datetime], JournalAck | TimeReply | Resend]
"""The command, stamped at the moment it is signed and sent."""


class Publisher(Protocol):
    """The part of the link that this module needs."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish, and return when confirmed."""


class ReplyQueue:
    """A bounded queue of commands, and the task that publishes them."""

    def __init__(self, link: Publisher, prefix: str, keyring: Keyring) -> None:
        """Make an empty queue.

        Args:
            link: To publish over.
            prefix: First levels of every topic.
            keyring: To sign with; while it cannot, nothing is sent.
        """
        self._link = link
        self._prefix = prefix
        self._keyring = keyring
        self._queue: asyncio.Queue[Reply] = asyncio.Queue(AT_MOST)

    async def run(self) -> None:
        """Publish the queue, until cancelled."""
        while True:
            replies = [await self._queue.get()]
            while len(replies) < AT_ONCE and not self._queue.empty():
                replies.append(self._queue.get_nowait())
            WAITING.set(self._queue.qsize())
            if not self._keyring.usable:
                LOST.inc(len(replies))
                continue
            # In a thread: a device that holds the keys takes half a millisecond for each.
            signed = await asyncio.to_thread(self._sign, replies, self._keyring.keys)
            await asyncio.gather(*(self._publish(*each) for each in signed))

    def reply_time(self, device_code: str, token: str) -> None:
        """Answer a `time_request`."""
        self._put(
            lambda now: TimeReply(
                command_id=str(uuid4()),
                scope=f"device/{device_code}",
                not_after=now + NEVER_LATE,
                token=token,
                server_at=now,
            )
        )

    def confirm_journal(self, device_code: str, journal_id: str, upto_seq: int) -> None:
        """Tell a device that its records up to here are stored permanently."""
        self._put(
            lambda now: JournalAck(
                command_id=str(uuid4()),
                scope=f"device/{device_code}",
                not_after=now + NEVER_LATE,
                journal_id=journal_id,
                upto_seq=upto_seq,
            )
        )

    def resend(self, device_code: str, document: bytes) -> None:
        """Send a device a document again."""
        self._put(lambda now: resend_command(document, device_code, now))

    def _put(self, reply: Reply) -> None:
        try:
            self._queue.put_nowait(reply)
        except asyncio.QueueFull:
            LOST.inc()

    def _sign(self, replies: Iterable[Reply], keys: Keys) -> list[tuple[str, bytes]]:
        """Topics and payloads of replies; one that is at fault costs itself."""
        signed = []
        for reply in replies:
            try:
                command = reply(clock.now())
                code = command.scope.removeprefix("device/")
                kind = str(command.__struct_config__.tag)
                topic = DEVICE_COMMAND.build(device_id=code, kind=kind)
                signed.append((topic, keys.signer(command.scope).sign(command)))
            except Exception:
                LOST.inc()
                log.exception("delivery.reply.invalid")
        return signed

    async def _publish(self, topic: str, payload: bytes) -> None:
        try:
            await self._link.publish(f"{self._prefix}/{topic}", payload)
        except Unavailable as error:
            LOST.inc()
            log.warning("delivery.reply.lost", topic=topic, error=str(error))
