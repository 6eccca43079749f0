"""The echo of a worker: up to when everything that devices sent has been received.

Every second a worker publishes a numbered message to itself. The broker hands a client its
messages in order, so when an echo has come back and been committed, everything that devices had
sent before it was sent has been taken too. That moment ends the span of listening; silence is
judged up to there and not further. An echo that was long on its way proves nothing: a broker that
lets it wait may have dropped heartbeats, which are sent with QoS 0.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import uuid4

import structlog
from prometheus_client import Gauge

from broadcast.kit import clock
from broadcast.kit.errors import Unavailable
from broadcast.telemetry.presence import LAPSE, Listening, listen

log = structlog.get_logger()

BEHIND = Gauge(
    "broadcast_ingest_behind_seconds",
    "Age of the newest echo committed in time; nobody is judged by silence after it",
)

EVERY_SECONDS = 1.0
SELDOM_SECONDS = 10.0
"""While many are on their way: they wait at the broker like everything else."""
MANY_ON_THEIR_WAY = 30
STALLED_SECONDS = 120.0
"""A link over which nothing at all has come for so long, not even an echo, is made anew. Shorter:
one on a slow line is torn down while its messages are on their way."""
MOST_ON_THEIR_WAY = 1000
"""Beyond it the oldest echo is given up."""


class EchoLink(Protocol):
    """The link to the broker, as far as echoes need it."""

    @property
    def connected(self) -> bool:
        """It stands."""

    @property
    def connection(self) -> int:
        """Number of the present connection."""

    @property
    def idle_seconds(self) -> float:
        """For how long its consumer has waited for the next message."""

    def renew(self) -> None:
        """Break the link, so that it is made anew."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish, and return when confirmed."""


class Probe(NamedTuple):
    """An echo: over which connection and when it was sent, by both clocks."""

    connection: int
    sent_at: datetime
    monotonic: float


class Echo:
    """Sends the echoes of one worker and keeps its span of listening.

    Args:
        link: The worker's link to the broker, which is subscribed to `topic`.
        topic: With the prefix.
        now: The clock.
    """

    def __init__(
        self, link: EchoLink, topic: str, now: Callable[[], datetime] = clock.now
    ) -> None:
        self.topic = topic
        self.span: Listening | None = None
        """The span stored last."""
        self._link = link
        self._now = now
        self._token = uuid4().hex
        """Echoes of an earlier process may still come."""
        self._number = 0
        self._sent: dict[int, Probe] = {}
        self._last: Probe | None = None
        """The one at the end of `span`."""

    async def run(self) -> None:
        """Send echoes until cancelled."""
        began_at = self._now()
        BEHIND.set_function(lambda: self._behind(began_at))
        while True:
            if self._is_stalled():
                log.error("ingest.link.stalled", seconds=STALLED_SECONDS)
                self._link.renew()
            elif self._link.connected:
                await self._send()
            many = len(self._sent) > MANY_ON_THEIR_WAY
            await asyncio.sleep(SELDOM_SECONDS if many else EVERY_SECONDS)

    def _is_stalled(self) -> bool:
        """Tell whether the link stands and echoes do not come back, though its consumer waits."""
        if not self._link.connected or self._link.idle_seconds < STALLED_SECONDS:
            return False
        now, connection = time.monotonic(), self._link.connection
        return any(
            probe.connection == connection and now - probe.monotonic >= STALLED_SECONDS
            for probe in self._sent.values()
        )

    async def _send(self) -> None:
        self._number += 1
        self._sent[self._number] = Probe(self._link.connection, self._now(), time.monotonic())
        if len(self._sent) > MOST_ON_THEIR_WAY:
            del self._sent[next(iter(self._sent))]
        with suppress(Unavailable):
            await self._link.publish(self.topic, f"{self._token}/{self._number}".encode())

    def received(self, payload: bytes) -> Probe | None:
        """The echo that has been taken from the broker; None when it is of no use.

        That is one of another process or of an earlier connection.
        """
        token, _, number = payload.decode("ascii", "replace").partition("/")
        if token != self._token or not number.isdecimal():
            return None
        probe = self._sent.get(int(number))
        # Whatever was sent before it has come back too, or never will.
        self._sent = {n: each for n, each in self._sent.items() if n > int(number)}
        return probe if probe and probe.connection == self._link.connection else None

    def span_up_to(self, probe: Probe) -> Listening | None:
        """The span of listening once everything before an echo is stored; None for a late one.

        Over another connection, or after a step of the wall clock, a new one begins.
        """
        if time.monotonic() - probe.monotonic > LAPSE.total_seconds():
            return None
        last = self._last
        elapsed = timedelta(seconds=probe.monotonic - last.monotonic) if last else timedelta(0)
        unbroken = last is not None and last.connection == probe.connection
        return listen(self.span, probe.sent_at, elapsed=elapsed, unbroken=unbroken)

    def committed(self, span: Listening, probe: Probe) -> None:
        """Take note that the span of an echo is committed."""
        if self.span is None or span.started_at != self.span.started_at:
            log.info("ingest.listening.started", at=span.started_at.isoformat())
        self.span, self._last = span, probe

    def _behind(self, began_at: datetime) -> float:
        until = began_at if self.span is None else self.span.until
        return (self._now() - until).total_seconds()

    def is_live(self, now: datetime) -> bool:
        """Tell whether nothing that comes now had been waiting at the broker for long."""
        return (
            self.span is not None
            and self._last is not None
            and self._last.connection == self._link.connection
            and abs(now - self.span.until) <= LAPSE
        )
