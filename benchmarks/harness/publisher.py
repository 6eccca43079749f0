"""Rounds of heartbeats, one of each device per round, as fast as the broker takes them.

A process of its own: `python -m benchmarks.harness.publisher` takes its arguments as JSON in the
first line of standard input, encodes everything, says so, and sends at the second line.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from benchmarks.harness import heartbeats, packets

WINDOW = 1000
"""Messages on their way unconfirmed, sent and confirmed in chunks of a quarter."""

ROOT = Path(__file__).parents[2]


class Publisher:
    """The process, from outside; a context manager. Entered, it has everything encoded."""

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
        self._asked = [port, prefix, devices, rounds.start, rounds.stop, base.isoformat()]

    def __enter__(self) -> Publisher:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness.publisher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._say(json.dumps(self._asked))
        self._hear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def send(self) -> float:
        """Begin; returns the time (monotonic) of it."""
        began = time.monotonic()
        self._say("")
        return began

    def wait(self) -> float:
        """Wait until the broker has confirmed every message; returns the time of it."""
        return float(self._hear())

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ConnectionError("the publisher has died; its last words are above")
        return line


def publish(port: int, prefix: str, devices: int, rounds: range, base: datetime) -> None:
    """Send, and return when the broker has confirmed every message; arguments as above."""
    with Publisher(port, prefix, devices, rounds, base) as publisher:
        publisher.send()
        publisher.wait()


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
    _main(*json.loads(sys.stdin.readline()))
