"""Numbers and packets of a speaker's frames."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from broadcast.live.packing import FRAME_MS, MOST_LATE_MS, Pace, Packer


@given(st.integers(0, 10_000))
def test_numbers_grow_and_follow_the_time_whatever_the_uplink_does(seed: int) -> None:
    luck = random.Random(seed)
    pace, now, last = Pace(), 0.0, -1
    for frame in range(400):
        spoken = frame * FRAME_MS
        now = max(now, spoken + luck.uniform(0, 400))
        number = pace.number(frame, now)
        if number is None:
            continue
        assert number > last
        assert now - number * FRAME_MS <= MOST_LATE_MS + 400
        last = number
    assert last >= 398


def test_what_a_stalled_uplink_sends_late_is_left_out_and_then_all_is_as_before() -> None:
    pace = Pace()
    numbers = [pace.number(frame, frame * FRAME_MS) for frame in range(100)]
    late = [pace.number(frame, 100 * FRAME_MS + 5000) for frame in range(100, 225)]
    assert numbers == list(range(100))
    assert None in late
    kept = [number for number in late if number is not None]
    assert kept == list(range(200, 225)), "the last second of them is not too late"
    assert pace.number(225, 225 * FRAME_MS) == 225


def test_a_phone_that_slept_goes_on_at_the_present() -> None:
    pace = Pace()
    for frame in range(100):
        pace.number(frame, frame * FRAME_MS)
    slept = 60_000
    numbers = [pace.number(100 + n, (100 + n) * FRAME_MS + slept) for n in range(60)]
    taken = [number for number in numbers if number is not None]
    assert len(taken) >= 30
    assert taken[-1] == (159 * FRAME_MS + slept) // FRAME_MS


def test_another_microphone_counts_from_its_beginning() -> None:
    pace = Pace()
    for frame in range(100):
        pace.number(frame, frame * FRAME_MS)
    pace.restart()
    assert pace.number(0, 8000) == 200


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(0, 60))
def test_any_one_packet_may_be_lost(gaps: list[int], lost: int) -> None:
    packer, number, spoken, packets = Packer(), 0, {}, []
    for gap in gaps:
        number += 1 + gap
        spoken[number] = number.to_bytes(2, "big")
        packet = packer.add(number, spoken[number])
        packets += [] if packet is None else [packet]
    packets.append(packer.last())
    assert [packet.seq for packet in packets] == list(range(len(packets)))
    heard: dict[int, bytes] = {}
    for packet in packets:
        if packet.seq != lost or packet.is_last:
            frames = enumerate(packet.frames, packet.first)
            heard |= {place: frame for place, frame in frames if frame}
    assert heard.items() <= spoken.items()
    if all(gap < 3 for gap in gaps):
        assert heard == spoken
