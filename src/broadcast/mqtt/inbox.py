"""Messages of a link that wait for its consumer: bounded, so that memory stays flat."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import structlog

from broadcast.mqtt.packets import Message

log = structlog.get_logger()

QUEUE_SIZE = 10_000
"""Messages that may wait before reading stops. It is above the broker's window of unacknowledged
messages, so it only matters for QoS 0."""

QUEUE_BYTES = 64 * 2**20
"""Payloads that may wait before reading stops: a peer decides how large they are, and messages of
QoS 0 pass any window."""


class Inbox:
    """A queue of messages, bounded by number and by bytes.

    Attributes:
        queued_bytes: Of the payloads that wait.
    """

    def __init__(self) -> None:
        self.queued_bytes = 0
        self._queue: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._idle_since: float | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def room(self) -> int:
        """Messages that still fit."""
        return QUEUE_SIZE - len(self._queue)

    @property
    def is_full(self) -> bool:
        """Tell whether reading has to stop."""
        return len(self._queue) >= QUEUE_SIZE or self.queued_bytes >= QUEUE_BYTES

    @property
    def is_half_empty(self) -> bool:
        """Tell whether reading, once stopped, may go on."""
        return len(self._queue) <= QUEUE_SIZE // 2 and self.queued_bytes <= QUEUE_BYTES // 2

    @property
    def idle_seconds(self) -> float:
        """Seconds that the consumer has waited for the next message; 0 while it does not wait."""
        return 0.0 if self._idle_since is None else time.monotonic() - self._idle_since

    def put(self, messages: Sequence[Message]) -> None:
        """Append messages; one whose topic is not UTF-8 is acknowledged and left out."""
        append, size = self._queue.append, 0
        for message in messages:
            if message.topic:
                append(message)
                size += len(message.payload)
            else:
                log.warning("mqtt.message.refused", reason="topic is not UTF-8")
                message.ack()
        self.queued_bytes += size
        if self._queue:
            self._arrived.set()

    def wake(self) -> None:
        """Have the consumer look whether the link is still kept up."""
        self._arrived.set()

    def take(self, limit: int) -> list[Message]:
        """Everything that waits, in order, at most `limit` messages."""
        queue = self._queue
        taken = [queue.popleft() for _ in range(min(limit, len(queue)))]
        self.queued_bytes -= sum(len(message.payload) for message in taken)
        return taken

    async def wait(self, keeper: asyncio.Task[None]) -> None:
        """Return when a message waits.

        Args:
            keeper: The task that keeps the link up; its failure is raised.
        """
        self._idle_since = time.monotonic()
        try:
            while not self._queue:
                if keeper.done():
                    keeper.result()
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._idle_since = None
