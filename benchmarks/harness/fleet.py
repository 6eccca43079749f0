"""Thousands of connected devices in one light process: connect, boot, follow, send heartbeats.

Each device has a connection of its own, a persistent session, its last will and the subscriptions
of the contract; it confirms the documents that it is sent and returns after a broken connection
with the hashed jitter of the reference player. It verifies and keeps nothing.

`python -m benchmarks.harness.fleet PORT SECONDS` takes lines on standard input, each answered by
one line of JSON: `grow N` (answered when N devices are connected and subscribed) and `report`.
"""

from __future__ import annotations

import errno
import heapq
import json
import os
import random
import select
import socket
import sys
import time
from datetime import datetime
from typing import NamedTuple

from benchmarks.harness import heartbeats, packets
from benchmarks.harness.helper import Helper
from broadcast.kit import clock
from broadcast.wire.codec import encode
from broadcast.wire.events import Gone
from device_sim.player import reconnect_seconds

PREFIX = "ttn/v1"
CONNECTS_A_SECOND = 1000
"""While the fleet grows; a storm comes as it comes."""
KEEPALIVE = 90


class Report(NamedTuple):
    """The fleet at one moment.

    Attributes:
        connected: Devices that are connected and subscribed.
        connects: How often one came to be so since the start.
        sent: Heartbeats handed to the broker since the start.
        documents: Retained documents that came since the start.
        confirmed: For each device, from the first on: its session, and how many heartbeats of
            that session the broker has confirmed.
    """

    connected: int
    connects: int
    sent: int
    documents: int
    confirmed: list[tuple[int, int]]


class Fleet(Helper):
    """The process, from outside."""

    def __init__(self, port: int, interval: float) -> None:
        """Describe it.

        Args:
            port: Of the broker, on loopback.
            interval: Seconds between two heartbeats of a device, ± 10 %.
        """
        super().__init__("fleet", port, interval)

    def grow(self, devices: int) -> None:
        """Have so many devices connected."""
        self._ask(f"grow {devices}")

    def report(self) -> Report:
        """State of the fleet."""
        return Report(**json.loads(self._ask("report")))

    def _ask(self, line: str) -> str:
        self._say(line)
        return self._hear()


