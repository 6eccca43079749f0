"""Faults of a recording as it came, for its author to know before it is approved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from broadcast.bulletins.audio.pcm import RATE, Samples, Series
from broadcast.bulletins.audio.prepared import Warned

CANCELS = 0.3
"""Two channels whose mean has less than this of the power of the stronger take from each other, or
one of them is silent."""

STEADY_DB, MOVING_DB = 4.0, 10.0
"""Between loud and soft tenths of a second: of hum and hiss at most, of speech at least."""

HUM_DB = -60.0
"""Softer hum, against full scale, is not heard."""

DEAD_AIR_SECONDS = 4.0
SOFT_LU, SOFT_SECONDS = 6.0, 2.0
"""Words so far below the target for so long are told of."""

CLIPPED_RUNS = 10
FULL_SCALE = 0.985
FLAT = 1e-4
CLIPPED_RATIO = 0.003
"""Part of a second at full scale: of natural speech a tenth of that. A codec or another rate makes
waves of what was flat, so that flatness alone does not tell."""

_HUM_HERTZ = np.array((50, 100, 150))[:, None]
_AT = _HUM_HERTZ + np.array((-1, 0, 1))
_BESIDE = _HUM_HERTZ + np.array((*range(-12, -4), *range(5, 13)))

_SLOW = 1000
"""Samples a second that are enough to look for hum in."""

_THINNING = np.blackman(4 * RATE // _SLOW + 2)[1:-1].astype(np.float32)
_THINNING /= _THINNING.sum()
"""Low-pass before it: what would come down onto the hum (from 850 Hz) is 60 dB weaker."""

_HANN = np.hanning(_SLOW).astype(np.float32)
_SHORTEST = RATE // 10


class Faults:
    """Collects what can only be seen before sound is mixed and filtered, second by second.

    Attributes:
        tracks: Which one of how many tracks was taken.
    """

    def __init__(self) -> None:
        self.tracks: tuple[int, int] | None = None
        self._seconds = 0
        self._clipped: list[int] = []
        self._runs = 0
        self._is_mono = False
        self._levels: list[Series] = []
        self._hum: list[Series] = []
        self._beside: list[Series] = []

    def look(self, sound: Samples, both: Samples) -> None:
        """Take in the next second.

        Args:
            sound: By channel, one or two.
            both: Their mean.
        """
        if max(sound.max(), -sound.min()) >= FULL_SCALE:
            self._look_for_clipping(sound)
        self._seconds += 1
        if len(both) < _SHORTEST:
            return
        if len(sound) == 2:
            self._levels.append(np.stack([_moving_powers(each) for each in (*sound, both)]))
        else:
            self._is_mono = True
        if len(both) == RATE:
            self._look_for_hum(both)

    def _look_for_clipping(self, sound: Samples) -> None:
        runs = sum(map(_clipped_runs, sound))
        is_clipped = (np.abs(sound) >= FULL_SCALE).mean() > CLIPPED_RATIO
        if runs or is_clipped:
            self._clipped.append(self._seconds)
            self._runs += max(runs, CLIPPED_RUNS if is_clipped else 0)

    def _look_for_hum(self, sound: Samples) -> None:
        padded = np.pad(sound, (len(_THINNING) - RATE // _SLOW) // 2)
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(_THINNING))
        thin = windows[:: RATE // _SLOW] @ _THINNING
        spectrum = np.abs(np.fft.rfft(thin * _HANN)).astype(np.float64) ** 2
        self._hum.append(spectrum[_AT].sum(axis=1))
        self._beside.append(3 * spectrum[_BESIDE].mean(axis=1) + 1e-12)

    def better_channel(self) -> int | None:
        """Which of two channels is to be taken alone; None when both together are right."""
        levels = self._by_channel()
        if levels is None:
            return None
        left, right, both = levels.mean(axis=1)
        spreads = [_spread(levels[channel]) for channel in (0, 1)]
        stronger = 0 if left >= right else 1
        moving = 0 if spreads[0] >= spreads[1] else 1
        noise_beside = spreads[moving] > MOVING_DB and spreads[1 - moving] < STEADY_DB
        if noise_beside and levels[1 - moving].mean() > 1e-4 * levels[moving].mean():
            return moving
        if both < CANCELS * max(left, right):
            return stronger
        return None

    def _by_channel(self) -> Series | None:
        if self._is_mono or not self._levels:
            return None
        return np.concatenate(self._levels, axis=1)

    def warnings(self) -> list[Warned]:
        """The faults found."""
        found = []
        if self._runs >= CLIPPED_RUNS:
            first = self._clipped[0]
            found.append(
                Warned(
                    "clipping",
                    float(first),
                    float(self._clipped[-1] + 1 - first),
                    f"Tiếng bị vỡ vì ghi quá to ({self._runs} chỗ, từ {clock_time(first)})."
                    " Hãy nghe thử; nếu khó nghe, hãy ghi lại xa micro hơn hoặc giảm mức ghi.",
                )
            )
        if self._has_hum():
            found.append(
                Warned(
                    "hum",
                    None,
                    None,
                    "Có tiếng ù của điện lưới (50 Hz). Hãy kiểm tra dây micro và tiếp đất;"
                    " phần dưới 100 Hz đã được lọc bỏ.",
                )
            )
        if self.tracks is not None:
            taken, count = self.tracks
            found.append(
                Warned(
                    "tracks",
                    None,
                    None,
                    f"Tệp có {count} đường tiếng; đã dùng đường thứ {taken}."
                    " Hãy nghe thử; nếu sai, hãy xuất lại tệp chỉ với đường cần dùng.",
                )
            )
        channel = self.better_channel()
        if channel is not None:
            name = ("trái", "phải")[channel]
            found.append(
                Warned(
                    "channel",
                    None,
                    None,
                    f"Hai kênh triệt tiêu nhau hoặc một kênh hỏng: chỉ dùng kênh {name}."
                    " Hãy kiểm tra dây và máy ghi.",
                )
            )
        return found

    def _has_hum(self) -> bool:
        if len(self._hum) < 3:
            return False
        hum, beside = np.stack(self._hum), np.stack(self._beside)
        constant = np.percentile(hum / beside, 20, axis=0) > 10
        # Power of a tone through the window, as a level against full scale.
        level = 10 * np.log10(np.percentile(hum, 20, axis=0) / (_SLOW * _SLOW / 16) + 1e-12)
        return bool((constant & (level > HUM_DB)).any())


def _spread(levels: Series) -> float:
    loud, soft = np.percentile(levels, (85, 20))
    return float(10 * np.log10((loud + 1e-14) / (soft + 1e-14)))


def _moving_powers(sound: Samples) -> Series:
    """Mean squares of every 100 ms, of differences: what changes slowly or not has no say."""
    moving = np.diff(sound)
    size = _SHORTEST - 1
    tenths = moving[: len(moving) // size * size].reshape(-1, size)
    return np.asarray(np.einsum("ij,ij->i", tenths, tenths) / size, np.float64)


def _clipped_runs(sound: Samples) -> int:
    """Number of times that at least three samples in a row stand at full scale without moving."""
    full = np.abs(sound) >= FULL_SCALE
    if not full.any():
        return 0
    still = full[1:] & (np.abs(np.diff(sound)) < FLAT)
    flat = still[1:] & still[:-1]
    if not len(flat):
        return 0
    return int((flat[1:] & ~flat[:-1]).sum()) + int(flat[0])


def clock_time(seconds: float) -> str:
    """Minutes and seconds into a recording.

    >>> clock_time(75.4)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def of_levels(
    powers: Series, levels: Series, after: Series, target_lufs: float, began: float
) -> list[Warned]:
    """Warnings from the levels of every 100 ms: dead air, and words that stay too soft.

    Args:
        powers: Loudness of the source.
        levels: Of the speech around.
        after: Of the speech once it is prepared.
        target_lufs: Where it ought to be.
        began: Seconds into the source at which these begin.
    """
    found = []
    dead = powers < np.minimum(levels - 30, -20)
    for first, last in _stretches(dead):
        at, seconds = began + first / 10, (last - first) / 10
        if seconds >= DEAD_AIR_SECONDS:
            detail = (
                f"Im lặng {seconds:.0f} giây từ {clock_time(at)}."
                " Hãy cắt bỏ, hoặc nghe lại xem có mất lời không."
            )
            found.append(Warned("dead_air", round(at, 1), seconds, detail))
    for first, last in _stretches((after < target_lufs - SOFT_LU) & ~dead):
        at, seconds = began + first / 10, (last - first) / 10
        if seconds >= SOFT_SECONDS:
            detail = (
                f"Lời từ {clock_time(at)} đến {clock_time(at + seconds)} vẫn nhỏ hơn"
                " phần còn lại. Hãy nghe thử; nếu khó nghe, hãy ghi lại."
            )
            found.append(Warned("soft", round(at, 1), seconds, detail))
    return found


def _stretches(is_so: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], is_so.astype(np.int8), [0]))))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]
