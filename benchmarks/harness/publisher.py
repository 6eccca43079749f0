"""Rounds of heartbeats, one of each device per round, as fast as the broker takes them.

A process of its own: `python -m benchmarks.harness.publisher PREFIX BASE PORT DEVICES START STOP`
encodes everything, says so, and sends at the first line of standard input.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Self

from benchmarks.harness import heartbeats, packets
from benchmarks.harness.helper import Helper

WINDOW = 1000
"""Messages on their way unconfirmed, sent and confirmed in chunks of a quarter."""


class Publisher(Helper):
    """The process, from outside. Entered, it has everything encoded."""

    def __init__(
        self, port: int, prefix: str, devices: int, rounds: range, base: datetime
    ) -> None:
        """Describe what to send.

        Args:
            port: Of the broker, on loopback.
            prefix: First levels of the topics.
            devices: How many send.
            rounds: Numbers (`seq`) of the heartbeats.
            base: Time from which the heartbeats are dated.
        """
        super().__init__(
            "publisher", prefix, base.isoformat(), port, devices, rounds.start, rounds.stop
        )

    def __enter__(self) -> Self:
        super().__enter__()
        self._hear()
        return self

    def send(self) -> float:
        """Begin; returns the time (monotonic) of it."""
        began = time.monotonic()
        self._say("")
        return began

    def wait(self) -> float:
        """Wait until the broker has confirmed every message; returns the time of it."""
        return float(self._hear())


def publish(port: int, prefix: str, devices: int, rounds: range, base: datetime) -> None:
    """Send, and return when the broker has confirmed every message; arguments as above."""
    with Publisher(port, prefix, devices, rounds, base) as publisher:
        publisher.send()
        publisher.wait()


def _main(prefix: str, base: datetime, port: int, devices: int, start: int, stop: int) -> None:
    encoded = [
        packets.publish(
            f"{prefix}/device/{heartbeats.code(device)}/event/heartbeat",
            heartbeats.heartbeat(device, seq, heartbeats.sent_at(device, seq, base)),
            1 + number % WINDOW,
        )
        for seq in range(start, stop)
        for number, device in enumerate(range(1, devices + 1))
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        open_(link, "bench-publisher")
        print("ready", flush=True)
        sys.stdin.readline()
        send(link, encoded)
        print(time.monotonic(), flush=True)
        link.sendall(packets.packet(packets.DISCONNECT))


def open_(link: socket.socket, client_id: str) -> None:
    """Say CONNECT, and wait for the answer."""
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(packets.connect(client_id))
    _take(link, packets.CONNACK_BYTES)


def send(link: socket.socket, encoded: Sequence[bytes]) -> None:
    """Send PUBLISH packets numbered modulo `WINDOW`, and wait until all are confirmed."""
    chunk = WINDOW // 4
    chunks = [encoded[at : at + chunk] for at in range(0, len(encoded), chunk)]
    for number, sent in enumerate(chunks):
        if number >= WINDOW // chunk:
            _take(link, len(chunks[number - WINDOW // chunk]) * packets.PUBACK_BYTES)
        link.sendall(b"".join(sent))
    _take(link, sum(map(len, chunks[-WINDOW // chunk :])) * packets.PUBACK_BYTES)


def _take(link: socket.socket, size: int) -> None:
    while size:
        found = len(link.recv(size))
        if not found:
            raise ConnectionError("the broker closed the connection")
        size -= found


if __name__ == "__main__":
    _main(sys.argv[1], datetime.fromisoformat(sys.argv[2]), *map(int, sys.argv[3:]))