class _Device:
    __slots__ = (
        "acked", "attempt", "number", "ready", "rest", "seq", "session", "socket",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.session = heartbeats.SESSION
        self.seq = 0
        self.acked = 0
        self.attempt = 0
        self.ready = False
        self.rest = b""
        self.socket: socket.socket | None = None

    def topic(self, kind: str) -> str:
        return f"{PREFIX}/device/{heartbeats.code(self.number)}/event/{kind}"


class _Fleet:
    """The inside: one epoll, one heap of what is due."""

    def __init__(self, port: int, interval: float) -> None:
        self._address = ("127.0.0.1", port)
        self._interval = interval
        self._poll = select.epoll()
        self._devices: list[_Device] = []
        self._by_fd: dict[int, _Device] = {}
        self._due: list[tuple[float, int, int]] = []
        """Moment, device, and its session when that was planned; 0 to connect."""
        self._random = random.Random(1)  # noqa: S311 — the same every time, no secret
        self._connected = 0
        self._connects = 0
        self._sent = 0
        self._documents = 0
        self._awaited = 0

    def run(self) -> None:
        """Go on until standard input ends."""
        orders = sys.stdin.fileno()
        self._poll.register(orders, select.EPOLLIN)
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 1.0
            for fd, event in self._poll.poll(min(wait, 1.0)):
                if fd == orders:
                    line = os.read(orders, 100).decode()
                    if not line:
                        return
                    self._order(line)
                else:
                    self._ready(self._by_fd[fd], event)
            self._do_what_is_due()

    def _order(self, line: str) -> None:
        match line.split():
            case ["grow", number]:
                self._awaited = int(number)
                began = time.monotonic()
                for place in range(self._awaited - len(self._devices)):
                    device = _Device(len(self._devices) + 1)
                    self._devices.append(device)
                    at = began + place / CONNECTS_A_SECOND
                    heapq.heappush(self._due, (at, device.number, 0))
            case ["report"]:
                confirmed = [(device.session, device.acked) for device in self._devices]
                report = Report(
                    self._connected, self._connects, self._sent, self._documents, confirmed
                )
                self._answer(json.dumps(report._asdict()))
            case _:
                raise ValueError(f"{line!r} is no order")

    def _answer(self, line: str) -> None:
        print(line, flush=True)

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            at, number, session = heapq.heappop(self._due)
            device = self._devices[number - 1]
            if session == 0:
                self._connect(device)
            elif device.ready and session == device.session:
                self._beat(device)
                self._plan(device, at)

    def _plan(self, device: _Device, after: float) -> None:
        wait = self._interval * self._random.uniform(0.9, 1.1)
        heapq.heappush(self._due, (after + wait, device.number, device.session))

    def _connect(self, device: _Device) -> None:
        device.attempt += 1
        device.session += 1
        device.seq = device.acked = 0
        device.rest = b""
        device.socket = link = socket.socket()
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if link.connect_ex(self._address) not in {0, errno.EINPROGRESS}:
            self._lost(device)
            return
        self._by_fd[link.fileno()] = device
        self._poll.register(link.fileno(), select.EPOLLOUT | select.EPOLLIN)

    def _lost(self, device: _Device) -> None:
        if device.ready:
            device.ready = False
            self._connected -= 1
        if device.socket is not None:
            if self._by_fd.pop(device.socket.fileno(), None):
                self._poll.unregister(device.socket.fileno())
            device.socket.close()
            device.socket = None
        # The first attempt after a standing connection is number 1.
        wait = reconnect_seconds(heartbeats.code(device.number), device.attempt + 1)
        heapq.heappush(self._due, (time.monotonic() + wait, device.number, 0))

    def _ready(self, device: _Device, event: int) -> None:
        link = device.socket
        assert link is not None
        try:
            if event & select.EPOLLOUT:
                self._poll.modify(link.fileno(), select.EPOLLIN)
                code = heartbeats.code(device.number)
                will = (device.topic("gone"), encode(Gone(session=device.session)))
                link.send(packets.connect(code, clean=False, keepalive=KEEPALIVE, will=will))
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                came = link.recv(1 << 16)
                if not came:
                    self._lost(device)
                    return
                self._take(device, link, device.rest + came)
        except OSError:
            self._lost(device)

    def _take(self, device: _Device, link: socket.socket, came: bytes) -> None:
        found, device.rest = packets.split(came)
        answers = []
        for kind, body in found:
            match kind & 0xF0:
                case packets.CONNACK:
                    answers.append(self._follow(device))
                case packets.SUBACK:
                    answers.append(self._boot(device))
                case packets.PUBACK:
                    # Numbered as heartbeats are; the boot has number 65535.
                    device.acked += int.from_bytes(body, "big") != packets.LAST
                case packets.TO_US:
                    self._documents += 1
                    if kind & 0x06:
                        at = 2 + int.from_bytes(body[:2], "big")
                        answers.append(packets.packet(packets.PUBACK, body[at : at + 2]))
        if answers:
            link.send(b"".join(answers))

    def _follow(self, device: _Device) -> bytes:
        own = f"{PREFIX}/device/{heartbeats.code(device.number)}"
        topics = [f"{own}/state/+", f"{own}/command/+"]
        topics += [f"{PREFIX}/area/{area}/state/+" for area in heartbeats.areas(device.number)]
        return packets.subscribe(topics)

    def _boot(self, device: _Device) -> bytes:
        device.ready = True
        device.attempt = 0
        self._connected += 1
        self._connects += 1
        if self._connected == self._awaited:
            self._awaited = 0
            self._answer("{}")
        wait = self._interval * self._random.random()
        heapq.heappush(self._due, (time.monotonic() + wait, device.number, device.session))
        payload = heartbeats.boot(device.number, _now(), device.session)
        return packets.publish(device.topic("boot"), payload, packets.LAST)

    def _beat(self, device: _Device) -> None:
        assert device.socket is not None
        device.seq += 1
        payload = heartbeats.heartbeat(device.number, device.seq, _now(), device.session)
        try:
            device.socket.send(packets.publish(device.topic("heartbeat"), payload, device.seq))
        except OSError:
            self._lost(device)
        else:
            self._sent += 1


def _now() -> datetime:
    return clock.now()


if __name__ == "__main__":
    _Fleet(int(sys.argv[1]), float(sys.argv[2])).run()
