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

Biquad: TypeAlias = tuple[float, float, float, float, float]
"""b0, b1, b2, a1, a2 of a filter of the second order, a0 being 1."""

K_WEIGHTING: tuple[Biquad, ...] = (
    (
        1.53512485958697,
        -2.69169618940638,
        1.19839281085285,
        -1.69065929318241,
        0.73248077421585,
    ),
    (1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621),
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

_FURTHEST = float(np.abs(_INTERPOLATORS).sum(axis=0).max())
"""A point between samples is no higher than this times the highest of those around it."""


def highpass(hertz: float, q: float) -> Biquad:
    """High-pass of the second order (R. Bristow-Johnson's cookbook)."""
    w, alpha = _angle(hertz, q)
    a0, c = 1 + alpha, math.cos(w)
    return (
        (1 + c) / 2 / a0,
        -(1 + c) / a0,
        (1 + c) / 2 / a0,
        -2 * c / a0,
        (1 - alpha) / a0,
    )


def allpass(hertz: float, q: float) -> Biquad:
    """All-pass of the second order (R. Bristow-Johnson's cookbook)."""
    w, alpha = _angle(hertz, q)
    a0, c = 1 + alpha, math.cos(w)
    return ((1 - alpha) / a0, -2 * c / a0, 1.0, -2 * c / a0, (1 - alpha) / a0)


def _angle(hertz: float, q: float) -> tuple[float, float]:
    w = 2 * math.pi * hertz / RATE
    return w, math.sin(w) / (2 * q)


class Filters:
    """Sound through a chain of biquads, and that once more through the K-weighting.

    By overlap-save: a Fourier transform costs a quarter of what fourteen biquads do, one after the
    other. What a filter rings for longer than a third of a second is below the rounding.
    """

    SIZE = 65_536
    PIECE = RATE

    def __init__(self, chain: tuple[Biquad, ...]) -> None:
        turn = np.exp(-2j * np.pi * np.arange(self.SIZE // 2 + 1) / self.SIZE)
        self._sound = _response(chain, turn).astype(np.complex64) if chain else None
        self._weighted = _response((*chain, *K_WEIGHTING), turn).astype(np.complex64)
        self._window: Samples = np.zeros(self.SIZE, np.float32)

    def push(self, sound: Samples) -> tuple[Samples, Samples]:
        """The next piece and its K-weighted twin; only the last may be shorter than a second."""
        window = self._window
        window[: -self.PIECE] = window[self.PIECE :]
        window[-self.PIECE :] = 0
        after = len(window) - self.PIECE
        window[after : after + len(sound)] = sound
        spectrum = np.asarray(np.fft.rfft(window), np.complex64)
        ready = slice(after, after + len(sound))
        weighted = self._back(spectrum * self._weighted)[ready]
        if self._sound is None:
            return sound, weighted
        return self._back(spectrum * self._sound)[ready], weighted

    def _back(self, spectrum: npt.NDArray[np.complex64]) -> Samples:
        return np.asarray(np.fft.irfft(spectrum, self.SIZE), np.float32)


def _response(
    chain: tuple[Biquad, ...], turn: npt.NDArray[np.complex128]
) -> npt.NDArray[np.complex128]:
    whole = np.ones_like(turn)
    for b0, b1, b2, a1, a2 in chain:
        whole *= (b0 + b1 * turn + b2 * turn**2) / (1 + a1 * turn + a2 * turn**2)
    return whole


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
        return _gated(np.concatenate(self._steps)) if self._steps else -math.inf


def integrated(powers: Samples | Series) -> float:
    """Integrated loudness in LUFS; -inf when no 400 ms rise above -70 LUFS.

    Args:
        powers: K-weighted mean squares of every millisecond, a multiple of 100.
    """
    return _gated(_steps(powers))


def _gated(steps: Series) -> float:
    """Integrated loudness of the mean squares of every 100 ms."""
    if len(steps) < 4:
        return -math.inf
    blocks = np.convolve(steps, np.full(4, 0.25), "valid")
    heard = blocks[blocks > _power(-70)]
    if not len(heard):
        return -math.inf
    return -0.691 + 10 * math.log10(heard[heard > heard.mean() / 10].mean())


def each_tenth(powers: Samples) -> Series:
    """Loudness of every 100 ms in LUFS, -120 for none."""
    return np.asarray(10 * np.log10(np.maximum(_steps(powers), 1e-12)) - 0.691)


def _steps(powers: Samples | Series) -> Series:
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

_LOUDEST_LU = 4.0
"""How far a moment of speech may stand out of the target; what is louder is turned down."""


def speech_levels(powers: Samples) -> Series:
    """Level of the speech in and around every 100 ms, in LUFS; -inf where nothing is heard.

    The quietest of all three-second windows that hold it: next to something loud, the level of
    what is quiet, so that a gain made from it leaves no word behind. In pauses the level of the
    nearest speech holds.

    Args:
        powers: K-weighted mean squares of every millisecond.
    """
    steps = 10 * np.log10(np.maximum(_steps(powers), 1e-12)) - 0.691
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
    heard = np.flatnonzero(_steps(powers) > 10 ** ((levels - below_lu + 0.691) / 10))
    return (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, 0)


def level(powers: Samples, levels: Series, target_lufs: float, most_gain_db: float) -> Samples:
    """Linear gain for every millisecond that brings the speech, wherever it is, to the target.

    Slow where the level of speech changes; what is much louder than speech (a howl, a slammed
    door) is turned down for as long as it lasts.

    Args:
        powers: K-weighted mean squares of every millisecond.
        levels: Of the speech around every 100 ms.
        target_lufs: Where speech is to be.
        most_gain_db: Gain not to be passed.
    """
    wanted = np.minimum(target_lufs - levels, most_gain_db)
    smooth = np.hanning(12)[1:-1]
    wanted = np.convolve(np.pad(wanted, (5, 4), mode="edge"), smooth / smooth.sum(), "valid")
    middles = np.arange(len(levels)) * 100.0 + 49.5
    gain_db = np.interp(np.arange(len(powers)), middles, wanted).astype(np.float32)
    # Loudness of each tenth of a second after the gain, and what is to be taken off it.
    loud = _steps(powers * 10 ** (gain_db / 10))
    around = np.pad(loud, 1, mode="edge")
    loud = (around[:-2] + 2 * around[1:-1] + around[2:]) / 4
    over = 10 * np.log10(np.maximum(loud, 1e-12)) - 0.691 - target_lufs - _LOUDEST_LU
    over = np.maximum(over, 0)
    gain_db -= np.interp(np.arange(len(powers)), middles, over).astype(np.float32)
    return np.asarray(10 ** (gain_db / 20), np.float32)


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
    peaks_db: Samples = 20 * np.log10(np.maximum(peaks, 1e-6, dtype=np.float32))
    gain_db = drive_db = target_lufs - integrated(powers)
    for _ in range(60):
        envelope_db = gain_db + _reduction(peaks_db + np.float32(gain_db), ceiling_dbtp)
        envelope = 10 ** (envelope_db / 20)
        error = target_lufs - integrated(powers * envelope**2)
        if abs(error) < 0.02:
            return envelope.astype(np.float32)
        gain_db += error
        if gain_db - drive_db > _HARDEST_DRIVE_DB:
            break
    raise ValueError("loudness is out of reach under this ceiling")


def _reduction(peaks_db: Samples, ceiling_db: float) -> Samples:
    """Limiter's gain in dB (at most 0) at the middle of every millisecond.

    The lowest of all V shapes whose points stand on the peaks that pass the ceiling: falling by
    the attack before a peak, rising by the release after it. A millisecond's need counts for its
    neighbours too, so that a straight line between two middles stays under it.
    """
    need: Samples = np.minimum(ceiling_db - peaks_db, 0)
    if not need.any():
        return need
    edged = np.pad(need, 1, mode="edge")
    need = np.minimum(np.minimum(edged[:-2], edged[2:]), need)
    before = _spread(need[::-1], _ATTACK_DB)[::-1]
    return np.asarray(np.minimum(_spread(need, _RELEASE_DB), before))


def _spread(need: Samples, slope_db: float) -> Samples:
    """Lowest of all lines that rise from a need by the slope, a stretch at a time.

    A need of `peak` dB has no say after `peak / slope` milliseconds, so stretches can be short,
    which keeps single precision exact to a thousandth of a dB.
    """
    made = np.empty_like(need)
    size, carried = 4096, np.float32(0)
    line = slope_db * np.arange(size, dtype=np.float32)
    for start in range(0, len(need), size):
        piece = need[start : start + size]
        slope = line[: len(piece)]
        low = np.minimum.accumulate(piece - slope) + slope
        np.minimum(low, carried + slope_db + slope, out=low)
        made[start : start + size] = low
        carried = low[-1]
    return made


def apply(sound: Samples, envelope: Samples, first: int) -> Samples:
    """Sound multiplied by the envelope, drawn straight between the middles of milliseconds.

    Args:
        sound: Samples, a multiple of `TICK`.
        envelope: Gain of every millisecond of the whole programme.
        first: Millisecond of the programme that `sound` begins with.
    """
    ticks = len(sound) // TICK
    around = envelope[max(first - 1, 0) : first + ticks + 1]
    if around.min() == around.max():
        return np.asarray(sound * around[0])
    around = np.pad(around, (int(first == 0), int(first + ticks == len(envelope))), mode="edge")
    gains = np.lib.stride_tricks.sliding_window_view(around, 3) @ _BETWEEN
    return np.asarray((sound.reshape(-1, TICK) * gains).ravel(), np.float32)


def _between() -> Samples:
    """Parts that a millisecond's own gain and those of its neighbours have in its samples."""
    at = (np.arange(TICK) + 0.5) / TICK - 0.5
    before, after = np.maximum(-at, 0), np.maximum(at, 0)
    return np.asarray(np.stack((before, 1 - before - after, after)), np.float32)


_BETWEEN = _between()
