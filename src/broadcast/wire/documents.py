"""Downward, retained: the signed documents a device holds. State, never verbs.

A retained verb plays again at every reboot; a retained state is merely read again.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, field

from broadcast.wire.fields import (
    BulletinClass,
    Code,
    Count,
    Id,
    Instant,
    LanguageTag,
    Number,
    OnPreempt,
    OpenEnum,
    Priority,
    Revision,
    Scope,
    Seconds,
    Sha256,
    Text,
    Url,
    Volume,
    Wire,
)
from broadcast.wire.limits import (
    INLINE_BYTES,
    MOST_ALERTS,
    MOST_DAYS,
    MOST_FURTHER_URLS,
    MOST_HOURS,
    MOST_ITEMS,
    MOST_LANGUAGES,
    MOST_LIVE,
    MOST_PASSED,
    MOST_PREFETCHED,
    MOST_QUIET_HOURS,
    MOST_QUOTAS,
    MOST_VERSIONS,
)


class Audio(Wire, frozen=True):
    """One rendition of a bulletin, by content: fetch it from `content/{sha256}/{index}`."""

    sha256: Sha256
    bytes: Annotated[int, Meta(gt=0, le=512 * 2**20)]
    seconds: Seconds
    codec: OpenEnum
    """`opus` or `mp3`; a rendition of another codec is passed over."""


class Stream(Wire, frozen=True):
    """A radio stream to relay from `starts_at` to `ends_by`, and what sounds while it is away.

    The fallback are the renditions in `audio` of the item, which a device that relays nothing
    plays like any other; `fallback` counts only where `audio` is empty.
    """

    url: Url
    fallback: list[Audio] = []
    further_urls: Annotated[list[Url], Meta(max_length=MOST_FURTHER_URLS)] = []
    """Other addresses of the same programme, in the order in which they are tried after `url`."""
    codec: OpenEnum | None = None
    """`mp3`, `aac` or `opus`, as far as the server knows; a device that cannot play it does as if
    the stream were away."""


class Version(Wire, frozen=True):
    """The sound of an item in one or several languages, one after the other."""

    languages: Annotated[list[LanguageTag], Meta(min_length=1, max_length=MOST_LANGUAGES)]
    """In the order in which they are heard."""
    audio: Annotated[list[Audio], Meta(min_length=1, max_length=8)]
    """Renditions of the same sound."""


class Item(Wire, frozen=True):
    """One occurrence in a programme: what sounds, when, and what to do when it cannot.

    A device starts it at `starts_at`, or later by at most `late_limit_seconds`; after that it
    skips the item permanently. It stops at `ends_by` whatever remains.
    """

    occurrence_id: Id
    bulletin_id: Id
    bulletin_revision: Number
    starts_at: Instant
    late_limit_seconds: Annotated[int, Meta(ge=0, le=86_400)]
    ends_by: Instant
    priority: Priority
    class_: OpenEnum = field(name="class", default=BulletinClass.NORMAL)
    """`normal`, `priority` or `emergency`; a device does nothing by it."""
    title: Text = ""
    on_preempt: OpenEnum = OnPreempt.RESUME
    """`resume`, `restart` or `drop`; an unknown one is like `resume`, which never repeats."""
    volume: Volume | None = None
    audio: Annotated[list[Audio], Meta(max_length=8)] = []
    """Renditions of the same sound; the device plays the first whose codec it knows."""
    stream: Stream | None = None
    """Absent: nothing is relayed."""
    versions: Annotated[list[Version], Meta(max_length=MOST_VERSIONS)] = []
    """In place of `audio` where the config names `languages` (`wire.languages`). A device that
    does not know this field plays `audio`."""
    seconds: Seconds | None = None
    """How long it counts for `quotas` of the config, whichever of its sounds is played. Absent:
    as long as the longest of `audio`, of a stream to `ends_by`."""


class Passed(Wire, frozen=True):
    """An item of a day that has ended and is no item any more: it counts for `quotas` still."""

    occurrence_id: Id
    starts_at: Instant
    seconds: Seconds


class Programme(Wire, frozen=True, tag_field="kind", tag="programme"):
    """The items of the next seven days that target exactly this scope.

    A device keeps playing from it until `not_after`, however long the link is down.
    """

    scope: Scope
    revision: Revision
    issued_at: Instant
    not_after: Instant
    items: Annotated[list[Item], Meta(max_length=MOST_ITEMS)]
    passed: Annotated[list[Passed], Meta(max_length=MOST_PASSED)] = []
    """Of the local day of `issued_at`, what had ended by then, whether it sounded or not."""


class Alert(Wire, frozen=True):
    """An emergency that sounds at once and pre-empts everything of lower priority.

    It passes quiet hours, mute and an untrusted clock; nothing but its own signature, `ends_by`
    and the played-once memory stops it.
    """

    alert_id: Id
    starts_at: Instant
    ends_by: Instant
    audio: Annotated[list[Audio], Meta(max_length=8)]
    mode: OpenEnum = "actual"
    """`actual`, `exercise` or `test`; it sounds alike, whatever it is."""
    title: Text = ""
    priority: Priority = 255
    volume: Volume | None = None
    inline: Annotated[bytes, Meta(max_length=INLINE_BYTES)] | None = None
    """The bytes of the first rendition, base64, so that a short alert needs no fetch."""


class Alerts(Wire, frozen=True, tag_field="kind", tag="alerts"):
    """Active emergencies of this scope; an empty list when there are none."""

    scope: Scope
    revision: Revision
    issued_at: Instant
    not_after: Instant
    alerts: Annotated[list[Alert], Meta(max_length=MOST_ALERTS)]


LocalTime = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM")]


class QuietHours(Wire, frozen=True):
    """Local hours in which no programme item sounds; `until` ≤ `from` passes midnight."""

    from_: LocalTime = field(name="from")
    until: LocalTime


class Hours(Wire, frozen=True):
    """A local window in which no programme item sounds, or none louder than `volume`.

    It belongs to the day on which it opens; `until` ≤ `from` passes midnight.
    """

    from_: LocalTime = field(name="from")
    until: LocalTime
    days: Annotated[tuple[Annotated[int, Meta(ge=1, le=7)], ...], Meta(max_length=7)] = ()
    """Weekdays on which it opens, 1 is Monday (ISO 8601); none: all."""
    first_on: date | None = None
    """First day on which it opens."""
    last_on: date | None = None
    """Last day on which it opens."""
    except_on: Annotated[tuple[date, ...], Meta(max_length=MOST_DAYS)] = ()
    """Days on which it does not open."""
    volume: Volume | None = None
    """Nothing is louder; absent: nothing sounds."""


class Quotas(Wire, frozen=True):
    """What may be planned on a local day, with relays and what comes from above; not alerts."""

    first_on: date | None = None
    """First day on which they hold."""
    last_on: date | None = None
    """Last day on which they do."""
    sessions_per_day: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    minutes_per_session: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    minutes_per_day: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class PublicKey(Wire, frozen=True):
    """An Ed25519 public key (RFC 8037) and what it may sign."""

    kid: Id
    use: OpenEnum
    """`programme` or `alert`; a key of another use signs nothing."""
    x: Annotated[
        str,
        Meta(max_length=1000, description="32 bytes in base64url; another length signs nothing"),
    ]


class Config(Wire, frozen=True, tag_field="kind", tag="config"):
    """Settings of one device; the only document that names the areas to follow."""

    scope: Scope
    revision: Revision
    issued_at: Instant
    not_after: Instant
    areas: Annotated[list[Code], Meta(max_length=64)]
    keys: Annotated[list[PublicKey], Meta(max_length=16)]
    quiet_hours: Annotated[list[QuietHours], Meta(max_length=MOST_QUIET_HOURS)] = []
    utc_offset_minutes: Annotated[int, Meta(ge=-720, le=840)] = 420
    volume: Volume = 70
    alert_volume: Volume = 100
    heartbeat_seconds: Annotated[int, Meta(ge=5, le=3600)] = 60
    storage_bytes: Count | None = None
    """Most the device may spend on audio; its own limit when absent."""
    content_url: Url | None = None
    """Where `/{sha256}` can be had with HTTP Range, for devices that prefer it."""
    not_before: Instant | None = None
    """When the device came to this place. What was planned to start before is another device's,
    which was installed there then: it is neither played nor skipped."""
    prefetch: Annotated[list[Audio], Meta(max_length=MOST_PREFETCHED)] = []
    """Audio of alerts that are prepared: fetched before anybody needs it, after what items need. A
    device that does not know this field fetches it at the alert."""
    languages: Annotated[list[LanguageTag], Meta(max_length=MOST_LANGUAGES)] = []
    """Of the people who hear the device, in the order in which they are to be spoken to."""
    hours: Annotated[list[Hours], Meta(max_length=MOST_HOURS)] | None = None
    """Silent hours and limits of volume of this place. Where present they hold in place of
    `quiet_hours`, which a device that does not know this field keeps."""
    quotas: Annotated[list[Quotas], Meta(max_length=MOST_QUOTAS)] = []
    """Of this place (`wire.quotas`); where several hold on a day, the least of each."""


class LiveSession(Wire, frozen=True):
    """Somebody speaks now: its packets (`broadcast.wire.live`) come on `live/{session_id}/sound`.

    It takes its turn like an item that may start until `ends_by`, and is journalled under
    `session_id`. Nothing is fetched: what is not there in time is not heard.
    """

    session_id: Id
    starts_at: Instant
    ends_by: Instant
    key: Annotated[
        str,
        Meta(max_length=1000, description="Ed25519, 32 bytes in base64url; it signs the packets"),
    ]
    priority: Priority
    class_: OpenEnum = field(name="class", default=BulletinClass.NORMAL)
    """`emergency` passes quiet hours, mute and an untrusted clock, as an alert does."""
    codec: OpenEnum = "opus"
    """Of the frames; a device that does not know it does not listen."""
    title: Text = ""
    volume: Volume | None = None
    frame_ms: Annotated[int, Meta(ge=10, le=120)] = 40
    """Length of a frame."""
    buffer_ms: Annotated[int, Meta(ge=0, le=5000)] = 500
    """How long after the earliest possible moment a device lets a frame sound."""


class Live(Wire, frozen=True, tag_field="kind", tag="live"):
    """Live sessions of this scope; an empty list when there are none.

    Under a topic of its own, which devices made before it do not follow.
    """

    scope: Scope
    revision: Revision
    issued_at: Instant
    not_after: Instant
    sessions: Annotated[list[LiveSession], Meta(max_length=MOST_LIVE)]


Document = Programme | Alerts | Config | Live
"""Anything signed that is retained under `…/state/{kind}`, and `…/live/sessions`."""

DOCUMENT_KINDS = ("programme", "alerts", "config")
"""Of `…/state/{kind}`: what every device follows."""
LIVE_KIND = "live"


def expired(document: Document, now: datetime) -> bool:
    """Tell whether a device must no longer act on the document."""
    return now > document.not_after
