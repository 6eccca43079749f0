"""The server of an application: its listening socket, its connections, its end."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI

from broadcast.kit.errors import Unavailable, because
from broadcast.web.http1 import FULL, IDLE_SECONDS, Connections, Protocol

log = structlog.get_logger()

BACKLOG = 2048
AT_ONCE = 64
"""Connections accepted before anything else of the process has its turn."""

WS_BYTES, WS_QUEUE = 8192, 64
"""Of a message of a WebSocket, and how many may wait: two seconds of a microphone."""
WS_PING_SECONDS = 10.0
"""Between two pings, and for an answer: who has gone is noticed."""

RETRY_SECONDS = 1.0
"""After which accepting is tried again when the machine had no room."""

_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def raise_file_limit() -> int:
    """Allow the process as many files as it may have; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def bind(host: str, port: int, setting: str) -> socket.socket:
    """Take the port before anything else starts: a second server must not disturb the first.

    Raises:
        Unavailable: The port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise Unavailable(
            f"Không mở được {host}:{port} ({because(error)}); hãy dừng chương trình đang "
            f"dùng cổng này hoặc đặt {setting} khác."
        ) from None
    # Connections inherit it. asyncio sets it only on sockets that name their protocol, which these
    # do not; without it every answer waits 40 ms for the acknowledgement of its own header.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


async def serve(app: FastAPI, listener: socket.socket, connections: int) -> None:
    """Answer requests until cancelled; those under way are finished.

    Args:
        app: What answers.
        listener: Bound by `bind`.
        connections: Open at once; half of the files of the process at most, so that the database
            and the broker always find room.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = _Server(app, listener, Connections(min(connections, files // 2)))
    task = asyncio.create_task(server.serve(sockets=[]))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers, and with an accept loop that knows its limit.

    asyncio's accepts everything that waits before it looks at any of it, so that a thousand
    connections at once take the files that the database needs, and logs each that it could not.
    """

    def __init__(self, app: FastAPI, listener: socket.socket, connections: Connections) -> None:
        config = uvicorn.Config(
            app,
            ws="websockets-sansio",
            ws_max_size=WS_BYTES,
            ws_max_queue=WS_QUEUE,
            ws_ping_interval=WS_PING_SECONDS,
            ws_ping_timeout=WS_PING_SECONDS,
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=5,
        )
        super().__init__(config)
        # What peers do wrong is counted, not written down a line each.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self._listener = listener
        self._connections = connections
        self._accepting: set[asyncio.Task[Any]] = set()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals alone: the process has handlers of its own."""
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await super().startup(sockets)
        self._listener.setblocking(False)
        self._listen()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and let what is under way end."""
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        await super().shutdown(sockets)

    def _listen(self) -> None:
        if self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(AT_ONCE):
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                log.warning("web.accept.no_room", error=str(error))
                loop.remove_reader(self._listener)
                loop.call_later(RETRY_SECONDS, self._listen)
                return
            accepted.setblocking(False)
            if self._connections.make_room():
                protocol = Protocol(
                    self._connections, self.config, self.server_state, self.lifespan.state
                )
                self._connections.open.add(protocol)
                task = loop.create_task(self._connect(protocol, accepted))
                self._accepting.add(task)
                task.add_done_callback(self._accepting.discard)
            else:
                _turn_away(accepted)

    async def _connect(self, protocol: Protocol, accepted: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted)
        except OSError:
            self._connections.open.discard(protocol)
            accepted.close()


def _turn_away(accepted: socket.socket) -> None:
    """Say that there is no room, without a file kept for it."""
    with accepted, suppress(OSError):
        # What has come is read first: closing over unread bytes would take the answer back.
        with suppress(BlockingIOError):
            accepted.recv(65536)
        accepted.send(FULL.answer())
        accepted.shutdown(socket.SHUT_WR)
