"""How a day sounds: what each village of a unit is to hear, by time."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.kit.clock import LOCAL
from broadcast.schedules import queries, targets
from broadcast.schedules.expansion import DAY
from broadcast.schedules.model import Occurrence, OccurrenceState


class Village(NamedTuple):
    """What a village is to hear."""

    code: str
    name: str
    cluster_count: int
    occurrences: list[Occurrence]


async def heard(session: AsyncSession, area: str, on: date) -> list[Village]:
    """Villages of a unit with the planned occurrences of a local day that sound there.

    Raises:
        InvalidInput: The area is no unit of that day.
    """
    begin, end = (datetime.combine(day, time(), LOCAL) for day in (on, on + DAY))
    statement = await queries.select_occurrences(
        session, begin, end,
        schedule_id=None, area=area, cluster=None, state=OccurrenceState.PLANNED,
    )  # fmt: skip
    rows = list(await session.scalars(statement.order_by(Occurrence.starts_at, Occurrence.id)))
    resolver = await targets.target_resolver(session)
    reached = await targets.resolve_targets(session, resolver, rows)
    villages = await resolver.villages([{"area": area}], on, on)
    return [
        Village(
            code,
            resolver.name(code, on),
            len(clusters),
            [row for row in rows if not clusters.isdisjoint(reached[row.id].cluster_ids)],
        )
        for code, clusters in villages.items()
    ]
