"""Every topic of the contract, spelt once.

A `Topic` builds a concrete topic, yields the subscription filter and matches what arrives.
Topics here are relative to the configured prefix (`ttn/v1`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

BLOCK_BYTES = 16 * 1024
"""Size of one content block; the last one is shorter. Larger blocks hold up commands that wait
behind them on a 4G link, smaller ones cost a packet header each."""

CODE = r"[A-Za-z0-9._-]{1,64}"
"""Area codes and device ids: one topic level, no MQTT wildcard, safe in a file name."""


@dataclass(frozen=True)
class Topic:
    """A topic template such as `device/{device_id}/event/{kind}`.

    >>> DEVICE_EVENT.build(device_id="QN-000417", kind="boot")
    'device/QN-000417/event/boot'
    >>> DEVICE_EVENT.filter()
    'device/+/event/+'
    >>> DEVICE_EVENT.match("device/QN-000417/event/boot")
    {'device_id': 'QN-000417', 'kind': 'boot'}
    >>> DEVICE_EVENT.match("device/QN-000417/state/config") is None
    True
    """

    template: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.template)
        regex = "".join(
            f"(?P<{part}>{CODE})" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
        return re.compile(regex)

    def build(self, **levels: str) -> str:
        """Concrete topic.

        Raises:
            ValueError: A level is missing or holds a character that a level may not.
        """
        topic = self.template.format_map(levels)
        if self.match(topic) is None:
            raise ValueError(f"{topic!r} is no topic of the form {self.template}")
        return topic

    def filter(self, **levels: str) -> str:
        """Subscription filter: levels that are not given become `+`."""
        return re.sub(r"\{(\w+)\}", lambda match: levels.get(match[1], "+"), self.template)

    def match(self, topic: str) -> dict[str, str] | None:
        """Levels of a topic of this form, None for any other topic."""
        found = self._pattern.fullmatch(topic)
        return found.groupdict() if found else None


AREA_STATE = Topic("area/{code}/state/{kind}")
"""Retained, signed: `programme` or `alerts` for everyone who follows the area."""

DEVICE_STATE = Topic("device/{device_id}/state/{kind}")
"""Retained, signed: `config`, `programme` or `alerts` for one device."""

AREA_LIVE = Topic("area/{code}/live/{kind}")
"""Retained, signed: `sessions`, the live speech for everyone who follows the area."""

DEVICE_LIVE = Topic("device/{device_id}/live/{kind}")
"""Retained, signed: `sessions`, the live speech for one device."""

LIVE_SOUND = Topic("live/{session_id}/{kind}")
"""Never retained, QoS 0: `sound`, the packets of a live session, raw bytes."""

DEVICE_COMMAND = Topic("device/{device_id}/command/{kind}")
"""Never retained, signed: something to do once, before `not_after`."""

DEVICE_EVENT = Topic("device/{device_id}/event/{kind}")
"""Upward: what a device reports."""

SERVER_ECHO = Topic("server/echo/{worker}")
"""The server's own: echoes of a worker through the broker. Not for devices."""

CONTENT = Topic("content/{sha256}/{index}")
"""Retained: one block of an audio file, raw bytes."""


def scope_topic(scope: str, kind: str) -> str:
    """Topic of a document by its scope, `area/{code}` or `device/{device_id}`.

    >>> scope_topic("area/51", "programme")
    'area/51/state/programme'
    >>> scope_topic("area/51", "live")
    'area/51/live/sessions'
    """
    family, _, code = scope.partition("/")
    is_live = kind == "live"
    level = "sessions" if is_live else kind
    if family == "area":
        return (AREA_LIVE if is_live else AREA_STATE).build(code=code, kind=level)
    if family == "device":
        return (DEVICE_LIVE if is_live else DEVICE_STATE).build(device_id=code, kind=level)
    raise ValueError(f"{scope!r} is neither area/<code> nor device/<id>")


def scope_of(topic: str) -> tuple[str, str] | None:
    """Scope and kind of the document that belongs under a topic; None of any other topic.

    >>> scope_of("area/51/live/sessions")
    ('area/51', 'live')
    """
    for template in (AREA_STATE, DEVICE_STATE, AREA_LIVE, DEVICE_LIVE):
        if levels := template.match(topic):
            scope = "/".join(topic.split("/")[:2])
            if template in {AREA_STATE, DEVICE_STATE}:
                return scope, levels["kind"]
            return (scope, "live") if levels["kind"] == "sessions" else None
    return None


def block_count(size_bytes: int) -> int:
    """Return the number of content blocks of a file of this size."""
    return -(-size_bytes // BLOCK_BYTES)
