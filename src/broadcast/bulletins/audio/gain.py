"""Gains: what brings speech to its loudness, and the limiter that keeps it under a ceiling.

Both are found from two series, the K-weighted power and the true peak of every millisecond, so
that a limiter can be tried on an hour of sound in a second, before anything is encoded. They go
through these a stretch at a time: what lies between, of an hour, would take hundreds of megabytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from broadcast.bulletins.audio.loudness import by_tenths, gated, in_lufs, integrated
from broadcast.bulletins.audio.pcm import TICK, Samples, Series

_STRETCH = 60_000
"""Milliseconds taken at a time; whole tenths of a second."""

_LOUDEST_LU = 4.0
"""How far a moment of speech may stand out of the target; what is louder is turned down."""

_ATTACK_DB = 2.0
"""Fall of the envelope in dB a millisecond: faster clicks, slower dulls every consonant."""

_RELEASE_DB = 0.3
"""Rise in dB a millisecond: faster distorts low voices, slower lets one pulse hush the next."""

_HARDEST_DRIVE_DB = 24.0
"""Gain into the limiter past which sound is nothing but its clicks."""

_LINE = 4096
"""Milliseconds of one straight line: short enough for single precision to a thousandth of a dB."""


def _stretches(length: int) -> Iterator[slice]:
    return (slice(at, min(at + _STRETCH, length)) for at in range(0, length, _STRETCH))


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
    # Loudness of each tenth of a second after the gain, and what is to be taken off it.
    loud = np.concatenate(
        [
            by_tenths(powers[part] * np.square(_between_tenths(wanted, part)))
            for part in _stretches(len(powers))
        ]
    )
    around = np.pad(loud, 1, mode="edge")
    loud = (around[:-2] + 2 * around[1:-1] + around[2:]) / 4
    wanted -= np.maximum(in_lufs(loud) - target_lufs - _LOUDEST_LU, 0)
    gains = np.empty(len(powers), np.float32)
    for part in _stretches(len(powers)):
        gains[part] = _between_tenths(wanted, part)
    return gains


def _between_tenths(gains_db: Series, part: slice) -> Samples:
    """Linear gains of the milliseconds of a part, drawn straight between middles of tenths."""
    middles = np.arange(len(gains_db)) * 100.0 + 49.5
    drawn = np.interp(np.arange(part.start, part.stop), middles, gains_db).astype(np.float32)
    return np.asarray(10 ** (drawn / 20), np.float32)


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
    highest_db = 20 * math.log10(max(float(peaks.max()), 1e-6))
    gain_db = drive_db = target_lufs - integrated(powers)
    envelope = np.empty(len(powers), np.float32)
    tenths = np.empty(len(powers) // 100)
    for _ in range(60):
        # How long before a peak the envelope may have to begin its fall.
        ahead = math.ceil(max(highest_db + gain_db - ceiling_dbtp, 0) / _ATTACK_DB) + 1
        limited = np.float32(0)
        for part in _stretches(len(powers)):
            need = _need(peaks, slice(part.start, part.stop + ahead), ceiling_dbtp - gain_db)
            size = part.stop - part.start
            if need.any() or limited < 0:
                before = _spread(need[::-1], _ATTACK_DB, np.float32(0))[::-1][:size]
                after = _spread(need[:size], _RELEASE_DB, limited)
                limited = after[-1]
                need = np.minimum(before, after)
            envelope[part] = 10 ** ((need[:size] + np.float32(gain_db)) / 20)
            within = slice(part.start // 100, part.stop // 100)
            tenths[within] = by_tenths(powers[part] * np.square(envelope[part]))
        error = target_lufs - gated(tenths)
        if abs(error) < 0.02:
            return envelope
        gain_db += error
        if gain_db - drive_db > _HARDEST_DRIVE_DB:
            break
    raise ValueError("loudness is out of reach under this ceiling")


def _need(peaks: Samples, part: slice, room_db: float) -> Samples:
    """Gain of the limiter for every millisecond of a part, in dB, at most 0.

    The needs of both neighbours count too, so that a straight line between two middles stays under
    each. After the last peak nothing is needed.

    Args:
        peaks: Linear true peaks of all milliseconds.
        part: Those asked for.
        room_db: Highest peak that needs nothing.
    """
    around = peaks[max(part.start - 1, 0) : part.stop + 1]
    edges = (int(part.start == 0), int(part.stop + 1 > len(peaks)))
    around = np.pad(around, edges, mode="edge")
    highest = np.maximum(np.maximum(around[:-2], around[2:]), around[1:-1])
    peaks_db = 20 * np.log10(np.maximum(highest, np.float32(1e-6)))
    return np.asarray(np.minimum(np.float32(room_db) - peaks_db, 0), np.float32)


def _spread(need: Samples, slope_db: float, begin: np.float32) -> Samples:
    """Lowest of all lines that rise from a need by the slope, and from where the sound began."""
    made = np.empty_like(need)
    line = slope_db * np.arange(_LINE, dtype=np.float32)
    carried = begin
    for start in range(0, len(need), _LINE):
        piece = need[start : start + _LINE]
        slope = line[: len(piece)]
        low = np.minimum.accumulate(piece - slope) + slope
        np.minimum(low, carried + slope_db + slope, out=low)
        made[start : start + _LINE] = low
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
    gains = np.stack((around[:-2], around[1:-1], around[2:]), axis=1) @ _BETWEEN
    return np.asarray((sound.reshape(-1, TICK) * gains).ravel(), np.float32)


def _between() -> Samples:
    """Parts that a millisecond's own gain and those of its neighbours have in its samples."""
    at = (np.arange(TICK) + 0.5) / TICK - 0.5
    before, after = np.maximum(-at, 0), np.maximum(at, 0)
    return np.asarray(np.stack((before, 1 - before - after, after)), np.float32)


_BETWEEN = _between()
