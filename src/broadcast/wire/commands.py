"""Downward, never retained: things to do once, before `not_after`.

A device obeys `volume`, `reboot`, `identify` and `self_test` at most once, and keeps the last
hundred `command_id`s for that. The others may be obeyed any number of times, at any time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from broadcast.wire.fields import Count, Id, Instant, Pem, Scope, Volume, Wire
from broadcast.wire.limits import DOCUMENT_BYTES

LONGEST_TONE_SECONDS = 10
"""Longest sound of `identify` or `self_test`."""

NEVER_LATE = timedelta(days=3650)
"""Validity of what may be obeyed any number of times. A device heeds `not_after` of the others
only: it is by a `time_reply` that a clock which is years fast is set right. Devices made after an
older page heed it here as well."""


class Command(Wire, frozen=True):
    """Fields of every command."""

    command_id: Id
    scope: Scope
    """`device/{device_id}` it is for; a device refuses any other."""
    not_after: Instant
    """Heeded of what is obeyed once."""


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


class NewCertificate(Command, frozen=True, tag_field="kind", tag="certificate"):
    """Answer to `certificate_request`: the client certificate for the next connections."""

    certificate: Pem
    renew_at: Instant
    """From when on the device asks for the one after it."""
    expires_at: Instant


AnyCommand = (
    SetVolume | Reboot | Identify | SelfTest | JournalAck | TimeReply | Resend | NewCertificate
)
