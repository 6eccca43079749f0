"""Topics are spelt once."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.wire import topics
from broadcast.wire.topics import (
    AREA_STATE,
    BLOCK_BYTES,
    CONTENT,
    DEVICE_COMMAND,
    DEVICE_EVENT,
    DEVICE_STATE,
    Topic,
    block_count,
    scope_topic,
)

ALL = [AREA_STATE, DEVICE_STATE, DEVICE_COMMAND, DEVICE_EVENT, CONTENT]
codes = st.from_regex(f"^{topics.CODE}$", fullmatch=True)


def test_the_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(topics)
    assert results.attempted > 4
    assert results.failed == 0


@given(st.sampled_from(ALL), codes, codes)
def test_what_is_built_is_matched_by_its_own_template_only(
    topic: Topic, one: str, other: str
) -> None:
    names = list(topic.match(topic.filter().replace("+", "x")) or {})
    levels = dict(zip(names, (one, other), strict=True))
    built = topic.build(**levels)
    assert topic.match(built) == levels
    assert [t for t in ALL if t.match(built)] == [topic]


@pytest.mark.parametrize("bad", ["", "+", "#", "a/b", "a b", "é", "x" * 65, "a\n", "\x00"])
def test_no_level_holds_a_wildcard_a_separator_or_nothing(bad: str) -> None:
    with pytest.raises(ValueError, match="is no topic"):
        DEVICE_EVENT.build(device_id=bad, kind="boot")
    assert DEVICE_EVENT.match(f"device/{bad}/event/boot") is None


@pytest.mark.parametrize(
    "topic", ["xdevice/a/event/b", "device/a/event/b/c", "device/a/event/b\n", "device/a/event"]
)
def test_nothing_around_a_topic_is_overlooked(topic: str) -> None:
    assert DEVICE_EVENT.match(topic) is None


def test_a_filter_leaves_open_what_is_not_given() -> None:
    assert DEVICE_STATE.filter(device_id="QN-1") == "device/QN-1/state/+"
    assert CONTENT.filter() == "content/+/+"


@pytest.mark.parametrize("scope", ["planet/51", "area/", "area", "area/5/1", "device/+"])
def test_a_scope_that_is_none_has_no_topic(scope: str) -> None:
    with pytest.raises(ValueError, match=r"no topic|neither"):
        scope_topic(scope, "programme")


@pytest.mark.parametrize(
    ("size", "count"),
    [(1, 1), (BLOCK_BYTES - 1, 1), (BLOCK_BYTES, 1), (BLOCK_BYTES + 1, 2), (40_000, 3)],
)
def test_the_last_block_is_the_short_one(size: int, count: int) -> None:
    assert block_count(size) == count
    assert 0 < size - (count - 1) * BLOCK_BYTES <= BLOCK_BYTES
