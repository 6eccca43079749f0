"""The ledger of a span of time in a few figures."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.times import Moment
from broadcast.plays.settle import Reason
from broadcast.web.fields import example


class Summary(BaseModel):
    """What became of the plays that were to start in a span of time."""

    model_config = example(
        since="2025-07-01T00:00:00+07:00", until="2025-07-02T00:00:00+07:00", expected=6000,
        played=5821,
        partial=40, preempted=12, missed=127, missed_by_reason={"powered_off": 88, "offline": 39},
        unexplained=0, waiting=0, cancelled=4, clock_wrong=3, restated=17, duplicates=0, late=0,
        start_error_ms_p50=40, start_error_ms_p99=310,
    )  # fmt: skip

    since: Moment
    until: Moment
    expected: int = Field(description="plays that were not cancelled")
    played: int
    partial: int
    preempted: int
    missed: int
    missed_by_reason: dict[str, int]
    unexplained: int
    waiting: int = Field(description="planned or playing")
    cancelled: int
    clock_wrong: int = Field(
        description="of partial and missed: told with a time that cannot be true"
    )
    restated: int = Field(description="changed by later evidence after they were settled")
    duplicates: int = Field(description="sounded from the beginning more than once")
    late: int = Field(description="began after the late limit")
    start_error_ms_p50: int | None = Field(description="median distance from the planned start")
    start_error_ms_p99: int | None


_COUNTS = sa.text("""
    SELECT count(*) FILTER (WHERE p.state <> 'cancelled') AS expected,
           count(*) FILTER (WHERE p.state = 'played') AS played,
           count(*) FILTER (WHERE p.state = 'partial') AS partial,
           count(*) FILTER (WHERE p.state = 'preempted') AS preempted,
           count(*) FILTER (WHERE p.state = 'missed') AS missed,
           count(*) FILTER (WHERE p.state IN ('planned', 'playing')) AS waiting,
           count(*) FILTER (WHERE p.state = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE p.reason = 'clock_wrong' AND p.state IN ('partial', 'missed'))
               AS clock_wrong,
           count(*) FILTER (WHERE p.restated > 0) AS restated,
           count(*) FILTER (WHERE p.fresh_starts > 1 AND o.on_preempt <> 'restart')
               AS duplicates,
           count(*) FILTER (WHERE p.start_error_ms > o.late_limit_seconds * 1000.0) AS late,
           percentile_disc(0.5) WITHIN GROUP (ORDER BY abs(p.start_error_ms))
               AS start_error_ms_p50,
           percentile_disc(0.99) WITHIN GROUP (ORDER BY abs(p.start_error_ms))
               AS start_error_ms_p99
    FROM plays AS p JOIN occurrences AS o ON o.id = p.occurrence_id
    WHERE p.starts_at >= :since AND p.starts_at < :until
""")

_REASONS = sa.text("""
    SELECT reason, count(*) FROM plays
    WHERE starts_at >= :since AND starts_at < :until AND state = 'missed'
    GROUP BY reason ORDER BY count(*) DESC, reason
""")


async def summary(session: AsyncSession, since: datetime, until: datetime) -> Summary:
    """Figures of the plays that were to start in [since, until)."""
    span = {"since": since, "until": until}
    counts = (await session.execute(_COUNTS, span)).mappings().one()
    reasons = {row[0]: row[1] for row in await session.execute(_REASONS, span)}
    return Summary(
        since=since,
        until=until,
        missed_by_reason=reasons,
        unexplained=reasons.get(Reason.UNEXPLAINED.value, 0),
        **counts,
    )
