"""What a loudspeaker makes of what is planned: one voice, by priority, never in quiet hours."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from broadcast.kit.quiet import OFFSET, daily
from broadcast.schedules.hearing import Heard, Outcome, Wanted, hear
from broadcast.wire.fields import OnPreempt
from broadcast.wire.hours import silent_window

NOON = datetime(2026, 3, 2, 5, tzinfo=UTC)
NIGHT = daily([(time(22), time(5))])


def wanted(
    number: int, at: int, seconds: float, priority: int = 64, late: int = 300,
    on_preempt: OnPreempt = OnPreempt.RESUME, begin: datetime = NOON,
) -> Wanted:  # fmt: skip
    starts_at = begin + timedelta(seconds=at)
    ends_by = starts_at + timedelta(seconds=late + seconds + 30)
    return Wanted(UUID(int=number), starts_at, seconds, priority, late, ends_by, on_preempt)


def told(
    found: list[Heard], begin: datetime = NOON
) -> list[tuple[int, list[tuple[float, float]]]]:
    return [
        (
            each.id.int,
            [((a - begin).total_seconds(), (b - begin).total_seconds()) for a, b in each.spans],
        )
        for each in found
    ]


def test_an_equal_one_waits_and_a_higher_one_interrupts() -> None:
    found = hear([wanted(1, 0, 60), wanted(2, 30, 60), wanted(3, 100, 20, 128)], NIGHT)
    assert told(found) == [(1, [(0, 60)]), (2, [(60, 100), (120, 140)]), (3, [(100, 120)])]
    assert [each.outcome for each in found] == [Outcome.WHOLE] * 3
    assert [each.kept_by and each.kept_by.int for each in found] == [None, 3, None]


def test_what_waits_too_long_is_not_heard_and_what_kept_it_is_named() -> None:
    (first, second) = hear([wanted(1, 0, 600), wanted(2, 30, 60, late=120)], NIGHT)
    assert (first.outcome, second.outcome, second.kept_by) == (
        Outcome.WHOLE, Outcome.NONE, UUID(int=1),
    )  # fmt: skip


def test_what_is_interrupted_begins_anew_or_is_lost_as_it_says() -> None:
    higher = wanted(9, 30, 20, 128)
    for how, spans in (
        (OnPreempt.RESTART, [(0, 30), (50, 110)]),
        (OnPreempt.DROP, [(0, 30)]),
    ):
        found = hear([wanted(1, 0, 60, on_preempt=how), higher], NIGHT)
        assert told(found)[0] == (1, spans)


def test_quiet_hours_stop_what_sounds_and_keep_what_begins_in_them() -> None:
    evening = datetime(2026, 3, 2, 14, 59, tzinfo=UTC)  # 21:59
    found = hear([wanted(1, 0, 90, begin=evening), wanted(2, 70, 10, begin=evening)], NIGHT)
    assert told(found, evening) == [(1, [(0, 60)]), (2, [])]
    assert [(each.outcome, each.is_quiet) for each in found] == [
        (Outcome.PART, True), (Outcome.NONE, True),
    ]  # fmt: skip


ITEMS = st.lists(
    st.tuples(
        st.integers(0, 4000), st.integers(1, 900), st.sampled_from([64, 72, 128]),
        st.integers(0, 600), st.sampled_from(OnPreempt),
    ),
    max_size=8,
).map(
    lambda rows: [
        wanted(number, *row, begin=datetime(2026, 3, 2, 14, 20, tzinfo=UTC))
        for number, row in enumerate(rows)
    ]
)  # fmt: skip


@given(ITEMS, st.randoms())
def test_one_voice_in_any_order_and_never_in_quiet_hours(
    items: list[Wanted], chance: object
) -> None:
    found = hear(items, NIGHT)
    chance.shuffle(items)  # type: ignore[attr-defined]
    assert hear(items, NIGHT) == found
    spans = sorted(span for each in found for span in each.spans)
    for one, two in pairwise(spans):
        assert one.ends_at <= two.begins_at
    by_id = {each.id: each for each in items}
    for each in found:
        asked = by_id[each.id]
        for begins_at, ends_at in each.spans:
            seconds = (ends_at - begins_at).total_seconds()
            assert silent_window(NIGHT, OFFSET, begins_at, seconds) is None
            assert asked.starts_at <= begins_at
            assert ends_at <= asked.ends_by
        if each.spans:
            assert each.spans[0].begins_at <= asked.latest_at
        elif not each.is_quiet:
            assert each.kept_by is not None
