"""A merger is told before it is done, and what was told is what is done."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.areas.model import Area, Topology
from broadcast.auth.model import Grant
from broadcast.auth.permissions import Role
from broadcast.kit.errors import InvalidInput
from broadcast.mergers.carry_out import carry_out
from broadcast.mergers.schemas import MergerOut
from broadcast.stations.model import PlantState, Station
from tests.callers import LAN
from tests.stations import sample

ACT_1677 = date(2025, 7, 1)
NOW = datetime(2025, 7, 1, 5, tzinfo=UTC)


async def world(session: AsyncSession) -> None:
    await sample.everything(session)
    session.add(
        Grant(
            account_id=LAN, role=Role.COMMUNE_BROADCASTER, area_code="21262",
            valid_from=date(2025, 3, 1), granted_by=LAN,
            granted_at=datetime(2025, 3, 1, tzinfo=UTC),
        )
    )  # fmt: skip
    await session.flush()


async def stored(session: AsyncSession) -> list[object]:
    found: list[object] = []
    for table in (Area, Station, PlantState, Topology):
        rows = await session.execute(sa.select(table.__table__))
        found.append(sorted(map(repr, rows)))
    return found


async def run(session: AsyncSession, *, dry_run: bool) -> MergerOut:
    return await carry_out(session, None, None, ACT_1677, "51", NOW, dry_run=dry_run)


async def test_what_is_told_before_is_what_is_done(session: AsyncSession) -> None:
    await world(session)
    before = await stored(session)
    told = await run(session, dry_run=True)
    assert await stored(session) == before
    assert told.dry_run
    assert told.created
    assert "21262" in {unit.code for unit in told.dissolved}
    assert told.stations.added
    assert [(each.area_code, each.role) for each in told.grants] == [
        ("21262", Role.COMMUNE_BROADCASTER)
    ]
    assert {(each.code) for each in told.indicators} == {"1.1", "1.2", "1.3"}
    done = await run(session, dry_run=False)
    assert await stored(session) != before
    assert done.model_dump(exclude={"dry_run", "stations"}) == told.model_dump(
        exclude={"dry_run", "stations"}
    )
    assert done.stations.changes == told.stations.changes


async def test_a_day_without_a_merger_is_refused(session: AsyncSession) -> None:
    await world(session)
    with pytest.raises(InvalidInput, match="không có xã nào"):
        await carry_out(session, None, None, date(2024, 3, 3), "51", NOW, dry_run=True)
