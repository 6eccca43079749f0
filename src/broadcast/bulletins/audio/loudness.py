"""Loudness and true peak of 48 kHz mono sound, and the level of the speech in it.

Integrated loudness follows ITU-R BS.1770-4 with the gating of EBU R 128; true peak is four times
oversampled as in its Annex 2. Everything else works on two series taken in one pass over the
sound: the K-weighted power and the true peak of every millisecond.
"""

from __future__ import annotations

import math
from array import array

import numpy as np

from broadcast.bulletins.audio.pcm import STEP, TICK, Samples, Series


def _interpolators() -> Samples:
    """Matrix from 72 neighbouring samples to the 4 x 48 points on and between the middle 48."""
    half = 12
    matrix = np.zeros((TICK + 2 * half, 4 * TICK))
    for point in range(4 * TICK):
        at = point / 4 + half
        first = math.floor(at) - half + 1
        distance = at - np.arange(first, first + 2 * half)
        taps = np.sinc(distance) * np.i0(8 * np.sqrt(1 - (distance / (half + 1)) ** 2))
        matrix[first : first + 2 * half, point] = taps / taps.sum()
    return matrix.astype(np.float32)


_MARGIN = 12
_BATCH = 10
"""Milliseconds to a product of matrices: more, and OpenBLAS wakes threads that spin and wait."""

_INTERPOLATORS = _interpolators()

_FURTHEST = float(np.abs(_INTERPOLATORS).sum(axis=0).max())
"""A point between samples is no higher than this times the highest of those around it."""


class Meter:
    """Powers and true peaks of sound that arrives in pieces.

    Attributes:
        samples: Samples measured so far.
    """

    def __init__(self) -> None:
        self.samples = 0
        # Grown in place: the pieces and what they are joined to would be there together.
        self._powers = array("f")
        self._peaks = array("f")
        self._pending: Samples = np.zeros(_MARGIN, np.float32)

    def add(self, sound: Samples, weighted: Samples) -> None:
        """Measure the next piece.

        Args:
            sound: Samples; all pieces but the last hold a multiple of `STEP`.
            weighted: The same samples after `K_WEIGHTING`.
        """
        self.samples += len(sound)
        short = -len(sound) % STEP
        if short:
            sound, weighted = np.pad(sound, (0, short)), np.pad(weighted, (0, short))
        ticks = weighted.reshape(-1, TICK)
        powers = np.einsum("ij,ij->i", ticks, ticks) / np.float32(TICK)
        self._powers.frombytes(powers.tobytes())
        self._interpolate(sound)

    def _interpolate(self, sound: Samples) -> None:
        pending = np.concatenate((self._pending, sound))
        ticks = (len(pending) - 2 * _MARGIN) // TICK // _BATCH * _BATCH
        windows = np.lib.stride_tricks.sliding_window_view(pending, TICK + 2 * _MARGIN)
        batches = windows[: ticks * TICK : TICK].reshape(-1, _BATCH, TICK + 2 * _MARGIN)
        points = batches @ _INTERPOLATORS
        self._peaks.frombytes(np.maximum(points.max(axis=2), -points.min(axis=2)).tobytes())
        self._pending = pending[ticks * TICK :]

    def finish(self) -> tuple[Samples, Samples]:
        """Powers (K-weighted mean squares) and linear true peaks, of every millisecond."""
        if self._powers:
            self._interpolate(np.zeros(_MARGIN, np.float32))
        return np.frombuffer(self._powers, np.float32), np.frombuffer(self._peaks, np.float32)


class Overall:
    """Integrated loudness and highest true peak of sound that arrives in pieces.

    What a `Meter` finds, for less: milliseconds whose samples cannot come to a new highest peak
    are not oversampled, and no series of milliseconds is kept.

    Attributes:
        samples: Samples measured so far.
        peak: Highest true peak so far, linear; complete only after `loudness`.
    """

    def __init__(self) -> None:
        self.samples = 0
        self.peak = 0.0
        self._steps: list[Series] = []
        self._pending: Samples = np.zeros(_MARGIN, np.float32)

    def add(self, sound: Samples, weighted: Samples) -> None:
        """Measure the next piece; see `Meter.add`."""
        self.samples += len(sound)
        short = -len(sound) % STEP
        if short:
            sound, weighted = np.pad(sound, (0, short)), np.pad(weighted, (0, short))
        steps = weighted.reshape(-1, STEP)
        self._steps.append(np.einsum("ij,ij->i", steps, steps).astype(np.float64) / STEP)
        self._look(sound)

    def _look(self, sound: Samples) -> None:
        pending = np.concatenate((self._pending, sound))
        ticks = (len(pending) - 2 * _MARGIN) // TICK
        windows = np.lib.stride_tricks.sliding_window_view(pending, TICK + 2 * _MARGIN)
        windows = windows[: ticks * TICK : TICK]
        highest = np.maximum(windows.max(axis=1), -windows.min(axis=1))
        for row in np.argsort(-highest)[:1], np.arange(ticks):
            points = windows[row[_FURTHEST * highest[row] > self.peak]] @ _INTERPOLATORS
            self.peak = max(self.peak, float(np.abs(points).max(initial=0)))
        self._pending = pending[ticks * TICK :]

    def loudness(self) -> float:
        """Integrated loudness of the whole in LUFS, after the last piece; -inf for silence."""
        self._look(np.zeros(_MARGIN, np.float32))
        return gated(np.concatenate(self._steps)) if self._steps else -math.inf


