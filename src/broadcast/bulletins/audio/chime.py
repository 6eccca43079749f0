"""The chimes before and after a bulletin, synthesised: a bell has no licence and no file to lose.

Three rising strokes of the C major triad call attention; two falling ones close. The pitches lie
in the middle of what a horn carries (300-6,000 Hz), and a stroke dies away before the next word.
"""

from __future__ import annotations

import numpy as np

from broadcast.bulletins.audio.pcm import RATE, Samples

_C5, _E5, _G5 = 523.25, 659.26, 783.99

_PARTIALS = ((1.0, 1.0, 0.55), (2.0, 0.45, 0.35), (3.01, 0.2, 0.2), (4.1, 0.1, 0.1))
"""Ratio to the pitch, amplitude, and seconds to fall to 1/e: upper partials die first."""


def attention() -> Samples:
    """Three rising strokes, 2.4 seconds."""
    return _bell((_C5, _E5, _G5), apart=0.5, seconds=2.4)


def closing() -> Samples:
    """Two falling strokes, 1.6 seconds."""
    return _bell((_G5, _C5), apart=0.45, seconds=1.6)


def _bell(pitches: tuple[float, ...], *, apart: float, seconds: float) -> Samples:
    at = np.arange(round(seconds * RATE)) / RATE
    sound = np.zeros(len(at))
    for stroke, pitch in enumerate(pitches):
        since = np.maximum(at - stroke * apart, 0)
        for ratio, amplitude, decay in _PARTIALS:
            sound += amplitude * np.exp(-since / decay) * np.sin(2 * np.pi * pitch * ratio * since)
    ends = np.minimum((seconds - at) / 0.3, 1)
    return np.asarray(sound * ends / np.abs(sound).max(), np.float32)
