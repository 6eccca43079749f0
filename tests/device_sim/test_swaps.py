"""A swap: no item sounds twice at one place, and nobody answers for what was before his time."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.harness import Device
from tests.device_sim.province import Province, alert, at, audio, item
from tests.examples import examples


def hang(province: Province, device_id: str, since: datetime, **options: object) -> Device:
    province.config(device_id, not_before=since)
    return province.device(device_id, areas=(), **options)


def test_what_the_old_box_has_played_the_new_one_does_not_play_again() -> None:
    province = Province()
    old = hang(province, "d1", at(-600))
    province.programme(
        item("a", at(5), late_limit_seconds=3600, ends_by=at(120)), item("b", at(30))
    )
    province.harness.advance(8 * 60)
    province.harness.power_cut(old)
    province.config("d1", ())
    new = hang(province, "d2", at(8))
    province.harness.advance(3600)
    assert [sound.occurrence_id for sound in old.sounds] == ["a"]
    assert [sound.occurrence_id for sound in new.sounds] == ["b"]
    assert province.journal("d2") == [("started", "b"), ("ended", "b", "completed")]


def test_the_new_box_says_nothing_of_what_was_before_its_time() -> None:
    province = Province()
    province.programme(item("a", at(5)), item("b", at(30)))
    province.harness.advance(20 * 60)
    hang(province, "d2", at(19))
    province.harness.advance(3600)
    assert [record for record in province.journal("d2") if record[1] == "a"] == []
    assert {i for m in province.readiness("d2") for i in [m]} == {"b"}


def test_what_starts_at_the_very_moment_is_its_own() -> None:
    province = Province()
    province.programme(item("a", at(5)))
    new = hang(province, "d2", at(5))
    province.harness.advance(900)
    assert [sound.occurrence_id for sound in new.sounds] == ["a"]


def test_an_alert_sounds_also_at_the_box_that_came_later() -> None:
    """Twice is better than not at all."""
    province = Province()
    province.alerts(alert("siren", at(0), ends_by=at(60)))
    province.harness.advance(600)
    new = hang(province, "d2", at(9))
    province.harness.advance(600)
    assert [sound.occurrence_id for sound in new.sounds] == ["siren"]


def test_the_same_box_elsewhere_takes_up_nothing_of_the_old_place() -> None:
    province = Province()
    box = hang(province, "d1", at(-600))
    long = item("a", at(5), audio=[audio("news", 1200)], ends_by=at(600))
    province.programme(long, item("b", at(60)))
    province.harness.advance(10 * 60)
    province.harness.disconnect(box)
    province.harness.power_cut(box)
    province.config("d1", not_before=at(40))
    province.harness.advance(35 * 60)
    box.reachable = True
    box.ntp = False
    province.answers_time = False
    province.harness.power_on(box)
    province.harness.connect(box)
    province.answers_time = True
    province.harness.advance(3600)
    assert [sound.occurrence_id for sound in box.sounds] == ["a", "b"]


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32))
def test_no_item_sounds_twice_at_one_place(seed: int) -> None:
    """Boxes come and go at random; the one before is gone when the next one comes."""
    chance = random.Random(seed)
    province = Province()
    starts = sorted(chance.sample(range(1, 240), 20))
    province.programme(
        *(
            item(
                f"i{minute}", at(minute), audio=[audio("news", chance.choice([5, 60, 200]))],
                late_limit_seconds=chance.choice([0, 120, 7200]), ends_by=at(minute + 130),
                on_preempt=chance.choice(["resume", "drop"]),
            )
            for minute in starts
        )
    )  # fmt: skip
    boxes: list[tuple[Device, datetime]] = []
    now = 0.0
    swaps = [0.0, *(minute + 0.5 for minute in sorted(chance.sample(range(1, 240), 5)))]
    for number, minute in enumerate(swaps):
        province.harness.advance((minute - now) * 60)
        now = minute
        if boxes:
            last = boxes[-1][0]
            province.harness.disconnect(last)
            province.harness.power_cut(last)
            province.config(last.identity.device_id, ())
        boxes.append((hang(province, f"d{number}", at(minute)), at(minute)))
        if chance.random() < 0.3:
            boxes[-1][0].crash_after = chance.randrange(5, 60)
    province.harness.advance((400 - now) * 60)
    begun = Counter(s.occurrence_id for box, _ in boxes for s in box.sounds if s.offset == 0)
    assert all(count == 1 for count in begun.values()), begun
    ends = [since for _, since in boxes[1:]] + [at(10_000)]
    for (box, since), until in zip(boxes, ends, strict=True):
        spoken = {record[1] for record in province.journal(box.identity.device_id)}
        spoken |= {sound.occurrence_id for sound in box.sounds}
        assert all(since <= at(int(name[1:])) < until for name in spoken)


@pytest.mark.parametrize("moved", [timedelta(minutes=-30), timedelta(minutes=30)])
def test_a_date_that_is_corrected_holds_from_the_next_config_on(moved: timedelta) -> None:
    province = Province()
    province.programme(
        item("a", at(5), late_limit_seconds=7200, ends_by=at(200)), item("b", at(90))
    )
    box = hang(province, "d2", at(20))
    province.harness.advance(60)
    province.config("d2", not_before=at(20) + moved)
    province.harness.advance(7200)
    names = [sound.occurrence_id for sound in box.sounds]
    assert names == (["a", "b"] if moved < timedelta(0) else ["b"])
