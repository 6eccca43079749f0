"""The time as a device knows it, and how far it trusts that.

Wall clocks step, boxes lose power, batteries of clock chips die. So an instant is taken once
from a source that can be trusted (NTP, the server, a battery-backed chip) and carried from there
by the monotonic clock, which nobody can set.

Before that, signed documents still tell something: the present is not before the newest
`issued_at` that was seen. `time` is then that lower bound, carried by the monotonic clock too.
"At least this late" is enough to let a window pass and to end an alert; it is not enough to
start a scheduled item.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil, inf
from typing import Literal, NamedTuple

from broadcast.wire.events import Clock

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
"""A lower bound of the present for a box that has never seen a signed document."""

STEP_SECONDS = 2.0
"""A jump of the wall clock against the monotonic clock that counts as a step. Lower would take
NTP's ordinary slewing for one, higher would carry a wrong chip offset through a power cut."""

SLOWEST_REPLY_SECONDS = 2.0
"""A round trip sets the clock wrong by half of it at worst, so a longer one is tried again."""
SLOWEST_EVER_SECONDS = 10.0
ENOUGH_SLOW = 4
"""After so many slow replies, and no other, the next one is taken, if it tells anything new: five
seconds wrong is better than silent permanently, on a link that is always slow."""

NTP_DOUBT = timedelta(seconds=5)
"""How far NTP, which is not signed, may lie from the server's clock, which is. Lower: a slow link
makes them differ; higher: whoever answers for NTP decides when villages hear what."""
MEASURE_COUNTS_SECONDS = 86_400.0
"""How long the server's clock is known so well: at 50 ppm, four seconds."""

DRIFT = 50e-6
"""Seconds that a monotonic clock may gain or lose in a second: quartz at any temperature."""

NTP_TOLERANCE = timedelta(minutes=5)
"""How far before a signed `issued_at` an NTP time may lie before it is not believed."""

Source = Literal["ntp", "server", "gps", "rtc", "none"]


class Now(NamedTuple):
    """One look at both clocks of a box."""

    wall: datetime
    """The box's own wall clock, right or wrong."""
    monotonic: float
    """Seconds since some moment; never set, stops only with the power."""


