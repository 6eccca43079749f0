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


def today() -> date:
    """Current calendar day in the province."""
    return datetime.now(LOCAL).date()
