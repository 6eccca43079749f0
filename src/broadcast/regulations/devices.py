"""Hours at the place of one device, for what it is ordered to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas import scope
from broadcast.areas.units import load_lineage
from broadcast.calendars import marking
from broadcast.calendars.model import CalendarDay
from broadcast.config import Rules
from broadcast.devices.model import Device, Installation
from broadcast.kit.clock import LOCAL
from broadcast.kit.quiet import daily
from broadcast.regulations import entering
from broadcast.regulations.model import RegulationRow
from broadcast.regulations.places import DAY, Windows
from broadcast.stations.clusters import followed_areas
from broadcast.wire.hours import AHEAD


async def hours_at_device(
    session: AsyncSession, code: str, rules: Rules, now: datetime
) -> Windows:
    """Windows at the cluster on which a device is installed, of the days to come.

    Those of the settings where there is no such device, or it is on no cluster.
    """
    default = daily(rules.quiet_hours)
    marked = sa.select(CalendarDay.id).where(CalendarDay.from_time.is_not(None))
    if await session.scalar(sa.select(RegulationRow.id).union(marked).limit(1)) is None:
        return default
    cluster_id = await session.scalar(
        sa.select(Installation.cluster_id)
        .join(Device, Device.id == Installation.device_id)
        .where(Device.code == code, Installation.removed_at.is_(None))
    )
    if cluster_id is None:
        return default
    at, today = cluster_id, now.astimezone(LOCAL).date()

    async def followed(on: date) -> Mapping[int, Sequence[str]]:
        return await followed_areas(session, on, [at])

    async with scope.whole(session):  # rules of the place, whoever asks
        marks = await marking.load(session)
        found = await entering.place_rules(
            session, await load_lineage(session), marks, marks.clusters, [today - DAY, today],
            followed,
        )  # fmt: skip
        windows = await found.hours([at], today - DAY, today + AHEAD * DAY, default)
    return windows[at]
