"""Repair of messages: what a device sends without the parts of it that cannot be taken.

A voltmeter that answers with rubbish must not make its box look dead, nor one record that cannot
be read hold up a journal. So what `codec` refuses is looked at once more: an optional field that
breaks the contract is as if it had not been sent. What a message cannot be understood without is
never made up, with two exceptions that say so themselves:

* `sent_at`: the receiver's clock stands in for it, and the device's clock counts as not trusted;
* a record of a journal of which only `seq` can be read is taken as `lost`.

Only what has been refused comes here, so it costs an ordinary message nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from broadcast.wire import WireError
from broadcast.wire.codec import decode
from broadcast.wire.events import LONGEST_KEY, MOST_HELD, Lost, Record

MOST_TRIES = 100
"""Fields that are left out of one message. More: a hostile one would hold up all others."""

_MISSING = "Object missing required field"
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_NO_NUMBER = re.compile(
    r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[-+]?\b(?:nan|inf(?:inity)?)\b', re.IGNORECASE | re.DOTALL
)
"""A string, to be passed over, closed or not, so that none is read twice; or what C prints for
what is no number."""
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_LONGEST_INTEGER = 20
"""Digits: more than any field takes, and fewer than take long to read."""

Step = str | int


class Repaired(NamedTuple):
    """A payload that `codec` takes."""

    payload: bytes
    dropped: list[str]
    """Fields left out, as `supply.volts`: named by the contract, never by the device."""


def repaired(
    payload: bytes, error: WireError, take: Callable[[bytes], object], now: datetime
) -> Repaired:
    """The payload without what cannot be taken.

    Args:
        payload: What was refused.
        error: Why.
        take: The decoder that refused it.
        now: Stands in for a `sent_at` that is no time.

    Raises:
        WireError: `error`, where nothing can be made of it.
    """
    try:
        tree = _read(payload)
    except (ValueError, RecursionError):
        raise error from None
    if not isinstance(tree, dict):
        raise error
    dropped: list[str] = []
    if isinstance(tree.get("records"), list):
        tree["records"] = [_record(each, error, dropped) for each in tree["records"]]
    for _ in range(MOST_TRIES):
        text = msgspec.json.encode(tree)
        try:
            take(text)
        except WireError as found:
            _leave_out(tree, found, error, dropped, now)
        else:
            return Repaired(text, dropped)
    raise error


def _leave_out(
    tree: dict[str, Any], found: WireError, error: WireError, dropped: list[str], now: datetime
) -> None:
    if "$.held" in found.field:
        held = tree.get("held")
        kept = _holdable(held) if isinstance(held, dict) else {}
        if kept != held:
            tree["held"] = kept
            dropped.append("held")
            return
    path = _steps(found.field)
    if path == ["sent_at"] and not found.reason.startswith(_MISSING):
        tree["sent_at"] = now.isoformat()
        if isinstance(tree.get("clock"), dict):
            tree["clock"] |= {"trusted": False}
        dropped.append("sent_at")
        return
    if not path or not _remove(tree, path):
        raise error
    name = ".".join(step for step in path if isinstance(step, str))
    if name not in dropped:
        dropped.append(name)


def _record(record: Any, error: WireError, dropped: list[str]) -> Any:
    """A record of a journal that can be taken; as `lost`, if nothing but its number can."""
    if not isinstance(record, dict):
        raise error
    kept, names = dict(record), []
    for _ in range(MOST_TRIES):
        try:
            decode(msgspec.json.encode(kept), Record)  # type: ignore[arg-type]
        except WireError as found:
            path = _steps(found.field)
            if not path or not _remove(kept, path):
                break
            names.append(f"records.{path[0]}")
        else:
            dropped.extend(name for name in names if name not in dropped)
            return kept
    try:
        lost = msgspec.convert({"event": "lost", "seq": record.get("seq")}, Lost)
    except msgspec.ValidationError:
        raise error from None
    if "records" not in dropped:
        dropped.append("records")
    return msgspec.to_builtins(lost)


def _holdable(held: dict[str, Any]) -> dict[str, int]:
    """The part of `held` that can be taken."""
    kept = (
        (key, value)
        for key, value in held.items()
        if len(key) <= LONGEST_KEY and type(value) is int and 1 <= value < 2**53
    )
    return dict(islice(kept, MOST_HELD))


def _steps(field: str) -> list[Step]:
    """`$.a.b[0]` taken apart."""
    return [int(index) if index else name for name, index in _STEP.findall(field)]


def _remove(tree: Any, path: list[Step]) -> bool:
    """Remove a node; tell whether it was there."""
    try:
        for step in path[:-1]:
            tree = tree[step]
        del tree[path[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _read(payload: bytes) -> Any:
    """JSON, with null for numbers and text that are none.

    Raises:
        ValueError: It is no JSON in UTF-8 all the same.
    """
    text = _NO_NUMBER.sub(lambda m: m[0] if m[0][0] == '"' else "null", payload.decode())
    tree = json.loads(text, parse_int=_integer, parse_float=_float, parse_constant=lambda _: None)
    return _storable(tree)


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _float(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _storable(node: Any) -> Any:
    """The tree with null for text that PostgreSQL does not store, or UTF-8 does not have."""
    if isinstance(node, dict):
        return {key: _storable(value) for key, value in node.items() if _is_text(key)}
    if isinstance(node, list):
        return [_storable(each) for each in node]
    return node if not isinstance(node, str) or _is_text(node) else None


def _is_text(text: str) -> bool:
    return _NO_TEXT.search(text) is None
