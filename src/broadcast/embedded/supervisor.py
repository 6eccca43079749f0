"""Keeping servers that we started running: noticed when one stops or hangs, said, started again.

For a machine where nobody else does it (the demo); an installation has systemd. Bounded: what
stops again and again has a cause that starting it does not mend.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

import structlog

from broadcast.kit.errors import Unavailable

log = structlog.get_logger()

LOOK_SECONDS = 1.0
HANGS_AFTER = 20.0
"""Seconds without an answer, on a machine that may be busy."""
SAID_AFTER = 5.0
MOST_STARTS, WITHIN_SECONDS = 3, 300.0
"""So often one server is started again in so long."""


class Server(Protocol):
    """A server process of ours."""

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def alive(self) -> bool:
        """The process is there; a stopped one (SIGSTOP) is."""

    def answers(self) -> bool:
        """Tell whether it serves; within two seconds, and from any thread."""

    def start(self) -> None:
        """Start it where it was, and return when it serves.

        Raises:
            Unavailable: It cannot run; the detail says why.
        """

    def destroy(self) -> None:
        """End it and all its children at once, also where they are stopped."""


class Supervisor:
    """Watches servers.

    Args:
        servers: Those that others need first.
        say: Tells a person, in Vietnamese.
        hangs_after: Seconds without an answer.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        say: Callable[[str], None],
        hangs_after: float = HANGS_AFTER,
    ) -> None:
        self._servers = servers
        self._say = say
        self._hangs_after = hangs_after
        self._silent: dict[str, float] = {}
        """Since when, by name."""
        self._warned: set[str] = set()
        self._starts: dict[str, deque[float]] = {}

    async def watch(self) -> NoReturn:
        """Look after all of them, until one cannot be kept running.

        Call it in the main thread: a child that another one has started outlives us.

        Raises:
            Unavailable: Says which, and what to do.
        """
        while True:
            for server in self._servers:
                await self._look(server)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, server: Server) -> None:
        name = server.name
        if not server.alive:
            self._restart(server, f"{name} đã dừng đột ngột")
        elif await asyncio.to_thread(server.answers):
            self._silent.pop(name, None)
            self._warned.discard(name)
        elif server.alive:
            now = time.monotonic()
            silent = now - self._silent.setdefault(name, now)
            if silent >= self._hangs_after:
                self._restart(server, f"{name} bị treo, không trả lời đã {silent:.0f} giây")
            elif silent >= SAID_AFTER and name not in self._warned:
                self._warned.add(name)
                self._say(f"{name} không trả lời; chờ thêm, nếu vẫn vậy sẽ khởi động lại")

    def _restart(self, server: Server, why: str) -> None:
        starts = self._starts.setdefault(server.name, deque())
        now = time.monotonic()
        while starts and starts[0] < now - WITHIN_SECONDS:
            starts.popleft()
        if len(starts) >= MOST_STARTS:
            raise Unavailable(
                f"{why}. Đã khởi động lại {MOST_STARTS} lần trong {WITHIN_SECONDS / 60:.0f} phút"
                " mà vẫn vậy: xem máy còn trống đĩa và bộ nhớ không, có chương trình nào dừng nó"
                " không, rồi chạy lại."
            )
        starts.append(now)
        self._say(f"{why}; đang khởi động lại …")
        log.info("embedded.server.restarted", name=server.name, attempt=len(starts))
        server.destroy()
        try:
            server.start()
        except Unavailable as error:
            if len(starts) >= MOST_STARTS:
                raise
            self._say(f"chưa khởi động lại được {server.name}: {error.detail}")
            return
        self._silent.pop(server.name, None)
        self._warned.discard(server.name)
        self._say(f"{server.name} đã chạy lại")
