"""MQTT 3.1.1 packets by hand: a client that costs next to nothing, for thousands of devices.

Pure.
"""

from __future__ import annotations

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x32, 0x82, 0xC0, 0xE0
"""First byte of each packet; PUBLISH with QoS 1, not retained."""

PUBACK_BYTES = 4
CONNACK_BYTES = 4


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


def publish(topic: str, payload: bytes, number: int) -> bytes:
    """PUBLISH with QoS 1.

    Args:
        topic: Full topic.
        payload: As sent.
        number: Packet identifier, 1 – 65535.
    """
    return packet(PUBLISH, text(topic) + number.to_bytes(2, "big") + payload)


def subscribe(topics: list[str], number: int = 1) -> bytes:
    """SUBSCRIBE to each with QoS 1."""
    body = b"".join(text(topic) + b"\x01" for topic in topics)
    return packet(SUBSCRIBE, number.to_bytes(2, "big") + body)
