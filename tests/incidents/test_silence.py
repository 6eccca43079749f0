"""Which villages are silent because of which incident, and for how long."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from broadcast.incidents.silence import Away, seconds, silent
from tests.devices.fleet import EIGHT, MINUTE

MINUTES = st.integers(0, 500).map(lambda minutes: EIGHT + minutes * MINUTE)
AWAY = st.lists(st.builds(Away, st.integers(1, 4), st.sampled_from("abcd"), MINUTES), max_size=12)


def test_a_village_is_silent_once_its_last_cluster_is_lost() -> None:
    away = [Away(1, "a", EIGHT), Away(2, "a", EIGHT + 5 * MINUTE), Away(2, "b", EIGHT)]
    found = silent(away, heard={"b"})
    assert found == {1: {"a": EIGHT + 5 * MINUTE}, 2: {"a": EIGHT + 5 * MINUTE}}


def test_the_hours_of_all_villages_are_added_up() -> None:
    villages = {"a": EIGHT, "b": EIGHT + timedelta(hours=1)}
    assert seconds(villages, EIGHT + timedelta(hours=3)) == 5 * 3600
    assert seconds(villages, EIGHT) == 0
    assert seconds({}, EIGHT) == 0


@given(AWAY, st.sets(st.sampled_from("abcd")))
def test_what_is_heard_is_not_silent_and_all_else_that_is_away_is(
    away: list[Away], heard: set[str]
) -> None:
    found = silent(away, heard)
    villages = {village for each in found.values() for village in each}
    assert villages == {each.village for each in away} - heard
    for incident_id, silences in found.items():
        own = {each.village for each in away if each.incident_id == incident_id}
        assert silences.keys() == own - heard
        for village, since in silences.items():
            assert since == max(each.fell_at for each in away if each.village == village)


@given(AWAY, st.randoms())
def test_the_order_of_what_is_known_does_not_matter(away: list[Away], chance: object) -> None:
    mixed = list(away)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert silent(mixed, set()) == silent(away, set())
