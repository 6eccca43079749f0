"""The link to the broker: paho-mqtt on the event loop, no thread.

It knows topics and bytes and no meaning. What it promises:

* what it cannot hand to the broker it refuses at once, so nothing waits in memory to be sent
  later, after its publisher has tried again;
* a message is acknowledged by its consumer, which is after commit, so what dies with this process
  comes again;
* a consumer that falls behind stops the reading, so memory stays flat.

`packets` parses what arrives, `buffered_socket` reads and writes it, `inbox` holds messages for
the consumer, `confirmations` the messages on their way. Here is the state of the connection:
whether it stands, why not, and when it is tried again.
"""
# ruff: noqa: ASYNC109 — a timeout here ends in our Unavailable, which says what to do next

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from prometheus_client import Counter, Gauge

from broadcast.config import Mqtt
from broadcast.kit.errors import Unavailable, because
from broadcast.mqtt.buffered_socket import BufferedSocket
from broadcast.mqtt.client import make_client
from broadcast.mqtt.confirmations import Confirmations
from broadcast.mqtt.inbox import Inbox
from broadcast.mqtt.packets import Malformed, Message

log = structlog.get_logger()

RECEIVED = Counter("broadcast_mqtt_received", "Messages taken from the broker")
PUBLISHED = Counter("broadcast_mqtt_published", "Messages the broker has confirmed")
LOST = Counter("broadcast_mqtt_lost", "Times that a standing link broke")
CONNECTED = Gauge("broadcast_mqtt_connected", "Links that stand")
UNACKED = Gauge("broadcast_mqtt_unacked", "Messages taken and not yet acknowledged")

FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
"""Seconds between attempts to connect, doubling from the one to the other, each drawn between
nothing and that: clients of a restarted broker must not return in step."""

LASTED, FEW = 10.0, 3
"""Seconds that a connection lasts, and how many in a row may last less: two clients of one id
disconnect each other permanently."""

