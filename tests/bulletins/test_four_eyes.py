"""A station's choice for its normal bulletins: a second person by default."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from broadcast.bulletins.four_eyes import choose, needs_second_person, rules
from broadcast.kit.clock import LOCAL
from broadcast.kit.errors import InvalidInput
from tests.callers import LAN

NOW = datetime(2025, 7, 10, 3, tzinfo=UTC)
TODAY = NOW.astimezone(LOCAL).date()
TOMORROW = TODAY + timedelta(days=1)


async def test_without_a_choice_a_second_person_is_needed(session: AsyncSession) -> None:
    assert await needs_second_person(session, "20001", TODAY)


async def test_a_choice_holds_from_its_day_on_and_for_its_station_only(
    session: AsyncSession,
) -> None:
    await choose(session, "20001", TOMORROW, LAN, NOW, second_person=False)
    later = TOMORROW + timedelta(days=9)
    await choose(session, "20001", later, LAN, NOW, second_person=True)
    assert await needs_second_person(session, "20001", TODAY)
    assert not await needs_second_person(session, "20001", TOMORROW)
    assert not await needs_second_person(session, "20001", later - timedelta(days=1))
    assert await needs_second_person(session, "20001", later)
    assert await needs_second_person(session, "20002", TOMORROW)


@pytest.mark.parametrize("days", [0, -1])
async def test_nobody_frees_himself_for_the_bulletin_in_his_hands(
    session: AsyncSession, days: int
) -> None:
    with pytest.raises(InvalidInput, match="valid_from"):
        await choose(session, "20001", TODAY + timedelta(days=days), LAN, NOW, second_person=False)
    assert await rules(session, "20001") == []


async def test_a_choice_is_changed_until_it_holds(session: AsyncSession) -> None:
    await choose(session, "20001", TOMORROW, LAN, NOW, second_person=False)
    await choose(session, "20001", TOMORROW, LAN, NOW, second_person=True)
    (row,) = await rules(session, "20001")
    assert row.second_person
