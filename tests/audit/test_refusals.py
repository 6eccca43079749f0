"""Refusals are in the audit, and a flood of them is bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from broadcast.audit.entry import Entry, Origin, Outcome, Who, decode
from broadcast.audit.refusals import (
    LOST,
    MOST_EACH,
    MOST_ENTRIES,
    MOST_SENDERS,
    OTHERS,
    WINDOW,
    Refusals,
    Window,
    site,
)
from broadcast.kit import db
from tests.audit.world import World
from tests.web.routes import NOWHERE

NOW = datetime(2026, 1, 2, tzinfo=UTC)


async def test_who_may_not_is_told(world: World) -> None:
    answer = await world.call("POST", "/schedules", "Tâm", json=world.schedule())
    assert answer.status_code == 403
    (entry,) = await world.entries()
    assert (entry.outcome, entry.who.name) == (Outcome.REFUSED, "Tâm")
    assert (entry.action, entry.object) == ("POST /api/v1/schedules", "/api/v1/schedules")
    assert entry.origin.address == "192.0.2.9"
    assert entry.details["why"] == answer.json()["detail"]
    assert not entry.changes


async def test_who_has_no_token_is_told_of_reading_too(world: World) -> None:
    answer = await world.http.get("/api/v1/areas/%00%0a21253")
    assert answer.status_code == 401
    (entry,) = await world.entries()
    assert entry.outcome is Outcome.REFUSED
    assert entry.object == "/api/v1/areas/\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}21253"


async def test_a_flood_of_one_address_has_a_few_entries_and_a_sum(world: World) -> None:
    for _ in range(50):
        assert (await world.http.get("/api/v1/areas")).status_code == 401
    *own, sums = await world.entries()
    assert len(own) == MOST_EACH
    assert (sums.details["count"], sums.details["status"]) == (50 - MOST_EACH, 401)
    assert sums.origin.address == "192.0.2.9"


async def test_a_flood_from_outside_hides_nobody_within(world: World) -> None:
    transport = world.http._transport
    for number in range(200):
        transport.client = (f"198.51.100.{number}", 1)  # type: ignore[attr-defined]
        await world.http.get("/api/v1/areas")
    await world.call("POST", "/schedules", "Tâm", json=world.schedule())
    entries = await world.entries()
    assert len(entries) == MOST_ENTRIES + MOST_SENDERS + 1 + 1
    (within,) = (each for each in entries if each.who.name == "Tâm")
    assert within.details["status"] == 403


async def test_a_kind_of_refusal_has_entries_of_its_own(engine: AsyncEngine) -> None:
    entries = await noted(engine, *[(401, NOW)] * 9, (429, NOW), (429, NOW))
    assert [each.details["status"] for each in entries].count(429) == 2
    assert sum(each.details.get("count", 1) for each in entries) == 11


async def noted(engine: AsyncEngine, *each: tuple[int, datetime]) -> list[Entry]:
    """Entries of refusals of one address: status and time."""
    refusals = Refusals(engine)
    for status, at in each:
        refusals.note(None, Origin("192.0.2.1"), "GET /x", "/x", status, "no", at)
    await refusals.close()
    async with db.transaction(engine) as session:
        lines = await session.scalars(sa.text("SELECT entry FROM audit_entries ORDER BY seq"))
        return [decode(line) for line in lines]


def refusal(at: datetime = NOW) -> Entry:
    return Entry(at, Who("x"), Outcome.REFUSED, "GET /x", origin=Origin("192.0.2.1"))


def test_a_flood_of_all_addresses_is_bounded_in_rows_and_memory() -> None:
    window = Window()
    admitted = sum(window.admit(f"{number}", refusal()) for number in range(20_000))
    counted = window.over(NOW + WINDOW)
    assert admitted == MOST_ENTRIES
    assert len(counted) == MOST_SENDERS + 1
    assert admitted + sum(each.times for each in counted) == 20_000
    assert counted[-1].sender == OTHERS
    assert counted[-1].entry().origin.address == OTHERS


def test_one_network_of_ipv6_is_one_sender() -> None:
    assert len({site(f"2001:db8::{number:x}") for number in range(1, 100)}) == 1
    assert site("2001:db8:0:1::1") != site("2001:db8::1")


@pytest.mark.parametrize("later", [WINDOW, -timedelta(days=1)])
def test_a_minute_later_or_with_the_clock_set_back_it_begins_anew(later: timedelta) -> None:
    window = Window()
    for _ in range(MOST_EACH + 3):
        window.admit("192.0.2.1", refusal())
    assert window.over(NOW + WINDOW / 2) == []
    (counted,) = window.over(NOW + later)
    assert (counted.times, counted.sender) == (3, "192.0.2.1")
    assert window.admit("192.0.2.1", refusal(NOW + later))


async def test_the_next_minute_writes_the_sum_of_the_last(engine: AsyncEngine) -> None:
    entries = await noted(engine, *[(401, NOW)] * (MOST_EACH + 2), (401, NOW + WINDOW))
    assert len(entries) == MOST_EACH + 2
    assert entries[-2].details["count"] == 2
    assert entries[-2].details["since"] == NOW.isoformat()


async def test_a_database_that_is_away_is_counted_and_answers_go_on() -> None:
    lost = LOST._value.get()
    refusals = Refusals(create_async_engine(NOWHERE))
    refusals.note(None, Origin("192.0.2.1"), "GET /x", "/x", 401, "no", NOW)
    await refusals.close()
    assert LOST._value.get() == lost + 1
