"""Priority: one rule from class and authority, and one order that server and device share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.areas.model import Level
from broadcast.kit.errors import InvalidInput
from broadcast.schedules import grid
from broadcast.schedules.grid import Outcome, Slot
from broadcast.schedules.priority import (
    AUTHORITIES,
    HIGHEST,
    LOWEST,
    check,
    is_complete,
    priority,
)
from broadcast.wire import order
from broadcast.wire.fields import BulletinClass

CLASSES = (BulletinClass.NORMAL, BulletinClass.PRIORITY, BulletinClass.EMERGENCY)
ORDERS = list(permutations(AUTHORITIES))
NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize("authorities", ORDERS)
def test_a_class_goes_before_the_lower_one_whoever_speaks(authorities: tuple[Level, ...]) -> None:
    for lower, higher in pairwise(CLASSES):
        most = max(priority(lower, each, authorities) for each in AUTHORITIES)
        least = min(priority(higher, each, authorities) for each in AUTHORITIES)
        assert most <= HIGHEST[lower] < LOWEST[higher] <= least


@pytest.mark.parametrize("authorities", ORDERS)
def test_within_a_class_the_order_of_authorities_decides(authorities: tuple[Level, ...]) -> None:
    for class_ in CLASSES:
        numbers = [priority(class_, each, authorities) for each in authorities]
        assert numbers == sorted(numbers, reverse=True)
        assert len(set(numbers)) == 3
        assert min(numbers) >= 0
        assert max(numbers) < 255


def test_without_a_choice_the_province_goes_first_and_a_village_speaks_as_its_commune() -> None:
    numbers = {level: priority(BulletinClass.PRIORITY, level) for level in Level}
    assert numbers == {
        Level.PROVINCE: 144, Level.DISTRICT: 136, Level.COMMUNE: 128, Level.VILLAGE: 128,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("class_", "named"),
    [
        (BulletinClass.NORMAL, 128),
        (BulletinClass.NORMAL, -1),
        (BulletinClass.PRIORITY, 224),
        (BulletinClass.EMERGENCY, 255),
    ],
)
def test_nobody_names_a_priority_of_the_next_class(class_: BulletinClass, named: int) -> None:
    with pytest.raises(InvalidInput, match="priority"):
        check(class_, named)
    assert check(class_, HIGHEST[class_]) == HIGHEST[class_]


def test_an_order_names_every_authority_once() -> None:
    assert all(is_complete(each) for each in ORDERS)
    assert not is_complete([Level.PROVINCE, Level.COMMUNE])
    assert not is_complete([Level.PROVINCE, Level.PROVINCE, Level.COMMUNE])
    assert not is_complete([*AUTHORITIES, Level.VILLAGE])


@given(st.integers(0, 255), st.integers(0, 255))
def test_the_check_of_a_schedule_and_the_device_agree_on_who_interrupts(
    mine: int, theirs: int
) -> None:
    one, other = (
        Slot(UUID(int=number), "", NOON, NOON + timedelta(minutes=1), each, frozenset({1}))
        for number, each in ((1, mine), (2, theirs))
    )
    found = grid.outcome(one, other)
    assert (found is Outcome.PREEMPTS) == order.interrupts(mine, theirs)
    assert (found is Outcome.PREEMPTED) == order.interrupts(theirs, mine)
    assert (found is Outcome.CLASH) == (mine == theirs)


KEYS = st.tuples(
    st.integers(0, 255),
    st.integers(0, 3).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    st.uuids(),
)


@given(st.lists(KEYS, unique_by=lambda each: each[2]))
def test_the_order_is_total_and_never_lets_an_item_before_one_that_interrupts_it(
    items: list[tuple[int, datetime, UUID]],
) -> None:
    ranked = sorted(items, key=lambda each: order.first(*each))
    assert ranked == sorted(items, key=lambda each: order.first(*each))
    for earlier, later in pairwise(ranked):
        assert not order.interrupts(later[0], earlier[0])
        if earlier[0] == later[0]:
            assert earlier[1:] < later[1:]
