"""The packets that come by the ten thousand: PUBLISH in, PUBACK out, in bulk.

paho speaks MQTT for the link: connecting, subscribing, publishing, keep-alive. Of what arrives it
gets every packet but PUBLISH, for which it needs four system calls and more time than the whole
way into the database; each acknowledgement would cost one more, and wake the broker.
`docs/decisions/0012` has the figures.
"""

from __future__ import annotations

import socket
import ssl
from typing import NamedTuple

PUBLISH, PUBACK = 0x30, 0x40
READ_BYTES = 256 * 1024
LONGEST = 16 * 2**20
"""Bytes of a packet: far above what the contract allows; more means that we lost our place."""

AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Malformed(Exception):
    """What came is no MQTT."""


class Publish(NamedTuple):
    """A PUBLISH packet (MQTT 3.1.1 §3.3; properties of MQTT 5 are passed over)."""

    topic: bytes
    payload: bytes
    mid: int
    """Packet identifier; 0 with QoS 0."""
    qos: int
    retain: bool
    dup: bool


class Stream:
    """A connected socket with a buffer on either side; paho takes it for the socket.

    Args:
        sock: Connected; TLS or not.
        properties: PUBLISH carries properties: the connection speaks MQTT 5.
    """

    def __init__(self, sock: socket.socket, *, properties: bool = False) -> None:
        self._sock = sock
        self._properties = properties
        self._data = b""
        self._at = 0
        self._shown = 0
        """Up to where paho may read: the end of a packet that is its own."""
        self._out = bytearray()
        self._end: Exception | None = None
        """Why nothing more comes; EOFError when the peer has closed."""

    # What paho calls ----------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """The next bytes of the packet that is shown to paho."""
        if self._at < self._shown:
            data = self._data[self._at : min(self._at + size, self._shown)]
            self._at += len(data)
            return data
        if self._end is None:
            raise BlockingIOError
        if isinstance(self._end, EOFError):
            return b""
        raise self._end

    def send(self, data: bytes) -> int:
        """Take bytes for the next `flush`, all of them."""
        self._out += data
        return len(data)

    def fileno(self) -> int:
        """For the selector."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """Passed on."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Write what the peer will take, paho's farewell above all, and close."""
        self.flush()
        self._sock.close()

    # What the link calls ------------------------------------------------------------------------

    def without_delay(self) -> None:
        """Or an acknowledgement and the next publish wait 40 ms for each other."""
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fill(self) -> None:
        """Read what has arrived."""
        try:
            data = self._sock.recv(READ_BYTES)
            while data and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                data += self._sock.recv(READ_BYTES)
        except AGAIN:
            return
        except OSError as error:
            self._end = error
            return
        if not data:
            self._end = EOFError()
        self._data = self._data[self._at :] + data
        self._at = self._shown = 0

    def next(self) -> Publish | bool:
        """The next packet: a PUBLISH; True when it is for paho to read; False when none is whole.

        Raises:
            Malformed: No packet begins here.
        """
        data, at = self._data, self._at
        if at < self._shown:
            return True  # paho has not read the last one to its end
        length, body = _length(data, at + 1)
        end = body + length
        if body == 0 or end > len(data):
            return self._end is not None
        if data[at] & 0xF0 != PUBLISH or data[at] & 0x06 == 0x04:  # QoS 2 we never ask for
            self._shown = end
            return True
        self._at = end
        return _publish(data, at, body, end, properties=self._properties)

    def acknowledge(self, mid: int) -> None:
        """Take a PUBACK for the next `flush`."""
        self._out += bytes((PUBACK, 2, mid >> 8, mid & 0xFF))

    def flush(self) -> bool:
        """Write what is to be written; tell whether all of it is."""
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
        except AGAIN:
            return False
        except OSError as error:
            self._out.clear()
            self._end = self._end or error
        return True


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A variable byte integer and the place after it; (0, 0) when it is not all there."""
    value = shift = 0
    for place in range(at, min(at + 4, len(data))):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > LONGEST:
                raise Malformed(f"a packet of {value} bytes")
            return value, place + 1
        shift += 7
    if len(data) >= at + 4:
        raise Malformed("a length of more than four bytes")
    return 0, 0


def _publish(data: bytes, at: int, body: int, end: int, *, properties: bool) -> Publish:
    flags = data[at]
    qos = flags >> 1 & 3
    topic_at = body + 2
    place = topic_at + int.from_bytes(data[body:topic_at])
    topic = data[topic_at:place]
    mid = 0
    if qos:
        mid = int.from_bytes(data[place : place + 2])
        place += 2
    if properties:
        length, place = _length(data, place)
        place += length
    if not topic_at <= place <= end or qos > 1:
        raise Malformed("a PUBLISH that ends before its payload")
    return Publish(topic, data[place:end], mid, qos, bool(flags & 1), bool(flags & 8))
