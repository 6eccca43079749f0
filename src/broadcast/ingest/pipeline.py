"""The walk of a message: take → decode → batch → store → acknowledge → answer.

`Pipeline.walk` is all of it. While one batch is being stored the next one is taken; not more, so
that memory stays flat and the broker keeps the rest. A message is acknowledged when it is
committed, so whatever dies with this process comes again, and what is stored twice changes
nothing. `docs/architecture.md` has the walk of a heartbeat, file by file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, NoReturn, Protocol

import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.config import Settings
from broadcast.delivery.replies import ReplyQueue
from broadcast.delivery.resend import Resender
from broadcast.ingest.decode import Decoder
from broadcast.ingest.echo import Echo, EchoLink
from broadcast.ingest.enrolment_cache import EnrolmentCache
from broadcast.ingest.sharding import ShardAssignment
from broadcast.ingest.store import MESSAGES, Batch, Committed, Store
from broadcast.ingest.throttle import Throttle
from broadcast.keys.keyring import Keyring
from broadcast.kit import clock, db
from broadcast.telemetry.arrival import Arrival, BrokerMessage
from broadcast.wire.topics import SERVER_ECHO

log = structlog.get_logger()

BATCH = Gauge("broadcast_ingest_batch_messages", "Messages of the batch in work")

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


KEYS_SECONDS = 5.0
"""How often the keys are looked at. One that has been replaced still stands in every config."""


class BrokerLink(EchoLink, Protocol):
    """The link to the broker, as far as the inbound path needs it."""

    async def receive(self, limit: int) -> Sequence[BrokerMessage]:
        """At least one message."""


class Pipeline:
    """The inbound path over one link.

    Attributes:
        echoed_over: Connection over which an echo last came back; None: over none.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        link: BrokerLink,
        settings: Settings,
        keyring: Keyring,
        assignment: ShardAssignment,
    ) -> None:
        """Begin with nothing in memory.

        Args:
            engine: The database.
            link: To the broker.
            settings: Of this process.
            keyring: To sign what devices are answered.
            assignment: Devices of this worker.
        """
        topic = SERVER_ECHO.build(worker=str(assignment.worker))
        throttle = Throttle()
        self.echoed_over: int | None = None
        self._engine = engine
        self._keyring = keyring
        self._link = link
        self._enrolled = EnrolmentCache()
        self._echo = Echo(link, f"{settings.mqtt.prefix}/{topic}")
        self._decoder = Decoder(settings.mqtt.prefix, assignment, throttle, self._enrolled)
        self._store = Store(engine, settings, assignment, self._enrolled, self._echo, throttle)
        self._replies = ReplyQueue(link, settings.mqtt.prefix, keyring)
        self._resender = Resender(engine, self._replies)

    @property
    def database_trouble(self) -> str:
        """Reason why nothing can be stored, and what to do; empty: it can."""
        return self._store.trouble

    async def run(self) -> None:
        """Take what comes over the link until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._replies.run())
            group.create_task(self._echo.run())
            group.create_task(self._heed_keys())
            group.create_task(self.walk())

    async def _heed_keys(self) -> NoReturn:
        """Go by the keys as they are now; a change reaches this process within seconds."""
        while True:
            with suppress(*db.AWAY):
                await self._keyring.refresh(self._engine, clock.now())
            await asyncio.sleep(KEYS_SECONDS)

    async def walk(self) -> None:
        """Take, decode, batch, store, acknowledge, answer; until cancelled."""
        gathering = asyncio.create_task(self._gather())
        try:
            while True:
                batch = await gathering
                gathering = asyncio.create_task(self._gather())
                BATCH.set(len(batch.items))
                async with aclosing(self._store.keep(batch)) as parts:
                    async for committed in parts:
                        for item in committed.items:
                            if item.source is not None:
                                item.source.ack()
                        self._answer(committed)
                        await self._resend(committed, batch.received_at)
                for echo in batch.echoes:
                    echo.ack()
        finally:
            gathering.cancel()

    async def _gather(self) -> Batch:
        """Take what has come, decoded, for a moment; at least one message was taken for it."""
        batch = Batch([], clock.now())
        size = self._decode(await self._link.receive(AT_ONCE), batch)
        deadline = time.monotonic() + GATHER_SECONDS
        waited = False
        while (room := BATCH_SIZE - len(batch.items)) > 0 and time.monotonic() < deadline:
            if size >= BATCH_BYTES:
                break
            messages = await self._receive_now(min(room, AT_ONCE))
            size += self._decode(messages, batch)
            if not messages and waited:
                break
            waited = not messages
            await asyncio.sleep(GATHER_STEP if waited else 0)
        if batch.echoes:
            self.echoed_over = self._link.connection
        batch.received_at = clock.now()
        return batch

    async def _receive_now(self, limit: int) -> Sequence[BrokerMessage]:
        try:
            async with asyncio.timeout(0):
                return await self._link.receive(limit)
        except TimeoutError:
            return ()

    def _decode(self, messages: Sequence[BrokerMessage], batch: Batch) -> int:
        """Decode messages into a batch; returns the bytes that they have.

        What is not to be stored is acknowledged at once.
        """
        now, size = time.monotonic(), 0
        echo, decode, append = self._echo.topic, self._decoder.decode, batch.items.append
        for message in messages:
            if message.topic == echo:
                batch.echoes.append(message)
                batch.probe = self._echo.received(message.payload) or batch.probe
                continue
            item = decode(message, now)
            if item is None or (
                isinstance(item, Arrival)
                and item.kind == "time_request"
                and self._answer_time(item)
            ):
                message.ack()
            else:
                append(item)
                size += len(message.payload)
        return size

    def _answer_time(self, arrival: Arrival[Any]) -> bool:
        """Answer a question for the time; tell whether the device is known and was answered.

        The device halves the round trip: no batch and no commit may lie in between.
        """
        if arrival.device_code not in self._enrolled:
            return False
        self._replies.reply_time(arrival.device_code, arrival.message.token)
        MESSAGES.labels(arrival.kind).inc()
        return True

    def _answer(self, committed: Committed) -> None:
        for code, journal_id, upto_seq in committed.confirmed:
            self._replies.confirm_journal(code, journal_id, upto_seq)
        for request in committed.by_kind.get("time_request", ()):
            self._replies.reply_time(request.device_code, request.message.token)

    async def _resend(self, committed: Committed, now: datetime) -> None:
        """Send documents again to devices that should hold newer ones."""
        beats = committed.by_kind.get("heartbeat", ())
        if not beats:
            return
        try:
            await self._resender.compare([(b.device_code, b.message.held) for b in beats], now)
        except Exception as error:
            # The batch is stored; the next heartbeats ask again.
            if not db.is_outage(error):
                log.exception("ingest.resend.failed")
