"""The link to the broker: paho-mqtt on the event loop, no thread.

It knows topics and bytes and no meaning. What it promises:

* what it cannot hand to the broker it refuses at once, so nothing waits in memory to be sent
  later, behind the back of whoever retries;
* a message is acknowledged when its consumer says so, which is after commit, so what dies with us
  comes again;
* a consumer that falls behind stops the reading, so memory stays flat.
"""
# ruff: noqa: ASYNC109 — a timeout here ends in our Unavailable, which says what to do next

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from prometheus_client import Counter, Gauge

from broadcast.config import Mqtt
from broadcast.kit.errors import Unavailable, because
from broadcast.mqtt.login import log_in
from broadcast.mqtt.packets import Malformed, Message, Stream

log = structlog.get_logger()

RECEIVED = Counter("broadcast_mqtt_received", "Messages taken from the broker")
PUBLISHED = Counter("broadcast_mqtt_published", "Messages the broker has confirmed")
LOST = Counter("broadcast_mqtt_lost", "Times that a standing link broke")
CONNECTED = Gauge("broadcast_mqtt_connected", "Links that stand")
UNACKED = Gauge("broadcast_mqtt_unacked", "Messages taken and not yet acknowledged")

KEEPALIVE = 30
"""Seconds; a dead line is noticed within twice this. Shorter costs pings, longer lost orders."""

FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
"""Seconds between attempts to connect, doubling from the one to the other, each drawn between
nothing and that: clients of a restarted broker must not return in step."""

LASTED, FEW = 10.0, 3
"""Seconds that a connection lasts, and how many in a row may last less: two clients of one id
throw each other out for ever."""

SESSION_SECONDS = 7 * 24 * 3600
"""How long an MQTT 5 broker keeps the session of a worker that is away; one of 3.1.1 has a setting
of its own."""

QUEUE_BYTES = 64 * 2**20
"""Payloads that may wait for the consumer before reading stops: a peer decides how large they are,
and messages of QoS 0 pass any window."""

READ_BATCH = 250
"""Packets taken before other tasks get their turn: about a millisecond."""


class _Client(paho.Client):
    """paho over a socket with buffers."""

    def _create_socket(self) -> Any:
        sock: Any = super()._create_socket()
        return Stream(sock, properties=self._protocol == paho.MQTTv5)


