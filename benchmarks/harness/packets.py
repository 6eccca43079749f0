"""MQTT 3.1.1 packets by hand: a client that costs next to nothing, for thousands of devices.

Pure.
"""

from __future__ import annotations

CONNECT, PUBLISH, SUBSCRIBE, DISCONNECT = 0x10, 0x32, 0x82, 0xE0
"""First byte of each packet; PUBLISH with QoS 1, not retained."""

CONNACK, TO_US, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
"""Upper half of the first byte of what a broker sends; `TO_US` is its PUBLISH."""

PUBACK_BYTES = 4
CONNACK_BYTES = 4

LAST = 65535
"""Largest packet identifier."""


def packet(kind: int, body: bytes = b"") -> bytes:
    """A packet with its length before it.

    >>> packet(DISCONNECT).hex()
    'e000'
    """
    size = len(body)
    head = bytearray([kind])
    while True:
        size, digit = divmod(size, 128)
        head.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(head) + body


def text(value: str | bytes) -> bytes:
    """A string with its length before it."""
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def connect(
    client_id: str,
    *,
    clean: bool = True,
    keepalive: int = 0,
    will: tuple[str, bytes] | None = None,
) -> bytes:
    """CONNECT; the will is sent with QoS 1."""
    flags = (0x02 if clean else 0) | (0x0C if will else 0)
    body = text("MQTT") + bytes([4, flags]) + keepalive.to_bytes(2, "big") + text(client_id)
    if will:
        body += text(will[0]) + text(will[1])
    return packet(CONNECT, body)


def publish(topic: str, payload: bytes, number: int, *, retain: bool = False) -> bytes:
    """PUBLISH with QoS 1.

    Args:
        topic: Full topic.
        payload: As sent.
        number: Packet identifier, 1 – 65535.
        retain: Have the broker keep it.
    """
    return packet(PUBLISH | retain, text(topic) + number.to_bytes(2, "big") + payload)


def subscribe(topics: list[str], number: int = 1) -> bytes:
    """SUBSCRIBE to each with QoS 1."""
    body = b"".join(text(topic) + b"\x01" for topic in topics)
    return packet(SUBSCRIBE, number.to_bytes(2, "big") + body)


def split(came: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    r"""Whole packets (first byte, body) of a stream, and the rest that is not one yet.

    >>> split(packet(PUBACK, b"ab") + packet(SUBACK, b"xyz")[:3])
    ([(64, b'ab')], b'\x90\x03x')
    """
    found = []
    at = 0
    while len(came) - at >= 2:
        size = shift = 0
        start = at + 1
        while start < len(came):
            digit = came[start]
            size |= (digit & 0x7F) << shift
            shift += 7
            start += 1
            if digit < 0x80:
                break
        else:
            break
        if start + size > len(came):
            break
        found.append((came[at], came[start : start + size]))
        at = start + size
    return found, came[at:]
