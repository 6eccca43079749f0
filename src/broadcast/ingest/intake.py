"""The first half of the inbound path: broker → our share of it → batches of decoded messages.

While one batch is being stored the next one is taken; not more, so that memory stays flat and the
broker keeps the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from prometheus_client import Counter

from broadcast.delivery.replies import Orders
from broadcast.ingest.decode import Event, Reader, Senders
from broadcast.ingest.echo import Echo, Probe, Speaker
from broadcast.ingest.sharding import Share
from broadcast.ingest.throttle import Flood, Throttle
from broadcast.kit import clock
from broadcast.telemetry.dead_letters import LETTERS, Letter, Why
from broadcast.wire.events import EVENTS, TimeRequest
from broadcast.wire.topics import SERVER_ECHO

log = structlog.get_logger()

MESSAGES = Counter("broadcast_ingest_messages", "Messages taken and committed", ["kind"])
THROTTLED = Counter("broadcast_ingest_throttled", "Messages left alone: a flood", ["kind"])

BATCH_SIZE = 4000
"""A message costs less the more share a transaction; two batches fit into the broker's window
(deploy/mosquitto.conf), so that it goes on sending while one is stored."""
AT_ONCE = 50
"""Messages decoded before others have their turn: half a millisecond. PostgreSQL must not
wait for the next statement of the batch before."""
BATCH_BYTES = 16 * 2**20
"""Of their payloads. Heartbeats of a batch come to 3 MB; 4,000 of the largest would be 250."""
GATHER_SECONDS = 0.4
GATHER_STEP = 0.05
"""Seconds. The batch is closed when a step brought nothing, so a broker with a narrow window of
unacknowledged messages is not held up; a question for the time waits no longer than this."""


class Taken(Protocol):
    """One message from the broker."""

    @property
    def topic(self) -> str:
        """With the prefix."""

    @property
    def payload(self) -> bytes:
        """As sent."""

    @property
    def retain(self) -> bool:
        """The broker had stored it."""

    def ack(self) -> None:
        """Tell the broker that it need not come again."""


class Broker(Speaker, Protocol):
    """What the inbound path needs of the link."""

    async def receive(self, limit: int) -> Sequence[Taken]:
        """At least one message."""


@dataclass(slots=True)
class Inbound:
    """A message on its way to the database."""

    taken: Taken
    read: Event | Letter


@dataclass(slots=True)
class Batch:
    """What has been taken together."""

    messages: list[Inbound]
    echoes: list[Taken]
    probe: Probe | None
    """The newest echo in it: with this batch everything is stored that was sent before it."""
    received_at: datetime
    size_bytes: int = 0
    """Of the payloads."""


class Intake:
    """Takes what comes over a link.

    Args:
        link: To the broker.
        prefix: First levels of every topic.
        share: Which devices are ours.
        orders: Where questions for the time are answered.
        is_known: Whether a device is known to be enrolled.
    """

    def __init__(
        self,
        link: Broker,
        prefix: str,
        share: Share,
        orders: Orders,
        is_known: Callable[[str], bool],
    ) -> None:
        self.echo = Echo(link, f"{prefix}/{SERVER_ECHO.build(worker=str(share.worker))}")
        self._link = link
        self._senders = Senders(prefix)
        self._share = share
        self._orders = orders
        self._is_known = is_known
        self._reader = Reader(is_known)
        self._throttle = Throttle()

    async def batch(self) -> Batch:
        """What has come, gathered for a moment; at least one message was taken for it."""
        batch = Batch([], [], None, clock.now())
        self._take(await self._link.receive(AT_ONCE), batch)
        deadline = time.monotonic() + GATHER_SECONDS
        waited = False
        while (room := self._room(batch)) > 0 and time.monotonic() < deadline:
            taken = await self._receive_now(min(room, AT_ONCE))
            self._take(taken, batch)
            if not taken and waited:
                break
            waited = not taken
            await asyncio.sleep(GATHER_STEP if waited else 0)
        batch.received_at = clock.now()
        return batch

    @staticmethod
    def _room(batch: Batch) -> int:
        """How many more messages fit into a batch."""
        return 0 if batch.size_bytes >= BATCH_BYTES else BATCH_SIZE - len(batch.messages)

    def floods(self) -> list[Flood]:
        """Floods that have begun or ended since this was asked the last time."""
        return self._throttle.news(time.monotonic())

    async def _receive_now(self, limit: int) -> Sequence[Taken]:
        try:
            async with asyncio.timeout(0):
                return await self._link.receive(limit)
        except TimeoutError:
            return ()

    def _take(self, taken: Sequence[Taken], batch: Batch) -> None:
        now = time.monotonic()
        echo, sender, admit = self.echo.topic, self._senders.of, self._throttle.admit
        ours = None if self._share.kind != "shards" else self._share.is_ours
        append, size = batch.messages.append, 0
        for message in taken:
            topic, payload = message.topic, message.payload
            if topic == echo:
                batch.echoes.append(message)
                batch.probe = self.echo.came_back(payload) or batch.probe
                continue
            known = sender(topic)
            if known is not None:
                if ours is not None and not ours(known[0]):
                    message.ack()
                    continue
                if not payload:
                    # What the broker retained was removed, by us or by somebody at a keyboard.
                    LETTERS.labels(Why.EMPTY.value).inc()
                    message.ack()
                    continue
                if not admit(known, now):
                    self._hold_up(known[1])
                    message.ack()
                    continue
            found = self._read(message, known)
            if isinstance(found, Event):
                if found.rows and not self._charge(found, now):
                    message.ack()
                    continue
                if found.kind == "time_request" and self._answered(found):
                    message.ack()
                    continue
            append(Inbound(message, found))
            size += len(payload)
        batch.size_bytes += size

    def _answered(self, event: Event) -> bool:
        """Answer a question for the time; tell whether the device is known and was answered.

        The device halves the round trip: no batch and no commit may lie in between.
        """
        if not (isinstance(event.message, TimeRequest) and self._is_known(event.device_code)):
            return False
        self._orders.reply_time(event.device_code, event.message.token)
        MESSAGES.labels(event.kind).inc()
        return True

    def _read(self, message: Taken, known: tuple[str, str] | None) -> Event | Letter:
        try:
            return self._reader.read(message.topic, known, message.payload, retain=message.retain)
        except Exception as error:
            # A bug of ours; the message would come again with every connection.
            log.exception("ingest.message.unreadable", topic=message.topic)
            code = None if known is None else known[0]
            return Letter(Why.UNREADABLE, message.topic, code, message.payload, repr(error))

    def _charge(self, event: Event, now: float) -> bool:
        """Tell whether a device may have the rows that one message of it makes."""
        if event.kind == "playback":
            key, rows = (event.device_code, event.kind), event.rows - 1
        else:
            key, rows = (event.device_code, "held"), event.rows
        return rows == 0 or self._throttle.admit(key, now, rows) or self._hold_up(event.kind)

    def _hold_up(self, kind: str) -> bool:
        THROTTLED.labels(kind if kind in EVENTS else "unknown").inc()
        return False
