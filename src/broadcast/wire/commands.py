"""Downward, never retained: things to do once, before `not_after`.

A device keeps the last hundred `command_id`s and obeys each at most once.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from broadcast.wire.fields import Count, Id, Instant, Scope, Volume, Wire
from broadcast.wire.limits import DOCUMENT_BYTES

LONGEST_TONE_SECONDS = 10
"""What `identify` or `self_test` may sound for."""


class Command(Wire, frozen=True):
    """What every command carries."""

    command_id: Id
    scope: Scope
    """`device/{device_id}` it is for; a device refuses any other."""
    not_after: Instant


class SetVolume(Command, frozen=True, tag_field="kind", tag="volume"):
    """Set the volume for programme items until the next config."""

    volume: Volume


class Reboot(Command, frozen=True, tag_field="kind", tag="reboot"):
    """Restart once the sound that is playing has ended."""


class Identify(Command, frozen=True, tag_field="kind", tag="identify"):
    """Blink or chirp so that a technician finds the box; not in quiet hours."""


class SelfTest(Command, frozen=True, tag_field="kind", tag="self_test"):
    """Check amplifier and line by a tone, not in quiet hours; answer with `command_result`."""


class JournalAck(Command, frozen=True, tag_field="kind", tag="journal_ack"):
    """Records of this journal up to and including `upto_seq` are stored for good."""

    journal_id: Id
    upto_seq: Count


class TimeReply(Command, frozen=True, tag_field="kind", tag="time_reply"):
    """Answer to `time_request`: the server's clock when it answered."""

    token: Id
    server_at: Instant


class Resend(Command, frozen=True, tag_field="kind", tag="resend"):
    """A document the device is behind on, as it stands under its retained topic."""

    document: Annotated[str, Meta(max_length=DOCUMENT_BYTES, description="JWS, itself signed")]


AnyCommand = SetVolume | Reboot | Identify | SelfTest | JournalAck | TimeReply | Resend
