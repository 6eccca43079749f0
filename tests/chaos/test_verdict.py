"""The verdict can fail: every kind of broken promise is made up once, and counted once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chaos.verdict import Flip, Occurrence, Play, Stored, Truth, judge, read_truth

NOON = datetime(2026, 3, 1, 5, 0, tzinfo=UTC)
SILENT = timedelta(seconds=12.5)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def fact(second: float, event: str, device_id: str = "d1", **more: Any) -> str:
    line = {"at": at(second).isoformat(), "device_id": device_id, "event": event, **more}
    return json.dumps(line) + "\n"


def sound(start: float, offset: float, seconds: float, occurrence_id: str = "o1") -> list[str]:
    return [
        fact(start, "started", occurrence_id=occurrence_id, sha256="s", offset=offset),
        fact(start + seconds, "ended", occurrence_id=occurrence_id, seconds=seconds, cause=""),
    ]


def journal(seq: int, kind: str, occurrence_id: str = "o1") -> str:
    return fact(0, "journalled", journal_id="j", seq=seq, kind=kind, occurrence_id=occurrence_id)


TOLD = [
    fact(-9, "connected"),
    *(fact(second, "sent", kind="heartbeat", number=10 + second) for second in range(-9, 31, 5)),
    journal(1, "started"),
    *sound(0.1, 0.0, 8.0),
    journal(2, "ended"),
]
STORED = Stored(
    records={("d1", "j", 1): ("started", "o1"), ("d1", "j", 2): ("ended", "o1")},
    occurrences={"o1": Occurrence(at(0), at(58), timedelta(seconds=20), 8.0, restarts=False)},
    plays={("o1", "d1"): Play("played", "", 1)},
    flips=(),
    schedules=frozenset({"s1"}),
)


def broken(told: list[str] = TOLD, stored: Stored = STORED, **asked: list[str]) -> dict[str, int]:
    """The counts that are not 0."""
    verdict = judge(read_truth(told), stored, asked.get("asked", ["s1"]))
    assert sum(verdict.counts.values()) == len(verdict.details)
    return {name: count for name, count in verdict.counts.items() if count}


def test_a_run_without_fault_is_clean() -> None:
    assert broken() == {}
    assert judge(read_truth(TOLD), STORED, ["s1"]).clean


def test_a_record_that_is_not_stored_is_lost() -> None:
    assert broken([*TOLD, journal(3, "skipped", "o2")]) == {"lost": 1}


def test_a_record_that_is_stored_as_something_else_is_lost() -> None:
    records = {**STORED.records, ("d1", "j", 2): ("ended", "o2")}
    assert broken(stored=replace(STORED, records=records)) == {"lost": 1}


def test_a_schedule_that_was_promised_and_is_not_there_is_lost() -> None:
    assert broken(asked=["s1", "s2"]) == {"lost": 1}


def test_a_record_that_nobody_wrote_is_a_duplicate() -> None:
    records = {**STORED.records, ("d1", "j", 3): ("ended", "o1")}
    assert broken(stored=replace(STORED, records=records)) == {"duplicates": 1}


def test_a_play_that_the_ledger_lets_begin_twice_is_a_duplicate() -> None:
    plays = {("o1", "d1"): Play("played", "", 2)}
    assert broken(stored=replace(STORED, plays=plays)) == {"duplicates": 1}


def test_a_second_schedule_of_one_request_is_a_duplicate() -> None:
    assert broken(stored=replace(STORED, schedules=frozenset({"s1", "s2"}))) == {"duplicates": 1}


def test_a_beginning_that_sounds_twice_is_a_double_play() -> None:
    assert broken([*TOLD, *sound(10, 0.0, 1.0)]) == {"double_plays": 1}


def test_words_that_are_heard_again_after_a_power_cut_are_a_double_play() -> None:
    told = [*sound(0, 0.0, 6.0), *sound(20, 4.5, 3.5)]
    assert broken([*TOLD[:-3], *told, TOLD[-1]]) == {"double_plays": 1}


def test_going_on_where_it_stopped_is_none_and_neither_is_a_click() -> None:
    told = [*TOLD[:-3], *sound(0, 0.0, 0.4), *sound(1, 0.0, 6.0), *sound(20, 6.0, 2.0), TOLD[-1]]
    assert broken(told) == {}


def test_what_may_restart_may_begin_twice() -> None:
    occurrences = {"o1": replace(STORED.occurrences["o1"], restarts=True)}
    plays = {("o1", "d1"): Play("played", "", 2)}
    stored = replace(STORED, occurrences=occurrences, plays=plays)
    assert broken([*TOLD, *sound(10, 0.0, 8.0)], stored) == {}


@pytest.mark.parametrize(("start", "count"), [(-1.2, 1), (-0.9, 0), (20.9, 0), (21.1, 1)])
def test_sound_begins_between_the_start_and_its_late_limit_by_true_time(
    start: float, count: int
) -> None:
    told = [*TOLD[:-3], *sound(start, 0.0, 8.0), TOLD[-1]]
    assert broken(told).get("late_plays", 0) == count


def test_sound_that_was_cut_off_at_once_begins_when_it_is_taken_up() -> None:
    told = [*TOLD[:-3], *sound(19, 0.0, 0.05), *sound(30, 0.05, 7.95), TOLD[-1]]
    assert broken(told) == {"late_plays": 1}


def test_sound_that_goes_on_after_its_last_moment_is_a_late_play() -> None:
    told = [*TOLD[:-3], *sound(0, 0.0, 4.0), *sound(60, 4.0, 4.0), TOLD[-1]]
    assert broken(told) == {"late_plays": 1}


@pytest.mark.parametrize(
    "play", [Play("missed", "unexplained", 0), Play("planned", "", 0), Play("playing", "", 1)]
)
def test_a_play_without_an_end_or_a_reason_is_unexplained(play: Play) -> None:
    stored = replace(STORED, plays={("o1", "d1"): play})
    assert broken(stored=stored)["unexplained"] == 1


def test_a_miss_that_was_heard_is_untrue() -> None:
    stored = replace(STORED, plays={("o1", "d1"): Play("missed", "offline", 0)})
    assert broken(stored=stored) == {"untrue": 1}


def test_a_play_that_never_came_to_its_end_is_untrue() -> None:
    told = [*TOLD[:-3], *sound(0, 0.0, 6.0), TOLD[-1]]
    assert broken(told) == {"untrue": 1}


def test_sound_that_was_never_planned_is_late_and_untrue() -> None:
    assert broken([*TOLD, *sound(10, 0.0, 3.0, "o9")]) == {"late_plays": 1, "untrue": 1}


def flipped(seconds: float, told: list[str] = TOLD) -> int:
    flip = Flip("d1", "silent", at(seconds), SILENT)
    return broken(told, replace(STORED, flips=[flip])).get("false_offline", 0)


def test_a_device_that_has_just_spoken_is_not_silent() -> None:
    # Its last heartbeat is at 26 s.
    assert flipped(30) == 1
    assert flipped(36) == 1


def test_a_device_whose_patience_is_over_is_silent() -> None:
    assert flipped(26 + 12.5) == 0
    assert flipped(26 + 11.5) == 0  # dated by its own clock, half a second slow
    assert flipped(500) == 0


def test_a_heartbeat_over_a_connection_that_was_breaking_does_not_count() -> None:
    cut = [*TOLD, fact(26.5, "disconnected")]
    assert flipped(21 + 12.5, cut) == 0
    stood = [*TOLD, fact(28, "power_off")]
    assert flipped(21 + 12.5, stood) == 1


def test_a_repetition_and_a_message_that_was_overtaken_are_no_signs_of_life() -> None:
    for number in (36, 35):
        told = [*TOLD, fact(30, "sent", kind="heartbeat", number=number)]
        assert flipped(26 + 12.5, told) == 0
    told = [*TOLD, fact(30, "sent", kind="heartbeat", number=37)]
    assert flipped(26 + 12.5, told) == 1


def test_a_device_that_nothing_was_heard_of_may_be_called_silent() -> None:
    stored = replace(STORED, flips=[Flip("d2", "silent", at(3), SILENT)])
    assert broken(stored=stored) == {}


def test_a_line_that_is_still_being_written_is_not_read() -> None:
    assert read_truth(['{"at": "2026-03-0']) == Truth()
