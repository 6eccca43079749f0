"""Silent hours and limits of volume as a device keeps them, whatever the server planned."""

from __future__ import annotations

from datetime import datetime, timedelta

from broadcast.wire import hours
from broadcast.wire.documents import Config


def quiet_until(config: Config | None, time: datetime) -> datetime | None:
    """End of the silent hours that `time` lies in, None when sound is allowed."""
    return hours.silent_until(hours.of_config(config), _offset(config), time)


def quiet_from(config: Config | None, time: datetime) -> datetime | None:
    """Begin of the next silent hours after `time`, when sound is allowed; None without any."""
    return hours.silent_from(hours.of_config(config), _offset(config), time)


def loudest(config: Config | None, time: datetime, until: datetime) -> int:
    """Volume that a sound from `time` to `until` may have at most, per cent."""
    seconds = (until - time).total_seconds()
    return hours.loudest(hours.of_config(config), _offset(config), time, seconds)


def _offset(config: Config | None) -> timedelta:
    return timedelta(minutes=config.utc_offset_minutes if config else 0)
