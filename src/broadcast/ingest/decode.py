"""Decode one message from the broker: an `Arrival`, a `DeadLetter`, or nothing.

Nothing comes of a message for another worker, of an empty one and of one beyond what its device
may send: it is acknowledged and left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable

import msgspec
import structlog
from prometheus_client import Counter

from broadcast.ingest.sharding import ShardAssignment
from broadcast.ingest.throttle import Throttle
from broadcast.kit import clock
from broadcast.telemetry.arrival import Arrival, BrokerMessage
from broadcast.telemetry.dead_letters import LETTERS, DeadLetter, RejectReason
from broadcast.wire import WireError
from broadcast.wire.codec import (
    MAX_EVENT_BYTES,
    HeldDocuments,
    decode_event,
    decode_heartbeat,
    encode,
)
from broadcast.wire.events import EVENTS, Boot, Playback
from broadcast.wire.fields import Wire
from broadcast.wire.repair import repaired
from broadcast.wire.topics import DEVICE_EVENT

log = structlog.get_logger()

THROTTLED = Counter("broadcast_ingest_throttled", "Messages left alone: a flood", ["kind"])
DROPPED = Counter(
    "broadcast_fields_dropped",
    "Optional fields left out of messages of devices: they broke the contract",
    ["kind", "field"],
)

LONGEST_TOPIC = 300
TOPICS_KEPT = 2**16
"""Topics parsed once, at most 20 MB of them."""
FREQUENT = {"heartbeat", "playback"}
"""Kinds whose topics are worth keeping: one of a boot costs a device 250 bytes for good."""
LONGEST_KEPT = 4096
"""Bytes of the documents that a device holds, to be remembered; a few hundred are usual."""


class Decoder:
    """Decodes messages. Remembers what each device holds: nearly every heartbeat repeats it."""

    def __init__(
        self,
        prefix: str,
        assignment: ShardAssignment,
        throttle: Throttle,
        enrolled: Container[str],
    ) -> None:
        """Begin with nothing.

        Args:
            prefix: First levels of every topic.
            assignment: Devices of this worker.
            throttle: Bounds what each device may send.
            enrolled: Devices known to be enrolled; of others nothing is remembered.
        """
        self._prefix = f"{prefix}/"
        self._is_ours = assignment.is_ours if assignment.mode == "shards" else None
        self._throttle = throttle
        self._enrolled = enrolled
        self._senders: dict[str, tuple[str, str]] = {}
        """Topic → device and kind, of the frequent kinds."""
        self._held: dict[str, HeldDocuments] = {}
        self._dropped: set[tuple[str, str]] = set()
        """Devices and fields that were left out: each is logged once."""

    def decode(self, message: BrokerMessage, now: float) -> Arrival[Wire] | DeadLetter | None:
        """Decode a message.

        Args:
            message: From the broker.
            now: Seconds of a monotonic clock.

        Returns:
            The message, its device not yet looked up; or why it cannot be taken; None when it is
            left alone.
        """
        sender = self._senders.get(message.topic) or self._sender(message.topic)
        if sender is None:
            reason = "no topic that a device may publish to"
            return _rejected(message, RejectReason.TOPIC, None, reason)
        code, kind = sender
        if not self._is_admitted(code, kind, message, now):
            return None
        item = self._read(code, kind, message)
        if isinstance(item, Arrival) and item.rows and not self._may_store(item, now):
            return None
        return item

    def _sender(self, topic: str) -> tuple[str, str] | None:
        """Device and kind of event by the topic; None when no device may publish there."""
        if len(topic) > LONGEST_TOPIC or not topic.startswith(self._prefix):
            return None
        levels = DEVICE_EVENT.match(topic[len(self._prefix) :])
        if levels is None:
            return None
        sender = sys.intern(levels["device_id"]), sys.intern(levels["kind"])
        if sender[1] in FREQUENT:
            if len(self._senders) >= TOPICS_KEPT:
                self._senders.clear()
            self._senders[topic] = sender
        return sender

    def _is_admitted(self, code: str, kind: str, message: BrokerMessage, now: float) -> bool:
        """Tell whether a message is for this worker and within what its device may send."""
        if self._is_ours is not None and not self._is_ours(code):
            return False
        if not message.payload:
            # What the broker retained was removed, by us or by somebody at a keyboard.
            LETTERS.labels(RejectReason.EMPTY.value).inc()
            return False
        return self._throttle.admit(code, kind, now) or _throttled(kind)

    def _may_store(self, arrival: Arrival[Wire], now: float) -> bool:
        """Tell whether a device may have the rows that one message of it makes."""
        bucket, rows = "held", arrival.rows
        if arrival.kind == "playback":
            bucket, rows = arrival.kind, rows - 1
        return (
            rows == 0
            or self._throttle.admit(arrival.device_code, bucket, now, rows)
            or _throttled(arrival.kind)
        )

    def _read(self, code: str, kind: str, message: BrokerMessage) -> Arrival[Wire] | DeadLetter:
        if message.retain:
            # An event that the broker had stored comes again with every connection of ours.
            reason = "events are published without retain"
            return _rejected(message, RejectReason.RETAINED, code, reason)
        try:
            return self._arrival(code, kind, message)
        except WireError as error:
            reject_reason = _reject_reason(kind, message.payload)
            return _rejected(message, reject_reason, code, error.reason, error.field)
        except Exception as error:
            # A bug of ours; the message would come again with every connection.
            log.exception("ingest.message.unreadable", topic=message.topic)
            return _rejected(message, RejectReason.UNREADABLE, code, repr(error))

    def _arrival(self, code: str, kind: str, message: BrokerMessage) -> Arrival[Wire]:
        """Decode an event; optional fields that cannot be taken are left out and counted."""
        payload = message.payload
        try:
            if kind == "heartbeat" and b"\\" not in payload:
                return self._heartbeat(code, payload, message)
            return self._event(code, kind, payload, message)
        except WireError as error:
            if kind not in EVENTS or len(payload) > MAX_EVENT_BYTES:
                raise
            found = repaired(payload, error, lambda text: decode_event(kind, text), clock.now())
        self._count_dropped(code, kind, found.dropped)
        return self._event(code, kind, found.payload, message)

    def _heartbeat(self, code: str, payload: bytes, source: BrokerMessage) -> Arrival[Wire]:
        last = self._held.get(code)
        message, body, held = decode_heartbeat(payload, last)
        rows = 0 if held is last else self._newly_held(code, held, last)
        return Arrival(0, code, message, "heartbeat", body, rows, source)

    def _event(self, code: str, kind: str, payload: bytes, source: BrokerMessage) -> Arrival[Wire]:
        if kind == "heartbeat":
            arrival = self._heartbeat(code, payload, source)
        else:
            message = decode_event(kind, payload)
            rows = self._rows(code, message)
            arrival = Arrival(0, code, message, kind, rows=rows, source=source)
        if b"\\" in payload and b"\\u0000" in payload:
            _refuse_nul(arrival.message)
        return arrival

    def _rows(self, code: str, message: Wire) -> int:
        if isinstance(message, Playback):
            return len(message.records)
        if isinstance(message, Boot):
            raw = msgspec.Raw(msgspec.json.encode(message.held))
            held = HeldDocuments(raw, message.held)
            return self._newly_held(code, held, self._held.get(code))
        return 0

    def _newly_held(self, code: str, held: HeldDocuments, last: HeldDocuments | None) -> int:
        """Remember what a device holds; count the documents that it did not hold before."""
        new = held.revisions.items() - (last.revisions.items() if last is not None else ())
        if code in self._enrolled and len(bytes(held.raw)) <= LONGEST_KEPT:
            self._held[code] = held
        return len(new)

    def _count_dropped(self, code: str, kind: str, fields: Iterable[str]) -> None:
        for field in fields:
            DROPPED.labels(kind, field).inc()
            if (code, field) not in self._dropped and len(self._dropped) < TOPICS_KEPT:
                self._dropped.add((code, field))
                log.warning("ingest.field.dropped", device=code, kind=kind, field=field)


def _rejected(
    message: BrokerMessage,
    reject_reason: RejectReason,
    code: str | None,
    reason: str,
    field: str = "$",
) -> DeadLetter:
    return DeadLetter(reject_reason, message.topic, code, message.payload, reason, field, message)


def _reject_reason(kind: str, payload: bytes) -> RejectReason:
    if kind not in EVENTS:
        return RejectReason.KIND
    return RejectReason.TOO_LARGE if len(payload) > MAX_EVENT_BYTES else RejectReason.MALFORMED


def _throttled(kind: str) -> bool:
    THROTTLED.labels(kind if kind in EVENTS else "unknown").inc()
    return False


def _refuse_nul(message: Wire) -> None:
    """PostgreSQL stores no U+0000; found here it costs nobody else a transaction."""
    if b"\\u0000" in encode(message).replace(b"\\\\", b""):
        raise WireError("holds the character U+0000")
