"""Live speech at a device: what it hears, when, and what its journal says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import inf
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broadcast.live.packing import FRAME_MS, GROUP, Packer
from broadcast.wire.documents import Live, LiveSession, QuietHours
from broadcast.wire.events import Ended
from broadcast.wire.fields import Codec
from broadcast.wire.live import Packet, key_text, seal
from device_sim.effects import LiveSound
from device_sim.harness import Device
from device_sim.reception import Reception
from tests.device_sim.province import ALERT_KEY, Province, alert, at, audio, item, told

FRAME = FRAME_MS / 1000
KEY = Ed25519PrivateKey.generate()


def session(**changes: Any) -> LiveSession:
    fields: dict[str, Any] = {
        "session_id": "live",
        "starts_at": at(5),
        "ends_by": at(15),
        "key": key_text(KEY),
        "priority": 200,
    }
    return LiveSession(**(fields | changes))


class Speaker:
    """Somebody who speaks in the province of a test, by its time."""

    def __init__(
        self, province: Province, *, signer: Ed25519PrivateKey = KEY, **changes: Any
    ) -> None:
        self.province = province
        self.session = session(**changes)
        self._packer = Packer()
        self._key = signer

    def announce(self) -> None:
        self._publish([self.session])

    def withdraw(self) -> None:
        self._publish([])

    def speak(self, minute: float, seconds: float, *, first: int = 0) -> None:
        """From a minute of the test on."""
        wait = (at(minute) - self.province.harness.now).total_seconds()
        for number in range(first, first + round(seconds / FRAME)):
            moment = wait + (number - first + 1) * FRAME
            self.province.harness.at(moment, lambda number=number: self._say(number))

    def end(self, minute: float) -> None:
        wait = (at(minute) - self.province.harness.now).total_seconds()
        self.province.harness.at(wait, lambda: self._send(self._packer.last()))

    def _say(self, number: int) -> None:
        packet = self._packer.add(number, number.to_bytes(4, "big"))
        if packet is not None:
            self._send(packet)

    def _send(self, packet: Packet) -> None:
        payload = seal(packet, self.session.session_id, self._key)
        topic = f"live/{self.session.session_id}/sound"
        self.province.harness.publish(topic, payload, retain=False)

    def _publish(self, sessions: list[LiveSession]) -> None:
        document = self.province.make(Live, "area/51", sessions=sessions)
        self.province.publish(document, ALERT_KEY)


def journal(province: Province, device_id: str = "d1") -> list[tuple[str, ...]]:
    return [told(each) for _, each in sorted(province.records.get(device_id, {}).items())]


def played(province: Province, device_id: str = "d1") -> float:
    ends = [r for r in province.records[device_id].values() if isinstance(r, Ended)]
    return max(end.played_seconds for end in ends if end.occurrence_id == "live")


def sounded(device: Device) -> list[LiveSound]:
    return [effect for effect in device.effects if isinstance(effect, LiveSound)]


COMPLETED = [("started", "live"), ("ended", "live", "completed")]


def test_what_is_said_is_heard_whole_and_within_a_second() -> None:
    province = Province()
    device = province.device(watched=True)
    speaker = Speaker(province)
    province.harness.at(299, speaker.announce)
    speaker.speak(5, 60)
    speaker.end(6.001)
    province.harness.advance(900)
    assert journal(province) == COMPLETED
    assert played(province) == pytest.approx(60, abs=0.1)
    effects = sounded(device)
    frames = [frame for effect in effects for frame in effect.frames]
    assert frames == [number.to_bytes(4, "big") for number in range(1500)]
    spoken_at = (at(5) - at(0)).total_seconds()
    for effect in effects:
        delay = effect.at - (spoken_at + effect.first * FRAME)
        assert 0.5 <= delay <= 0.7


def test_who_joins_late_hears_the_rest() -> None:
    province = Province()
    device = province.device(online=False)
    speaker = Speaker(province)
    province.harness.at(0, speaker.announce)
    speaker.speak(5, 60)
    speaker.end(6.001)
    province.harness.at(330, lambda: province.harness.connect(device))
    province.harness.advance(900)
    assert journal(province) == COMPLETED
    assert 28 <= played(province) <= 30.3
    started = province.harness.devices["d1"].sounds[0].started_at
    assert (started - at(5.5)).total_seconds() <= 2


def test_a_device_that_stood_still_comes_to_hear_no_later_than_before() -> None:
    still = {"until": 0.0}
    province = Province()

    def delays(device: Device, topic: str, payload: bytes) -> Sequence[float]:
        now = province.harness.elapsed
        return [max(0.0, still["until"] - now)] if topic.startswith("live/") else [0.0]

    province.harness.delays = delays
    device = province.device(watched=True)
    speaker = Speaker(province)
    province.harness.at(0, speaker.announce)
    speaker.speak(5, 60)
    speaker.end(6.001)
    province.harness.at(320, lambda: still.update(until=province.harness.elapsed + 8))
    province.harness.advance(900)
    assert journal(province) == COMPLETED
    assert 51 <= played(province) <= 53.5
    for effect in sounded(device):
        delay = effect.at - (300 + effect.first * FRAME)
        assert delay <= 0.75


def test_emergency_goes_before_live_speech_and_that_before_the_programme() -> None:
    province = Province()
    province.device()
    music = item("music", at(4), audio=[audio("music", 300)], ends_by=at(30))
    province.programme(music)
    speaker = Speaker(province)
    speaker.announce()
    speaker.speak(5, 180)
    speaker.end(8.001)
    siren = alert("siren", at(6))
    province.harness.at(350, lambda: province.alerts(siren))
    province.harness.advance(1800)
    assert journal(province) == [
        ("started", "music"),
        ("ended", "music", "preempted"),
        ("started", "live"),
        ("ended", "live", "preempted"),
        ("started", "siren"),
        ("ended", "siren", "completed"),
        ("started", "live"),
        ("ended", "live", "completed"),
        ("started", "music"),
        ("ended", "music", "completed"),
    ]
    assert played(province) == pytest.approx(150, abs=1)


def test_an_abandoned_session_frees_the_loudspeaker_and_goes_on_when_the_voice_is_back() -> None:
    province = Province()
    province.device()
    music = item("music", at(5, 30), late_limit_seconds=300, ends_by=at(30))
    province.programme(music)
    speaker = Speaker(province)
    speaker.announce()
    speaker.speak(5, 60)
    speaker.speak(8, 60, first=4500)
    speaker.end(9.001)
    province.harness.advance(1800)
    assert journal(province) == [
        ("started", "live"),
        ("ended", "live", "stalled"),
        ("started", "music"),
        ("ended", "music", "completed"),
        ("started", "live"),
        ("ended", "live", "completed"),
    ]
    assert played(province) == pytest.approx(120, abs=1)


@given(st.integers(1, 9), st.floats(20, 900), st.booleans())
def test_what_was_held_up_on_the_way_is_no_voice_that_is_back(
    index: int, arrives_at: float, is_lost: bool
) -> None:
    """Whether or not it was heard in its time."""
    reception, packer = Reception(session()), Packer()
    spoken = [packer.add(number, b"x") for number in range(10 * GROUP)]
    packets = [packet for packet in spoken if packet is not None]
    for number, packet in enumerate(packets):
        if number != index or not is_lost:
            reception.take(packet, number * GROUP * FRAME)
    reception.take(packets[index], arrives_at)
    assert reception.begins_at == inf
    fresh = Packet(10, round(900 / FRAME), (b"y",), False)
    reception.take(fresh, 901)
    begins_at = reception.begins_at
    reception.proceed(begins_at)
    assert reception.sounds(begins_at)
    assert reception.take_sound() == (fresh.first, [b"y"])


def test_a_session_that_is_withdrawn_falls_silent() -> None:
    province = Province()
    province.device()
    speaker = Speaker(province)
    speaker.announce()
    speaker.speak(5, 60)
    province.harness.at(330, speaker.withdraw)
    province.harness.advance(900)
    assert journal(province) == [("started", "live"), ("ended", "live", "withdrawn")]


@pytest.mark.parametrize(
    ("changes", "device", "expected"),
    [
        ({}, {"quiet_hours": [QuietHours(from_="08:00", until="09:00")]}, "quiet_hours"),
        ({}, {"ntp": False}, "clock_untrusted"),
        ({}, {"codecs": (Codec.MP3,)}, "no_codec"),
        ({"key": "not a key"}, {}, "no_audio"),
    ],
)
def test_what_keeps_a_device_silent(
    changes: dict[str, Any], device: dict[str, Any], expected: str
) -> None:
    province = Province()
    province.answers_time = device.get("ntp", True)
    province.device(**device)
    speaker = Speaker(province, **changes)
    speaker.announce()
    speaker.speak(5, 30)
    speaker.end(5.6)
    province.harness.advance(1200)
    assert journal(province) == [("skipped", "live", expected)]


def test_an_emergency_that_is_spoken_passes_quiet_hours() -> None:
    province = Province()
    province.device(quiet_hours=[QuietHours(from_="08:00", until="09:00")])
    speaker = Speaker(province, class_="emergency", priority=230)
    speaker.announce()
    speaker.speak(5, 30)
    speaker.end(5.6)
    province.harness.advance(1200)
    assert journal(province) == COMPLETED


def test_who_has_not_the_key_of_the_session_is_not_heard() -> None:
    province = Province()
    province.device()
    speaker = Speaker(province, signer=Ed25519PrivateKey.generate())
    speaker.announce()
    speaker.speak(5, 30)
    province.harness.advance(1200)
    assert journal(province) == [("skipped", "live", "no_audio")]


def test_a_bulletin_key_lets_nobody_speak() -> None:
    province = Province()
    province.device()
    province.publish(province.make(Live, "area/51", sessions=[session()]))
    assert province.refusals() == ["key"]


def hear(
    transits: Sequence[float | None], *, drift: float = 0.0, group: int = GROUP
) -> tuple[Reception, list[float]]:
    """A reception of packets that take so long, None for a lost one; delays of every 50th frame.

    Args:
        transits: Seconds, by packet.
        drift: By how much the device's clock runs fast.
        group: New frames in a packet.
    """
    reception, packer = Reception(session()), Packer()
    arrivals: list[tuple[float, Packet]] = []
    for index, transit in enumerate(transits):
        packet = None
        for number in range(index * group, (index + 1) * group):
            packet = packer.add(number, b"x")
        assert packet is not None
        if transit is not None:
            sent = (index + 1) * group * FRAME
            arrivals.append(((sent + transit) * (1 + drift), packet))
    delays = []
    for arrived_at, packet in sorted(arrivals, key=lambda each: each[0]):
        reception.take(packet, arrived_at)
        frame = packet.first
        delays.append(reception.due(frame) / (1 + drift) - frame * FRAME)
    reception.proceed(max(at for at, _ in arrivals))
    return reception, delays


@given(st.integers(0, 10_000))
def test_one_in_twenty_lost_and_a_third_of_a_second_of_jitter(seed: int) -> None:
    luck = random.Random(seed)
    transits = [None if luck.random() < 0.05 else luck.uniform(0, 0.3) for _ in range(500)]
    reception, delays = hear(transits)
    assert reception.missed / (reception.missed + reception.heard) < 0.05
    assert max(delays[20:]) <= 1.0
    assert abs(delays[-1] - delays[100]) < 0.15, "it drifts"


@pytest.mark.parametrize("drift", [-2e-4, 2e-4])
def test_a_clock_that_drifts_for_an_hour_is_followed(drift: float) -> None:
    reception, delays = hear([0.05] * 30_000, drift=drift)
    assert reception.missed == 0
    assert max(delays) - min(delays) < 0.05


def test_a_link_that_is_too_slow_never_makes_the_voice_lag_behind() -> None:
    reception, delays = hear([0.05 + 0.02 * number for number in range(600)])
    assert reception.missed > reception.heard / 2
    assert max(delays) <= 1.7
