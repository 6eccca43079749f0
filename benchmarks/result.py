"""Results of benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter


class Skipped(Exception):
    """The benchmark cannot run here; the text says what it lacks."""


@dataclass(frozen=True)
class Result:
    """One line of the table: ours beside what it is held against, in the same unit.

    Attributes:
        limit: `≤ 1.2` of the ratio; with a unit, `≤ 300 MB`, of ours. None: it is only reported.
    """

    name: str
    ours: float
    against: float
    unit: str
    limit: str | None = None

    @property
    def ratio(self) -> float:
        """Ours divided by the other."""
        return self.ours / self.against

    @property
    def missed(self) -> bool:
        """The limit is not kept.

        >>> Result("a", 3, 2, "s", "≤ 2").missed, Result("a", 3, 2, "s", "≤ 2 s").missed
        (False, True)
        >>> Result("a", 1, 2, "msg/s", "≥ 0.6").missed, Result("a", 1, 2, "s").missed
        (True, False)
        """
        if self.limit is None:
            return False
        sign, number, *unit = self.limit.split(maxsplit=2)
        if unit and unit[0] != self.unit:
            raise ValueError(f"{self.name}: limit {self.limit} of a figure in {self.unit}")
        if sign not in {"≤", "≥"}:
            raise ValueError(f"{self.name}: limit {self.limit} begins with neither ≤ nor ≥")
        value = self.ours if unit else self.ratio
        return value > float(number) if sign == "≤" else value < float(number)


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
