"""A relay: the stream while there is sound in it, its fallback meanwhile, and a hard end."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.wire.documents import Item, Stream
from broadcast.wire.events import Ended
from device_sim.harness import Device
from tests.device_sim.province import Province, at, audio, item
from tests.examples import examples

FIRST, SECOND = "http://radio.example/one", "https://radio.example/two"
STREAM = Stream(url=FIRST, further_urls=[SECOND], codec="mp3")
NOTICE = audio("notice", 60)


def relay(occurrence_id: str = "a", minute: float = 5, **changes: Any) -> Item:
    """Ten minutes of a stream, with a minute of fallback."""
    return item(occurrence_id, at(minute), **{"audio": [NOTICE], "stream": STREAM} | changes)


def heard(device: Device) -> list[tuple[str, float, float]]:
    """What sounded: stream or fallback, from which second of the relay, for how many seconds."""
    return [
        (
            "stream" if sound.sha256 is None else "fallback",
            round((sound.started_at - at(5)).total_seconds(), 1),
            round(((sound.ended_at or at(99)) - sound.started_at).total_seconds(), 1),
        )
        for sound in device.sounds
    ]


def ends(province: Province) -> list[Ended]:
    return [each for each in province.records["d1"].values() if isinstance(each, Ended)]


def started(province: Province, **options: Any) -> Device:
    device = province.device(**options)
    province.programme(relay())
    return device


def test_a_stream_sounds_at_the_second_and_ends_hard() -> None:
    province = Province()
    device = started(province)
    province.harness.advance(1800)
    assert heard(device) == [("stream", 0, 600)]
    [end] = ends(province)
    assert (end.reason, end.played_seconds, end.relayed_seconds) == ("ends_by", 600, 600)
    assert device.streamed == {}


def test_what_is_away_at_the_start_is_taken_up_when_it_is_there() -> None:
    province = Province()
    device = started(province, streams=())
    province.harness.advance(320)
    province.harness.set_streams(device, (FIRST,))
    province.harness.advance(1800)
    [(first, begins, lasts), (then, *_)] = heard(device)
    assert (first, begins, then) == ("fallback", 0, "stream")
    assert 20 <= lasts <= 32
    [end] = ends(province)
    assert end.played_seconds == 600
    assert end.relayed_seconds == 600 - lasts


def test_a_broken_stream_gives_way_to_its_fallback_and_then_to_its_second_address() -> None:
    province = Province()
    device = started(province)
    province.harness.advance(400)
    province.harness.set_streams(device, (SECOND,))
    province.harness.advance(1800)
    assert heard(device) == [("stream", 0, 100), ("fallback", 100, 0.5), ("stream", 100.5, 499.5)]


def test_a_fallback_is_heard_once_however_often_the_stream_breaks() -> None:
    province = Province()
    device = started(province)
    for seconds, urls in ((330, ()), (40, (FIRST,)), (60, ()), (300, (FIRST,)), (2000, ())):
        province.harness.advance(seconds)
        province.harness.set_streams(device, urls)
    fallbacks = [sound.heard for sound in device.sounds if sound.sha256 is not None]
    assert fallbacks[0][0] == 0
    assert [one[1] for one in fallbacks[:-1]] == [two[0] for two in fallbacks[1:]]
    assert fallbacks[-1][1] == 60
    [end] = ends(province)
    assert end.reason == "ends_by"
    assert end.relayed_seconds is not None
    assert round(end.played_seconds - end.relayed_seconds, 1) == 60


def test_a_late_document_is_not_begun_with_a_moment_of_fallback() -> None:
    province = Province()
    device = province.device()
    province.content(NOTICE)
    province.harness.advance(320)
    province.programme(relay())
    province.harness.advance(1800)
    assert [kind for kind, *_ in heard(device)] == ["stream"]


def test_a_relay_that_is_interrupted_goes_on_live() -> None:
    province = Province()
    device = started(province)
    urgent = item("u", at(7), priority=90, audio=[audio("siren", 30)])
    province.programme(relay(), urgent)
    province.harness.advance(1800)
    assert heard(device) == [("stream", 0, 120), ("fallback", 120, 30), ("stream", 150, 450)]
    [_, _, last] = ends(province)
    assert (last.occurrence_id, last.played_seconds, last.relayed_seconds) == ("a", 570, 570)


def test_an_address_that_was_changed_is_left_at_once() -> None:
    province = Province()
    device = started(province)
    province.harness.advance(400)
    province.programme(relay(stream=Stream(url=SECOND)))
    province.harness.advance(100)
    assert device.streamed == {"a": SECOND}
    assert [kind for kind, *_ in heard(device)] == ["stream", "fallback", "stream"]


def test_a_relay_that_is_withdrawn_is_silent_and_closes_its_stream() -> None:
    province = Province()
    device = started(province)
    province.harness.advance(290)
    assert device.streamed == {"a": FIRST}
    province.programme()
    assert device.streamed == {}
    province.harness.advance(1800)
    assert device.sounds == []


CHANGES = st.lists(
    st.tuples(
        st.floats(1, 200),
        st.sampled_from([(), (FIRST,), (SECOND,), (FIRST, SECOND), "cut", "urgent"]),
    ),
    max_size=8,
)


@settings(max_examples=examples(60))
@given(CHANGES)
def test_whatever_happens_to_a_stream(changes: list[tuple[float, Any]]) -> None:
    """No second of the fallback twice, nothing after the end, and the journal tells the truth."""
    province = Province()
    device = started(province)
    cuts = 0
    for number, (seconds, change) in enumerate(changes):
        province.harness.advance(seconds)
        if change == "cut":
            cuts += 1
            province.harness.power_cut(device, 5)
        elif change == "urgent":
            now = province.harness.now
            urgent = item(f"u{number}", now, priority=90, audio=[audio("siren", 10)])
            province.programme(relay(), urgent)
        else:
            province.harness.set_streams(device, change)
    province.harness.advance(3600)
    sounds = [sound for sound in device.sounds if sound.occurrence_id == "a"]
    fallback = sorted(sound.heard for sound in sounds if sound.sha256 is not None)
    assert all(one[1] <= two[0] + 1e-6 for one, two in pairwise(fallback))
    assert all((sound.ended_at or province.harness.now) <= at(15) + MOMENT for sound in sounds)
    told = [end for end in ends(province) if end.occurrence_id == "a"]
    if sounds:
        relayed = sum(one.heard[1] - one.heard[0] for one in sounds if one.sha256 is None)
        last = max(end.relayed_seconds or 0 for end in told)
        assert relayed - 6 * cuts - 0.01 <= last <= relayed + 0.01


MOMENT = timedelta(milliseconds=1)
