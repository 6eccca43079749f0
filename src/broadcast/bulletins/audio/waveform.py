"""Outlines of sound: what a person sees of it. Pure."""

from __future__ import annotations

import numpy as np

from broadcast.bulletins.audio.pcm import Samples

MOST_PEAKS = 1200
"""Heights of one outline: a wide screen has fewer places for one."""

_FLOOR_DB = -48.0
"""Level that is drawn as nothing; below it lies the noise of a room."""


def outline(levels: Samples, most: int = MOST_PEAKS) -> tuple[int, ...]:
    """Heights of 0-100 of equal stretches of sound, each that of its highest level.

    In decibels, as ears have it: speech 12 dB below full scale would else be a thin line.

    Args:
        levels: Linear peaks of equal, short stretches, in order.
        most: Heights at most; fewer where there are fewer levels.

    >>> outline(np.array([0, 0.001, 1, 2], np.float32))
    (0, 0, 100, 100)
    """
    if not len(levels):
        return ()
    edges = np.linspace(0, len(levels), min(most, len(levels)) + 1).astype(int)[:-1]
    highest = np.maximum.reduceat(np.nan_to_num(levels), edges)
    decibels = 20 * np.log10(np.maximum(highest, 1e-6))
    heights = np.clip(100 * (1 - decibels / _FLOOR_DB), 0, 100)
    return tuple(int(height) for height in np.rint(heights))


def tenths(sound: Samples, samples_a_tenth: int) -> Samples:
    """Highest absolute sample of every tenth of a second; of the rest at the end as well."""
    if not len(sound):
        return np.zeros(0, np.float32)
    return np.asarray(np.maximum.reduceat(np.abs(sound), range(0, len(sound), samples_a_tenth)))
