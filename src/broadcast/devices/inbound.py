"""One message from the broker: read, or refused with the reason."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from broadcast.devices.dead_letters import Letter, Why
from broadcast.wire import WireError
from broadcast.wire.codec import MAX_EVENT_BYTES, decode_event, encode
from broadcast.wire.events import EVENTS
from broadcast.wire.fields import Wire
from broadcast.wire.topics import DEVICE_EVENT

LONGEST_TOPIC = 300
TOPICS_KEPT = 2**16
"""Topics taken apart once: 10,000 devices with a few kinds each, at most 20 MB of them."""


class Event(NamedTuple):
    """What some device said; whether it is enrolled is not known yet."""

    device_code: str
    kind: str
    message: Wire


def read(topic: str, payload: bytes, *, retain: bool, prefix: str) -> Event | Letter:
    """Decode a message.

    Args:
        topic: As received, with the prefix.
        payload: As received.
        retain: The broker had stored it: an event that comes again at every connection of ours,
            so no event.
        prefix: First levels of every topic.
    """
    levels = sender(topic, prefix)
    if levels is None:
        return Letter(Why.TOPIC, topic, None, payload, "no topic that a device may publish to")
    code, kind = levels
    if retain:
        return Letter(Why.RETAINED, topic, code, payload, "events are published without retain")
    try:
        message = decode_event(kind, payload)
        if b"\\u0000" in payload:
            _refuse_nul(message)
    except WireError as error:
        why = Why.MALFORMED
        if kind not in EVENTS:
            why = Why.KIND
        elif len(payload) > MAX_EVENT_BYTES:
            why = Why.TOO_LARGE
        return Letter(why, topic, code, payload, error.reason, error.field)
    return Event(code, kind, message)


def sender(topic: str, prefix: str) -> tuple[str, str] | None:
    """Device and kind of event by the topic; None when no device may publish there."""
    return _levels(topic, prefix) if len(topic) <= LONGEST_TOPIC else None


@lru_cache(TOPICS_KEPT)
def _levels(topic: str, prefix: str) -> tuple[str, str] | None:
    levels = DEVICE_EVENT.match(topic.removeprefix(prefix + "/"))
    if levels is None or not topic.startswith(prefix + "/"):
        return None
    return levels["device_id"], levels["kind"]


def _refuse_nul(message: Wire) -> None:
    """PostgreSQL stores no U+0000; found here it costs nobody else a transaction."""
    if b"\\u0000" in encode(message).replace(b"\\\\", b""):
        raise WireError("holds the character U+0000")
