"""Which clusters are heard together, and how near to each other they began."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.earshot import texts
from broadcast.earshot.groups import Point, groups, metres, nearest, pairs
from broadcast.earshot.spread import ECHO_MS, Cause, Start, Verdict, judge, spread
from tests.examples import examples

places = st.dictionaries(
    st.integers(1, 50),
    st.builds(Point, st.floats(15.0, 15.02), st.floats(108.0, 108.02)),
    max_size=12,
)


@given(places, st.integers(20, 3000), st.data())
@settings(max_examples=examples(60))
def test_pairs_are_those_nearer_than_the_reach_and_those_that_people_say(
    there: dict[int, Point], reach: int, data: st.DataObject
) -> None:
    every = list(combinations(sorted(there), 2))
    said = (
        data.draw(st.dictionaries(st.sampled_from(every), st.booleans(), max_size=4))
        if every
        else {}
    )
    near = {pair for pair in every if metres(there[pair[0]], there[pair[1]]) < reach}
    wanted = (near | {p for p, heard in said.items() if heard}) - {
        p for p, heard in said.items() if not heard
    }
    assert pairs(there, reach, said).keys() == wanted
    found = groups(wanted)
    assert sum(map(len, found)) == len(set().union(*found)) if found else not wanted
    for one, other in wanted:
        assert any({one, other} <= group for group in found)


def test_a_place_that_nobody_knows_is_joined_by_hand() -> None:
    assert pairs({1: Point(15, 108)}, 500, {(1, 2): True}) == {(1, 2): None}
    assert groups([(1, 2), (5, 6), (2, 3)]) == [frozenset({1, 2, 3}), frozenset({5, 6})]


def test_of_a_large_group_the_nearest_are_shown() -> None:
    chain = [(each, each + 1) for each in range(1, 100)]
    assert nearest(50, range(1, 101), chain, 5) == [50, 49, 51, 48, 52]


@pytest.mark.parametrize(
    ("start", "verdict", "cause"),
    [
        (Start(1, 10, 0, 30), Verdict.IN, None),
        (Start(1, -49, 0, 1), Verdict.IN, None),
        (Start(1, 10, 0, 300), Verdict.UNSURE, Cause.CLOCK_UNSURE),
        (Start(1, 5, -120, 20), Verdict.OUT, Cause.CLOCK_OFF),
        (Start(1, 5, 30, 40), Verdict.UNSURE, Cause.CLOCK_UNSURE),
        (Start(1, 4000, 0, 20), Verdict.OUT, Cause.LATE),
        (Start(1, 4000), Verdict.OUT, Cause.LATE),
        (Start(1, 5), Verdict.UNSURE, Cause.CLOCK_UNTOLD),
        (Start(1, None), Verdict.OUT, Cause.MISSED),
    ],
)
def test_a_start_by_the_clock_of_the_server(
    start: Start, verdict: Verdict, cause: Cause | None
) -> None:
    judged = judge(start)
    assert (judged.verdict, judged.cause) == (verdict, cause)


@given(
    st.floats(-500, 500), st.integers(-300, 300), st.integers(0, 200), st.floats(-1, 1)
)  # fmt: skip
@settings(max_examples=examples(60))
def test_the_verdict_is_true_wherever_the_server_lies(
    error: float, offset: int, doubt: int, where: float
) -> None:
    judged = judge(Start(1, error, offset, doubt))
    true = error - offset + where * doubt
    if judged.verdict is Verdict.IN:
        assert abs(true) <= ECHO_MS
    if judged.verdict is Verdict.OUT:
        assert abs(true) > ECHO_MS


def test_the_spread_of_a_group() -> None:
    found = spread([Start(1, 20, 0, 10), Start(2, -15, 0, 5), Start(3, None)])
    assert (found.width_ms, found.doubt_ms) == (35, 15)
    assert [each.cluster_id for each in found.starts] == [3, 1, 2]
    assert found.verdict is Verdict.IN, "who did not sound makes no echo"
    assert spread([Start(1, 3, 0, 1), Start(2, None)]).width_ms is None
    assert spread([Start(1, 3), Start(2, 5, 0, 1)]).doubt_ms is None


def test_everything_has_its_words() -> None:
    assert texts.CAUSES.keys() == set(Cause) == texts.REMEDIES.keys()
    assert texts.VERDICTS.keys() == set(Verdict)
