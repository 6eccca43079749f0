"""What devices have left at the broker: found, removed, and told.

Events are published without retain. One that is retained is handed out again to everybody who
subscribes, stays for ever, and takes the broker's memory; under a kind that nobody follows nobody
would notice. MQTT 3.1.1 shows the flag at a subscription only, so now and then everything that
devices may publish is subscribed to for a moment; so are commands, which nobody may retain. What
lies where documents do is noticed by the dispatcher's mirror, at once (docs/decisions/0039).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import sqlalchemy as sa
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from broadcast.devices.model import Device
from broadcast.kit import clock, db
from broadcast.kit.errors import Unavailable
from broadcast.telemetry import faults
from broadcast.telemetry.faults import Report

log = structlog.get_logger()

REMOVED = Counter("broadcast_retained_removed", "Events that the broker retained, and removed")

EVERY_SECONDS = 60.0
QUIET_SECONDS = 0.5
"""When nothing retained came for so long the broker has told all, or what its buffers held."""
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
    """What this module needs of the link."""

    @property
    def connected(self) -> bool:
        """It stands."""

    def peek(self, topic_filter: str) -> None:
        """Subscribe: the broker hands out what it retains."""

    def end_peek(self, topic_filter: str) -> None:
        """End that."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1, and return when the broker has confirmed it."""


@dataclass(slots=True)
class Left:
    """What one sender has left."""

    messages: int = 0
    size_bytes: int = 0


def followed(prefix: str) -> list[str]:
    """Everything that devices may publish, under whatever name, and commands to them."""
    return [f"{prefix}/device/+/event/#", f"{prefix}/device/+/command/#"]


class Retained:
    """Finds what devices have left.

    Args:
        link: To the broker; whoever reads it shows us each message (`takes`).
        prefix: First levels of every topic.
    """

    def __init__(self, link: Link, prefix: str) -> None:
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

    async def run(self, engine: AsyncEngine) -> None:
        """Look, remove and tell, for ever."""
        while True:
            found: dict[str, Left] = {}
            if self._link.connected:
                try:
                    found = await self.remove()
                    async with db.transaction(engine) as session:
                        await self.tell(session, found, clock.now())
                except (*db.AWAY, Unavailable) as error:
                    log.warning("devices.retained.failed", error=db.brief(error))
            await asyncio.sleep(QUIET_SECONDS if found else EVERY_SECONDS)

    async def remove(self) -> dict[str, Left]:
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
        found: dict[str, Left] = {}
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
                left = found.setdefault(code if kind == "event" else NOBODY, Left())
                left.messages += 1
                left.size_bytes += size
        if found:
            most = sorted(found, key=lambda code: -found[code].size_bytes)[:5]
            size = sum(left.size_bytes for left in found.values())
            log.warning("devices.retained.removed", messages=len(topics), size=size, senders=most)
        return found

    async def tell(self, session: AsyncSession, found: Mapping[str, Left], now: datetime) -> None:
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


def _detail(left: Left) -> str:
    return (
        f"để lại {left.messages} thông điệp lưu trên broker ({left.size_bytes / 2**20:.1f} MiB),"
        " đã xóa; hãy kiểm tra phần mềm của thiết bị, đổi mật khẩu nếu không phải nó gửi"
    )