class Timekeeper:
    """The time of one device since it was powered on.

    Args:
        now: Both clocks at power-on.
        bound: Newest instant that is known to have passed, from flash.
        lead: Wall clock minus true time as last measured, when a battery keeps the wall clock
            running through a power cut; None without a battery or a measurement.
    """

    def __init__(self, now: Now, bound: datetime | None, lead: timedelta | None) -> None:
        self._booted = now.monotonic
        self._instant = bound or LONG_AGO
        self._monotonic = now.monotonic
        self._wall_lead = now.wall - self._instant
        self.source: Source = "none"
        self.trusted_since: datetime | None = None
        self.offset_ms: int | None = None
        self._measured_at = -inf
        self._ahead = timedelta(0)
        """`time` minus the server's clock, as measured: of a device that keeps to NTP."""
        self._doubt = inf
        """Seconds by which that was wrong at the most, at `_doubted_at`."""
        self._doubted_at = -inf
        self._slow = 0
        if lead is not None and now.wall - lead >= self._instant:
            self._trust(now.wall - lead, now, "rtc")

    @property
    def trusted(self) -> bool:
        """Tell whether scheduled items may start by this clock."""
        return self.trusted_since is not None

    def measured_within(self, seconds: float, monotonic: float) -> bool:
        """Tell whether the server has said the time not longer ago."""
        return monotonic - self._measured_at < seconds

    def doubt(self, monotonic: float) -> float:
        """Seconds by which the server's clock may differ from what is taken for it, either way."""
        return self._doubt + DRIFT * max(0.0, monotonic - self._doubted_at)

    @property
    def confirmed(self) -> bool:
        """Tell whether somebody else vouches for this clock, not only the box's own battery."""
        return self.source in {"ntp", "server", "gps"}

    @property
    def lead(self) -> timedelta:
        """Wall clock minus `time` at the last look."""
        return self._wall_lead

    def time(self, monotonic: float) -> datetime:
        """The present: exact when trusted, otherwise an instant that has surely passed."""
        return self._instant + timedelta(seconds=monotonic - self._monotonic)

    def reading(self, now: Now) -> datetime:
        """Time for a report: the best guess, however bad."""
        time = self.time(now.monotonic)
        return time if self.trusted else max(time, now.wall)

    def monotonic_at(self, instant: datetime) -> float:
        """Reading of the monotonic clock at which `time` has reached the instant."""
        # One microsecond more, so that rounding never wakes the device just too early.
        return self._monotonic + (instant - self._instant).total_seconds() + 1e-6

    def booted_at(self, monotonic: float) -> datetime:
        """Time at which the power came, by what is known now."""
        return self.time(monotonic) - timedelta(seconds=monotonic - self._booted)

    def uptime_seconds(self, monotonic: float) -> float:
        """Seconds since the power came."""
        return monotonic - self._booted

    def stepped(self, now: Now) -> bool:
        """Tell whether the wall clock was set since the last look."""
        lead = now.wall - self.time(now.monotonic)
        stepped = abs(lead - self._wall_lead).total_seconds() > STEP_SECONDS
        self._wall_lead = lead
        return stepped

    def not_before(self, instant: datetime, monotonic: float) -> bool:
        """Learn from a signed document that `instant` has passed.

        Returns:
            Whether a trusted clock is contradicted by it and had better be checked.
        """
        behind = instant - self.time(monotonic)
        if behind <= timedelta(0):
            return False
        if not self.trusted:
            self._anchor(instant, monotonic)
            return False
        return behind.total_seconds() > STEP_SECONDS

    def synchronised(self, now: Now) -> bool:
        """The box's NTP client vouches for its wall clock.

        Returns:
            False when it cannot be true: a signed document was issued well after it, or the
            server said something else not long ago.
        """
        time = self.time(now.monotonic)
        if self.measured_within(MEASURE_COUNTS_SECONDS, now.monotonic):
            if abs(now.wall - time) > NTP_DOUBT:
                return False
        elif not self.trusted and now.wall < time - NTP_TOLERANCE:
            return False
        self._ahead += now.wall - time
        self._trust(now.wall, now, "ntp")
        return True

    def replied(self, server_at: datetime, asked_at: float, now: Now) -> bool:
        """The server's clock, read half a round trip ago: it is signed and fresh, so it is right.

        The server's clock lies within half a round trip of the reference, however unlike the two
        ways are, and within `doubt` of what was known before: so it lies in both, and a short
        round trip among long ones is what counts. A device with NTP only measures itself by it,
        as long as the two agree.

        Returns:
            False when the reply took too long to be of use.
        """
        round_trip = now.monotonic - asked_at
        if not 0 <= round_trip <= SLOWEST_EVER_SECONDS:
            return False
        slow = round_trip > SLOWEST_REPLY_SECONDS
        self._slow = self._slow + 1 if slow else 0
        if 0 < self._slow <= ENOUGH_SLOW:
            return False
        doubt = timedelta(seconds=round_trip / 2)
        reference = server_at + doubt
        time = self.time(now.monotonic)
        agree = self.trusted and abs(time - reference) <= NTP_DOUBT + doubt
        self._measured_at = now.monotonic
        if not (agree and slow):
            reference, self._doubt = self._narrowed(reference, doubt.total_seconds(), now)
            self._doubted_at = now.monotonic
        self.offset_ms = round((now.wall - reference) / timedelta(milliseconds=1))
        if agree and slow:
            return True
        if agree and self.source == "ntp":
            self._ahead = time - reference
        else:
            self._ahead = timedelta(0)
            self._trust(reference, now, "server")
        return True

    def _narrowed(self, reference: datetime, doubt: float, now: Now) -> tuple[datetime, float]:
        """The server's clock by this reply and by what was known, and how far it may be wrong."""
        known, before = self.time(now.monotonic) - self._ahead, self.doubt(now.monotonic)
        apart = (known - reference).total_seconds()
        if not self.trusted or abs(apart) > doubt + before:
            return reference, doubt  # what was known is wrong: somebody has set a clock
        first, last = max(-doubt, apart - before), min(doubt, apart + before)
        return reference + timedelta(seconds=(first + last) / 2), (last - first) / 2

    def error_ms(self) -> int | None:
        """Milliseconds by which `time` is ahead of the server's clock; None: never measured."""
        return None if self._doubt == inf else round(self._ahead / timedelta(milliseconds=1))

    def doubt_ms(self, monotonic: float) -> int | None:
        """`doubt` as it is reported, never too small; None: never measured."""
        doubt = self.doubt(monotonic)
        return None if doubt == inf else ceil(doubt * 1000)

    def report(self, monotonic: float) -> Clock:
        """The message part that tells of this clock."""
        return Clock(
            trusted=self.trusted,
            source=self.source,
            offset_ms=self.offset_ms,
            uncertainty_ms=self.doubt_ms(monotonic),
        )

    def _anchor(self, instant: datetime, monotonic: float) -> None:
        self._wall_lead += self.time(monotonic) - instant
        self._instant = instant
        self._monotonic = monotonic

    def _trust(self, instant: datetime, now: Now, source: Source) -> None:
        if self.trusted_since is not None:  # it was read off the clock that is set now
            self.trusted_since += instant - self.time(now.monotonic)
        self._anchor(instant, now.monotonic)
        self._wall_lead = now.wall - instant
        self.source = source
        if self.trusted_since is None:
            self.trusted_since = instant
