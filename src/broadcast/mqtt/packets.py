"""The packets that come by the ten thousand: PUBLISH in, PUBACK out, in bulk.

paho speaks MQTT for the link: connecting, subscribing, publishing, keep-alive. Of what arrives it
gets every packet but PUBLISH, for which it needs four system calls and more time than the whole
way into the database; each acknowledgement would cost one more, and wake the broker.
`docs/decisions/0012` has the figures.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

PUBLISH, PUBACK = 0x30, 0x40
READ_BYTES = 256 * 1024
LONGEST = 16 * 2**20
"""Bytes of a packet, far above what the contract allows. A longer PUBLISH is cut, so that nobody
takes it for what it was: refused, it would come again with every connection."""

AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Malformed(Exception):
    """What came is no MQTT."""


class Message:
    """A message from the broker (PUBLISH, MQTT 3.1.1 §3.3; the properties of MQTT 5 are left out).

    Attributes:
        topic: Full topic, with the prefix; empty when it is not UTF-8.
        payload: Bytes as sent.
        qos: 0 or 1.
        retain: It was stored at the broker before we subscribed.
        dup: It may have been delivered before.
    """

    __slots__ = ("_flags", "_mid", "_stream", "payload", "topic")

    def __init__(self, stream: Stream, topic: str, payload: bytes, mid: int, flags: int) -> None:
        self.topic = topic
        self.payload = payload
        self._stream = stream
        self._mid = mid
        self._flags = flags

    @property
    def qos(self) -> int:  # noqa: D102
        return self._flags >> 1 & 3

    @property
    def retain(self) -> bool:  # noqa: D102
        return bool(self._flags & 1)

    @property
    def dup(self) -> bool:  # noqa: D102
        return bool(self._flags & 8)

    @property
    def connection(self) -> int:
        """Number of the link's connection that it came over."""
        return self._stream.connection

    def ack(self) -> None:
        """Tell the broker that the message need not come again; harmless to repeat.

        Once the connection has broken it does nothing: ids start anew with the next one, and the
        broker delivers the message again.
        """
        if self._mid:
            self._stream.acknowledge(self._mid)
            self._mid = 0


class Stream:
    """A connected socket with a buffer on either side; paho takes it for the socket.

    Args:
        sock: Connected; TLS or not.
        properties: PUBLISH carries properties: the connection speaks MQTT 5.

    Attributes:
        connection: Number of the connection, for whoever counts them.
        unacked: Messages taken and not yet acknowledged.
        on_output: Called when there is something to `flush`.
    """

    def __init__(self, sock: socket.socket, *, properties: bool = False) -> None:
        self.connection = 0
        self.unacked = 0
        self.on_output: Callable[[], None] = _nothing
        self._sock = sock
        self._properties = properties
        self._data = b""
        self._at = 0
        self._shown = 0
        """Up to where paho may read: the end of a packet that is its own."""
        self._skip = 0
        """Bytes to come that belong to a packet which has been cut."""
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
        if self._skip:
            cut, data = len(data), data[self._skip :]
            self._skip -= cut - len(data)
        self._data = self._data[self._at :] + data
        self._at = self._shown = 0

    def messages(self, limit: int) -> list[Message]:
        """What has been read: at most `limit` messages, up to where a packet of paho's begins.

        Raises:
            Malformed: No packet begins here.
        """
        data, at, size = self._data, self._at, len(self._data)
        found: list[Message] = []
        if at < self._shown:
            return found  # paho has not read the last one to its end
        while len(found) < limit and at < size and data[at] & 0xF0 == PUBLISH:
            if data[at] & 0x06 == 0x04:  # QoS 2 we never ask for
                break
            length, body = _length(data, at + 1)
            end = body + length
            if length > LONGEST and size > body + LONGEST and end > size:
                end, self._skip = size, end - size
            if body == 0 or end > size:
                break
            found.append(self._publish(data[at], body, end))
            at = end
        self._at = at
        return found

    def _publish(self, head: int, body: int, end: int) -> Message:
        """The PUBLISH of this first byte, whose body is there."""
        data, topic_at, mid = self._data, body + 2, 0
        place = topic_at + int.from_bytes(data[body:topic_at])
        try:
            topic = data[topic_at:place].decode()
        except UnicodeDecodeError:
            topic = ""
        if head & 0x02:
            mid = int.from_bytes(data[place : place + 2])
            place += 2
            self.unacked += 1
        if self._properties:
            length, place = _length(data, place)
            place += length
        if not topic_at <= place <= end or head & 0x06 == 0x06:
            raise Malformed("a PUBLISH that ends before its payload")
        return Message(self, topic, data[place:end], mid, head)

    def shows(self) -> bool:
        """Show paho the next packet, or the end; tell whether there is anything to read for it.

        Raises:
            Malformed: No packet begins here.
        """
        data, at = self._data, self._at
        if at < self._shown:
            return True
        length, body = _length(data, at + 1)
        end = body + length
        if body == 0 or end > len(data):
            if length > LONGEST and data[at] & 0xF0 != PUBLISH:
                raise Malformed(f"a packet of {length} bytes")
            return self._end is not None
        self._shown = end
        return True

    def acknowledge(self, mid: int) -> None:
        """Take a PUBACK for the next `flush`; for `Message.ack`."""
        self._out += bytes((PUBACK, 2, mid >> 8, mid & 0xFF))
        self.unacked -= 1
        self.on_output()

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
            return value, place + 1
        shift += 7
    if len(data) >= at + 4:
        raise Malformed("a length of more than four bytes")
    return 0, 0


def _nothing() -> None:
    """Nobody listens yet."""
