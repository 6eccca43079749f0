"""The only reader of the clock. Everything else takes `now` as an argument."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)

LOCAL = ZoneInfo("Asia/Ho_Chi_Minh")
"""Time zone of the province: UTC+7, no daylight saving."""


def now() -> datetime:
    """Current instant, timezone-aware, in UTC."""
    return datetime.now(UTC)


def is_due(due_at: datetime | None, now: datetime, every: timedelta) -> bool:
    """Tell whether something that is done every so often has to be done again.

    A date further ahead than that is of a clock that was set back since: nothing may stand still
    until it has come round again.

    >>> noon = datetime(2025, 7, 1, 12, tzinfo=UTC)
    >>> [is_due(noon + timedelta(minutes=m), noon, HOUR) for m in (-1, 0, 1, 60, 61)]
    [True, True, False, False, True]
    """
    return due_at is None or not now < due_at <= now + every


def today() -> date:
    """Current calendar day in the province."""
    return now().astimezone(LOCAL).date()
