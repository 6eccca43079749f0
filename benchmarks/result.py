"""What a benchmark reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter


class Skipped(Exception):
    """The benchmark cannot run here; the text says what it lacks."""


@dataclass(frozen=True)
class Result:
    """One line of the table: ours beside what it is held against, in the same unit."""

    name: str
    ours: float
    against: float
    unit: str
    limit: str | None = None

    @property
    def ratio(self) -> float:
        """Ours divided by the other."""
        return self.ours / self.against


def median_seconds(work: Callable[[], object], runs: int = 3) -> float:
    """Median duration of several runs; these machines are noisy."""
    durations = []
    for _ in range(runs):
        start = perf_counter()
        work()
        durations.append(perf_counter() - start)
    return median(durations)


def median_pair(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """The two durations of the run whose ratio is the median.

    Each run measures both one after the other, so what else the machine does befalls both.

    >>> median_pair([2, 9, 3], [1, 9, 1])
    (2, 1)
    """
    pairs = sorted(zip(ours, theirs, strict=True), key=lambda pair: pair[0] / pair[1])
    return pairs[len(pairs) // 2]
