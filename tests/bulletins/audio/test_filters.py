"""Chains of filters by Fourier transforms against the recursion that defines them."""

from __future__ import annotations

import numpy as np
import pytest

from broadcast.bulletins.audio.decoding import FOR_AIR
from broadcast.bulletins.audio.filters import K_WEIGHTING, Biquad, Filters
from tests.bulletins.audio.sources import RATE, Sound, noise


def recursion(sound: Sound, chain: tuple[Biquad, ...]) -> Sound:
    for b0, b1, b2, a1, a2 in chain:
        made = np.zeros(len(sound))
        x1 = x2 = y1 = y2 = 0.0
        for at, x in enumerate(sound):
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            made[at] = y
            x1, x2, y1, y2 = x, x1, y, y1
        sound = made
    return sound


@pytest.mark.parametrize("chain", [(), FOR_AIR], ids=["weighting", "for-air"])
def test_pieces_come_out_as_from_the_recursion(chain: tuple[Biquad, ...]) -> None:
    sound = noise(2.3)
    filters = Filters(chain)
    pieces = [filters.push(sound[at : at + RATE].astype(np.float32)) for at in (0, RATE, 2 * RATE)]
    filtered, weighted = (np.concatenate(each) for each in zip(*pieces, strict=True))
    wanted = recursion(sound, chain)
    np.testing.assert_allclose(filtered, wanted, atol=2e-6)
    np.testing.assert_allclose(weighted, recursion(wanted, K_WEIGHTING), atol=2e-6)
