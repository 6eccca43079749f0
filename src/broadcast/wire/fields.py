"""Field types that messages and documents share, with the bounds the contract puts on them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from broadcast.wire.topics import CODE


class Wire(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of everything on the wire: immutable, unknown fields ignored, nulls left out."""


Instant = Annotated[
    datetime, Meta(tz=True, description="RFC 3339 in UTC, to the millisecond", title="Instant")
]
Code = Annotated[str, Meta(pattern=f"^{CODE}$", description="area code or device id")]
Scope = Annotated[
    str, Meta(pattern=f"^(area|device)/{CODE}$", description="area/{code} or device/{device_id}")
]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Revision = Annotated[
    int,
    Meta(ge=1, le=2**53 - 1, description="grows with every change; comparable between documents"),
]
Sequence = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Number = Annotated[int, Meta(ge=1, le=2**31 - 1, description="revision of a bulletin")]
Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Seconds = Annotated[float, Meta(ge=0, le=30 * 86_400)]
Volume = Annotated[int, Meta(ge=0, le=100, description="per cent")]
Priority = Annotated[int, Meta(ge=0, le=255, description="higher pre-empts lower")]
Text = Annotated[str, Meta(max_length=500)]
LanguageTag = Annotated[
    str,
    Meta(pattern="^[a-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35, description="BCP 47"),
]


PEM_BYTES = 8 * 1024
"""A certificate or a request for one, at most; for an RSA key of 4,096 bits it takes 1.7 KiB."""

Pem = Annotated[str, Meta(min_length=1, max_length=PEM_BYTES)]

OpenEnum = Annotated[str, Meta(pattern="^[a-z0-9_]{1,32}$")]
"""A value of an enumeration that may grow: a device made today reads documents of tomorrow."""
Url = Annotated[str, Meta(min_length=1, max_length=500)]
"""With whatever scheme; one that a device cannot open is like one that does not answer."""


class BulletinClass(StrEnum):
    """The three levels of Thông tư 39/2020/TT-BTTTT."""

    NORMAL = "normal"  # thông thường
    PRIORITY = "priority"  # ưu tiên
    EMERGENCY = "emergency"  # khẩn cấp


class AlertMode(StrEnum):
    """Whether an alert is meant (CAP 1.2 `status`)."""

    ACTUAL = "actual"
    EXERCISE = "exercise"
    TEST = "test"


class OnPreempt(StrEnum):
    """Fate of an item when a higher priority took the loudspeaker."""

    RESUME = "resume"
    RESTART = "restart"
    DROP = "drop"


class Codec(StrEnum):
    """Audio renditions: Opus in Ogg, or MP3; both mono."""

    OPUS = "opus"
    MP3 = "mp3"
