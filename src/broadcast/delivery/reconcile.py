"""Documents held by devices, by their heartbeats, and by the broker, by what it retains.

Pure. Nothing tracks deliveries: whoever is behind gets the newest document again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from broadcast.wire import WireError
from broadcast.wire.commands import NEVER_LATE, Resend
from broadcast.wire.documents import Document
from broadcast.wire.envelope import Verifier


def behind(held: Mapping[str, int], wanted: Mapping[str, int]) -> list[str]:
    """Documents (`{scope}/{kind}`) that the device should hold in a newer revision.

    The config comes first: it names what else the device may accept.

    >>> behind({"area/51/programme": 7}, {"area/51/programme": 8, "device/a/config": 3})
    ['device/a/config', 'area/51/programme']
    """
    late = [key for key, revision in wanted.items() if held.get(key, 0) < revision]
    return sorted(late, key=lambda key: (not key.endswith("/config"), key))


def resend_command(token: bytes, device_code: str, now: datetime) -> Resend:
    """The command that hands one device a document again.

    Args:
        token: The document as published.
        device_code: The device.
        now: Present.
    """
    return Resend(
        command_id=hashlib.sha256(token).hexdigest(),
        scope=f"device/{device_code}",
        not_after=now + NEVER_LATE,
        document=token.decode("ascii"),
    )


class Kept(NamedTuple):
    """A document as the outbox has it."""

    revision: int
    token: bytes


class Differences(NamedTuple):
    """Changes that make the broker hold what the outbox says.

    Attributes:
        missing: Topics whose document is to be published again as it is.
        newer: Topics under which the broker holds a document of ours that is as new as ours or
            newer, with its revision: the database is older than the broker.
        spoilt: Topics whose document in the outbox is none of ours, while the broker still has
            it; with its revision, above which it must be issued anew.
    """

    missing: list[str]
    newer: dict[str, int]
    spoilt: dict[str, int]


def compare(
    kept: Mapping[str, Kept], retained: Mapping[str, bytes], verifier: Verifier
) -> Differences:
    """Compare the outbox with what the broker retains, both by topic.

    What is not signed by us counts as nothing: a forged revision must not push ours.
    """
    missing = [topic for topic in kept if topic not in retained]
    newer: dict[str, int] = {}
    spoilt: dict[str, int] = {}
    for topic, token in retained.items():
        ours = kept.get(topic)
        if ours is not None and token == ours.token:
            continue
        document = _ours(token, verifier)
        if document is None or (ours is not None and document.revision < ours.revision):
            if ours is not None:
                missing.append(topic)
        elif ours is None or document.revision > ours.revision or _ours(ours.token, verifier):
            newer[topic] = document.revision
        else:
            spoilt[topic] = document.revision
    return Differences(missing, newer, spoilt)


def _ours(token: bytes, verifier: Verifier) -> Document | None:
    try:
        return verifier.document(token)
    except WireError:
        return None
