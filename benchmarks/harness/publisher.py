"""Rounds of heartbeats, one of each device per round, as fast as the broker takes them.

A process of its own: `python -m benchmarks.harness.publisher` with its arguments as JSON on
standard input. Everything is encoded before the first byte is sent.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from benchmarks.harness import heartbeats, packets

WINDOW = 500
"""Messages on their way unconfirmed: what a broker takes from one client at once."""

ROOT = Path(__file__).parents[2]


def publish(port: int, prefix: str, devices: int, rounds: range, base: datetime) -> None:
    """Run the process, and return when the broker has confirmed every message.

    Args:
        port: Of the broker, on loopback.
        prefix: First levels of the topics.
        devices: How many send.
        rounds: Numbers (`seq`) of the heartbeats.
        base: Time from which the heartbeats are dated.
    """
    asked = [port, prefix, devices, rounds.start, rounds.stop, base.isoformat()]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.publisher"],
        input=json.dumps(asked),
        text=True,
        check=True,
        cwd=ROOT,
        timeout=120,
    )


def _main(port: int, prefix: str, devices: int, start: int, stop: int, base: str) -> None:
    began = datetime.fromisoformat(base)
    encoded = [
        packets.publish(
            f"{prefix}/device/{heartbeats.code(device)}/event/heartbeat",
            heartbeats.heartbeat(device, seq, heartbeats.sent_at(device, seq, began)),
            1 + number % WINDOW,
        )
        for seq in range(start, stop)
        for number, device in enumerate(range(1, devices + 1))
    ]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(packets.connect("bench-publisher"))
        _take(link, packets.CONNACK_BYTES)
        for at in range(0, len(encoded), WINDOW):
            window = encoded[at : at + WINDOW]
            link.sendall(b"".join(window))
            _take(link, len(window) * packets.PUBACK_BYTES)
        link.sendall(packets.packet(packets.DISCONNECT))


def _take(link: socket.socket, size: int) -> None:
    while size:
        found = len(link.recv(size))
        if not found:
            raise ConnectionError("the broker closed the connection")
        size -= found


if __name__ == "__main__":
    _main(*json.load(sys.stdin))
