"""Refusals, in the audit by transactions of their own, and what a flood of them may cost.

The first few of a sender within a minute are entries of their own; the rest of that minute is
counted, and one entry tells how many there were. A sender is an account that has proved who it is,
otherwise an address, each kind of refusal apart. Senders beyond `MOST_SENDERS`, and all of them
beyond `MOST_ENTRIES` a minute, share one count; who has proved who they are does not share with
who has not, so that a flood from outside hides nobody within. A process writes at most twice
`MOST_ENTRIES` + `MOST_SENDERS` entries of half a kilobyte a minute, and no memory grows. Writing
is done behind the answer, by one task: who floods us neither waits for the database nor takes more
than one of its connections.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import deque
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncEngine

from broadcast.audit.entry import Entry, Origin, Outcome, Who
from broadcast.audit.recording import NOBODY, add
from broadcast.kit import db

log = structlog.get_logger()

REFUSED = Counter("broadcast_audit_refusals", "Refused requests, in the audit or counted there")
LOST = Counter(
    "broadcast_audit_refusals_lost", "Refusals that are not in the audit: the database was away"
)

WINDOW = timedelta(minutes=1)
MOST_EACH = 5
"""Entries of one sender in a window, of each kind of refusal."""

MOST_ENTRIES = 60
"""Entries of all senders in a window."""

MOST_SENDERS = 60
"""Senders that are counted apart in a window."""

OTHERS = "…"
"""Stands for the senders beyond them."""

IPV6_SITE = 64
"""Bits of an IPv6 address by which one sender is known."""


class Counted(NamedTuple):
    """Refusals of a sender that got no entries of their own."""

    sender: str
    first: Entry
    times: int
    until: datetime

    def entry(self) -> Entry:
        """The one that tells of them."""
        title = f"{self.times} lần bị từ chối nữa"
        details = {**self.first.details, "count": self.times, "since": self.first.at.isoformat()}
        if self.sender == OTHERS:
            origin = Origin(OTHERS)
            return Entry(self.until, NOBODY, Outcome.REFUSED, OTHERS, title, origin=origin,
                         details={"count": self.times, "since": details["since"]})  # fmt: skip
        return msgspec.structs.replace(self.first, at=self.until, title=title, details=details)


class Window:
    """Who gets an entry of their own, and how many were counted instead. Pure."""

    def __init__(self) -> None:
        self._began: datetime | None = None
        self._own: dict[str, int] = {}
        self._counted: dict[str, Counted] = {}

    def admit(self, sender: str, entry: Entry) -> bool:
        """Tell whether a refusal gets an entry of its own; it is counted otherwise."""
        if self._began is None:
            self._began = entry.at
        own = self._own.get(sender, 0)
        if own < MOST_EACH and sum(self._own.values()) < MOST_ENTRIES:
            self._own[sender] = own + 1
            return True
        if sender not in self._counted and len(self._counted) >= MOST_SENDERS:
            sender = OTHERS
        before = self._counted.get(sender) or Counted(sender, entry, 0, entry.at)
        self._counted[sender] = before._replace(times=before.times + 1, until=entry.at)
        return False

    def over(self, now: datetime | None) -> list[Counted]:
        """What was counted, where the window is over; a new one begins with the next refusal.

        Args:
            now: Present; None ends it. A clock that was set back ends it, too.
        """
        if self._began is None or (now and self._began <= now < self._began + WINDOW):
            return []
        counted = [*self._counted.values()]
        self._began, self._own, self._counted = None, {}, {}
        return counted


def site(address: str) -> str:
    """One sender: an IPv4 address, or the network of an IPv6 address.

    >>> site("192.0.2.7"), site("2001:db8:1:2:aaaa::1"), site("?")
    ('192.0.2.7', '2001:db8:1:2::/64', '?')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, IPV6_SITE), strict=False))


class Refusals:
    """Writes the refusals of a process."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._windows = (Window(), Window())
        """Of who has not proved who they are, and of who has."""
        self._waiting: deque[Entry] = deque()
        """Bounded by the window: who is not admitted is counted."""
        self._writer: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def note(
        self,
        who: Who | None,
        origin: Origin,
        action: str,
        object_: str,
        status: int,
        why: str,
        now: datetime,
    ) -> None:
        """Have a refusal written, or counted. Returns at once."""
        REFUSED.inc()
        self._end_windows(now)
        is_known = who is not None and who.credential is not None
        sender = f"account/{who.account}" if who and is_known else site(origin.address)
        entry = Entry(
            now, who or NOBODY, Outcome.REFUSED, action,
            object=object_, origin=origin, details={"status": status, "why": why},
        )  # fmt: skip
        if self._windows[is_known].admit(f"{status} {sender}", entry):
            self._waiting.append(entry)
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(WINDOW.total_seconds(), self._end)
        self._wake()

    async def close(self) -> None:
        """Write what is waiting and what was counted so far."""
        self._end()
        if self._writer is not None:
            await self._writer

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._end_windows(None)
        self._wake()

    def _end_windows(self, now: datetime | None) -> None:
        for window in self._windows:
            self._waiting.extend(each.entry() for each in window.over(now))

    def _wake(self) -> None:
        if self._waiting and (self._writer is None or self._writer.done()):
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            entries = [*self._waiting]
            try:
                async with db.transaction(self._engine) as session:
                    for entry in entries:
                        await add(session, entry)
            except db.AWAY as error:
                LOST.inc(len(entries))
                log.warning("audit.refusals.lost", count=len(entries), error=db.brief(error))
            for _ in entries:
                self._waiting.popleft()
