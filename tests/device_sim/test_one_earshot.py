"""How well devices know the time, and how near to each other the loudspeakers of a group begin."""

from __future__ import annotations

import random
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.wire.events import Heartbeat, Started, TimeRequest
from device_sim.aim import GOOD_SECONDS, MOST_QUESTIONS
from device_sim.harness import Device
from device_sim.timekeeping import DRIFT, Now, Timekeeper
from tests.device_sim.province import START, Province, at, item
from tests.examples import examples

EARSHOT = timedelta(milliseconds=50)
HOURS_3 = 180

exchanges = st.lists(
    st.tuples(st.floats(0, 3600), st.floats(0, 1.5), st.floats(0, 0.4)), min_size=1, max_size=8
)


@given(exchanges, st.floats(-DRIFT, DRIFT), st.booleans(), st.floats(-4, 4))
@settings(max_examples=examples(100))
def test_the_server_never_lies_outside_the_doubt(
    asked: list[tuple[float, float, float]], drift: float, ntp: bool, ntp_off: float
) -> None:
    """Whatever the two ways take, and however the crystal drifts within its bounds."""
    true = 0.0

    def look() -> Now:
        return Now(START + timedelta(seconds=true + ntp_off), true * (1 + drift))

    clock = Timekeeper(look(), bound=None, lead=None)
    if ntp:
        clock.synchronised(look())
    for pause, up, down in asked:
        true += pause
        asked_at = look().monotonic
        true += up
        server_at = START + timedelta(seconds=true)
        true += down
        if not clock.replied(server_at, asked_at, look()):
            continue
        for later in (0.0, 7200.0):
            monotonic = (true + later) * (1 + drift)
            known = clock.time(monotonic) - timedelta(milliseconds=clock.error_ms() or 0)
            wrong = abs((known - START).total_seconds() - true - later)
            # A millisecond: what is reported is rounded to it.
            assert wrong <= clock.doubt(monotonic) + 0.001


def test_a_short_round_trip_among_long_ones_is_what_counts() -> None:
    clock = Timekeeper(Now(START, 0.0), bound=None, lead=None)
    assert clock.report(0.0).uncertainty_ms is None
    for second, up, down in ((10, 0.9, 0.1), (20, 0.02, 0.02), (30, 0.1, 0.9)):
        now = second + up + down
        clock.replied(
            START + timedelta(seconds=second + up), float(second),
            Now(START + timedelta(seconds=now), now),
        )  # fmt: skip
    assert abs(clock.time(40) - START - timedelta(seconds=40)) < timedelta(milliseconds=1)
    assert clock.report(31.0).uncertainty_ms in {20, 21}


class Links:
    """Links whose two ways differ, and which are slower at times."""

    def __init__(self, seed: int, asymmetry: float) -> None:
        self._chance = random.Random(seed)
        self._asymmetry = asymmetry
        self._ways: dict[str, tuple[float, float]] = {}

    def __call__(self, device: Device, topic: str, _payload: bytes) -> list[float]:
        name = device.identity.device_id
        if name not in self._ways:
            first = self._chance.uniform(0.01, 0.03)
            ways = [first, first + self._chance.uniform(0, self._asymmetry)]
            self._chance.shuffle(ways)
            self._ways[name] = (ways[0], ways[1])
        up, down = self._ways[name]
        jitter = self._chance.choice([0, 0, 0.05, 0.6]) * self._chance.random()
        return [(up if "/event/" in topic else down) + jitter]


def group(seed: int, asymmetry: float) -> Province:
    """Six loudspeakers without NTP; they start together three hours after the power came."""
    chance = random.Random(seed)
    province = Province(delays=Links(seed, asymmetry))
    province.programme(item("news", at(HOURS_3)))
    for number in range(6):
        province.device(
            f"d{number}", ntp=False, skew=timedelta(hours=chance.uniform(-9, 9)),
            drift=chance.uniform(-DRIFT, DRIFT),
        )  # fmt: skip
    province.harness.advance((HOURS_3 + 2) * 60)
    return province


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.03, 0.06]))
@settings(max_examples=examples(8), deadline=None)
def test_a_group_starts_within_50_ms_where_the_links_allow_it(seed: int, asymmetry: float) -> None:
    """Half of what the two ways differ by cannot be known; the rest is jitter and drift."""
    province = group(seed, asymmetry)
    for device in province.harness.devices.values():
        (sound,) = device.sounds
        assert abs(sound.started_at - at(HOURS_3)) <= EARSHOT


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5]))
@settings(max_examples=examples(5), deadline=None)
def test_what_a_start_tells_of_its_clock_is_true(seed: int, asymmetry: float) -> None:
    province = group(seed, asymmetry)
    for name, device in province.harness.devices.items():
        (started,) = (
            each for each in province.records[name].values() if isinstance(each, Started)
        )
        assert started.clock_offset_ms == 0
        assert started.clock_uncertainty_ms is not None
        wrong = abs(device.sounds[0].started_at - started.at) / timedelta(milliseconds=1)
        assert wrong <= started.clock_uncertainty_ms + 1


def test_a_start_is_aimed_at_by_few_questions_and_a_known_clock_asks_none() -> None:
    province = group(1, 0.5)
    counts = {
        name: sum(
            isinstance(message, TimeRequest)
            for device, message in province.events
            if device == name
        )
        for name in province.harness.devices
    }
    assert max(counts.values()) <= MOST_QUESTIONS + 3
    still = Province()
    still.programme(item("news", at(5)))
    still.device("d1", ntp=False)
    still.harness.advance(10 * 60)
    assert len(still.of(TimeRequest)) == 1, "half a round trip of nothing is known well enough"


def test_a_device_with_ntp_tells_how_far_it_lies_from_the_server() -> None:
    province = Province(delays=lambda *_: [0.02])
    province.programme(item("news", at(60)))
    device = province.device("d1")
    province.harness.advance(1)
    device.skew = timedelta(milliseconds=300)  # by its NTP
    assert device.player is not None
    device.player.synchronised(province.harness.look(device))
    province.harness.advance(2 * 3600)
    (started,) = (each for each in province.records["d1"].values() if isinstance(each, Started))
    assert started.clock_offset_ms == 300
    assert started.clock_uncertainty_ms is not None
    assert started.clock_uncertainty_ms <= 1000 * GOOD_SECONDS
    assert all(not isinstance(message, Heartbeat) for _, message in province.events)
