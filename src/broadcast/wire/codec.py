"""Bytes ↔ messages. Everything that can be wrong with a peer's bytes becomes a `WireError`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import msgspec

from broadcast.wire import WireError
from broadcast.wire.events import EVENTS, Heartbeat, Held, Lost
from broadcast.wire.fields import Wire

MAX_EVENT_BYTES = 64 * 1024
"""Largest upward payload: a full journal batch needs about 20 KiB. A larger one is hostile."""

_NO_INSTANT = (b'"0001-01-0', b'"9999-12-3')
"""Days that an offset, or the conversion to local time, carries out of the calendar: decoded
without complaint, such an instant fails there, far from the peer whose fault it is."""

_NO_YEARS = (MINYEAR, MAXYEAR)

T = TypeVar("T")


class HeldDocuments(NamedTuple):
    """Documents that a device reports to hold."""

    raw: msgspec.Raw
    """As they came."""
    revisions: Mapping[str, int]
    """`{scope}/{kind}` → revision."""


_NOTHING = msgspec.Raw(b"{}")


class _Unopened(Heartbeat, frozen=True):
    """A heartbeat whose `held` is still to be decoded, or left out when it is encoded."""

    held: msgspec.Raw = _NOTHING  # type: ignore[assignment]


_encoder = msgspec.json.Encoder()
_event_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(message) for kind, message in EVENTS.items()
}
_heartbeat_decoder = msgspec.json.Decoder(_Unopened)
_held_decoder: msgspec.json.Decoder[dict[str, int]] = msgspec.json.Decoder(Held)


def encode(message: Wire) -> bytes:
    """JSON of a message or document, UTF-8."""
    return _encoder.encode(message)


def decode(payload: bytes, type_: type[T]) -> T:
    """Message or document of the expected type.

    Raises:
        WireError: Not JSON, not UTF-8, a field is missing, of the wrong type or out of bounds, or
            an instant at one end of the calendar.
    """
    _refuse_ends(payload)
    message = _decode(payload, msgspec.json.Decoder(type_))
    if b"\\u00" in payload:  # digits may be escaped, too
        _refuse_ends(_encoder.encode(message))
    return message


def decode_event(kind: str, payload: bytes) -> Wire:
    """Upward message by the last level of its topic.

    Raises:
        WireError: Unknown kind, too large, or malformed.
    """
    decoder = _event_decoders.get(kind)
    if decoder is None:
        raise WireError(f"unknown event kind {kind!r}")
    message: Wire = _decode_event(payload, decoder)
    return message


def decode_heartbeat(
    payload: bytes, last: HeldDocuments | None
) -> tuple[Heartbeat, bytes, HeldDocuments]:
    """Heartbeat, fast: the documents that its device holds are decoded when they have changed.

    Args:
        payload: As sent.
        last: Documents that the device held in an earlier heartbeat.

    Returns:
        The heartbeat; its JSON without `held`; the documents held. While they stay the same it
        is the same object.

    Raises:
        WireError: Too large, or malformed.
    """
    message = None
    if len(payload) <= MAX_EVENT_BYTES:
        try:  # noqa: SIM105 — for every message; `suppress` takes as long as the check of a field
            message = _heartbeat_decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
    if message is None or message.sent_at.year in _NO_YEARS:
        message = _decode_event(payload, _heartbeat_decoder)  # says what is wrong
    raw: msgspec.Raw = message.held
    msgspec.structs.force_setattr(message, "held", _NOTHING)
    body = _encoder.encode(message)
    if last is None or raw != last.raw:
        held = _decode(raw, _held_decoder, "$.held")
        last = HeldDocuments(raw.copy(), {sys.intern(key): _interned(held[key]) for key in held})
    msgspec.structs.force_setattr(message, "held", last.revisions)
    return message, body, last


@lru_cache(2**15)
def _interned(revision: int) -> int:
    """One object for equal revisions: thousands of devices hold the same documents."""
    return revision


def _decode_event(payload: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    if len(payload) > MAX_EVENT_BYTES:
        raise WireError(f"{len(payload)} bytes, at most {MAX_EVENT_BYTES} are accepted")
    message = _decode(payload, decoder)
    sent_at: datetime | None = getattr(message, "sent_at", None)
    if sent_at is not None and sent_at.year in _NO_YEARS:
        raise _out_of_calendar("$.sent_at")
    for place, record in enumerate(getattr(message, "records", ())):
        if not isinstance(record, Lost) and record.at.year in _NO_YEARS:
            raise _out_of_calendar(f"$.records[{place}].at")
    return message


def _decode(payload: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], place: str = "$") -> T:
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `")
        raise WireError(reason, place + path.rstrip("`").removeprefix("$")) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not JSON in UTF-8: {error}") from None


def _refuse_ends(payload: bytes) -> None:
    if _NO_INSTANT[0] in payload or _NO_INSTANT[1] in payload:
        raise _out_of_calendar()


def _out_of_calendar(field: str = "$") -> WireError:
    return WireError("an instant at the end of the calendar", field)
