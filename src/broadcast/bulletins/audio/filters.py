"""Filters of the second order, and sound through chains of them."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from broadcast.bulletins.audio.pcm import RATE, Samples

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


def lowpass(hertz: float, q: float) -> Biquad:
    """Low-pass of the second order (R. Bristow-Johnson's cookbook)."""
    w, alpha = _angle(hertz, q)
    a0, c = 1 + alpha, math.cos(w)
    return (
        (1 - c) / 2 / a0,
        (1 - c) / a0,
        (1 - c) / 2 / a0,
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
    other. What a filter rings for longer than a seventh of a second is below the rounding.
    """

    SIZE = 30_720
    """Samples of one transform: with what belongs to it, it stays in a core's own cache."""

    HOP = RATE // 2

    def __init__(self, chain: tuple[Biquad, ...]) -> None:
        turn = np.exp(-2j * np.pi * np.arange(self.SIZE // 2 + 1) / self.SIZE)
        self._sound = _response(chain, turn).astype(np.complex64) if chain else None
        self._weighted = _response((*chain, *K_WEIGHTING), turn).astype(np.complex64)
        self._window: Samples = np.zeros(self.SIZE, np.float32)

    def push(self, sound: Samples) -> tuple[Samples, Samples]:
        """The next piece and its K-weighted twin.

        Args:
            sound: Samples; all pieces but the last hold a multiple of half a second.
        """
        filtered = sound if self._sound is None else np.empty_like(sound)
        weighted = np.empty_like(sound)
        for at in range(0, len(sound), self.HOP):
            part = slice(at, min(at + self.HOP, len(sound)))
            self._filter(sound[part], filtered[part], weighted[part])
        return filtered, weighted

    def _filter(self, sound: Samples, filtered: Samples, weighted: Samples) -> None:
        window = self._window
        window[: -self.HOP] = window[self.HOP :]
        after = self.SIZE - self.HOP
        ready = slice(after, after + len(sound))
        window[ready] = sound
        window[ready.stop :] = 0
        spectrum = np.fft.rfft(window)
        weighted[:] = np.fft.irfft(spectrum * self._weighted, self.SIZE)[ready]
        if self._sound is not None:
            filtered[:] = np.fft.irfft(spectrum * self._sound, self.SIZE)[ready]


def _response(
    chain: tuple[Biquad, ...], turn: npt.NDArray[np.complex128]
) -> npt.NDArray[np.complex128]:
    whole = np.ones_like(turn)
    for b0, b1, b2, a1, a2 in chain:
        whole *= (b0 + b1 * turn + b2 * turn**2) / (1 + a1 * turn + a2 * turn**2)
    return whole
