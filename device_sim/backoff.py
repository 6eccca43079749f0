"""Waiting longer after every failure, up to a limit, for however many failures."""

from __future__ import annotations

DOUBLINGS = 60
"""More would overflow a float: a device that is left alone for a week counts a thousand."""


def doubled(first: float, times: int, longest: float) -> float:
    """Seconds to wait after so many failures in a row.

    >>> [doubled(10, times, 60) for times in (0, 1, 2, 3, 5000)]
    [10.0, 20.0, 40.0, 60, 60]
    """
    return min(first * 2.0 ** min(times, DOUBLINGS), longest)
