"""What is wrong with a recording as it came, for its author to hear before it is approved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broadcast.bulletins.audio.loudness import RATE, Samples, Series

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

_HUM_HERTZ = (50, 100, 150)
_HANN = np.hanning(RATE)
_SHORTEST = RATE // 10


@dataclass(frozen=True)
class Warned:
    """Something about a recording that its author ought to know.

    Attributes:
        kind: One word for programs.
        at_seconds: Where in the source it begins; None where it is everywhere.
        seconds: How long it lasts; None where it is everywhere.
        detail: What it is, and what to do.
    """

    kind: str
    at_seconds: float | None
    seconds: float | None
    detail: str


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
        self._levels: list[Series] = []
        self._hum: list[float] = []
        self._beside: list[float] = []

    def look(self, sound: Samples) -> None:
        """Take in the next second, by channel."""
        runs = sum(map(_clipped_runs, sound))
        is_clipped = (np.abs(sound) >= FULL_SCALE).mean() > CLIPPED_RATIO
        if runs or is_clipped:
            self._clipped.append(self._seconds)
            self._runs += max(runs, CLIPPED_RUNS if is_clipped else 0)
        self._seconds += 1
        if sound.shape[1] < _SHORTEST:
            return
        # Of differences: what does not change and what changes slowly has no say.
        both = np.diff(np.vstack((sound, sound.mean(axis=0))), axis=1)
        tenths = both[:, : both.shape[1] // (_SHORTEST - 1) * (_SHORTEST - 1)]
        powers = (tenths.reshape(len(both), -1, _SHORTEST - 1) ** 2).mean(axis=2)
        self._levels.append(powers.astype(np.float64))
        if sound.shape[1] == RATE:
            spectrum = np.fft.rfft(sound.mean(axis=0) * _HANN)[: max(_HUM_HERTZ) + 13]
            spectrum = np.abs(spectrum) ** 2
            for hertz in _HUM_HERTZ:
                at = float(spectrum[hertz - 1 : hertz + 2].sum())
                beside = (
                    spectrum[hertz - 12 : hertz - 4].mean()
                    + spectrum[hertz + 5 : hertz + 13].mean()
                ) / 2
                self._hum.append(at)
                self._beside.append(3 * float(beside) + 1e-12)

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
        pairs = [each for each in self._levels if len(each) == 3]
        if not pairs or len(pairs) != len(self._levels):
            return None
        return np.concatenate(pairs, axis=1)

    def warnings(self) -> list[Warned]:
        """What was found."""
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
        if len(self._hum) < 3 * len(_HUM_HERTZ):
            return False
        hum = np.array(self._hum).reshape(-1, len(_HUM_HERTZ))
        beside = np.array(self._beside).reshape(hum.shape)
        constant = np.percentile(hum / beside, 20, axis=0) > 10
        # Power of a tone through the window, as a level against full scale.
        level = 10 * np.log10(np.percentile(hum, 20, axis=0) / (RATE * RATE / 16) + 1e-12)
        return bool((constant & (level > HUM_DB)).any())


def _spread(levels: Series) -> float:
    loud, soft = np.percentile(levels, (85, 20))
    return float(10 * np.log10((loud + 1e-14) / (soft + 1e-14)))


def _clipped_runs(sound: Samples) -> int:
    """How often at least three samples in a row stand at full scale without moving."""
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
    """What the levels of every 100 ms tell: dead air, and words that stay too soft.

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
