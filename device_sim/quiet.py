"""Quiet hours as a device keeps them: local minutes of the day, whatever the server planned."""

from __future__ import annotations

from datetime import datetime, timedelta

from broadcast.wire.documents import Config, QuietHours

DAY = timedelta(days=1)


def quiet_until(config: Config | None, time: datetime) -> datetime | None:
    """End of the quiet hours that `time` lies in, None when sound is allowed.

    Windows that touch or overlap are one; when they cover the day, the end is a day away.
    """
    if config is None:
        return None
    end = time
    while end < time + DAY:
        remaining = max(
            (_remaining(window, config, end) for window in config.quiet_hours), default=None
        )
        if not remaining:
            break
        end += remaining
    return end if end > time else None


def quiet_from(config: Config | None, time: datetime) -> datetime | None:
    """Begin of the next quiet hours after `time`, when sound is allowed; None without any."""
    if config is None or not config.quiet_hours:
        return None
    return time + min(
        -_since_midnight(config, time, window.from_) % DAY for window in config.quiet_hours
    )


def _remaining(window: QuietHours, config: Config, time: datetime) -> timedelta:
    """Time that the window still lasts at `time`; zero outside of it."""
    passed = _since_midnight(config, time, window.from_) % DAY
    length = (_minutes(window.until) - _minutes(window.from_)) % DAY or DAY
    return max(length - passed, timedelta(0))


def _since_midnight(config: Config, time: datetime, local: str) -> timedelta:
    """Time of day at `time`, minus the given local time of day."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return (time - midnight) + timedelta(minutes=config.utc_offset_minutes) - _minutes(local)


def _minutes(local: str) -> timedelta:
    return timedelta(hours=int(local[:2]), minutes=int(local[3:]))
