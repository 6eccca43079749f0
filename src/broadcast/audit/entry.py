"""What an entry of the audit says, and how it is written down. Pure.

An entry is one line of JSON. Its exact text is what the chain is made of and what an auditor is
given; the columns beside it are for searching and are compared with it (`columns`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

MOST_BYTES = 64 * 1024
"""Of an entry. Changes beyond are counted, and proved by the SHA-256 of all of them."""

MOST_VALUE = 4_000
"""Characters of one value; a longer one is told by its beginning, length and SHA-256."""

MOST_OBJECTS = 50
"""By which an entry is found; the rest is in its text alone."""

MOST_AGENT, MOST_OBJECT = 200, 300
"""Characters of a user agent, and of an address or a key."""

HIDDEN = "(không ghi)"
"""Stands for a secret, so that its change is told and its value is not."""

_SECRET = re.compile(
    r"(?:^|_)(?:tokens?|passwords?|passphrase|secrets?|seed|totp|recovery|private|pin|session|hash)"
    r"(?:_|$)|^code_sha256$"
)
"""Also hashes of what is short enough to be guessed."""


class Outcome(StrEnum):
    """What came of what somebody wanted to do."""

    DONE = "done"
    REFUSED = "refused"
    """They may not, or did not prove who they are."""


class Who(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who did something, as they were called then."""

    name: str
    account: int | None = None
    credential: str | None = None
    """Token, session or user of the operating system; never its secret."""


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a request came from."""

    address: str = ""
    agent: str = ""


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing, before and after: what differs, or all of it where it came or went."""

    kind: str
    key: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None

    @property
    def object(self) -> str:
        """By which it is found."""
        return f"{self.kind}/{self.key}"[:MOST_OBJECT]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of the audit.

    Attributes:
        at: When, in UTC.
        who: Who.
        origin: From where.
        outcome: What came of it.
        action: Method and path of the request, or the command.
        title: The same for people.
        object: Address that was asked for.
        areas: Codes of the units that it concerns.
        changes: What it changed.
        omitted: Changes beyond `MOST_BYTES`.
        changes_sha256: Of all changes as JSON, where some are omitted.
        details: What else there is to say: of an approval what was seen, of a refusal why.
    """

    at: datetime
    who: Who
    outcome: Outcome
    action: str
    title: str = ""
    object: str = ""
    origin: Origin = Origin()
    areas: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    omitted: int = 0
    changes_sha256: str = ""
    details: dict[str, Any] = {}

    @property
    def objects(self) -> list[str]:
        """By which it is found."""
        named = [self.object, *(change.object for change in self.changes)]
        return list(dict.fromkeys(name for name in named if name))[:MOST_OBJECTS]


_ENCODER = msgspec.json.Encoder(enc_hook=str)
_DECODER = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> str:
    """The line of an entry, at most `MOST_BYTES` or little more.

    Changes that find no room are left out from the end, the details stay.
    """
    line = _ENCODER.encode(entry)
    if len(line) <= MOST_BYTES or not entry.changes:
        return line.decode()
    each = [_ENCODER.encode(change) for change in entry.changes]
    room = MOST_BYTES - (len(line) - sum(map(len, each)))
    kept = 0
    for change in each:
        room -= len(change)
        if room < 0:
            break
        kept += 1
    shortened = msgspec.structs.replace(
        entry,
        changes=entry.changes[:kept],
        omitted=len(each) - kept,
        changes_sha256=hashlib.sha256(b"[" + b",".join(each) + b"]").hexdigest(),
    )
    return _ENCODER.encode(shortened).decode()


def decode(line: str) -> Entry:
    """Entry of a line.

    Raises:
        ValueError: It is none.
    """
    try:
        return _DECODER.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None


COLUMNS = ("at", "account_id", "name", "outcome", "action", "objects", "areas")
"""Names of the columns by which an entry is found."""


def columns(entry: Entry) -> dict[str, Any]:
    """The columns by which an entry is found."""
    return {
        "at": entry.at,
        "account_id": entry.who.account,
        "name": entry.who.name,
        "outcome": entry.outcome,
        "action": entry.action,
        "objects": entry.objects,
        "areas": list(entry.areas),
    }


# --- values ------------------------------------------------------------------------------------


def is_secret(name: str) -> bool:
    """Tell whether a column or field of this name holds a secret or the hash of one.

    >>> [is_secret(name) for name in ("token_sha256", "password", "content_sha256", "title")]
    [True, True, False, False]
    """
    return _SECRET.search(name) is not None


def plain(values: Mapping[str, Any], longest: int | None = MOST_VALUE) -> dict[str, Any]:
    """Values as they are written down: JSON, of bounded length, without secrets.

    Args:
        values: By name.
        longest: Characters of a text that is told whole; None: every text is.
    """
    builtins = msgspec.to_builtins(
        values, builtin_types=(bytes,), str_keys=True, enc_hook=str, order="deterministic"
    )
    found: dict[str, Any] = _bounded(builtins, longest)
    return found


def _bounded(value: Any, longest: int | None) -> Any:
    if isinstance(value, dict):
        return {
            name: HIDDEN if is_secret(name) and each is not None else _bounded(each, longest)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_bounded(each, longest) for each in value]
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, str) and longest is not None and len(value) > longest:
        return _shortened(value)
    return value


def _shortened(text: str) -> dict[str, Any]:
    return {
        "begins": text[:MOST_OBJECT],
        "characters": len(text),
        "sha256": hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    }
