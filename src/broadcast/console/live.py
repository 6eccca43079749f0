"""What has changed, told to open pages: they fetch the parts that show it again.

Statement triggers NOTIFY the topic of a table (migration 0024); one connection a process listens
while pages are open. A stream carries names of topics and no data, so that nothing is lost when
one is missed: after every gap all topics count as changed. With each goes a version: what is read
after it was known shows all that was told until then (`shared.py`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from enum import StrEnum

import sqlalchemy as sa
import structlog
from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast import config
from broadcast.kit import db
from broadcast.kit.errors import Unavailable
from broadcast.kit.notify import Channel, listen

log = structlog.get_logger()

STREAMS = Gauge("broadcast_console_streams", "Open pages that are told of changes")

RETRY_SECONDS = 5.0
"""After which the database is tried again."""

PROBE_SECONDS = 60.0
"""Between two looks whether the connection lives: one that is silent may be dead."""

PING_SECONDS = 20.0
"""Between two signs of life: proxies close what is silent for a minute."""


class Topic(StrEnum):
    """What pages are told of."""

    PLAYS = "plays"
    PRESENCE = "presence"
    INCIDENTS = "incidents"
    BULLETINS = "bulletins"
    SCHEDULES = "schedules"
    COMMANDS = "commands"
    PREPARATIONS = "preparations"
    REGISTRY = "registry"
    ALERTS = "alerts"
    INBOX = "inbox"
    LIVE = "live"


SLOW = frozenset({Topic.PLAYS, Topic.PRESENCE})
"""What changes all the time: told together, so that a page asks once for both."""

SLOW_SECONDS, QUICK_SECONDS = 5.0, 1.0
"""How often pages are told at most. A change after a quiet time is told at once."""

FETCH_SECONDS, SHARE = 0.004, 0.1
"""What the server computes for a part that a page fetches again, and how much of a core that may
take: the more pages are open, the less often they are told."""


class Stream:
    """One open page."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self.topics = frozenset(topics)
        self._changed: set[Topic] = set()
        self._woken = asyncio.Event()

    def tell(self, topic: Topic) -> None:
        """Note a change for the next look."""
        if topic in self.topics:
            self._changed.add(topic)
            self._woken.set()

    async def changes(self, seconds: float) -> list[Topic]:
        """Topics that have changed since the last call; empty after so many seconds without."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
        changed, self._changed = sorted(self._changed), set()
        return changed


class _Beat:
    """Topics that are told together."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.changed: set[Topic] = set()
        self.told_at = float("-inf")
        self.waiting: asyncio.TimerHandle | None = None


class Hub:
    """The streams of a process, and its one connection that listens.

    Attributes:
        version: How often pages were told of something.
    """

    def __init__(self, settings: config.Settings) -> None:
        self._postgres = settings.postgres
        self._most = settings.web.connections // 2
        self._streams: set[Stream] = set()
        self._listener: _Listener | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._name = secrets.token_hex(4)
        self.version = 0
        slow, quick = _Beat(SLOW_SECONDS), _Beat(QUICK_SECONDS)
        self._beats = {topic: slow if topic in SLOW else quick for topic in Topic}

    def open(self, topics: Iterable[Topic]) -> Stream:
        """A new stream; the first one makes the process listen.

        Raises:
            Unavailable: So many are open that other requests would find no connection.
        """
        if len(self._streams) >= self._most:
            raise Unavailable("Quá nhiều trang đang mở; trang này không tự cập nhật, hãy tải lại.")
        stream = Stream(topics)
        self._streams.add(stream)
        STREAMS.set(len(self._streams))
        if self._listener is None:
            self._listener = _Listener(self._postgres, self.changed)
        return stream

    def close(self, stream: Stream) -> None:
        """The page is gone; after the last one nothing listens."""
        self._streams.discard(stream)
        STREAMS.set(len(self._streams))
        if not self._streams:
            self._end()

    async def stop(self) -> None:
        """Listen no more; returns when the connection is closed."""
        self._end()
        await asyncio.gather(*self._ending)

    def _end(self) -> None:
        for beat in self._beats.values():
            beat.changed.clear()
            if beat.waiting is not None:
                beat.waiting.cancel()
                beat.waiting = None
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stopping.set()
            self._ending.add(listener.task)
            listener.task.add_done_callback(self._ending.discard)

    def changed(self, topic: Topic) -> None:
        """Tell the pages of a change, now or when they may be told again."""
        if not self._streams:
            return
        beat = self._beats[topic]
        beat.changed.add(topic)
        if beat.waiting is None:
            loop = asyncio.get_running_loop()
            pause = max(beat.seconds, len(self._streams) * FETCH_SECONDS / SHARE)
            due = beat.told_at + pause
            if due <= loop.time():
                self._tell(beat)
            else:
                beat.waiting = loop.call_at(due, self._tell, beat)

    def _tell(self, beat: _Beat) -> None:
        beat.waiting = None
        beat.told_at = asyncio.get_running_loop().time()
        changed, beat.changed = beat.changed, set()
        self.version += 1
        for stream in self._streams:
            for topic in changed:
                stream.tell(topic)

    @property
    def version_name(self) -> str:
        """The version, as pages are told it."""
        return f"{self._name}.{self.version}"

    def told(self, version_name: str | None) -> int | None:
        """The version that a page was told; None if that was none of this process."""
        name, _, number = (version_name or "").partition(".")
        if name != self._name or not number.isdecimal():
            return None
        version = int(number[:18])
        return version if version <= self.version else None


class _Listener:
    """One connection that hears of changes, from its making until it is told to stop.

    It is not cancelled: a connection that is given up while it is made is not closed.
    """

    def __init__(self, postgres: config.Postgres, changed: Callable[[Topic], None]) -> None:
        self._postgres = postgres
        self._changed = changed
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name="console.live")

    async def _run(self) -> None:
        engine = db.create_engine(self._postgres, "broadcast.live", 1)
        try:
            while not self.stopping.is_set():
                try:
                    await self._follow(engine)
                except db.AWAY as error:
                    log.warning("console.live.database_away", error=db.brief(error))
                await _either(RETRY_SECONDS, self.stopping)
        finally:
            await engine.dispose()

    async def _follow(self, engine: AsyncEngine) -> None:
        """Listen until the connection is lost, or nobody needs it any more."""
        lost = asyncio.Event()
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            raw = await listen(connection, Channel.LIVE, self._notified)
            raw.add_termination_listener(lambda *_: lost.set())
            for topic in Topic:  # what has been missed until now
                self._changed(topic)
            while not await _either(PROBE_SECONDS, lost, self.stopping):
                await connection.execute(sa.text("SELECT 1"))
            await connection.invalidate()

    def _notified(self, payload: str) -> None:
        with suppress(ValueError):  # a topic of a newer version beside this one
            self._changed(Topic(payload))


async def _either(seconds: float, *events: asyncio.Event) -> bool:
    """Wait for one of some events; false when none has come in time."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    done, left = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    return bool(done)


async def events(hub: Hub, stream: Stream) -> AsyncIterator[str]:
    """A stream as server-sent events (HTML Standard §9.2): `event: plays`."""
    try:
        yield "retry: 5000\n\n"
        while True:
            changed = await stream.changes(PING_SECONDS)
            told = hub.version_name
            lines = "".join(f"event: {topic}\ndata: {told}\n\n" for topic in changed)
            yield lines or ": alive\n\n"
    finally:
        hub.close(stream)
