"""Gains of a long programme: what is made a stretch at a time is what the whole gives."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.bulletins.audio import gain, loudness
from broadcast.bulletins.audio.pcm import Samples

HOUR = 3_600_000


def spiky(random: np.random.Generator, milliseconds: int) -> tuple[Samples, Samples]:
    """Powers and peaks whose level moves by 20 dB and of which some stand far out."""
    level = np.repeat(random.uniform(-3, -1, milliseconds // 500), 500)
    powers = 10 ** (level + random.uniform(-0.2, 0.2, milliseconds))
    crest = np.where(random.random(milliseconds) < 0.02, random.uniform(4, 60, milliseconds), 4)
    return powers.astype(np.float32), np.sqrt(powers * crest).astype(np.float32)


@given(st.integers(0, 2**32), st.sampled_from([100, 700, 1_900, 4_900]))
def test_a_stretch_at_a_time_gives_what_the_whole_gives(seed: int, stretch: int) -> None:
    """Needs that lie on either side of a seam, or on it, count on both."""
    powers, peaks = spiky(np.random.default_rng(seed), 5_000)
    levels = loudness.speech_levels(powers)
    whole = gain.level(powers, levels, -16, 40), gain.shape(powers, peaks, -20, -8)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gain, "_STRETCH", stretch)
        parts = gain.level(powers, levels, -16, 40), gain.shape(powers, peaks, -20, -8)
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_an_hour_is_shaped_in_little_more_than_its_own_size() -> None:
    powers, peaks = spiky(np.random.default_rng(1), HOUR)
    levels = loudness.speech_levels(powers)
    tracemalloc.start()
    try:
        gain.level(powers, levels, -16, 40)
        _, levelling = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        gain.shape(powers, peaks, -20, -8)
        _, shaping = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(levelling, shaping) < 2 * powers.nbytes
