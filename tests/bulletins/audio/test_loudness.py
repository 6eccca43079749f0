"""Loudness against EBU Tech 3341 and libav's own meter; the limiter against its promises."""

from __future__ import annotations

import math
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.bulletins.audio import gain, loudness
from broadcast.bulletins.audio.filters import Filters
from broadcast.bulletins.audio.loudness import Meter, Overall
from broadcast.bulletins.audio.mastering import measure
from broadcast.bulletins.audio.pcm import STEP, TICK, Samples
from tests.bulletins.audio.sources import RATE, Sound, noise, silence, sine, write

ONE_CHANNEL_LU = 3.01
"""Tech 3341 plays its signals on two channels; on one the same sound is this much softer."""


def steps(*parts: tuple[float, float]) -> Sound:
    """1 kHz at (level, seconds) one after the other, in proportion a tenth of Tech 3341's."""
    return np.concatenate([sine(seconds, 1000.0, level) for level, seconds in parts])


@pytest.mark.parametrize(
    ("sound", "lufs"),
    [
        pytest.param(steps((-23, 10)), -23.0, id="case-1"),
        pytest.param(steps((-33, 10)), -33.0, id="case-2"),
        pytest.param(steps((-36, 5), (-23, 30), (-36, 5)), -23.0, id="case-3"),
        pytest.param(steps((-72, 5), (-36, 5), (-23, 30), (-36, 5), (-72, 5)), -23.0, id="case-4"),
        pytest.param(steps((-26, 20), (-20, 20.1), (-26, 20)), -23.0, id="case-5"),
    ],
)
def test_loudness_is_that_of_ebu_tech_3341(tmp_path: Path, sound: Sound, lufs: float) -> None:
    path = write(tmp_path / "case.wav", sound, codec="pcm_f32le")
    assert measure(path).loudness_lufs == pytest.approx(lufs - ONE_CHANNEL_LU, abs=0.1)


RISE = np.clip(np.arange(6 * RATE) / 1000, 0, 1) * np.clip(np.arange(6 * RATE, 0, -1) / 1000, 0, 1)


