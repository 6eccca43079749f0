"""MQTT packets of a connection, without a socket: PUBLISH in and PUBACK out, in bulk.

paho speaks MQTT for the link: connecting, subscribing, publishing, keep-alive. Of what arrives it
gets every packet but PUBLISH, for which it needs four system calls and more time than the whole
way into the database; each acknowledgement would cost one more, and wake the broker.
`docs/decisions/0012` has the figures. `buffered_socket` does the reading and writing.
"""

from __future__ import annotations

from collections.abc import Callable

PUBLISH, PUBACK = 0x30, 0x40
LONGEST = 16 * 2**20
"""Bytes of a packet, far above what the contract allows. A longer PUBLISH is cut, so that nobody
takes it for what it was: refused, it would come again with every connection."""


class Malformed(Exception):
    """The bytes are no MQTT."""


class Message:
    """A message from the broker (PUBLISH, MQTT 3.1.1 §3.3; the properties of MQTT 5 are left out).

    Attributes:
        topic: Full topic, with the prefix; empty when it is not UTF-8.
        payload: Bytes as sent.
        retain: It was stored at the broker before we subscribed.
    """

    __slots__ = ("_mid", "_packets", "payload", "retain", "topic")

    def __init__(
        self, packets: Packets, topic: str, payload: bytes, mid: int, retain: bool
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.retain = retain
        self._packets = packets
        self._mid = mid

    @property
    def connection(self) -> int:
        """Number of the link's connection that it came over."""
        return self._packets.connection

    def ack(self) -> None:
        """Tell the broker that the message need not come again; harmless to repeat.

        Once the connection has broken it does nothing: ids start anew with the next one, and the
        broker delivers the message again.
        """
        if self._mid:
            self._packets.acknowledge(self._mid)
            self._mid = 0


class Packets:
    """The bytes of one connection in either direction.

    Args:
        properties: PUBLISH carries properties: the connection speaks MQTT 5.

    Attributes:
        connection: Number of the connection, given by the link.
        unacked: Messages taken and not yet acknowledged.
        output: Bytes to be sent.
        on_output: Called when an acknowledgement is to be sent.
    """

    def __init__(self, *, properties: bool = False) -> None:
        self.connection = 0
        self.unacked = 0
        self.output = bytearray()
        self.on_output: Callable[[], None] = _nothing
        self._properties = properties
        self._data = b""
        self._at = 0
        self._shown = 0
        """Up to where paho may read: the end of a packet that is its own."""
        self._skip = 0
        """Bytes to come that belong to a packet which has been cut."""

    def feed(self, data: bytes) -> None:
        """Take bytes that have arrived."""
        if self._skip:
            cut, data = len(data), data[self._skip :]
            self._skip -= cut - len(data)
        self._data = self._data[self._at :] + data
        self._at = self._shown = 0

    def messages(self, limit: int) -> list[Message]:
        """Take at most `limit` messages, up to where a packet of paho's begins.

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
        return Message(self, topic, data[place:end], mid, head & 1 == 1)

    def show(self) -> bool:
        """Show paho the next packet; tell whether a whole one is there.

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
            return False
        self._shown = end
        return True

    def read(self, size: int) -> bytes:
        """The next bytes of the packet that is shown to paho; empty at its end."""
        data = self._data[self._at : min(self._at + size, self._shown)]
        self._at += len(data)
        return data

    def acknowledge(self, mid: int) -> None:
        """Append a PUBACK to the output; for `Message.ack`."""
        self.output += bytes((PUBACK, 2, mid >> 8, mid & 0xFF))
        self.unacked -= 1
        self.on_output()


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
    """No listener yet."""
