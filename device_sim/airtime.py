"""Seconds that a device has sounded today, by the local day of its own clock."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from broadcast.wire.documents import Config
from device_sim.journal import Airtime


def added(
    before: Airtime | None, config: Config | None, until: datetime, seconds: float
) -> Airtime | None:
    """Sound in the day of `until`, with the seconds just before it.

    What of them sounded before midnight belongs to yesterday and is left out. A clock that only
    knows a lower bound of the present does not go back behind the day that was counted last.

    Args:
        before: What was counted up to now.
        config: Names the offset of local time; without it no day is known, and nothing changes.
        until: The present, or the end of the sound.
        seconds: Length of a sound that is not counted yet.
    """
    if config is None:
        return before
    local = until + timedelta(minutes=config.utc_offset_minutes)
    today = local.date()
    if before is not None and today < before.on:
        return Airtime(before.on, before.seconds + seconds)
    midnight = datetime.combine(today, time.min, local.tzinfo)
    seconds = min(seconds, (local - midnight).total_seconds())
    if before is not None and today == before.on:
        seconds += before.seconds
    return Airtime(today, seconds)