def integrated(powers: Samples | Series) -> float:
    """Integrated loudness in LUFS; -inf when no 400 ms rise above -70 LUFS.

    Args:
        powers: K-weighted mean squares of every millisecond, a multiple of 100.
    """
    return gated(by_tenths(powers))


def gated(steps: Series) -> float:
    """Integrated loudness in LUFS of the mean squares of every 100 ms; see `integrated`."""
    if len(steps) < 4:
        return -math.inf
    blocks = np.convolve(steps, np.full(4, 0.25), "valid")
    heard = blocks[blocks > _power(-70)]
    if not len(heard):
        return -math.inf
    return -0.691 + 10 * math.log10(heard[heard > heard.mean() / 10].mean())


def each_tenth(powers: Samples) -> Series:
    """Loudness of every 100 ms in LUFS, -120 for none."""
    return in_lufs(by_tenths(powers))


def in_lufs(powers: Series) -> Series:
    """K-weighted mean squares as loudness, -120 for none."""
    return np.asarray(10 * np.log10(np.maximum(powers, 1e-12)) - 0.691)


def by_tenths(powers: Samples | Series) -> Series:
    """Mean squares of every 100 ms from those of every millisecond."""
    return np.asarray(powers.reshape(-1, 100).mean(axis=1, dtype=np.float64))


def _power(loudness: float) -> float:
    return float(10 ** ((loudness + 0.691) / 10))


def decibels(peak: float) -> float:
    """Level of a linear amplitude against full scale; -inf for none."""
    return 20 * math.log10(peak) if peak > 0 else -math.inf


WINDOW_STEPS = 30
"""Tenths of a second over which the level of speech is taken: BS.1770's short term."""

_SYLLABLES_LU = 12.0
"""Below the loud syllables of a window by more than this is pause, not speech."""

_BUMP_LU = 3.0
"""What stands out of the loud syllables by more than this counts no more than they do."""

_FURTHEST_LU = 30.0
"""Speech is no further below the speech of the rest; a chair that creaks is."""


def speech_levels(powers: Samples) -> Series:
    """Level of the speech in and around every 100 ms, in LUFS; -inf where nothing is heard.

    The quietest of all three-second windows that hold it: next to something loud, the level of
    what is quiet, so that a gain made from it leaves no word behind. In pauses the level of the
    nearest speech holds.

    Args:
        powers: K-weighted mean squares of every millisecond.
    """
    steps = each_tenth(powers)
    size = min(WINDOW_STEPS, len(steps))
    if size < 4:
        return np.full(len(steps), -math.inf)
    windows = np.lib.stride_tricks.sliding_window_view(steps, size)
    level = np.empty(len(windows))
    valid = np.empty(len(windows), bool)
    for at in range(0, len(windows), 4096):
        rows = windows[at : at + 4096]
        ordered = np.sort(rows, axis=1)
        loud = ordered[:, round((size - 1) * 0.85)][:, None]
        spoken = rows > loud - _SYLLABLES_LU
        powered = 10 ** (np.minimum(rows, loud + _BUMP_LU) / 10) * spoken
        level[at : at + 4096] = 10 * np.log10(powered.sum(axis=1) / spoken.sum(axis=1))
        moves = loud[:, 0] - ordered[:, round((size - 1) * 0.2)] > 6
        lasts = ordered[:, round((size - 1) * 0.73)] > loud[:, 0] - _SYLLABLES_LU
        valid[at : at + 4096] = (loud[:, 0] > -70) & moves & lasts
    if not valid.any():  # music, a tone: nothing that comes and goes as syllables do
        valid = level > -70
    if not valid.any():
        return np.full(len(steps), -math.inf)
    usual = float(np.median(level[valid]))
    steady = ~valid & (np.abs(level - usual) < _SYLLABLES_LU)
    valid = (valid & (level > usual - _FURTHEST_LU)) | steady
    level[~valid] = math.inf
    padded = np.pad(level, (size - 1, size - 1), constant_values=math.inf)
    lowest = np.lib.stride_tricks.sliding_window_view(padded, size).min(axis=1)
    known = np.flatnonzero(np.isfinite(lowest))
    nearest = np.searchsorted((known[1:] + known[:-1]) / 2, np.arange(len(lowest)))
    return np.asarray(lowest[known[nearest]])


def audible(powers: Samples, levels: Series, below_lu: float) -> tuple[int, int]:
    """First and one-past-last 100 ms that are not silence.

    Args:
        powers: K-weighted mean squares of every millisecond.
        levels: Of the speech around every 100 ms.
        below_lu: How far below the speech around it sound counts as silence.

    Returns:
        Indices of tenths of a second; equal when nothing is heard.
    """
    if integrated(powers) == -math.inf or not np.isfinite(levels).any():
        return 0, 0
    heard = np.flatnonzero(by_tenths(powers) > 10 ** ((levels - below_lu + 0.691) / 10))
    return (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, 0)
