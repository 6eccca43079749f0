"""Upward: what a device reports.

Two clocks, two names: `sent_at` and `at` are the device's; `received_at` is the server's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from broadcast.wire.fields import (
    Codec,
    Count,
    Id,
    Instant,
    Number,
    Pem,
    Revision,
    Scope,
    Seconds,
    Sequence,
    Sha256,
    Text,
    Volume,
    Wire,
)

Session = Annotated[
    int,
    Meta(
        ge=1,
        le=2**53 - 1,
        description="grows with every connection of the device, also over reboots",
    ),
]

LONGEST_KEY = 100
MOST_HELD = 200
"""Documents that a device may say it holds: 64 areas with two each, and its own."""

Held = Annotated[
    dict[Annotated[str, Meta(max_length=LONGEST_KEY)], Revision],
    Meta(
        max_length=MOST_HELD,
        description="`{scope}/{kind}` → revision held, e.g. area/51/programme",
    ),
]


Uptime = Annotated[float, Meta(ge=0, le=100 * 366 * 86_400)]
"""Seconds; a box on a good line runs for years."""


Uncertainty = Annotated[int, Meta(ge=0, le=2**53)]
"""Milliseconds: half the round trip at best, and what the clock may have drifted since."""


class Clock(Wire, frozen=True):
    """Trust of the device in its wall clock, and its source."""

    trusted: bool
    source: Literal["ntp", "server", "gps", "rtc", "none"] = "none"
    offset_ms: Annotated[int, Meta(ge=-(2**53), le=2**53)] | None = None
    """Last measured device − reference, None when never measured."""
    uncertainty_ms: Uncertainty | None = None
    """How far the server's clock may lie from what this one takes for it, either way."""


class Boot(Wire, frozen=True):
    """First message of every connection: who is here, since when, holding what."""

    session: Session
    sent_at: Instant
    reason: Literal["power_on", "reset", "update", "reconnect"]
    codecs: Annotated[list[Codec], Meta(min_length=1)]
    clock: Clock
    journal_id: Id
    held: Held = {}
    contract: Literal[1] = 1
    firmware: Text = ""
    model: Text = ""


class Supply(Wire, frozen=True):
    """Power as the box sees it."""

    mains: bool | None = None
    """False: the power is lost and the box runs on its battery."""
    volts: Annotated[float, Meta(ge=0, le=500)] | None = None
    battery_percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    modem_volts: Annotated[float, Meta(ge=0, le=60)] | None = None


class Network(Wire, frozen=True):
    """The uplink in use."""

    interface: Literal["4g", "5g", "3g", "2g", "ethernet", "wifi"] | None = None
    signal_dbm: Annotated[int, Meta(ge=-200, le=50)] | None = None
    operator: Text | None = None
    cell: Text | None = None
    band: Text | None = None


class Tuner(Wire, frozen=True):
    """The FM front-end of a box that has one: it may sound what nobody scheduled."""

    frequency_khz: Annotated[int, Meta(ge=30_000, le=300_000)] | None = None
    rssi_dbm: Annotated[int, Meta(ge=-200, le=50)] | None = None
    snr_db: Annotated[float, Meta(ge=-50, le=150)] | None = None


class Position(Wire, frozen=True):
    """Position of the box, as it reports: one that has been moved or stolen is found by it."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]


class Heartbeat(Wire, frozen=True):
    """Sent every `heartbeat_seconds` ± 10 %: I am here, and this is my state.

    `held` lets the server re-send what the device is behind on; nothing else tracks delivery.
    """

    session: Session
    seq: Sequence
    """Grows by one with every heartbeat of the session; a gap tells a lost heartbeat."""
    sent_at: Instant
    clock: Clock
    held: Held = {}
    uptime_seconds: Uptime | None = None
    firmware: Text = ""
    state: Literal["idle", "playing", "alert", "muted", "updating"] = "idle"
    occurrence_id: Id | None = None
    volume: Volume | None = None
    amplifier: Literal["on", "off", "fault"] | None = None
    line: Literal["ok", "open", "short", "unknown"] = "unknown"
    supply: Supply | None = None
    temperature_celsius: Annotated[float, Meta(ge=-60, le=150)] | None = None
    network: Network | None = None
    data_used_bytes: Count | None = None
    storage_free_bytes: Count | None = None
    journal_pending: Count = 0
    """Records that wait for `journal_ack`."""
    mode: Literal["ip", "fm", "mic", "off"] | None = None
    """Source that the amplifier is switched to."""
    fm: Tuner | None = None
    position: Position | None = None
    played_seconds_today: Seconds | None = None
    """Since local midnight, from any source."""
    boot_count: Count | None = None
    """Since the box was made; grows by more than the boots that came: it restarts unseen."""
    door_open: bool | None = None
    flags: Annotated[list[Annotated[str, Meta(max_length=50)]], Meta(max_length=20)] = []
    """Whatever else the maker wants to say, in his words."""


class Started(Wire, frozen=True, tag_field="event", tag="started"):
    """Sound began. Appended to the journal before the first sample leaves the amplifier."""

    seq: Sequence
    occurrence_id: Id
    at: Instant
    bulletin_revision: Number | None = None
    sha256: Sha256 | None = None
    offset_seconds: Seconds = 0.0
    """Where in the audio it began; above 0 when it resumes after pre-emption or a power cut."""
    volume: Volume | None = None
    clock_offset_ms: Annotated[int, Meta(ge=-(2**53), le=2**53)] | None = None
    """The clock of `at` minus the server's, as measured; 0 where it was set by the server."""
    clock_uncertainty_ms: Uncertainty | None = None
    """How far that may be wrong, either way, at `at`. None: never measured."""


