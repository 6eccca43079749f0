"""The line to the broker passes everything, breaks, and stands still."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest

from chaos.uplink import Uplink


class Echo(BaseRequestHandler):
    """A peer that says everything again."""

    def handle(self) -> None:
        while data := self.request.recv(100):
            self.request.sendall(data)


@pytest.fixture
def uplink() -> Iterator[Uplink]:
    with ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever).start()
        with Uplink("127.0.0.1", server.server_address[1]) as uplink:
            yield uplink
        server.shutdown()


def talk(line: socket.socket, word: bytes) -> bytes:
    """What comes back; empty when the line has been closed."""
    line.sendall(word)
    return line.recv(len(word), socket.MSG_WAITALL)


def is_closed(line: socket.socket) -> bool:
    """Whether the peer closes the line, in order or without a word, before the timeout."""
    try:
        return line.recv(1) == b""
    except ConnectionError:
        return True


def connect(uplink: Uplink) -> socket.socket:
    return socket.create_connection(("127.0.0.1", uplink.port), timeout=5)


def test_it_breaks_what_stands_and_refuses_what_is_new_until_it_is_mended(uplink: Uplink) -> None:
    with connect(uplink) as line:
        assert talk(line, b"one") == b"one"
        uplink.cut()
        assert is_closed(line)
    with connect(uplink) as refused:
        assert is_closed(refused)
    uplink.mend()
    with connect(uplink) as line:
        assert talk(line, b"three") == b"three"


def test_what_is_said_while_it_stands_still_comes_when_it_is_mended(uplink: Uplink) -> None:
    with connect(uplink) as line:
        assert talk(line, b"one") == b"one"
        uplink.stall()
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            talk(line, b"two")
        uplink.mend()
        line.settimeout(5)
        assert line.recv(3, socket.MSG_WAITALL) == b"two"
