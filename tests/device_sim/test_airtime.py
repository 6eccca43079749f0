"""Seconds that a device has sounded since local midnight, and how often it was powered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.wire.codec import decode_event
from broadcast.wire.documents import Config
from broadcast.wire.events import Heartbeat
from device_sim.airtime import added
from device_sim.journal import Airtime
from tests.device_sim.province import KEYS, START, Province, at, audio, item

MIDNIGHT = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
"""00:00 on 3 March in the province."""

CONFIG = Config(
    scope="device/d1", revision=1, issued_at=START, not_after=START + timedelta(days=9),
    areas=["51"], keys=list(KEYS),
)  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(1, 900)), max_size=40))
def test_a_day_holds_what_sounded_in_it(spans: list[tuple[int, int]]) -> None:
    """Silence and sound by turns, across midnight, counted in whatever pieces."""
    now, airtime = MIDNIGHT - timedelta(hours=2), None
    heard: dict[Any, float] = {}
    for silent, sounding in spans:
        now += timedelta(seconds=silent + sounding)
        airtime = added(airtime, CONFIG, now, sounding)
        after = min(sounding, (now - MIDNIGHT).total_seconds()) if now >= MIDNIGHT else sounding
        day = (now + timedelta(hours=7)).date()
        heard[day] = heard.get(day, 0) + after
        assert airtime == Airtime(day, heard[day])


def test_a_clock_that_fell_behind_does_not_empty_the_day() -> None:
    counted = added(None, CONFIG, MIDNIGHT + timedelta(hours=1), 60)
    assert counted is not None
    behind = added(counted, CONFIG, MIDNIGHT - timedelta(hours=1), 5)
    assert behind == Airtime(counted.on, 65)


def test_without_a_config_no_day_is_known() -> None:
    assert added(None, None, MIDNIGHT, 60) is None


class Listening(Province):
    """A province that keeps the heartbeats it hears."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.beats: list[Heartbeat] = []

    def heard(self, device_id: str, kind: str, payload: bytes) -> None:
        super().heard(device_id, kind, payload)
        if kind == "heartbeat":
            beat = decode_event(kind, payload)
            assert isinstance(beat, Heartbeat)
            self.beats.append(beat)


def test_heartbeats_tell_what_has_sounded_today() -> None:
    province = Listening()
    device = province.device(heartbeat_seconds=30)
    province.programme(item("a", at(10)), item("b", at(20)))
    province.harness.advance(9 * 60)
    assert province.beats[-1].played_seconds_today == 0
    assert province.beats[-1].mode == "ip"
    province.harness.advance(100)
    during = province.beats[-1]
    assert during.state == "playing"
    assert during.played_seconds_today == pytest.approx(
        (during.sent_at - at(10)).total_seconds(), abs=0.1
    )
    province.harness.advance(20 * 60)
    assert province.beats[-1].played_seconds_today == 120
    assert len(device.sounds) == 2
    province.harness.advance(16 * 3600)
    assert province.beats[-1].sent_at > MIDNIGHT
    assert province.beats[-1].played_seconds_today == 0


def test_what_sounded_and_how_often_it_was_powered_is_kept_over_power_cuts() -> None:
    province = Listening()
    device = province.device(heartbeat_seconds=30)
    province.programme(item("a", at(10), audio=[audio("news", 60)]))
    province.harness.advance(60)
    assert province.beats[-1].boot_count == 1
    province.harness.advance(9 * 60 + 32)
    province.harness.power_cut(device, 5)
    province.harness.advance(200)
    last = province.beats[-1]
    assert last.boot_count == 2
    audible = sum(to - since for since, to in (sound.heard for sound in device.sounds))
    assert last.played_seconds_today is not None
    assert audible - 5 <= last.played_seconds_today <= audible


def test_a_clock_that_is_not_trusted_knows_no_day() -> None:
    province = Listening()
    province.answers_time = False
    province.device(heartbeat_seconds=30, ntp=False)
    province.harness.advance(300)
    assert province.beats
    assert {beat.played_seconds_today for beat in province.beats} == {None}