class EndReason(StrEnum):
    """Reasons why sound stopped."""

    COMPLETED = "completed"
    PREEMPTED = "preempted"
    POWER_CUT = "power_cut"
    ENDS_BY = "ends_by"
    WITHDRAWN = "withdrawn"
    LOCAL_OVERRIDE = "local_override"
    DECODE_ERROR = "decode_error"
    STALLED = "stalled"
    """Of live speech: no packet has come for a while; it goes on when packets come again."""


class Ended(Wire, frozen=True, tag_field="event", tag="ended"):
    """Sound stopped. After a power cut it is written at the next boot."""

    seq: Sequence
    occurrence_id: Id
    at: Instant
    reason: EndReason
    played_seconds: Seconds = 0.0
    """Seconds of the audio that sounded so far, over all starts of this occurrence. Of a relay:
    of stream and fallback together."""
    relayed_seconds: Seconds | None = None
    """Of a relay: how much of them was the stream. Absent: the device relays nothing."""
    evidence: Literal["device", "amplifier", "microphone"] = "device"


class SkipReason(StrEnum):
    """Reasons why an item did not sound and never will."""

    LATE = "late"
    NO_AUDIO = "no_audio"
    BAD_AUDIO = "bad_audio"
    NO_CODEC = "no_codec"
    STORAGE_FULL = "storage_full"
    CLOCK_UNTRUSTED = "clock_untrusted"
    QUIET_HOURS = "quiet_hours"
    QUOTA = "quota"
    PREEMPTED = "preempted"
    LOCAL_OVERRIDE = "local_override"
    POWERED_OFF = "powered_off"


class Skipped(Wire, frozen=True, tag_field="event", tag="skipped"):
    """The device held the item and let it pass, with the reason."""

    seq: Sequence
    occurrence_id: Id
    at: Instant
    reason: SkipReason


class Lost(Wire, frozen=True, tag_field="event", tag="lost"):
    """A record of which flash has kept nothing but that it was there.

    Without it a single bad block of flash would leave a gap that no journal gets over.
    """

    seq: Sequence
    occurrence_id: Annotated[str, Meta(max_length=64)] = ""
    """If that can still be read."""


Record = Started | Ended | Skipped | Lost


class Playback(Wire, frozen=True):
    """Records of the device's journal, oldest first; sent again until `journal_ack` comes.

    `(device, journal_id, seq)` identifies a record permanently: a repetition is the same record.
    """

    sent_at: Instant
    journal_id: Id
    records: Annotated[list[Record], Meta(min_length=1, max_length=100)]
    oldest_seq: Sequence | None = None
    """Oldest record that the device still keeps: what is older has been confirmed and freed, and
    will not come again. A server restored from a backup must not wait for it."""


class Ready(Wire, frozen=True):
    """State of one coming item: could it sound right now."""

    occurrence_id: Id
    bulletin_revision: Number
    state: Literal["ready", "waiting", "bad_audio", "no_codec", "storage_full"]


class Readiness(Wire, frozen=True):
    """Sent when the state of a coming item changes: the audio is here, verified, or is not."""

    sent_at: Instant
    items: Annotated[list[Ready], Meta(min_length=1, max_length=500)]


FaultKind = Literal[
    "line_open", "line_short", "amplifier", "power_lost", "battery_low", "hot",
    "storage_full", "storage_error", "clock_untrusted", "bad_content", "local_override",
    "other",
]  # fmt: skip


class Fault(Wire, frozen=True):
    """Something is wrong with the box, or no longer."""

    sent_at: Instant
    kind: FaultKind
    open: bool
    detail: Text = ""


class Refusal(Wire, frozen=True):
    """A document or command the device would not accept: forged, foreign, stale or broken."""

    sent_at: Instant
    topic: Annotated[str, Meta(max_length=200)]
    reason: Literal["signature", "key", "scope", "revision", "expired", "malformed", "replayed"]
    scope: Scope | None = None
    detail: Text = ""
    command_id: Id | None = None
    """Of a command that opened: which one. Without it nobody learns what became of that."""


class CommandResult(Wire, frozen=True):
    """Result of a command."""

    sent_at: Instant
    command_id: Id
    result: Literal["done", "refused", "failed"]
    detail: Text = ""
    kind: Literal["volume", "reboot", "identify", "self_test"] | None = None
    """Which command it was; a self-test must say so to count as evidence."""
    heard: Literal["amplifier", "microphone"] | None = None
    """Of a self-test: what noticed its tone, the stronger of the two; absent when nothing can."""


class TimeRequest(Wire, frozen=True):
    """Ask for the server's clock; the device halves the round trip of `token`."""

    token: Id


class CertificateRequest(Wire, frozen=True):
    """Ask for the next client certificate, over the connection that the present one opened."""

    csr: Pem
    """PKCS#10 in PEM, for the same key or for a new one."""


class Gone(Wire, frozen=True):
    """The last will: the connection of this session broke."""

    session: Session


EVENTS: dict[str, type[Wire]] = {
    "boot": Boot,
    "heartbeat": Heartbeat,
    "playback": Playback,
    "readiness": Readiness,
    "fault": Fault,
    "refusal": Refusal,
    "command_result": CommandResult,
    "time_request": TimeRequest,
    "certificate_request": CertificateRequest,
    "gone": Gone,
}
"""Last topic level of `device/{device_id}/event/{kind}` → message."""
