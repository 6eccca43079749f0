"""One device's connection to the broker: paho-mqtt on the fleet's event loop, no thread.

A device's session persists at the broker under its id, so the broker keeps QoS 1 messages while
it is away.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from device_sim.effects import Publish

KEEPALIVE_SECONDS = 60
CONNECT_SECONDS = 20.0
PACKETS_AT_ONCE = 32
"""Packets taken before another device has its turn."""


class Listener(Protocol):
    """Whoever a link belongs to."""

    def link_up(self) -> None:
        """The broker has accepted us."""

    def link_down(self) -> None:
        """There is no connection, or no longer."""

    def link_message(self, topic: str, payload: bytes) -> None:
        """A message came; the topic is relative to the prefix."""


class Access(NamedTuple):
    """How one box meets the broker.

    Attributes:
        address: Host and port.
        prefix: First levels of every topic.
        login: User name and password, when the broker wants one.
        tls: Makes what is trusted and shown, when the broker speaks TLS; asked at each connection,
            since certificates are renewed, and kept no longer, since there are thousands of boxes.
    """

    address: tuple[str, int]
    prefix: str
    login: tuple[str, str] | None = None
    tls: Callable[[], ssl.SSLContext] | None = None


class _Client(paho.Client):
    """A client that is given a connected socket, because paho's own connecting blocks."""

    ready: socket.socket

    def drop(self) -> None:
        """Close the socket without a word."""
        self._sock_close()

    def _create_socket_connection(self) -> socket.socket:
        return self.ready


class Link:
    """The connection of one device; made anew after a power cut, kept through a lost link.

    Args:
        listener: Who is told.
        device_id: Client id.
        access: To the broker.
    """

    def __init__(self, listener: Listener, device_id: str, access: Access) -> None:
        self.up = False
        self._listener: Listener | None = listener
        self._address = access.address
        self._prefix = access.prefix
        self._tls = access.tls
        self._loop = asyncio.get_running_loop()
        self._opening: asyncio.Task[None] | None = None
        self._inbox: deque[tuple[str, bytes]] = deque()
        self._leaving: list[Callable[[], None]] = []
        client = self._client = _Client(
            CallbackAPIVersion.VERSION2,
            device_id,
            clean_session=False,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        if access.login is not None:
            client.username_pw_set(*access.login)
        client.connect_async(*access.address, KEEPALIVE_SECONDS)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write

    def open(self, will: Publish) -> None:
        """Start to connect; the listener hears how it went."""
        if self._opening is None:
            self._opening = self._loop.create_task(self._open(will))

    def cut(self) -> None:
        """Break the connection without a farewell, as a dead line or a power cut does."""
        if self._opening is not None:
            self._opening.cancel()
        self._inbox.clear()
        self.up = False
        self._client.drop()

    def abandon(self) -> None:
        """Cut it, and tell nobody any more: the box has lost its power."""
        self._listener = None
        self.cut()

    def close(self) -> None:
        """Say farewell, so that the broker does not publish the will."""
        self._listener = None
        if self.up:
            self._client.disconnect()
            self._client.loop_write()
        self.cut()

    def keep_alive(self) -> None:
        """Send a ping when it is time; notice a broker that answers none."""
        self._client.loop_misc()

    def publish(
        self, topic: str, payload: bytes, qos: int, left: Callable[[], None] | None = None
    ) -> None:
        """Send a message.

        Args:
            topic: Relative to the prefix.
            payload: What it says.
            qos: 0 or 1.
            left: Called when all that was to be sent has been handed to the operating system;
                never when the connection breaks before. It may stand in our own buffer for as
                long as this process is busy with other devices.
        """
        self._client.publish(f"{self._prefix}/{topic}", payload, qos)
        if left is not None:
            self._leaving.append(left)
            if not self._client.want_write():
                self._all_left()

    def subscribe(self, filters: tuple[str, ...]) -> None:
        """Follow topic filters."""
        self._client.subscribe([(f"{self._prefix}/{each}", 1) for each in filters])

    def unsubscribe(self, filters: tuple[str, ...]) -> None:
        """Follow topic filters no longer."""
        self._client.unsubscribe([f"{self._prefix}/{each}" for each in filters])

    async def _open(self, will: Publish) -> None:
        client = self._client
        client.will_set(f"{self._prefix}/{will.topic}", will.payload, will.qos)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._loop.sock_connect(sock, self._address)
                if self._tls is not None:
                    sock = secure = self._tls().wrap_socket(
                        sock, server_hostname=self._address[0], do_handshake_on_connect=False
                    )
                    await self._shake_hands(secure)
            # Or an acknowledgement and the next publish wait 40 ms for each other.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            sock.close()
            self._opening = None
            self._tell_down()
            return
        except asyncio.CancelledError:
            sock.close()
            self._opening = None
            raise
        self._opening = None
        client.ready = sock
        self._loop.add_reader(sock, self._read)
        client.reconnect()

    async def _shake_hands(self, sock: ssl.SSLSocket) -> None:
        while True:
            try:
                sock.do_handshake()
            except ssl.SSLWantReadError:
                await self._wait_readable(sock)
            else:
                return

    async def _wait_readable(self, sock: socket.socket) -> None:
        readable = asyncio.Event()
        self._loop.add_reader(sock, readable.set)
        try:
            await readable.wait()
        finally:
            self._loop.remove_reader(sock)

    def _read(self) -> None:
        for _ in range(PACKETS_AT_ONCE):
            before = len(self._inbox)
            if self._client.loop_read() or len(self._inbox) == before:
                break
        # Only now, outside of paho: what a message brings about may be the end of this client.
        while self._inbox and self._listener is not None:
            topic, payload = self._inbox.popleft()
            self._listener.link_message(topic, payload)
        sock = self._client.socket()
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            self._loop.call_soon(self._read)  # read from the network already: no event will tell

    def _tell_up(self) -> None:
        if self._listener is not None and self.up:
            self._listener.link_up()

    def _tell_down(self) -> None:
        self.up = False
        if self._listener is not None:
            self._listener.link_down()

    def _on_connect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if not reason.is_failure:
            self.up = True
            self._loop.call_soon(self._tell_up)

    def _on_disconnect(self, *_: Any) -> None:
        self._loop.call_soon(self._tell_down)

    def _on_message(self, _: Any, __: Any, message: paho.MQTTMessage) -> None:
        topic = message.topic.removeprefix(f"{self._prefix}/")
        self._inbox.append((topic, bytes(message.payload)))

    def _all_left(self) -> None:
        leaving, self._leaving = self._leaving, []
        for left in leaving:
            left()

    def _on_socket_close(self, _: Any, __: Any, sock: Any) -> None:
        self._leaving.clear()
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _on_register_write(self, client: paho.Client, _: Any, sock: Any) -> None:
        self._loop.add_writer(sock, client.loop_write)

    def _on_unregister_write(self, client: paho.Client, _: Any, sock: Any) -> None:
        self._loop.remove_writer(sock)
        if not client.want_write():
            self._all_left()
