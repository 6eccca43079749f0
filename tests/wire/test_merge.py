"""Any order, repetition and loss of documents ends in what the newest documents say."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.wire.documents import Alert, Alerts, Item, Programme, expired
from broadcast.wire.merge import merge_alerts, merge_items, newer

T0 = datetime(2025, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCOPES = ["area/51", "area/21034", "area/21034-07", "device/QN-000417"]


def item(occurrence: int, note: int) -> Item:
    return Item(f"o{occurrence}", "b", 1, T0, 60, T0 + HOUR, 100, title=f"note {note}")


def alert(number: int, note: int) -> Alert:
    return Alert(f"a{number}", T0, T0 + HOUR, [], title=f"note {note}")


items = st.lists(st.builds(item, st.integers(0, 4), st.integers(0, 99)), max_size=4)
alerts = st.lists(st.builds(alert, st.integers(0, 4), st.integers(0, 99)), max_size=4)


@st.composite
def programmes(draw: st.DrawFn) -> list[Programme]:
    """What one device may come to hold: one document a scope and revision."""
    keys = st.tuples(st.sampled_from(SCOPES), st.integers(1, 6))
    return [
        Programme(
            scope, revision, T0, T0 + HOUR, list({i.occurrence_id: i for i in held}.values())
        )
        for (scope, revision), held in draw(st.dictionaries(keys, items, max_size=6)).items()
    ]


@given(programmes(), st.randoms())
def test_the_order_of_documents_does_not_matter(
    held: list[Programme], chance: random.Random
) -> None:
    shuffled = held[:]
    chance.shuffle(shuffled)
    assert merge_items(shuffled) == merge_items(held)


@given(programmes())
def test_a_repeated_document_changes_nothing(held: list[Programme]) -> None:
    assert merge_items(held + held) == merge_items(held)


@given(programmes())
def test_the_newest_document_that_names_an_occurrence_speaks(held: list[Programme]) -> None:
    for occurrence_id, chosen in merge_items(held).items():
        naming = [p for p in held if any(i.occurrence_id == occurrence_id for i in p.items)]
        newest = max(naming, key=lambda p: (p.revision, p.scope))
        assert chosen in newest.items


@given(programmes())
def test_every_occurrence_is_there_once(held: list[Programme]) -> None:
    named = {i.occurrence_id for programme in held for i in programme.items}
    assert merge_items(held).keys() == named


@given(st.lists(st.tuples(st.sampled_from(SCOPES), alerts), max_size=5), st.randoms())
def test_alerts_merge_alike(held: list[tuple[str, list[Alert]]], chance: random.Random) -> None:
    documents = [
        Alerts(scope, revision, T0, T0 + HOUR, list({a.alert_id: a for a in raised}.values()))
        for revision, (scope, raised) in enumerate(held, start=1)
    ]
    merged = merge_alerts(documents)
    chance.shuffle(documents)
    assert merge_alerts(documents + documents) == merged
    assert merged.keys() == {a.alert_id for _, raised in held for a in raised}


@given(st.permutations(range(1, 7)), st.data())
def test_any_order_repetition_and_loss_ends_in_the_newest(
    order: list[int], data: st.DataObject
) -> None:
    revisions = [
        r for r in order for _ in range(data.draw(st.integers(1, 2))) if data.draw(st.booleans())
    ]
    held = None
    for revision in revisions:
        offered = Programme("area/51", revision, T0, T0 + HOUR, [])
        held = offered if newer(held, offered) else held
    assert (held.revision if held else None) == max(revisions, default=None)


@pytest.mark.parametrize(("after", "is_expired"), [(0, False), (1, True)])
def test_a_document_holds_up_to_and_including_its_last_instant(
    after: int, is_expired: bool
) -> None:
    document = Programme("area/51", 1, T0, T0 + HOUR, [])
    assert expired(document, T0 + HOUR + after * timedelta(milliseconds=1)) is is_expired
