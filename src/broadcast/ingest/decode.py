"""One message from the broker: read, or refused with the reason."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import Counter

from broadcast.kit import clock
from broadcast.telemetry.dead_letters import Letter, Why
from broadcast.wire import WireError
from broadcast.wire.codec import MAX_EVENT_BYTES, Told, decode_event, decode_heartbeat, encode
from broadcast.wire.events import EVENTS, Boot, Playback
from broadcast.wire.fields import Wire
from broadcast.wire.mending import mended
from broadcast.wire.topics import DEVICE_EVENT

log = structlog.get_logger()

DROPPED = Counter(
    "broadcast_fields_dropped",
    "Optional fields left out of messages of devices: they broke the contract",
    ["kind", "field"],
)

LONGEST_TOPIC = 300
TOPICS_KEPT = 2**16
"""Topics taken apart once: 10,000 devices with a few kinds each, at most 20 MB of them."""
LONGEST_KEPT = 4096
"""Bytes of what a device says that it holds, to be remembered; a few hundred are usual."""


class Event(NamedTuple):
    """What some device said; whether it is enrolled is not known yet."""

    device_code: str
    kind: str
    message: Wire
    body: bytes = b""
    """Of a heartbeat: its JSON as it is stored, without `held`."""
    rows: int = 0
    """Rows of its own kind that it may make: records of a journal, documents newly held."""


class Reader:
    """Decodes messages. Remembers what each device holds: nearly every heartbeat says it again."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        """Begin with nothing.

        Args:
            is_known: Whether a device is known to be enrolled; of others nothing is remembered.
        """
        self._is_known = is_known
        self._told: dict[str, Told] = {}
        self._told_of: set[tuple[str, str]] = set()
        """Devices and fields that were left out: each is logged once."""

    def read(
        self, topic: str, levels: tuple[str, str] | None, payload: bytes, *, retain: bool
    ) -> Event | Letter:
        """Decode a message.

        Args:
            topic: As received, with the prefix.
            levels: What `sender` says of it.
            payload: As received.
            retain: The broker had stored it: an event that comes again at every connection of
                ours, so no event.
        """
        if levels is None:
            return Letter(Why.TOPIC, topic, None, payload, "no topic that a device may publish to")
        code, kind = levels
        if retain:
            return Letter(
                Why.RETAINED, topic, code, payload, "events are published without retain"
            )
        try:
            event = self._decoded(code, kind, payload)
        except WireError as error:
            why = Why.MALFORMED
            if kind not in EVENTS:
                why = Why.KIND
            elif len(payload) > MAX_EVENT_BYTES:
                why = Why.TOO_LARGE
            return Letter(why, topic, code, payload, error.reason, error.field)
        return event

    def _decoded(self, code: str, kind: str, payload: bytes) -> Event:
        """The message, without optional fields that cannot be taken: they are counted."""
        try:
            if kind == "heartbeat" and b"\\" not in payload:
                return self._heartbeat(code, payload)
            return self._strictly(code, kind, payload)
        except WireError as error:
            if kind not in EVENTS or len(payload) > MAX_EVENT_BYTES:
                raise
            found = mended(payload, error, lambda text: decode_event(kind, text), clock.now())
        for name in found.dropped:
            DROPPED.labels(kind, name).inc()
            if (code, name) not in self._told_of and len(self._told_of) < TOPICS_KEPT:
                self._told_of.add((code, name))
                log.warning("ingest.field.dropped", device=code, kind=kind, field=name)
        return self._strictly(code, kind, found.payload)

    def _strictly(self, code: str, kind: str, payload: bytes) -> Event:
        if kind == "heartbeat":
            event = self._heartbeat(code, payload)
        else:
            message = decode_event(kind, payload)
            event = Event(code, kind, message, rows=self._rows(code, message))
        if b"\\" in payload and b"\\u0000" in payload:
            _refuse_nul(event.message)
        return event

    def _heartbeat(self, code: str, payload: bytes) -> Event:
        last = self._told.get(code)
        message, body, told = decode_heartbeat(payload, last)
        if told is last:
            return Event(code, "heartbeat", message, body)
        return Event(code, "heartbeat", message, body, self._newly_held(code, told))

    def _rows(self, code: str, message: Wire) -> int:
        if isinstance(message, Playback):
            return len(message.records)
        if isinstance(message, Boot):
            return self._newly_held(
                code, Told(msgspec.Raw(msgspec.json.encode(message.held)), message.held)
            )
        return 0

    def _newly_held(self, code: str, told: Told) -> int:
        """How many documents a device says that it holds and did not say last; remembered."""
        last = self._told.get(code)
        new = told.held.items() - (last.held.items() if last is not None else ())
        if self._is_known(code) and len(bytes(told.raw)) <= LONGEST_KEPT:
            self._told[code] = told
        return len(new)


def sender(topic: str, prefix: str) -> tuple[str, str] | None:
    """Device and kind of event by the topic; None when no device may publish there."""
    if len(topic) > LONGEST_TOPIC or not topic.startswith(prefix + "/"):
        return None
    levels = DEVICE_EVENT.match(topic[len(prefix) + 1 :])
    return (
        None if levels is None else (sys.intern(levels["device_id"]), sys.intern(levels["kind"]))
    )


class Senders:
    """Topics taken apart once; a plain dict takes half of what `lru_cache` does for each."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, topic: str) -> tuple[str, str] | None:
        """What `sender` says of a topic."""
        known = self._known.get(topic)
        if known is None:
            known = sender(topic, self._prefix)
            if known is not None:
                if len(self._known) >= TOPICS_KEPT:
                    self._known.clear()
                self._known[topic] = known
        return known


def _refuse_nul(message: Wire) -> None:
    """PostgreSQL stores no U+0000; found here it costs nobody else a transaction."""
    if b"\\u0000" in encode(message).replace(b"\\\\", b""):
        raise WireError("holds the character U+0000")
