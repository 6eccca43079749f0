"""What mutual TLS costs: handshakes, and the return of 5,000 devices, beside plain TCP.

Mosquitto as it is deployed, with the plugin, the ACL and the list of revoked certificates, and one
more listener without TLS. Every device has a key and a certificate of its own (P-256), a
persistent session and its subscription; nothing is resumed, as after a restart of the broker. The
devices are one process of ours on the same machine: what it computes for them is counted, too, so
the figures are those of two cores that do both sides. One that is refused tries again at once.

* `tls_handshakes`: connections a second, from connect to CONNACK, 64 at a time;
* `tls_handshake_broker_cpu`: what the broker computes for one of them;
* `tls_return_5000`: all at once, until the last is connected and subscribed.
"""

from __future__ import annotations

import datetime as dt
import resource
import select
import socket
import ssl
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.harness import packets
from benchmarks.result import Result, Skipped
from broadcast.embedded.broker import mosquitto
from broadcast.enrolment import authority_files
from broadcast.enrolment.authority import new_key, pem, private_pem
from tests.deploy.broker import Deployed, deployed, free_ports

DEVICES = 5_000
HANDSHAKES = 2_000
AT_ONCE = 64
RETURNING_AT_ONCE = 500
"""Connections that wait for the broker at a time, without any jitter."""
PATIENCE = 300.0
CONNACK_BYTES, SUBACK_BYTES = 4, 5


class Way(NamedTuple):
    """One listener, and how the devices meet it."""

    port: int
    contexts: Sequence[ssl.SSLContext | None]


class _Joining:
    """One connection on its way: TCP, TLS, CONNECT, SUBSCRIBE."""

    def __init__(self, number: int, way: Way, *, subscribe: bool) -> None:
        self.sock: socket.socket | ssl.SSLSocket = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(("127.0.0.1", way.port))
        self.number = number
        self._context = way.contexts[number]
        self._code = code(number)
        self._awaited = CONNACK_BYTES
        self._subscribe = subscribe
        self._step = "tcp"
        self.wants = select.EPOLLOUT

    def proceed(self) -> bool:
        """Do what can be done; tells whether it is over."""
        try:
            if self._step == "tcp":
                error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise ConnectionError(error)
                self._step = "tls"
                if self._context is not None:
                    self.sock = self._context.wrap_socket(
                        self.sock, server_hostname="127.0.0.1", do_handshake_on_connect=False
                    )
            if self._step == "tls":
                if isinstance(self.sock, ssl.SSLSocket):
                    self.sock.do_handshake()
                self.sock.send(packets.connect(self._code, clean=False, keepalive=300))
                self._step = "connack"
                self.wants = select.EPOLLIN
            return self._read()
        except (ssl.SSLWantReadError, BlockingIOError):
            self.wants = select.EPOLLIN
        except ssl.SSLWantWriteError:
            self.wants = select.EPOLLOUT
        return False

    def _read(self) -> bool:
        while True:
            got = self.sock.recv(self._awaited)
            if not got:
                raise ConnectionError(f"{self._code}: the broker closed at {self._step}")
            self._awaited -= len(got)
            if self._awaited:
                continue
            if self._step == "suback" or not self._subscribe:
                return True
            self.sock.send(packets.subscribe([f"ttn/v1/device/{self._code}/state/+"]))
            self._step, self._awaited = "suback", SUBACK_BYTES


def code(number: int) -> str:
    return f"B-{number:05}"


def join(
    way: Way, count: int, at_once: int, *, subscribe: bool
) -> tuple[float, list[socket.socket]]:
    """Connect so many devices; seconds until the last was, and their sockets."""
    poll, joining = select.epoll(), {}
    done: list[socket.socket] = []
    waiting = deque(range(count))
    began = time.monotonic()
    try:
        while len(done) < count:
            while waiting and len(joining) < at_once:
                each = _Joining(waiting.popleft(), way, subscribe=subscribe)
                joining[each.sock.fileno()] = each
                poll.register(each.sock, each.wants | select.EPOLLONESHOT)
            for descriptor, _ in poll.poll(1.0):
                each = joining[descriptor]
                try:
                    over = each.proceed()
                except OSError:
                    del joining[descriptor]
                    each.sock.close()
                    waiting.append(each.number)
                    continue
                if over:
                    poll.unregister(descriptor)
                    del joining[descriptor]
                    done.append(each.sock)
                else:
                    poll.modify(descriptor, each.wants | select.EPOLLONESHOT)
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"{len(done)} of {count} devices are connected")
        return time.monotonic() - began, done
    finally:
        poll.close()


def cut(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def contexts(broker: Deployed, folder: Path) -> list[ssl.SSLContext]:
    """What each device trusts and shows; made before anything is measured."""
    authority = authority_files.devices(broker.settings)
    trusted = (broker.settings.authority_dir / "broker-ca.crt").read_text()
    now, made = dt.datetime.now(dt.UTC), []
    path = folder / "device.pem"
    for number in range(DEVICES):
        key = new_key()
        signed = authority.device(code(number), key.public_key(), now, dt.timedelta(days=1))
        path.write_bytes(private_pem(key) + pem(signed).encode())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=trusted)
        context.load_cert_chain(path)
        made.append(context)
    return made


def run() -> list[Result]:
    """Rates in connections per second, CPU in milliseconds, the return in seconds."""
    if mosquitto() is None or not Path("/usr/include/mosquitto.h").exists():
        raise Skipped("needs mosquitto, mosquitto-dev, libmosquitto-dev and a C compiler")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    [plain_port] = free_ports(1)
    here = "# Devices that cannot make a key, by password.\n"
    plain = f"listener {plain_port} 127.0.0.1\nallow_anonymous true\n\n"
    with (
        tempfile.TemporaryDirectory() as folder,
        deployed(Path(folder) / "broker", changes={here: plain + here}) as broker,
    ):
        ways = {
            "tls": Way(broker.device_port, contexts(broker, Path(folder))),
            "plain": Way(plain_port, [None] * DEVICES),
        }
        process = psutil.Process(broker.child.pid)
        rates, costs, returns = {}, {}, {}
        for name, way in ways.items():
            before = sum(process.cpu_times()[:2])
            seconds, sockets = join(way, HANDSHAKES, AT_ONCE, subscribe=False)
            rates[name] = HANDSHAKES / seconds
            costs[name] = 1000 * (sum(process.cpu_times()[:2]) - before) / HANDSHAKES
            cut(sockets)
        for name, way in ways.items():
            _, sockets = join(way, DEVICES, RETURNING_AT_ONCE, subscribe=True)
            cut(sockets)
            returns[name], sockets = join(way, DEVICES, RETURNING_AT_ONCE, subscribe=True)
            cut(sockets)
    return [
        Result("tls_handshakes", rates["tls"], rates["plain"], "1/s"),
        Result("tls_handshake_broker_cpu", costs["tls"], costs["plain"], "ms"),
        Result("tls_return_5000", returns["tls"], returns["plain"], "s", "≤ 60 s"),
    ]
