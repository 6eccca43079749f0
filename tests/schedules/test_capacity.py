"""What a programme would hold is known when a schedule is saved, and refused beyond the bound."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.auth.permissions import Role
from broadcast.bulletins.model import Bulletin
from broadcast.config import Rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import Conflict
from broadcast.programmes.compile import held_until
from broadcast.schedules import capacity, edits, occurrence_edits, targets
from broadcast.schedules.capacity import DAY, Held, Starts
from broadcast.schedules.model import Occurrence, Schedule
from broadcast.schedules.neighbours import Neighbour
from broadcast.schedules.starts import LONGEST, SLACK, rule_of, starts_of
from tests.callers import caller
from tests.schedules import province
from tests.schedules.province import NOW, local
from tests.schedules.test_recurrence import moments, rules

RULES = Rules()
DAYS = capacity._days_held(RULES)
TARGETS = [
    {"area": "21253"}, {"area": "21262"}, {"area": "51"}, {"cluster": "C-1"}, {"cluster": "C-4"},
]  # fmt: skip
RULES_OF_PEOPLE = [
    None, "FREQ=DAILY;BYHOUR=5,11,17,23", "FREQ=DAILY;BYHOUR=6;COUNT=9",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=MONTHLY;BYMONTHDAY=1,2,3;BYHOUR=0,23;BYMINUTE=58",
    "FREQ=DAILY;INTERVAL=2;UNTIL=20250110",
]  # fmt: skip
LAN = caller("Lan", Role.PROVINCE_APPROVER)

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
        day = starts_at.astimezone(LOCAL).date()
        midnight = datetime.combine(day + DAY, time(), LOCAL)
        held.add({day: Starts(1, int(ends_by > midnight))}, 1)
    found = list(held.at_midnights(DAYS))
    most = max(count for _, count, _ in found)
    assert all(count == size for _, count, size in found)

    def document(now: datetime) -> int:
        until = held_until(now, RULES.programme_span, LOCAL)
        return sum(ends_by > now and starts_at < until for starts_at, ends_by in spans)

    midnights = [BEGIN + timedelta(days=day) for day in range(-10, 22)]
    assert most == max(map(document, midnights))
    assert all(document(BEGIN + timedelta(minutes=at)) <= most for at in moments)


later = st.integers(0, 500 * 24 * 60)


@given(
    st.none() | rules(),
    moments,
    later,
    st.integers(1, 420),
    st.lists(st.tuples(st.integers(0, 30), st.none() | later), max_size=8),
    st.sampled_from([30, 3600, 20000]),
)
def test_starts_are_counted_by_day_as_they_are_dated_one_by_one(
    rule: str | None,
    wall: datetime,
    begin_in: int,
    days: int,
    excepted: list[tuple[int, int | None]],
    seconds: int,
) -> None:
    starts_at = wall.replace(tzinfo=LOCAL).astimezone(UTC)
    schedule = Schedule(
        starts_at=starts_at, rrule=rule, late_limit_seconds=0, title="", id=uuid4()
    )
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=begin_in)
    until = begin + timedelta(days=days)
    regular = starts_of(schedule, {}, begin - timedelta(days=20), until)
    exceptions = {
        regular[number].recurrence_at: None if to is None else begin + timedelta(minutes=to - 999)
        for number, to in excepted
        if number < len(regular)
    }
    neighbour = Neighbour(schedule, rule_of(schedule), seconds, exceptions)
    begun: Counter[date] = Counter()
    lasting: Counter[date] = Counter()
    for each in starts_of(schedule, exceptions, begin, until):
        day = each.starts_at.astimezone(LOCAL).date()
        ends_by = each.starts_at + timedelta(seconds=seconds) + SLACK
        begun[day] += 1
        lasting[day] += ends_by > datetime.combine(day + DAY, time(), LOCAL)
    counted = {day: Starts(count, lasting[day]) for day, count in begun.items()}
    assert capacity.starts_by_day(neighbour, begin, until) == counted


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
    assert "21 buổi phát" in refused.value.detail
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
    with pytest.raises(Conflict, match="24 buổi phát"):
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
    with pytest.raises(Conflict, match="21 buổi phát"):
        await occurrence_edits.move(session, row, local("2025-01-03T12:00"), LAN, RULES, NOW)


@pytest.mark.parametrize("seed", range(6))
async def test_it_is_refused_exactly_when_some_document_would_hold_more(
    session: AsyncSession, bulletin: Bulletin, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Beside a count that dates each start and resolves it on its day, over a merger of areas."""
    monkeypatch.setattr(capacity, "MOST_ITEMS", 10**9)
    random = Random(seed)
    schedules = [
        await province.schedule(
            session,
            bulletin.id,
            starts_at=local(f"2024-12-{random.randint(20, 31)}T{random.randint(0, 23):02}:30"),
            rrule=random.choice(RULES_OF_PEOPLE),
            targets=random.sample(TARGETS, random.randint(1, 2)),
            late_limit_seconds=random.choice([0, 3600]),
        )
        for _ in range(12)
    ]
    asked = schedules[0]
    resolver = await targets.target_resolver(session)
    items: dict[str, list[tuple[datetime, datetime]]] = {}
    for schedule in schedules:
        lasts = timedelta(seconds=schedule.late_limit_seconds + 61.5) + SLACK
        for start in starts_of(schedule, {}, NOW - LONGEST, NOW + timedelta(days=60)):
            on = start.starts_at.astimezone(LOCAL).date()
            reached = await resolver.reach(schedule, on)
            for scope in reached.scopes:
                span = (start.starts_at, start.starts_at + lasts)
                items.setdefault(scope, []).append(span)
    scopes = {
        scope
        for day in (NOW.date(), NOW.date() + timedelta(days=10))
        for scope in (await resolver.reach(asked, day)).scopes
    }
    today = NOW.astimezone(LOCAL).date()
    midnights = [datetime.combine(today + number * DAY, time(), LOCAL) for number in range(30)]
    most = max(
        sum(
            ends_by > at and starts_at < held_until(at, RULES.programme_span, LOCAL)
            for starts_at, ends_by in items.get(scope, [])
        )
        for scope in scopes
        for at in midnights
    )
    monkeypatch.setattr(capacity, "MOST_ITEMS", most)
    await capacity.refuse_overfull(session, asked, RULES, NOW)
    monkeypatch.setattr(capacity, "MOST_ITEMS", most - 1)
    with pytest.raises(Conflict) as refused:
        await capacity.refuse_overfull(session, asked, RULES, NOW)
    assert refused.value.extra["items"] == most
    assert refused.value.extra["scope"] in scopes


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
