"""Silent hours, limits of volume and quotas as a device keeps them, whatever was planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime, timedelta

from broadcast.wire import hours, quotas
from broadcast.wire.documents import Config, Item, Passed


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


def over_quota(config: Config | None, counted: Mapping[str, Item | Passed]) -> frozenset[str]:
    """Occurrences that the quotas of their days leave out.

    Args:
        config: Has the quotas.
        counted: All that the documents name, by occurrence.
    """
    if config is None or not config.quotas:
        return frozenset()
    days: defaultdict[date, dict[str, quotas.Sound]] = defaultdict(dict)
    for occurrence_id, each in counted.items():
        day = quotas.local_day(each.starts_at, _offset(config))
        days[day][occurrence_id] = quotas.planned(each)
    found = (quotas.over(quotas.on_day(config.quotas, day), days[day]) for day in days)
    return frozenset().union(*found)


def _offset(config: Config | None) -> timedelta:
    return timedelta(minutes=config.utc_offset_minutes if config else 0)
