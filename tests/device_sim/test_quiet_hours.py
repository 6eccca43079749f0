"""Quiet hours on a device, in local time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from broadcast.wire.documents import Config, QuietHours
from device_sim.quiet import quiet_from, quiet_until


def config(*windows: str, offset: int = 420) -> Config:
    hours = [QuietHours(from_=w[:5], until=w[6:]) for w in windows]
    return Config(
        scope="device/d",
        revision=1,
        issued_at=datetime(2026, 1, 1, tzinfo=UTC),
        not_after=datetime(2027, 1, 1, tzinfo=UTC),
        areas=[],
        keys=[],
        quiet_hours=hours,
        utc_offset_minutes=offset,
    )


def local(clock: str, day: int = 2, offset: int = 420) -> datetime:
    hours, minutes = int(clock[:2]), int(clock[3:])
    utc = datetime(2026, 3, day, hours, minutes, tzinfo=UTC)
    return utc - timedelta(minutes=offset)


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        (["22:00-05:00"], local("21:59"), None),
        (["22:00-05:00"], local("22:00"), local("05:00", 3)),
        (["22:00-05:00"], local("04:59"), local("05:00")),
        (["22:00-05:00"], local("05:00"), None),
        (["12:00-13:30"], local("12:30"), local("13:30")),
        (["22:00-05:00", "05:00-06:00"], local("23:00"), local("06:00", 3)),
        (["22:00-05:00", "04:00-06:00"], local("23:00"), local("06:00", 3)),
        (["00:00-00:00"], local("10:00"), local("00:00", 12)),
        ([], local("03:00"), None),
    ],
)
def test_quiet_hours_last_until(windows: list[str], now: datetime, until: datetime | None) -> None:
    assert quiet_until(config(*windows), now) == until


@pytest.mark.parametrize(
    ("windows", "now", "begins"),
    [
        (["22:00-05:00"], local("21:00"), local("22:00")),
        (["22:00-05:00"], local("05:00"), local("22:00")),
        (["22:00-05:00", "12:00-13:00"], local("09:00"), local("12:00")),
        (["02:00-03:00"], local("09:00"), local("02:00", 3)),
        ([], local("09:00"), None),
    ],
)
def test_quiet_hours_begin_at(windows: list[str], now: datetime, begins: datetime | None) -> None:
    assert quiet_from(config(*windows), now) == begins


def test_a_device_without_config_knows_no_quiet_hours() -> None:
    assert quiet_until(None, local("23:00")) is None
    assert quiet_from(None, local("23:00")) is None


def test_local_time_follows_the_offset_of_the_config() -> None:
    tokyo = config("22:00-05:00", offset=540)
    assert quiet_until(tokyo, local("22:00", offset=540)) == local("05:00", 3, offset=540)
