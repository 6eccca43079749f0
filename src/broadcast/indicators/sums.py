"""Adding up the days of a window. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from broadcast.indicators.days import NEVER, DayRows, Numbers


class Sums(NamedTuple):
    """Of each cluster asked about, in the order asked."""

    expected: Sequence[int]
    online: Sequence[int]
    completed: Sequence[bool]
    """A play was completed."""
    broadcast_days: Sequence[int]
    """Days with a broadcast due after the newest one with a completed play."""


@dataclass(frozen=True, slots=True)
class Past:
    """Days of a window laid beside each other: minutes added up, plays day by day."""

    days: Sequence[date]
    clusters: Numbers
    expected: Numbers
    online: Numbers
    completed: Numbers
    """By day and cluster: the instant, in microseconds."""
    due: Numbers

    @classmethod
    def of(cls, days: Mapping[date, DayRows], clusters: Sequence[int]) -> Past:
        """Lay out the days, in any order, of these clusters, in the order of their ids."""
        asked = np.array(clusters, np.int64)
        shape = (len(days), len(asked))
        past = cls(
            sorted(days),
            asked,
            np.zeros(len(asked), np.int64),
            np.zeros(len(asked), np.int64),
            np.full(shape, NEVER, np.int64),
            np.full(shape, NEVER, np.int64),
        )
        for index, day in enumerate(past.days):
            rows = days[day]
            here, there = _places(asked, rows.clusters)
            past.expected[here] += rows.expected[there]
            past.online[here] += rows.online[there]
            past.completed[index, here] = rows.completed[there]
            past.due[index, here] = rows.due[there]
        return past


def _places(asked: Numbers, known: Numbers) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Where the known ids stand among those asked about, and which of them do."""
    if not len(asked):
        return np.array([], np.intp), np.zeros(len(known), np.bool_)
    places = np.searchsorted(asked, known)
    found = asked[np.minimum(places, len(asked) - 1)] == known
    return places[found], found


def add_up(past: Past, live: Past, at: int) -> Sums:
    """Sums over a window.

    Args:
        past: Days of it.
        live: The others, of the same clusters.
        at: Instant up to which plays count, in microseconds.
    """
    order = np.argsort([day.toordinal() for day in (*past.days, *live.days)])
    completed = np.concatenate([past.completed, live.completed])[order] < at
    due = np.concatenate([past.due, live.due])[order] < at
    later = np.arange(len(order))[:, None] > _newest(completed)
    return Sums(
        (past.expected + live.expected).tolist(),
        (past.online + live.online).tolist(),
        np.any(completed, axis=0).tolist(),
        (due & later).sum(axis=0).tolist(),
    )


def _newest(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Index of the last true one of each column; -1 without any."""
    length = len(flags)
    return np.where(flags.any(axis=0), length - 1 - np.argmax(flags[::-1], axis=0), -1)
