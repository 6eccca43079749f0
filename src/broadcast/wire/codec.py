"""Bytes ↔ messages. Everything that can be wrong with a peer's bytes becomes a `WireError`."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from broadcast.wire import WireError
from broadcast.wire.events import EVENTS
from broadcast.wire.fields import Wire

MAX_EVENT_BYTES = 64 * 1024
"""Largest upward payload: a full journal batch needs about 20 KiB. A larger one is hostile."""

_NO_INSTANT = (b'"0001-01-0', b'"9999-12-3')
"""Days that an offset, or the conversion to local time, carries out of the calendar: decoded
without complaint, such an instant fails there, far from the peer whose fault it is."""

T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_event_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(message) for kind, message in EVENTS.items()
}


def encode(message: Wire) -> bytes:
    """JSON of a message or document, UTF-8."""
    return _encoder.encode(message)


def decode(payload: bytes, type_: type[T]) -> T:
    """Message or document of the expected type.

    Raises:
        WireError: Not JSON, not UTF-8, a field is missing, of the wrong type or out of bounds, or
            an instant at one end of the calendar.
    """
    return _decode(payload, msgspec.json.Decoder(type_))


def decode_event(kind: str, payload: bytes) -> Wire:
    """Upward message by the last level of its topic.

    Raises:
        WireError: Unknown kind, too large, or malformed.
    """
    decoder = _event_decoders.get(kind)
    if decoder is None:
        raise WireError(f"unknown event kind {kind!r}")
    if len(payload) > MAX_EVENT_BYTES:
        raise WireError(f"{len(payload)} bytes, at most {MAX_EVENT_BYTES} are accepted")
    message: Wire = _decode(payload, decoder)
    return message


def _decode(payload: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    _refuse_ends(payload)
    try:
        message = decoder.decode(payload)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise WireError(reason, path.rstrip("`") or "$") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not JSON in UTF-8: {error}") from None
    if b"\\u00" in payload:  # digits may be escaped, too
        _refuse_ends(_encoder.encode(message))
    return message


def _refuse_ends(payload: bytes) -> None:
    if _NO_INSTANT[0] in payload or _NO_INSTANT[1] in payload:
        raise WireError("an instant at the end of the calendar")
