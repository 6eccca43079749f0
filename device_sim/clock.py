"""The only reader of the clock in the simulator. Players are told the time."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic

from device_sim.timekeeping import Now


def look() -> Now:
    """True time and the monotonic clock of this machine."""
    return Now(datetime.now(UTC), monotonic())
