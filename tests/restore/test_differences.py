"""The comparison after a restore: what is decided as proposed is what devices were told last."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from broadcast.restore.differences import (
    CHOICES,
    Choice,
    Difference,
    Kind,
    Newer,
    Planned,
    differences,
    told_items,
)
from broadcast.wire.documents import Audio, Item

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHA = "ab" * 32
THERE = frozenset({SHA})
SCOPES = ["area/21001", "area/21002", "device/D-1"]


def planned(id_: str, schedule: str = "s", hours: float = 2, **other: object) -> Planned:
    starts_at = NOW + hours * HOUR
    given: dict[str, object] = {
        "title": id_, "scopes": frozenset({SCOPES[0]}), "starts_at": starts_at,
        "ends_by": starts_at + HOUR / 4, "bulletin": ("b", 1),
    }  # fmt: skip
    return Planned(occurrence_id=id_, schedule_id=schedule, **given | other)  # type: ignore[arg-type]


def item(of: Planned, **changes: object) -> Item:
    told = Item(
        occurrence_id=of.occurrence_id,
        bulletin_id=of.bulletin[0],
        bulletin_revision=of.bulletin[1],
        starts_at=of.starts_at,
        late_limit_seconds=300,
        ends_by=of.ends_by,
        priority=100,
        title=of.title,
        audio=[Audio(sha256=SHA, bytes=1, seconds=1.0, codec="opus")],
    )
    return structs.replace(told, **changes)


def newer(items: Sequence[Item], scope: str = SCOPES[0], revision: int = 9) -> Newer:
    return Newer(scope, revision, NOW - HOUR, NOW + 48 * HOUR, items)


def found(rows: Collection[Planned], told: Collection[Newer]) -> list[tuple[Kind, str]]:
    return [(each.kind, each.subject) for each in differences(rows, told, THERE, NOW)]


def test_what_is_told_as_it_is_planned_is_no_difference() -> None:
    rows = [planned("1"), planned("2", hours=3)]
    assert found(rows, [newer([item(row) for row in rows])]) == []


def test_without_newer_documents_there_is_none() -> None:
    assert found([planned("1")], []) == []


def test_a_schedule_of_which_nothing_is_left_was_withdrawn() -> None:
    rows = [planned("1"), planned("2", hours=26), planned("3", "t")]
    [difference] = differences(rows, [newer([item(rows[2])])], THERE, NOW)
    assert (difference.kind, difference.subject) == (Kind.WITHDRAWN, "s")
    assert difference.occurrences == ("1", "2")
    assert difference.choices[0] is Choice.FOLLOW


def test_a_single_occurrence_was_left_out() -> None:
    rows = [planned("1"), planned("2", hours=26)]
    assert found(rows, [newer([item(rows[1])])]) == [(Kind.LEFT_OUT, "s")]


def test_of_days_that_no_document_covers_nothing_is_known() -> None:
    rows = [planned("1"), planned("far", "t", hours=49)]
    assert found(rows, [newer([item(rows[0])])]) == []


def test_what_had_ended_when_it_was_issued_is_not_missing_from_it() -> None:
    row = planned("1", hours=-2, ends_by=NOW - 1.5 * HOUR)
    assert found([row], [newer([])]) == []


def test_another_scope_says_nothing_of_it() -> None:
    assert found([planned("1")], [newer([], SCOPES[1])]) == []


def test_another_time_and_other_sound() -> None:
    rows = [planned("1"), planned("2", "t", hours=3)]
    told = [
        item(rows[0], starts_at=NOW + 5 * HOUR, ends_by=NOW + 6 * HOUR),
        item(rows[1], bulletin_revision=2),
    ]
    assert found(rows, [newer(told)]) == [(Kind.REPLACED, "t"), (Kind.MOVED, "1")]


def test_what_is_not_known_is_taken_in_only_with_its_sound() -> None:
    document = newer([item(planned("new"))])
    [known] = differences([], [document], THERE, NOW)
    assert (known.kind, known.choices) == (Kind.UNKNOWN, (Choice.FOLLOW, Choice.DROP))
    [mute] = differences([], [document], frozenset(), NOW)
    assert mute.choices == (Choice.DROP,)


def test_old_sound_does_not_return_by_itself_where_the_new_one_is_lost() -> None:
    row = planned("1")
    [difference] = differences([row], [newer([item(row, bulletin_revision=2)])], (), NOW)
    assert difference.choices == (Choice.DROP, Choice.KEEP)


def test_the_newest_document_speaks() -> None:
    row = planned("1")
    old = newer([item(row, starts_at=NOW + 7 * HOUR)], revision=3)
    new = newer([item(row)], SCOPES[1], revision=4)
    assert found([row], [new, old]) == []
    assert told_items([new, old])["1"][1] == (SCOPES[0], SCOPES[1])


class Lost(NamedTuple):
    """A database of yesterday, and what devices were told since."""

    rows: list[Planned]
    told: list[Newer]


@st.composite
def lost(draw: st.DrawFn) -> Lost:
    rows, items = [], []
    for number in range(draw(st.integers(0, 8))):
        schedule = draw(st.sampled_from("stu"))
        hours = draw(st.integers(-4, 60))
        scopes = draw(st.frozensets(st.sampled_from(SCOPES), min_size=1))
        row = planned(str(number), schedule, hours, scopes=scopes)
        fate = draw(st.sampled_from(["same", "gone", "moved", "replaced", "new"]))
        if fate != "new":
            rows.append(row)
        if fate != "gone":
            later = draw(st.integers(1, 20)) * HOUR if fate == "moved" else timedelta()
            items.append((row, item(
                row, starts_at=row.starts_at + later, ends_by=row.ends_by + later,
                bulletin_revision=2 if fate == "replaced" else 1,
            )))  # fmt: skip
    covers_until = NOW + draw(st.integers(1, 60)) * HOUR
    told = [
        Newer(scope, draw(st.integers(1, 99)), NOW - draw(st.integers(0, 5)) * HOUR, covers_until,
              [told for row, told in items
               if scope in row.scopes and told.starts_at < covers_until])
        for scope in SCOPES
    ]  # fmt: skip
    return Lost(rows, [
        each._replace(items=[item for item in each.items if item.ends_by > each.issued_at])
        for each in told
    ])  # fmt: skip


def after(rows: Collection[Planned], told: Collection[Newer], decided: Collection[Difference]) -> (
    dict[str, tuple[datetime, int]]
):  # fmt: skip
    """What sounds from now on, when everything is decided as proposed."""
    items = told_items(told)
    sounds = {
        row.occurrence_id: (row.starts_at, row.bulletin[1]) for row in rows if row.ends_by > NOW
    }
    for difference in decided:
        choice = difference.choices[0]
        for id_ in difference.occurrences:
            match difference.kind, choice:
                case (Kind.WITHDRAWN | Kind.LEFT_OUT, Choice.FOLLOW):
                    del sounds[id_]
                case (Kind.MOVED | Kind.REPLACED | Kind.UNKNOWN, Choice.FOLLOW):
                    sounds[id_] = items[id_][0].starts_at, items[id_][0].bulletin_revision
    return sounds


@given(lost())
def test_decided_as_proposed_devices_are_told_what_they_were_told_last(state: Lost) -> None:
    decided = differences(state.rows, state.told, THERE, NOW)
    sounds = after(state.rows, state.told, decided)
    told = {
        id_: (item.starts_at, item.bulletin_revision)
        for id_, (item, _) in told_items(state.told).items()
        if item.ends_by > NOW
    }
    coming = {row.occurrence_id: row for row in state.rows if row.ends_by > NOW}
    # Whatever was told still sounds, as it was told.
    assert {id_: sounds.get(id_) for id_ in told} == told
    # Nothing sounds that a newer document should have named and does not.
    for id_ in sounds.keys() - told.keys():
        row = coming[id_]
        for document in state.told:
            covered = row.starts_at < document.covers_until and row.ends_by > document.issued_at
            assert not (document.scope in row.scopes and covered)


@given(lost(), st.randoms())
def test_it_depends_on_no_order_and_every_name_is_one(state: Lost, random: object) -> None:
    rows, told = list(state.rows), list(state.told)
    before = differences(rows, told, THERE, NOW)
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(told)  # type: ignore[attr-defined]
    assert differences(rows, told, THERE, NOW) == before
    assert len({each.name for each in before}) == len(before)
    for each in before:
        assert set(each.choices) <= set(CHOICES[each.kind])
        assert each.choices


@given(lost())
def test_what_was_followed_is_no_difference_any_more(state: Lost) -> None:
    decided = differences(state.rows, state.told, THERE, NOW)
    sounds = after(state.rows, state.told, decided)
    items = told_items(state.told)
    by_id = {row.occurrence_id: row for row in state.rows}
    rows = []
    for id_, (starts_at, number) in sounds.items():
        row = by_id.get(id_) or planned(id_, f"taken in {id_}")
        ends_by = items[id_][0].ends_by if id_ in items else row.ends_by
        scopes = frozenset(items[id_][1]) if id_ not in by_id else row.scopes
        rows.append(Planned(
            occurrence_id=id_, schedule_id=row.schedule_id, title=id_, scopes=scopes,
            starts_at=starts_at, ends_by=ends_by, bulletin=("b", number),
        ))  # fmt: skip
    assert differences(rows, state.told, THERE, NOW) == []
