"""Where a priority bulletin from above goes into a session of the commune."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from broadcast.inbox.placing import Own, arrange, collides, sessions

FIVE = datetime(2026, 3, 2, 10, tzinfo=UTC)


def own(number: int, minute: float, seconds: float, *, is_priority: bool) -> Own:
    at = FIVE + timedelta(minutes=minute)
    return Own(UUID(int=number), f"Tin {number}", at, seconds, is_priority)


def at(minute: float, seconds: float = 0) -> datetime:
    return FIVE + timedelta(minutes=minute, seconds=seconds)


def test_a_session_ends_where_nothing_follows_within_five_minutes() -> None:
    one = own(1, 0, 60, is_priority=False)
    two = own(2, 5, 60, is_priority=False)
    later = own(3, 12, 60, is_priority=False)
    assert sessions([later, two, one]) == [[one, two], [later]]


def test_what_is_normal_follows_the_source_without_being_asked() -> None:
    session = [own(1, 0, 120, is_priority=False), own(2, 3, 60, is_priority=False)]
    assert not collides(session, 90)
    for source_first in (True, False):
        found = arrange(session, 90, source_first=source_first)
        assert found.source_at == at(0)
        assert list(found.starts.values()) == [at(1, 35), at(3, 40)]


def test_the_commune_orders_its_own_priority_item_before_or_after() -> None:
    session = [own(1, 0, 120, is_priority=True), own(2, 2, 60, is_priority=False)]
    assert collides(session, 90)
    source = arrange(session, 90, source_first=True)
    assert (source.source_at, *source.starts.values()) == (at(0), at(1, 35), at(3, 40))
    mine = arrange(session, 90, source_first=False)
    assert (mine.source_at, *mine.starts.values()) == (at(2, 5), at(0), at(3, 40))


ITEMS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(5, 900), st.booleans()), min_size=1, max_size=7
).map(
    lambda rows: sessions(
        own(number, *row[:2], is_priority=row[2]) for number, row in enumerate(rows)
    )[0]
)


@given(ITEMS, st.integers(5, 900), st.booleans())
def test_nothing_overlaps_the_source_and_no_overlap_is_new(
    session: list[Own], seconds: int, source_first: bool
) -> None:
    found = arrange(session, seconds, source_first=source_first)
    assert found.starts.keys() == {each.occurrence_id for each in session}
    placed = [(found.starts[each.occurrence_id], each) for each in session]
    ends_at = found.source_at + timedelta(seconds=seconds)
    for start, each in placed:
        assert start >= each.starts_at  # nothing comes earlier than it was announced
        assert start >= ends_at or start + timedelta(seconds=each.seconds) <= found.source_at
    for start, one in placed:
        for other_start, other in placed:
            if one.occurrence_id < other.occurrence_id and overlap(start, one, other_start, other):
                assert overlap(one.starts_at, one, other.starts_at, other)


@given(ITEMS, st.integers(5, 900))
def test_the_orders_differ_only_where_there_is_something_to_decide(
    session: list[Own], seconds: int
) -> None:
    source, mine = (arrange(session, seconds, source_first=each) for each in (True, False))
    assert source.source_at == session[0].starts_at
    assert (source != mine) == collides(session, seconds)
    for each in session:
        if each.is_priority:
            assert mine.starts[each.occurrence_id] == each.starts_at


def overlap(start: datetime, one: Own, other_start: datetime, other: Own) -> bool:
    return start < other_start + timedelta(
        seconds=other.seconds
    ) and other_start < start + timedelta(seconds=one.seconds)
