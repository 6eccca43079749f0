"""What Quy chế provide in a unit on a day."""

from __future__ import annotations

from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.units import require_unit
from broadcast.config import Rules
from broadcast.regulations import rules
from broadcast.regulations.model import RegulationRow
from broadcast.regulations.schemas import InForceOut, ProvisionsOut, SourceOut, WindowOut
from broadcast.schedules.targets import target_resolver


async def in_force(session: AsyncSession, area: str, on: date, settings: Rules) -> InForceOut:
    """What holds in a unit on a day.

    Raises:
        Unknown: There is no such unit on that day.
    """
    await require_unit(session, "area", area, on)
    resolver = await target_resolver(session)
    found = resolver.rules.at(area, on)
    rows = [await session.get_one(RegulationRow, each.id) for each in found]
    return InForceOut(
        area_code=area,
        on=on,
        sources=[SourceOut.model_validate(row, from_attributes=True) for row in rows],
        provisions=ProvisionsOut.of(rules.merged(each.provisions for each in found)),
        default_silent=[
            WindowOut(**{"from": f"{opens:%H:%M}", "until": f"{closes:%H:%M}"})
            for opens, closes in settings.quiet_hours
        ],
    )
