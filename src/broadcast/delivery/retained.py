"""Messages that devices have left at the broker: found, removed, and reported.

Events are published without retain. One that is retained is sent again to everybody who
subscribes, stays permanently, and takes the broker's memory; under a kind that nobody subscribes
to nobody would notice. MQTT 3.1.1 shows the flag at a subscription only, so now and then
everything that devices may publish is subscribed to for a moment; so are commands, which nobody
may retain. What lies where documents do is noticed by the mirror, at once (docs/decisions/0039).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.devices.model import Device
from broadcast.kit import db
from broadcast.kit.errors import Unavailable
from broadcast.telemetry import faults
from broadcast.telemetry.faults import Report

log = structlog.get_logger()

REMOVED = Counter("broadcast_retained_removed", "Events that the broker retained, and removed")

EVERY = timedelta(minutes=1)
"""How often the broker is searched."""
QUIET_SECONDS = 0.5
"""When nothing retained came for so long the broker has sent all, or what its buffers held."""
LONGEST_SECONDS = 20.0
AT_ONCE = 200
"""Removals on their way."""
TOPICS_AT_MOST = 50_000
"""Of a round; the next one finds the rest."""

NOBODY = ""
"""Sender of what anybody may have left."""

FAULT = "retained"
"""Fault that the server opens: the device leaves messages at the broker."""


class Link(Protocol):
    """The part of the link that this module needs."""

    @property
    def connected(self) -> bool:
        """The connection stands."""

    def peek(self, topic_filter: str) -> None:
        """Subscribe: the broker sends what it retains."""

    def end_peek(self, topic_filter: str) -> None:
        """End that."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1, and return when the broker has confirmed it."""


@dataclass(slots=True)
class RetainedMessages:
    """The messages that one sender has left."""

    messages: int = 0
    size_bytes: int = 0


def followed(prefix: str) -> list[str]:
    """Everything that devices may publish, under whatever name, and commands to them."""
    return [f"{prefix}/device/+/event/#", f"{prefix}/device/+/command/#"]


class RetainedCleanup:
    """Removes what devices have left, and reports it.

    Args:
        engine: Where faults are kept.
        link: To the broker; whoever reads it shows us each message (`takes`).
        prefix: First levels of every topic.
    """

    def __init__(self, engine: AsyncEngine, link: Link, prefix: str) -> None:
        self._engine = engine
        self._link = link
        self._filters = followed(prefix)
        self._start = f"{prefix}/device/"
        self._topics: dict[str, int] = {}
        self._came_at = 0.0
        self._named: dict[str, int] | None = None
        """Senders whose fault is open, with their devices; None: not known."""

    def takes(self, topic: str, size: int, *, stored: bool) -> bool:
        """Take note of a message; false where it is neither an event nor a command."""
        if not topic.startswith(self._start) or not ("/event/" in topic or "/command/" in topic):
            return False
        if stored and size and len(self._topics) < TOPICS_AT_MOST:
            self._topics[topic] = size
            self._came_at = time.monotonic()
        return True

    async def run(self, now: datetime) -> bool:
        """Look, remove and report; returns whether there was anything, so that more may be."""
        if not self._link.connected:
            return False
        try:
            found = await self.remove()
            async with db.transaction(self._engine) as session:
                await self.report(session, found, now)
        except (*db.AWAY, Unavailable) as error:
            log.warning("devices.retained.failed", error=db.brief(error))
            return False
        return bool(found)

    async def remove(self) -> dict[str, RetainedMessages]:
        """Have the broker forget every event that it retains; returns what it was, by sender."""
        self._topics.clear()
        began = self._came_at = time.monotonic()
        for each in self._filters:
            self._link.peek(each)
        try:
            while (now := time.monotonic()) < self._came_at + QUIET_SECONDS:
                if now > began + LONGEST_SECONDS:
                    break
                await asyncio.sleep(QUIET_SECONDS / 5)
        finally:
            for each in self._filters:
                self._link.end_peek(each)
        found: dict[str, RetainedMessages] = {}
        topics = list(self._topics.items())
        for first in range(0, len(topics), AT_ONCE):
            some = topics[first : first + AT_ONCE]
            await asyncio.gather(
                *(self._link.publish(topic, b"", retain=True) for topic, _ in some)
            )
            REMOVED.inc(len(some))
            for topic, size in some:
                code, kind = topic.removeprefix(self._start).split("/")[:2]
                # Whose command it is says nothing of who has left it.
                left = found.setdefault(code if kind == "event" else NOBODY, RetainedMessages())
                left.messages += 1
                left.size_bytes += size
        if found:
            most = sorted(found, key=lambda code: -found[code].size_bytes)[:5]
            size = sum(left.size_bytes for left in found.values())
            log.warning("devices.retained.removed", messages=len(topics), size=size, senders=most)
        return found

    async def report(
        self, session: AsyncSession, found: Mapping[str, RetainedMessages], now: datetime
    ) -> None:
        """Open the fault of each device that has left something, and close those of the others."""
        if self._named is None:
            await faults.end(session, FAULT, now)
            self._named = {}
        enrolled = sa.select(Device.code, Device.id).where(Device.code.in_(list(found)))
        ids = {row.code: row.id for row in await session.execute(enrolled)} if found else {}
        reports = [
            Report(device_id, FAULT, True, now, _detail(found[code]))
            for code, device_id in ids.items()
        ]
        over = self._named.keys() - ids.keys()
        reports += [Report(self._named[code], FAULT, False, now) for code in over]
        if reports:
            await faults.keep(session, reports)
        self._named = ids


def _detail(left: RetainedMessages) -> str:
    return (
        f"để lại {left.messages} thông điệp lưu trên broker ({left.size_bytes / 2**20:.1f} MiB),"
        " đã xóa; hãy kiểm tra phần mềm của thiết bị, đổi mật khẩu nếu không phải nó gửi"
    )