class Link:
    """A connection to the broker that is kept up; an async context manager.

    The session persists under the client id, so the broker keeps QoS 1 messages while we are
    away. Subscriptions are made again at every connect, since a broker may forget.

    Attributes:
        connected: The broker has accepted us and granted every subscription.
        connection: Number of the present connection; a broken one's is never used again.
        on_connect: Called in the event loop each time the link comes to stand.
    """

    def __init__(
        self,
        settings: Mqtt,
        *,
        subscriptions: Sequence[tuple[str, int]] = (),
        queue_size: int = 10_000,
        client_id: str | None = None,
        mqtt5: bool = False,
        unsubscribe: Sequence[str] = (),
    ) -> None:
        """Describe the link; entering it starts to connect.

        Args:
            settings: Where the broker is and how we are known to it.
            subscriptions: Topic filters, each with its highest QoS.
            queue_size: Messages that may wait for the consumer before reading stops. Where it is
                above the broker's window of unacknowledged messages it only matters for QoS 0.
            client_id: Other than the configured one, for a second link of the same program.
            mqtt5: Speak MQTT 5, for shared subscriptions, instead of 3.1.1.
            unsubscribe: Topic filters of an earlier session under this id.
        """
        self.connected = False
        self.connection = 0
        self.on_connect: list[Callable[[], None]] = []
        self._address = f"{settings.host}:{settings.port}"
        self._subscriptions = list(subscriptions)
        self._unsubscribe = list(unsubscribe)
        self._queue: deque[Message] = deque()
        self._queue_size = queue_size
        self._queued_bytes = 0
        self._looks: set[int] = set()
        """Subscriptions on their way that say nothing of whether the link stands."""
        self._arrived = asyncio.Event()
        self._standing = asyncio.Event()
        self._slots = asyncio.Semaphore(settings.inflight)
        self._pending: dict[int, asyncio.Future[None]] = {}
        self._told_unacked = 0
        self._idle_since: float | None = None
        self._why = "đang kết nối"
        self._broke_at_once = 0
        """Times in a row that a connection broke as soon as it stood."""
        self._stood_at = 0.0
        self._paused = False
        self._writing = False
        self._socket: Stream | None = None
        self._client_id = client_id or settings.client_id
        self._client = self._make_client(settings, self._client_id, mqtt5=mqtt5)

    async def __aenter__(self) -> Link:
        self._loop = asyncio.get_running_loop()
        self._broken = self._loop.create_future()
        self._task = asyncio.create_task(self._keep_up(), name="mqtt-link")
        self._task.add_done_callback(lambda _: self._arrived.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._client.disconnect()
        self._client.loop_write()

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Return when the link stands; raise `Unavailable` after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._standing.wait()
        except TimeoutError:
            raise self._away() from None

    async def receive(self, limit: int = 1000) -> list[Message]:
        """Everything that has arrived, in order: at least one message and at most `limit`.

        A consumer that waits here when the link is closed is cancelled.
        """
        queue = self._queue
        if not queue:
            await self._wait()
        batch = [queue.popleft() for _ in range(min(limit, len(queue)))]
        self._queued_bytes -= sum(len(message.payload) for message in batch)
        few = len(queue) <= self._queue_size // 2 and self._queued_bytes <= QUEUE_BYTES // 2
        if self._paused and few and self._socket is not None:
            self._paused = False
            self._loop.add_reader(self._socket, self._read)
            self._loop.call_soon(self._take)
            log.info("mqtt.reading.resumed", waiting=len(queue))
        return batch

    async def _wait(self) -> None:
        self._idle_since = time.monotonic()
        try:
            while not self._queue:
                if self._task.done():
                    self._task.result()
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self._idle_since = None

    @property
    def trouble(self) -> str:
        """Why the link does not stand, and what to do, for the person on duty; empty: it does."""
        if self._broke_at_once >= FEW:
            return (
                f"broker MQTT {self._address} ngắt ngay sau mỗi lần kết nối: có chương trình khác"
                f" dùng cùng client id {self._client_id}; hãy dừng nó, hoặc đặt"
                " BROADCAST_MQTT__CLIENT_ID khác"
            )
        return "" if self.connected else f"broker MQTT {self._address}: {self._why}"

    @property
    def stood_seconds(self) -> float:
        """For how long the link has stood; 0 while it does not."""
        return time.monotonic() - self._stood_at if self.connected else 0.0

    @property
    def idle_seconds(self) -> float:
        """For how long the consumer has waited for the next message; 0 while it does not wait."""
        return 0.0 if self._idle_since is None else time.monotonic() - self._idle_since

    def look(self, topic_filter: str) -> None:
        """Subscribe for a moment, to what the broker retains; at QoS 0, and not after a break."""
        self._looks.add(self._client.subscribe(topic_filter, 0)[1] or 0)

    def look_away(self, topic_filter: str) -> None:
        """End what `look` began."""
        self._client.unsubscribe(topic_filter)

    def renew(self) -> None:
        """Break the connection, so that it is made anew; what was not acknowledged comes again."""
        self._client.disconnect()

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        timeout: float = 10.0,
    ) -> None:
        """Publish, and return when the broker has confirmed it (QoS 0: when it is written).

        Waits for its turn while `settings.inflight` messages are on their way.

        Raises:
            Unavailable: The link is down, and nothing was sent; or it broke on the way, or
                `timeout` seconds have passed, and the message may have arrived.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._slots.acquire()
                await self._send(topic, payload, qos, retain)
        except TimeoutError:
            raise Unavailable(
                f"Broker MQTT {self._address} không xác nhận sau {timeout:g} giây; hãy thử lại."
            ) from None
        PUBLISHED.inc()

    def _send(self, topic: str, payload: bytes, qos: int, retain: bool) -> asyncio.Future[None]:
        """Give a message to paho, with the slot acquired for it.

        The slot is taken until the message is confirmed or the link breaks, even when the caller
        stops waiting: the message is still on its way.
        """
        mid = 0
        try:
            # Asked first, because paho would store the message to send it some other time.
            if self._socket is not None and self._client.is_connected():
                info = self._client.publish(topic, payload, qos, retain)
                mid = info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else 0
        finally:
            if mid == 0:
                self._slots.release()
        if mid == 0:
            raise self._away()
        confirmed = self._pending[mid] = self._loop.create_future()
        return confirmed

    def _away(self) -> Unavailable:
        return Unavailable(f"Không có kết nối tới broker MQTT {self._address}; hãy thử lại.")

    def _make_client(self, settings: Mqtt, client_id: str, *, mqtt5: bool) -> paho.Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if mqtt5 else False,
            protocol=paho.MQTTv5 if mqtt5 else paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_inflight_messages_set(0)  # the semaphore is the limit
        log_in(client, settings, client_id)
        if mqtt5:
            client.connect_async(
                settings.host, settings.port, KEEPALIVE, clean_start=False, properties=lasting()
            )
        else:
            client.connect_async(settings.host, settings.port, KEEPALIVE)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_close = lambda *_: self._detach()
        client.on_socket_register_write = lambda *_: self._want_write()
        return client

    async def _keep_up(self) -> None:
        retry = FIRST_RETRY
        while True:
            since = time.monotonic()
            try:
                await self._open()
            except OSError as error:
                log.warning("mqtt.link.failed", broker=self._address, error=str(error))
                self._why = (
                    f"không kết nối được ({because(error)}); kiểm tra broker đang chạy,"
                    " BROADCAST_MQTT__HOST, __PORT và __TLS_CA_FILE"
                )
                self._broken.set_result(None)
            while not self._broken.done():
                await asyncio.wait([self._broken], timeout=1)
                self._client.loop_misc()
                if self.stood_seconds > LASTED:
                    self._broke_at_once = 0
            # Held for a moment only counts as failed: a broker may accept us and kick us out.
            held = time.monotonic() - since > LONGEST_RETRY
            retry = FIRST_RETRY if held else min(2 * retry, LONGEST_RETRY)
            await asyncio.sleep(random.uniform(0, retry))  # noqa: S311 — jitter, no secret

    async def _open(self) -> None:
        # What was on its way when the last connection broke has been refused to its publisher.
        self._client.drop_out_messages()
        self._looks.clear()
        self._broken = self._loop.create_future()
        opening = self._loop.run_in_executor(None, self._client.reconnect)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # A thread cannot be stopped; left alone it would open a socket that nobody closes.
            with suppress(OSError):
                await opening
            raise
        stream: Any = self._client.socket()
        self._socket = stream
        stream.connection = self.connection
        stream.on_output = self._want_write
        stream.without_delay()
        self._loop.add_reader(stream, self._read)
        self._want_write()  # CONNECT

    def _detach(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = None
            self._paused = False
            self._writing = False
            self.connection += 1
            self._tell_unacked()

    def _want_write(self) -> None:
        # While there is no socket of ours, paho calls from the thread that is connecting.
        if self._socket is not None and not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        self._client.loop_write()
        stream = self._socket
        if stream is not None and stream.flush():
            self._writing = False
            self._loop.remove_writer(stream)
        self._tell_unacked()

    def _read(self) -> None:
        if self._socket is not None:
            self._socket.fill()
            self._take()

    def _take(self) -> None:
        """Work off what has been read, or as much of it as may wait for the consumer."""
        stream, queue, turns = self._socket, self._queue, READ_BATCH
        while stream is not None and stream is self._socket and not self._paused:
            if turns <= 0:
                self._loop.call_soon(self._take)
                break
            limit = min(turns, self._queue_size - len(queue))
            try:
                messages = stream.messages(limit)
                for_paho = len(messages) < limit and stream.shows()
            except Malformed as error:
                log.error("mqtt.stream.malformed", broker=self._address, error=str(error))  # noqa: TRY400
                self._loop.remove_reader(stream)
                self._client.disconnect()
                break
            turns -= len(messages) + for_paho
            self._accept(messages)
            if for_paho:
                self._client.loop_read()
            elif len(queue) >= self._queue_size or self._queued_bytes >= QUEUE_BYTES:
                # After a minute it costs the connection: the answer to our ping waits too.
                self._paused = True
                self._loop.remove_reader(stream)
                log.warning("mqtt.reading.paused", waiting=len(queue), size=self._queued_bytes)
            elif len(messages) < limit:
                break

    def _accept(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        RECEIVED.inc(len(messages))
        append, size = self._queue.append, 0
        for message in messages:
            if message.topic:
                append(message)
                size += len(message.payload)
            else:
                log.warning("mqtt.message.refused", reason="topic is not UTF-8")
                message.ack()
        self._queued_bytes += size
        if self._queue:
            self._arrived.set()
        self._tell_unacked()

    def _tell_unacked(self) -> None:
        unacked = 0 if self._socket is None else self._socket.unacked
        UNACKED.inc(unacked - self._told_unacked)
        self._told_unacked = unacked

    # Callbacks of paho. An exception here would leave its parser inside a packet: they raise none.

    def _on_connect(self, client: paho.Client, _: Any, __: Any, reason: Any, *___: Any) -> None:
        if reason.is_failure:
            log.error("mqtt.link.refused", broker=self._address, reason=str(reason))
            self._why = (
                f"từ chối đăng nhập ({reason}); kiểm tra BROADCAST_MQTT__USERNAME và"
                " __PASSWORD_FILE"
            )
        elif self._subscriptions:
            if self._unsubscribe:
                client.unsubscribe(self._unsubscribe)
            client.subscribe(self._subscriptions)
        else:
            self._stand()

    def _on_subscribe(self, client: paho.Client, _: Any, mid: int, reasons: Any, *__: Any) -> None:
        if mid in self._looks:
            self._looks.discard(mid)
            return
        answers = zip(self._subscriptions, reasons, strict=False)
        if refused := [topic for (topic, _), reason in answers if reason.is_failure]:
            log.error("mqtt.subscription.refused", broker=self._address, topics=refused)
            self._why = (
                f"không cho nghe {', '.join(refused)}; kiểm tra quyền của người dùng này"
                " (mosquitto.acl)"
            )
            client.disconnect()
        else:
            self._stand()

    def _stand(self) -> None:
        self.connected = True
        self._stood_at = time.monotonic()
        self._why = "mất kết nối, đang kết nối lại"
        self._standing.set()
        CONNECTED.inc()
        log.info("mqtt.link.connected", broker=self._address)
        for callback in self.on_connect:
            self._loop.call_soon(callback)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, *____: Any) -> None:
        if self.connected:
            at_once = reason.is_failure and self.stood_seconds < LASTED
            self._broke_at_once = self._broke_at_once + 1 if at_once else 0
            self.connected = False
            self._standing.clear()
            CONNECTED.dec()
            if reason.is_failure:
                LOST.inc()
                log.warning("mqtt.link.lost", broker=self._address, reason=str(reason))
        for confirmed in self._pending.values():
            self._slots.release()
            if not confirmed.done():
                confirmed.set_exception(self._away())
        self._pending.clear()
        if not self._broken.done():
            self._broken.set_result(None)

    def _on_publish(self, _: Any, __: Any, mid: int, *___: Any) -> None:
        if (confirmed := self._pending.pop(mid, None)) is not None:
            self._slots.release()
            if not confirmed.done():
                confirmed.set_result(None)


def lasting() -> Properties:
    """What an MQTT 5 client says so that its session lasts."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = SESSION_SECONDS
    return properties
