"""A broker in memory: what it hands out, what was acknowledged, what was published."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from broadcast.kit.errors import Unavailable
from broadcast.wire.codec import encode
from broadcast.wire.fields import Wire

PREFIX = "ttn/v1"
ECHO = "/server/echo/"
"""What the inbound path says to itself comes back and is not counted."""

Until = Callable[[Callable[[], object]], Awaitable[None]]
Acked = Callable[..., Awaitable[None]]


class Message:
    """One message; counts its acknowledgements."""

    def __init__(self, inbox: Inbox, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.topic = topic
        self.payload = payload
        self.retain = retain
        self.acked = 0
        self._inbox = inbox

    def ack(self) -> None:
        self.acked += 1
        if ECHO not in self.topic:
            self._inbox.acked.append(self)


class Inbox:
    """The link as the inbound path sees it."""

    def __init__(self) -> None:
        self.connected = True
        self.connection = 1
        self.idle_seconds = 0.0
        self.acked: list[Message] = []
        self.published: list[tuple[str, bytes]] = []
        self.on_publish: Callable[[str, bytes], None] | None = None
        self._waiting: deque[Message] = deque()
        self._arrived = asyncio.Event()

    def put(
        self, device: str, kind: str, message: Wire | bytes, *, retain: bool = False
    ) -> Message:
        payload = message if isinstance(message, bytes) else encode(message)
        return self.put_raw(f"{PREFIX}/device/{device}/event/{kind}", payload, retain=retain)

    def put_raw(self, topic: str, payload: bytes, *, retain: bool = False) -> Message:
        message = Message(self, topic, payload, retain=retain)
        self._waiting.append(message)
        self._arrived.set()
        return message

    @property
    def waiting(self) -> int:
        """Messages that nobody has taken."""
        return sum(ECHO not in message.topic for message in self._waiting)

    async def receive(self, limit: int) -> list[Message]:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def renew(self) -> None:
        self.connection += 1

    async def publish(self, topic: str, payload: bytes) -> None:
        if not self.connected:
            raise Unavailable("no link")
        if ECHO in topic:
            self.put_raw(topic, payload)
            return
        self.published.append((topic, payload))
        if self.on_publish:
            self.on_publish(topic, payload)
