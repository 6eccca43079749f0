"""Faults of the field, the same for the same seed, device and time.

Profiles say how often; nothing is drawn at run time. So a failing run can be repeated, and two
devices of one run differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from device_sim.chance import fraction

SLOT_SECONDS = 60.0
"""Time is looked at in slots of this length; a slot holds at most one trouble of a kind."""

Kind = Literal["disconnect", "offline", "power_cut", "clock_step"]


@dataclass(frozen=True)
class Profile:
    """Frequencies of faults. Ratios are of messages, blocks or devices."""

    lost_ratio: float = 0.0
    repeated_ratio: float = 0.0
    delayed_ratio: float = 0.0
    """Of the messages that arrive: held back, and overtaken by later ones."""
    delayed_seconds: float = 0.0
    """Longest that a message is held back."""
    corrupt_ratio: float = 0.0
    disconnects_per_hour: float = 0.0
    disconnect_seconds: float = 30.0
    offline_per_day: float = 0.0
    offline_seconds: float = 8 * 3600.0
    power_cuts_per_hour: float = 0.0
    power_cut_seconds: float = 120.0
    clock_steps_per_day: float = 0.0
    clock_seconds: float = 0.0
    """Most that a wall clock is wrong from the start, or is set wrong by."""
    no_ntp_ratio: float = 0.0
    small_storage_ratio: float = 0.0


NONE = Profile()
WEAK_LINK = Profile(
    lost_ratio=0.02,
    repeated_ratio=0.02,
    corrupt_ratio=0.005,
    disconnects_per_hour=6,
    offline_per_day=0.5,
)
POWER = Profile(power_cuts_per_hour=2)
CHAOS = Profile(
    lost_ratio=0.03,
    repeated_ratio=0.03,
    delayed_ratio=0.05,
    delayed_seconds=4.0,
    corrupt_ratio=0.005,
    disconnects_per_hour=20,
    disconnect_seconds=20.0,
    offline_per_day=24,
    offline_seconds=90.0,
    power_cuts_per_hour=8,
    power_cut_seconds=30.0,
    clock_steps_per_day=240,
    clock_seconds=3 * 3600.0,
    no_ntp_ratio=0.5,
    small_storage_ratio=0.01,
)
"""What befalls a village in a year, within ten minutes."""
ALL = replace(
    WEAK_LINK,
    power_cuts_per_hour=2,
    clock_steps_per_day=4,
    clock_seconds=3 * 3600.0,
    no_ntp_ratio=0.5,
    small_storage_ratio=0.02,
)
PROFILES: dict[str, Profile] = {
    "none": NONE,
    "weak-link": WEAK_LINK,
    "power": POWER,
    "all": ALL,
    "chaos": CHAOS,
}


@dataclass(frozen=True)
class Trouble:
    """Something that goes wrong with one device."""

    kind: Kind
    at: float
    """Seconds since the run began."""
    seconds: float
    """How long it lasts; how far a clock is set."""


class Faults:
    """The troubles of one run.

    Args:
        profile: How often what goes wrong.
        seed: Another seed, another run.
        scale: Time in the profile passes so many times faster, for a short demonstration of long
            outages; 1 is real time.
    """

    def __init__(self, profile: Profile, seed: int = 0, scale: float = 1.0) -> None:
        self._profile = profile
        self._seed = seed
        self._scale = scale
        self.any = profile != NONE

    def calmed(self) -> Faults:
        """The same devices, to whom nothing happens any more; who has no NTP still has none."""
        kept = replace(
            NONE,
            no_ntp_ratio=self._profile.no_ntp_ratio,
            small_storage_ratio=self._profile.small_storage_ratio,
        )
        calm = Faults(kept, self._seed, self._scale)
        calm.any = False
        return calm

    def troubles(self, device_id: str, slot: int) -> list[Trouble]:
        """Faults of a device in a slot of time, in order."""
        profile, scale = self._profile, self._scale
        kinds: tuple[tuple[Kind, float, float], ...] = (
            (
                "disconnect",
                profile.disconnects_per_hour / 3600,
                profile.disconnect_seconds / scale,
            ),
            ("offline", profile.offline_per_day / 86_400, profile.offline_seconds / scale),
            ("power_cut", profile.power_cuts_per_hour / 3600, profile.power_cut_seconds / scale),
            ("clock_step", profile.clock_steps_per_day / 86_400, profile.clock_seconds),
        )
        found = []
        for kind, per_second, longest in kinds:
            if self._luck(device_id, kind, slot) < per_second * scale * SLOT_SECONDS:
                at = (slot + self._luck(device_id, kind, "at", slot)) * SLOT_SECONDS
                share = self._luck(device_id, kind, "for", slot)
                # Cubed: clocks are off by seconds more often than by hours.
                step = kind == "clock_step"
                seconds = longest * ((2 * share - 1) ** 3 if step else 0.1 + 0.9 * share)
                found.append(Trouble(kind, at, seconds))
        return sorted(found, key=lambda trouble: trouble.at)

    def copies(self, device_id: str, direction: Literal["up", "down"], count: int) -> int:
        """Number of times that the n-th message of a link arrives: 0, 1 or 2."""
        if not self.any:
            return 1
        luck = self._luck(device_id, direction, count)
        if luck < self._profile.lost_ratio:
            return 0
        return 2 if luck > 1 - self._profile.repeated_ratio else 1

    def held_back(
        self, device_id: str, direction: Literal["up", "down"], count: int, copy: int = 0
    ) -> float:
        """Seconds by which a copy of the n-th message of a link comes late; mostly none."""
        profile = self._profile
        if not profile.delayed_ratio:
            return 0.0
        if self._luck(device_id, direction, "late", count, copy) >= profile.delayed_ratio:
            return 0.0
        return profile.delayed_seconds * self._luck(device_id, direction, "by", count, copy)

    def corrupted(self, device_id: str, payload: bytes, count: int) -> bytes:
        """A content block as it arrives: mostly unharmed."""
        if not payload or self._luck(device_id, "corrupt", count) >= self._profile.corrupt_ratio:
            return payload
        at = int(self._luck(device_id, "byte", count) * len(payload))
        return payload[:at] + bytes([payload[at] ^ 0xFF]) + payload[at + 1 :]

    def skew_seconds(self, device_id: str) -> float:
        """Initial error of a wall clock."""
        if not self._profile.clock_seconds:
            return 0.0
        return self._profile.clock_seconds * (2 * self._luck(device_id, "skew") - 1)

    def has_ntp(self, device_id: str) -> bool:
        """Tell whether a device can reach an NTP server."""
        return self._luck(device_id, "ntp") >= self._profile.no_ntp_ratio

    def storage_bytes(self, device_id: str, usual: int) -> int:
        """Room for audio: on some boxes it is nearly gone."""
        small = self._luck(device_id, "storage") < self._profile.small_storage_ratio
        return 32 * 1024 if small else usual

    def _luck(self, device_id: str, *what: object) -> float:
        return fraction(self._seed, device_id, *what)
