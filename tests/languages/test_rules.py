"""Rules of languages: orders of places, what is needed and chosen, how versions stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.areas.languages import Spoken, sounding, together
from broadcast.areas.village_languages import read_list
from broadcast.bulletins.model import RevisionState
from broadcast.languages.coverage import Village, by_commune, by_language
from broadcast.languages.forecast import Lack, hears
from broadcast.languages.mixing import wanted
from broadcast.languages.state import VersionState, state_of
from broadcast.wire.documents import Audio, Version
from broadcast.wire.languages import version_for

KNOWN = ["vi", "hre", "cua", "sed"]
ORDERS = st.lists(st.sampled_from(KNOWN), unique=True)


def version(languages: list[str]) -> Version:
    sound = Audio(sha256="0" * 64, bytes=1, seconds=1, codec="opus")
    return Version(languages=languages, audio=[sound])


@given(st.lists(ORDERS, max_size=5), st.sets(st.sampled_from(KNOWN[1:])))
def test_a_device_plays_what_its_place_needs(orders: list[list[str]], parts: set[str]) -> None:
    """The sounds that are made, and the choice of the device, come to the rule of places."""
    made = [version(each) for each in wanted(orders, parts, "vi")]
    for order in orders:
        chosen = version_for(made, order)
        assert sounding(order, parts, "vi") == (["vi"] if chosen is None else chosen.languages)


@given(ORDERS, st.sets(st.sampled_from(KNOWN[1:])))
def test_nobody_is_left_without_sound(order: list[str], parts: set[str]) -> None:
    made = [version(each) for each in wanted([order], parts, "vi")]
    sounds, lacks = hears(order, made, "vi", {"hre": Lack.WAITING})
    assert sounds
    assert set(sounds) | set(lacks) | {"vi"} >= set(order)
    assert not set(sounds) & set(lacks)


@given(st.lists(st.lists(st.sampled_from(KNOWN), unique=True), max_size=4))
def test_several_villages_have_one_order_of_all_their_languages(orders: list[list[str]]) -> None:
    villages = [[Spoken(each) for each in order] for order in orders]
    order = together(villages)
    assert sorted(order) == sorted({each for some in orders for each in some})
    assert together(villages[:1]) == (orders[0] if orders else [])


def test_a_larger_share_comes_first() -> None:
    assert together([[Spoken("vi", 60), Spoken("hre", 40)], [Spoken("hre", 90)]]) == ["hre", "vi"]


def test_a_version_stands_as_what_was_made_of_it() -> None:
    draft, submitted = RevisionState.DRAFT, RevisionState.SUBMITTED
    assert state_of(None, has_approved=False, has_earlier=False) is VersionState.WAITING
    assert state_of(None, has_approved=False, has_earlier=True) is VersionState.STALE
    assert state_of(draft, has_approved=False, has_earlier=True) is VersionState.RECORDED
    assert state_of(submitted, has_approved=False, has_earlier=False) is VersionState.REVIEW
    assert state_of(draft, has_approved=True, has_earlier=True) is VersionState.APPROVED


def test_a_cell_names_languages_with_their_shares() -> None:
    assert [(each.language, each.share) for each in read_list(" hre:85 %; VI ")] == [
        ("hre", 85), ("vi", None),
    ]  # fmt: skip
    for wrong in ("tay:50", "hre:101", "hre:x", "hre:60;vi:60", "vi;vi"):
        with pytest.raises(ValueError, match=r"tiếng|tỉ lệ"):
            read_list(wrong)


def test_villages_are_counted_by_the_language_of_their_majority() -> None:
    villages = [
        Village("T-1", "Thôn 1", "1", "Xã A", "hre", {"hre": 2, "vi": 3}),
        Village("T-2", "Thôn 2", "1", "Xã A", "hre", {"vi": 3}),
        Village("T-3", "Thôn 3", "2", "Xã B", "vi", {"vi": 1}),
        Village("T-4", "Thôn 4", "2", "Xã B", None, {"vi": 1}),
    ]
    assert [tuple(each) for each in by_language(villages)] == [
        ("hre", 2, 1, 1, 2), ("vi", 1, 1, 4, 8),
    ]  # fmt: skip
    assert [tuple(each) for each in by_commune(villages)] == [
        ("1", "Xã A", 2, 1), ("2", "Xã B", 1, 1),
    ]  # fmt: skip
