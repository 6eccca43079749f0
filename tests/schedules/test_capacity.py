"""What a programme would hold is known when a schedule is saved, and refused beyond the bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.accounts.auth import Caller
from broadcast.accounts.model import Role
from broadcast.bulletins.model import Bulletin
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.programmes.compile import held_until
from broadcast.schedules import capacity, edits
from broadcast.schedules.capacity import Held
from broadcast.schedules.model import Occurrence, Schedule
from tests.schedules import province
from tests.schedules.province import NOW, local

RULES = Rules()
DAYS = capacity._days_held(RULES)
LAN = Caller("Lan", Role.APPROVER, "token/Lan")

BEGIN = datetime(2026, 3, 1, 17, tzinfo=UTC)
"""Midnight in the province."""

minutes = st.integers(0, 20 * 24 * 60)


@given(
    st.lists(st.tuples(minutes, st.integers(1, 6 * 60)), min_size=1, max_size=60),
    st.lists(minutes, max_size=20),
)
def test_no_document_of_any_moment_holds_more_and_one_holds_as_much(
    items: list[tuple[int, int]], moments: list[int]
) -> None:
    spans = [
        (BEGIN + timedelta(minutes=at), BEGIN + timedelta(minutes=at + lasts))
        for at, lasts in items
    ]
    held = Held()
    for starts_at, ends_by in spans:
        held.add(starts_at, ends_by, 1)
    found = list(held.at_midnights(DAYS))
    most = max(count for _, count, _ in found)
    assert all(count == size for _, count, size in found)

    def document(now: datetime) -> int:
        until = held_until(now, RULES.programme_span, LOCAL)
        return sum(ends_by > now and starts_at < until for starts_at, ends_by in spans)

    midnights = [BEGIN + timedelta(days=day) for day in range(-10, 22)]
    assert most == max(map(document, midnights))
    assert all(document(BEGIN + timedelta(minutes=at)) <= most for at in moments)


@pytest.fixture
async def bulletin(
    session: AsyncSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Bulletin:
    """An approved bulletin, in a contract whose programmes hold 20 items."""
    await province.build(session)
    found, _ = await province.approved(session, tmp_path)
    monkeypatch.setattr(capacity, "MOST_ITEMS", 20)
    return found


async def save(session: AsyncSession, bulletin: Bulletin, **wanted: Any) -> Schedule:
    given = {
        "starts_at": local("2024-12-29T06:00"), "late_limit_seconds": 300,
        "targets": [{"cluster": "C-4"}],
    }  # fmt: skip
    schedule, _ = await edits.create(session, bulletin.id, given | wanted, LAN, RULES, NOW)
    return schedule


async def test_what_fits_is_saved_and_one_more_is_refused_with_the_numbers(
    session: AsyncSession, bulletin: Bulletin
) -> None:
    """Twice a day for eight days are 16, and four single starts fill the programme."""
    await save(session, bulletin, rrule="FREQ=DAILY;BYHOUR=6,17")
    for hour in (7, 8, 9, 10):
        await save(session, bulletin, starts_at=local(f"2025-02-03T{hour:02}:00"))
    await save(session, bulletin, starts_at=local("2025-02-11T07:00"))  # eight days later
    with pytest.raises(Conflict) as refused:
        await save(session, bulletin, starts_at=local("2025-02-03T11:00"))
    assert refused.value.extra["scope"] == "device/D-4"
    assert refused.value.extra["items"] == 21
    assert "21 lần phát" in refused.value.detail
    assert "D-4" in refused.value.detail


async def test_another_scope_has_its_own_programme(
    session: AsyncSession, bulletin: Bulletin
) -> None:
    await save(session, bulletin, rrule="FREQ=DAILY;BYHOUR=6,17")
    elsewhere = [{"cluster": "C-1"}]
    other = await save(session, bulletin, rrule="FREQ=DAILY;BYHOUR=7,18", targets=elsewhere)
    assert other.id


async def test_a_change_that_overfills_is_refused(
    session: AsyncSession, bulletin: Bulletin
) -> None:
    schedule = await save(session, bulletin, rrule="FREQ=DAILY;BYHOUR=6,17")
    with pytest.raises(Conflict, match="24 lần phát"):
        await edits.change(
            session, schedule, {"rrule": "FREQ=DAILY;BYHOUR=6,12,17"}, LAN, RULES, NOW
        )


async def test_a_start_moved_into_a_full_week_is_refused(
    session: AsyncSession, bulletin: Bulletin
) -> None:
    await save(session, bulletin, rrule="FREQ=DAILY;BYHOUR=6,17")
    for hour in (7, 8, 9, 10):
        await save(session, bulletin, starts_at=local(f"2025-01-03T{hour:02}:00"))
    single = await save(session, bulletin, starts_at=local("2024-12-28T19:00"))
    rows = sa.select(Occurrence).where(Occurrence.schedule_id == single.id)
    row = (await session.scalars(rows)).one()
    with pytest.raises(Conflict, match="21 lần phát"):
        await edits.move(session, row, local("2025-01-03T12:00"), LAN, RULES, NOW)


async def test_the_real_bound_lets_five_thousand_items_through(
    session: AsyncSession, bulletin: Bulletin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "MOST_ITEMS", 5000)
    hours = ",".join(str(hour) for hour in range(5, 21))
    for minute in range(0, 30, 3):
        saved = await save(
            session, bulletin, rrule=f"FREQ=DAILY;BYHOUR={hours};BYMINUTE={minute}",
            starts_at=local(f"2024-12-29T05:{minute:02}"),
        )  # fmt: skip
        assert saved.id