READ_BATCH = 250
"""Packets taken before other tasks get their turn: about a millisecond."""


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
        client_id: str | None = None,
        mqtt5: bool = False,
        unsubscribe: Sequence[str] = (),
    ) -> None:
        """Describe the link; entering it starts to connect.

        Args:
            settings: Address of the broker and login.
            subscriptions: Topic filters, each with its highest QoS.
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
        self._inbox = Inbox()
        self._confirmations = Confirmations(settings.inflight)
        self._peeks: set[int] = set()
        """Subscriptions on their way that do not decide whether the link stands."""
        self._counted_unacked = 0
        self._why = "đang kết nối"
        self._broke_at_once = 0
        """Times in a row that a connection broke as soon as it stood."""
        self._stood_at = 0.0
        self._paused = False
        self._writing = False
        self._socket: BufferedSocket | None = None
        self._client_id = client_id or settings.client_id
        self._client = self._make_client(settings, mqtt5=mqtt5)

    async def __aenter__(self) -> Link:
        self._loop = asyncio.get_running_loop()
        self._broken = self._loop.create_future()
        self._task = asyncio.create_task(self._keep_up(), name="mqtt-link")
        self._task.add_done_callback(lambda _: self._inbox.wake())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._client.disconnect()
        self._client.loop_write()

    async def receive(self, limit: int = 1000) -> list[Message]:
        """Everything that has arrived, in order: at least one message and at most `limit`.

        A consumer that waits here when the link is closed is cancelled.
        """
        if not self._inbox:
            await self._inbox.wait(self._task)
        messages = self._inbox.take(limit)
        if self._paused and self._inbox.is_half_empty and self._socket is not None:
            self._paused = False
            self._loop.add_reader(self._socket, self._read)
            self._loop.call_soon(self._take)
            log.info("mqtt.reading.resumed", waiting=len(self._inbox))
        return messages

    @property
    def trouble(self) -> str:
        """Reason why the link does not stand, and what to do, for the operator; empty: it does."""
        if self._broke_at_once >= FEW:
            return (
                f"broker MQTT {self._address} ngắt ngay sau mỗi lần kết nối: có chương trình khác"
                f" dùng cùng client id {self._client_id}; hãy dừng nó, hoặc đặt"
                " BROADCAST_MQTT__CLIENT_ID khác"
            )
        return "" if self.connected else f"broker MQTT {self._address}: {self._why}"

    @property
    def stood_seconds(self) -> float:
        """Seconds that the link has stood; 0 while it does not."""
        return time.monotonic() - self._stood_at if self.connected else 0.0

    @property
    def idle_seconds(self) -> float:
        """Seconds that the consumer has waited for the next message; 0 while it does not wait."""
        return self._inbox.idle_seconds

    def peek(self, topic_filter: str) -> None:
        """Subscribe for a moment, to what the broker retains; at QoS 0, and not after a break."""
        self._peeks.add(self._client.subscribe(topic_filter, 0)[1] or 0)

    def end_peek(self, topic_filter: str) -> None:
        """End what `peek` began."""
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
                await self._confirmations.slot()
                await self._send(topic, payload, qos, retain)
        except TimeoutError:
            raise Unavailable(
                f"Broker MQTT {self._address} không xác nhận sau {timeout:g} giây; hãy thử lại."
            ) from None
        PUBLISHED.inc()

    def _send(self, topic: str, payload: bytes, qos: int, retain: bool) -> asyncio.Future[None]:
        """Give a message to paho, with the slot taken for it; the future of its confirmation."""
        mid = 0
        try:
            # Asked first, because paho would store the message to send it some other time.
            if self._socket is not None and self._client.is_connected():
                info = self._client.publish(topic, payload, qos, retain)
                mid = info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else 0
        finally:
            if mid == 0:
                self._confirmations.not_sent()
        if mid == 0:
            raise self._away()
        return self._confirmations.sent(mid)

    def _away(self) -> Unavailable:
        return Unavailable(f"Không có kết nối tới broker MQTT {self._address}; hãy thử lại.")

    def _make_client(self, settings: Mqtt, *, mqtt5: bool) -> paho.Client:
        client = make_client(settings, self._client_id, mqtt5=mqtt5)
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
        self._peeks.clear()
        self._broken = self._loop.create_future()
        opening = self._loop.run_in_executor(None, self._client.reconnect)
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # A thread cannot be stopped; left alone it would open a socket that nobody closes.
            with suppress(OSError):
                await opening
            raise
        opened: Any = self._client.socket()
        self._socket = opened
        opened.packets.connection = self.connection
        opened.packets.on_output = self._want_write
        opened.without_delay()
        self._loop.add_reader(opened, self._read)
        self._want_write()  # CONNECT

    def _detach(self) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = None
            self._paused = False
            self._writing = False
            self.connection += 1
            self._count_unacked()

    def _want_write(self) -> None:
        # While there is no socket of ours, paho calls from the thread that is connecting.
        if self._socket is not None and not self._writing:
            self._writing = True
            self._loop.add_writer(self._socket, self._write)

    def _write(self) -> None:
        self._client.loop_write()
        if self._socket is not None and self._socket.flush():
            self._writing = False
            self._loop.remove_writer(self._socket)
        self._count_unacked()

    def _read(self) -> None:
        if self._socket is not None:
            self._socket.fill()
            self._take()

    def _take(self) -> None:
        """Hand on what has been read, or as much of it as may wait for the consumer."""
        sock, inbox, turns = self._socket, self._inbox, READ_BATCH
        while sock is not None and sock is self._socket and not self._paused:
            if turns <= 0:
                self._loop.call_soon(self._take)
                break
            limit = min(turns, inbox.room)
            try:
                messages = sock.packets.messages(limit)
                for_paho = len(messages) < limit and sock.has_for_paho()
            except Malformed as error:
                log.error("mqtt.stream.malformed", broker=self._address, error=str(error))  # noqa: TRY400
                self._loop.remove_reader(sock)
                self._client.disconnect()
                break
            turns -= len(messages) + for_paho
            self._accept(messages)
            if for_paho:
                self._client.loop_read()
            elif inbox.is_full:
                # After a minute it costs the connection: the answer to our ping waits too.
                self._paused = True
                self._loop.remove_reader(sock)
                log.warning("mqtt.reading.paused", waiting=len(inbox), size=inbox.queued_bytes)
            elif len(messages) < limit:
                break

    def _accept(self, messages: Sequence[Message]) -> None:
        if messages:
            RECEIVED.inc(len(messages))
            self._inbox.put(messages)
            self._count_unacked()

    def _count_unacked(self) -> None:
        unacked = 0 if self._socket is None else self._socket.packets.unacked
        UNACKED.inc(unacked - self._counted_unacked)
        self._counted_unacked = unacked

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
        if mid in self._peeks:
            self._peeks.discard(mid)
            return
        answers = zip(self._subscriptions, reasons, strict=False)
        if refused := [topic for (topic, _), reason in answers if reason.is_failure]:
            log.error("mqtt.subscription.refused", broker=self._address, topics=refused)
            self._why = (
                f"không cho nghe {', '.join(refused)}; kiểm tra quyền của người dùng này"
                " (mosquitto-server.acl)"
            )
            client.disconnect()
        else:
            self._stand()

    def _stand(self) -> None:
        self.connected = True
        self._stood_at = time.monotonic()
        self._why = "mất kết nối, đang kết nối lại"
        CONNECTED.inc()
        log.info("mqtt.link.connected", broker=self._address)
        for callback in self.on_connect:
            self._loop.call_soon(callback)

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, *____: Any) -> None:
        if self.connected:
            at_once = reason.is_failure and self.stood_seconds < LASTED
            self._broke_at_once = self._broke_at_once + 1 if at_once else 0
            self.connected = False
            CONNECTED.dec()
            if reason.is_failure:
                LOST.inc()
                log.warning("mqtt.link.lost", broker=self._address, reason=str(reason))
        self._confirmations.fail(self._away)
        if not self._broken.done():
            self._broken.set_result(None)

    def _on_publish(self, _: Any, __: Any, mid: int, *___: Any) -> None:
        self._confirmations.confirm(mid)
