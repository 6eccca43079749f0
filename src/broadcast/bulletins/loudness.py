"""Loudness and true peak of 48 kHz mono sound, and the limiter that meets both.

Integrated loudness follows ITU-R BS.1770-4 with the gating of EBU R 128; true peak is four times
oversampled as in its Annex 2. Everything works on two series taken in one pass over the sound:
the K-weighted power and the true peak of every millisecond. So a limiter can be tried on an hour
of sound in a second, before anything is encoded.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

RATE = 48_000
"""Samples a second, everywhere behind the decoder."""

TICK = RATE // 1000
"""Samples of one power, of one true peak and of one gain of the limiter: a millisecond."""

STEP = 100 * TICK
"""Samples between BS.1770's 400 ms gating blocks, and the grain of everything that is cut."""

K_WEIGHTING = tuple(
    "b0={}:b1={}:b2={}:a0=1:a1={}:a2={}".format(*weights)
    for weights in (
        (
            1.53512485958697,
            -2.69169618940638,
            1.19839281085285,
            -1.69065929318241,
            0.73248077421585,
        ),
        (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621),
    )
)
"""The two biquads of BS.1770-4 tables 1 and 2, valid at 48 kHz only."""

_ATTACK_DB = 2.0
"""Fall of the envelope in dB a millisecond: faster clicks, slower dulls every consonant."""

_RELEASE_DB = 0.3
"""Rise in dB a millisecond: faster distorts low voices, slower lets one pulse hush the next."""

_HARDEST_DRIVE_DB = 24.0
"""Gain into the limiter past which sound is nothing but its clicks."""

Samples: TypeAlias = npt.NDArray[np.float32]
Series: TypeAlias = npt.NDArray[np.float64]


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


class Meter:
    """Powers and true peaks of sound that arrives in pieces.

    Attributes:
        samples: Samples measured so far.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._powers: list[Samples] = []
        self._peaks: list[Samples] = []
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
        self._powers.append(np.einsum("ij,ij->i", ticks, ticks) / TICK)
        self._interpolate(sound)

    def _interpolate(self, sound: Samples) -> None:
        pending = np.concatenate((self._pending, sound))
        ticks = (len(pending) - 2 * _MARGIN) // TICK // _BATCH * _BATCH
        windows = np.lib.stride_tricks.sliding_window_view(pending, TICK + 2 * _MARGIN)
        batches = windows[: ticks * TICK : TICK].reshape(-1, _BATCH, TICK + 2 * _MARGIN)
        points = batches @ _INTERPOLATORS
        self._peaks.append(np.maximum(points.max(axis=2), -points.min(axis=2)).ravel())
        self._pending = pending[ticks * TICK :]

    def finish(self) -> tuple[Samples, Samples]:
        """Powers (K-weighted mean squares) and linear true peaks, of every millisecond."""
        if not self._powers:
            return np.zeros(0, np.float32), np.zeros(0, np.float32)
        self._interpolate(np.zeros(_MARGIN, np.float32))
        return np.concatenate(self._powers), np.concatenate(self._peaks)


def integrated(powers: Samples | Series) -> float:
    """Integrated loudness in LUFS; -inf when no 400 ms rise above -70 LUFS.

    Args:
        powers: K-weighted mean squares of every millisecond, a multiple of 100.
    """
    if len(powers) < 400:
        return -math.inf
    blocks = np.convolve(_steps(powers), np.full(4, 0.25), "valid")
    heard = blocks[blocks > _power(-70)]
    if not len(heard):
        return -math.inf
    return -0.691 + 10 * math.log10(heard[heard > heard.mean() / 10].mean())


def _steps(powers: Samples | Series) -> Series:
    return np.asarray(powers.reshape(-1, 100).mean(axis=1, dtype=np.float64))


def _power(loudness: float) -> float:
    return float(10 ** ((loudness + 0.691) / 10))


def decibels(peak: float) -> float:
    """Level of a linear amplitude against full scale; -inf for none."""
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def audible(powers: Samples, below_lu: float) -> tuple[int, int]:
    """First and one-past-last 100 ms that are not silence.

    Args:
        powers: K-weighted mean squares of every millisecond.
        below_lu: How far below the integrated loudness sound counts as silence.

    Returns:
        Indices of tenths of a second; equal when nothing is heard.
    """
    loudness = integrated(powers)
    if loudness == -math.inf:
        return 0, 0
    heard = np.flatnonzero(_steps(powers) > _power(loudness - below_lu))
    return int(heard[0]), int(heard[-1]) + 1


def shape(powers: Samples, peaks: Samples, target_lufs: float, ceiling_dbtp: float) -> Samples:
    """Linear gain for every millisecond that brings sound to its loudness under a ceiling.

    One gain for the whole, minus what a look-ahead limiter takes where a peak would pass the
    ceiling; the gain makes up for what the limiter took.

    Args:
        powers: K-weighted mean squares of every millisecond.
        peaks: Linear true peaks of every millisecond.
        target_lufs: Integrated loudness wanted.
        ceiling_dbtp: True peak not to be passed.

    Raises:
        ValueError: The sound is so spiky that no gain makes it that loud.
    """
    peaks_db = 20 * np.log10(np.maximum(peaks, 1e-6, dtype=np.float64))
    gain_db = drive_db = target_lufs - integrated(powers)
    for _ in range(60):
        envelope_db = gain_db + _reduction(peaks_db + gain_db, ceiling_dbtp)
        envelope = 10 ** (envelope_db / 20)
        error = target_lufs - integrated(powers * envelope**2)
        if abs(error) < 0.02:
            return envelope.astype(np.float32)
        gain_db += error
        if gain_db - drive_db > _HARDEST_DRIVE_DB:
            break
    raise ValueError("loudness is out of reach under this ceiling")


def _reduction(peaks_db: Series, ceiling_db: float) -> Series:
    """Limiter's gain in dB (at most 0) at the middle of every millisecond.

    The lowest of all V shapes whose points stand on the peaks that pass the ceiling: falling by
    the attack before a peak, rising by the release after it. A millisecond's need counts for its
    neighbours too, so that a straight line between two middles stays under it.
    """
    need = np.minimum(ceiling_db - peaks_db, 0)
    if not need.any():
        return need
    edged = np.pad(need, 1, mode="edge")
    need = np.minimum(np.minimum(edged[:-2], edged[2:]), need)
    at = np.arange(len(need))
    after = np.minimum.accumulate(need - _RELEASE_DB * at) + _RELEASE_DB * at
    before = np.minimum.accumulate((need + _ATTACK_DB * at)[::-1])[::-1] - _ATTACK_DB * at
    return np.asarray(np.minimum(after, before))


def apply(sound: Samples, envelope: Samples, first: int) -> Samples:
    """Sound multiplied by the envelope, drawn straight between the middles of milliseconds.

    Args:
        sound: Samples, a multiple of `TICK`.
        envelope: Gain of every millisecond of the whole programme.
        first: Millisecond of the programme that `sound` begins with.
    """
    ticks = len(sound) // TICK
    low = max(first - 1, 0)
    gains = envelope[low : first + ticks + 1]
    if gains.min() == gains.max():
        return np.asarray(sound * gains[0])
    middles = (np.arange(low, low + len(gains)) - first + 0.5) * TICK - 0.5
    drawn = np.interp(np.arange(len(sound)), middles, gains)
    return np.asarray(sound * drawn, np.float32)