def libav_meter(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak by the filter `ebur128`."""
    graph = av.filter.Graph()
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        source = graph.add_abuffer(template=stream)
        meter = graph.add("ebur128", "metadata=1:peak=true")
        sink = graph.add("abuffersink")
        source.link_to(meter)
        meter.link_to(sink)
        graph.configure()
        facts: dict[str, str] = {}
        for frame in [*container.decode(stream), None]:
            source.push(frame)
            while True:
                try:
                    facts = sink.pull().metadata or facts
                except (av.BlockingIOError, av.EOFError):
                    break
    peak = max(float(facts[name]) for name in facts if "true_peak" in name)
    return float(facts["lavfi.r128.I"]), 20 * math.log10(peak) if peak > 0 else -math.inf


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(noise(8, -24), id="noise"),
        pytest.param(np.concatenate([noise(4, -40), sine(4, 440, -12)]), id="noise-then-tone"),
        pytest.param(sine(6, 11_900, -6) * RISE, id="near-a-quarter-of-the-rate"),
    ],
)
def test_the_meter_agrees_with_libav(tmp_path: Path, sound: Sound) -> None:
    path = write(tmp_path / "sound.wav", sound, codec="pcm_f32le")
    lufs, dbtp = libav_meter(path)
    measured = measure(path)
    assert measured.loudness_lufs == pytest.approx(lufs, abs=0.1)
    assert measured.true_peak_dbtp == pytest.approx(dbtp, abs=0.2)


def test_a_true_peak_lies_between_the_samples() -> None:
    """A quarter of the rate at 45 degrees: every sample is 3 dB below the peak."""
    at = np.arange(48_000)
    sound = (0.5 * np.sin(np.pi / 2 * at + np.pi / 4)).astype(np.float32)
    meter = Meter()
    meter.add(sound, sound)
    _, peaks = meter.finish()
    assert np.abs(sound).max() == pytest.approx(0.3536, abs=1e-3)
    assert loudness.decibels(float(np.median(peaks))) == pytest.approx(-6.02, abs=0.1)


def test_pieces_measure_as_the_whole() -> None:
    sound = noise(2.05).astype(np.float32)
    whole, pieces = Meter(), Meter()
    whole.add(sound, sound)
    for at in range(0, len(sound), STEP):
        pieces.add(sound[at : at + STEP], sound[at : at + STEP])
    assert whole.samples == pieces.samples == len(sound)
    for one, other in zip(whole.finish(), pieces.finish(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_silence_has_no_loudness_and_nothing_audible(tmp_path: Path) -> None:
    measured = measure(write(tmp_path / "silence.wav", silence(3)))
    assert measured.loudness_lufs == measured.true_peak_dbtp == -math.inf
    assert loudness.audible(np.zeros(3000, np.float32), np.full(30, -np.inf), 30) == (0, 0)


def spiky(draw: np.random.Generator) -> tuple[Samples, Samples]:
    """Three seconds of powers and peaks: even sound with some milliseconds that stand out."""
    powers = 10 ** draw.uniform(-2.5, -2, 3000)
    crest = np.where(draw.random(3000) < 0.01, draw.uniform(4, 32, 3000), 4)
    return powers.astype(np.float32), np.sqrt(powers * crest).astype(np.float32)


@given(st.integers(0, 2**32), st.floats(-40, -22), st.floats(-9, -1))
def test_a_shape_reaches_its_target_and_no_peak_passes_the_ceiling(
    seed: int, target: float, room: float
) -> None:
    """The ceiling lies 10 to 18 dB over the target: often in the way, never out of reach."""
    powers, peaks = spiky(np.random.default_rng(seed))
    ceiling = target + 19 + room
    gains = gain.shape(powers, peaks, target, ceiling).astype(np.float64)
    assert loudness.integrated(powers * gains**2) == pytest.approx(target, abs=0.05)
    assert 20 * np.log10((peaks * gains).max()) <= ceiling + 1e-3


@given(st.integers(0, 2**32))
def test_no_sample_of_a_millisecond_is_louder_than_its_limit(seed: int) -> None:
    """Drawn between the middles of milliseconds, the gain stays under both neighbours' needs."""
    draw = np.random.default_rng(seed)
    levels = draw.choice([0.2, 0.9], 400, p=[0.98, 0.02])
    levels[200] = 0.9
    sound = levels.repeat(TICK).astype(np.float32)
    peaks = sound.reshape(-1, TICK).max(axis=1)
    gains = gain.shape(np.square(peaks), peaks, -24, -14)
    assert gains.min() < gains.max()
    loud = np.concatenate(
        [gain.apply(sound[at * TICK : (at + 100) * TICK], gains, at) for at in range(0, 400, 100)]
    )
    assert loudness.decibels(float(np.abs(loud).max())) <= -14 + 1e-3


def test_what_needs_no_limiter_gets_one_gain() -> None:
    powers = np.full(5000, 1e-4, np.float32)
    gains = gain.shape(powers, np.full(5000, 0.02, np.float32), -20, -2)
    assert gains.min() == gains.max()


def test_a_single_click_cannot_be_made_loud() -> None:
    powers = np.full(3000, 1e-9, np.float32)
    powers[1500] = 1e-4
    peaks = np.full(3000, 1e-4, np.float32)
    peaks[1500] = 0.9
    with pytest.raises(ValueError, match="out of reach"):
        gain.shape(powers, peaks, -16, -2)


@pytest.mark.parametrize("seed", range(8))
def test_overall_measures_are_those_of_the_series(seed: int) -> None:
    random = np.random.default_rng(seed)
    sound = random.standard_normal(48_000 * 3 + 1_000 * seed).astype(np.float32)
    sound *= np.repeat(10 ** random.uniform(-3, 0, 40), 48_000 // 10).astype(np.float32)[
        : len(sound)
    ]
    # Steep at the seams between pieces and at the very end, where a peak is easily overlooked.
    sound[random.choice([48_000, 96_000, len(sound) - 2], 1)] = 4.0
    meter, overall, filters = Meter(), Overall(), Filters(())
    for at in range(0, len(sound), 48_000):
        piece, weighted = filters.push(sound[at : at + 48_000])
        meter.add(piece, weighted)
        overall.add(piece, weighted)
    powers, peaks = meter.finish()
    assert overall.loudness() == pytest.approx(loudness.integrated(powers), abs=1e-3)
    assert overall.peak == pytest.approx(float(peaks.max()), rel=1e-5)
    assert overall.samples == meter.samples == len(sound)
