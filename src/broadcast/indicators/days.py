"""Days of clusters as columns, and their sums over a window. Pure.

A day of a cluster comes to four values, and a window is the sum of its days: so a day that is over
is read once. Each function imports NumPy itself: the server starts without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Numbers: TypeAlias = "npt.NDArray[np.int64]"

NEVER = 2**63 - 1
"""Instead of an instant, where there is none."""

_MICROSECOND = 1_000_000


def microseconds(at: datetime) -> int:
    """An instant as the columns hold it: since 1970."""
    whole = at.replace(microsecond=0)
    return int(whole.timestamp()) * _MICROSECOND + at.microsecond


@dataclass(frozen=True, slots=True, kw_only=True)
class DayColumns:
    """One day: parallel columns, in the order of the clusters' ids."""

    clusters: Numbers
    expected: Numbers
    """Minutes in which the cluster was to be online."""
    online: Numbers
    """Those of them in which its device reported."""
    completed: Numbers
    """End of the first completed play that started on the day, in microseconds."""
    due: Numbers
    """End of the first broadcast due on the day, in microseconds."""

    @classmethod
    def of(
        cls,
        *,
        clusters: Sequence[int] = (),
        expected: Sequence[int] = (),
        online: Sequence[int] = (),
        completed: Sequence[int | None] = (),
        due: Sequence[int | None] = (),
    ) -> DayColumns:
        """Columns in any order of the clusters."""
        import numpy as np

        ids = np.array(clusters, np.int64)
        order = np.argsort(ids)
        return cls(
            clusters=ids[order],
            expected=np.array(expected, np.int64)[order],
            online=np.array(online, np.int64)[order],
            completed=_instants(completed)[order],
            due=_instants(due)[order],
        )


def _instants(values: Sequence[int | None]) -> Numbers:
    import numpy as np

    return np.array([NEVER if value is None else value for value in values], np.int64)


class Totals(NamedTuple):
    """Totals of the clusters, one entry each, in the order of their ids."""

    expected: Sequence[int]
    online: Sequence[int]
    completed: Sequence[bool]
    """A play was completed."""
    broadcast_days: Sequence[int]
    """Days with a broadcast due after the newest one with a completed play."""


@dataclass(frozen=True, slots=True)
class WindowDays:
    """Some days of a window: minutes added up, plays day by day."""

    days: Sequence[date]
    clusters: Numbers
    expected: Numbers
    online: Numbers
    completed: Numbers
    """By day and cluster: an instant, in microseconds."""
    due: Numbers

    @classmethod
    def of(cls, days: Mapping[date, DayColumns], clusters: Sequence[int]) -> WindowDays:
        """Lay out the days, in any order, of these clusters, in the order of their ids."""
        import numpy as np

        wanted = np.array(clusters, np.int64)
        shape = (len(days), len(wanted))
        window = cls(
            days=sorted(days),
            clusters=wanted,
            expected=np.zeros(len(wanted), np.int64),
            online=np.zeros(len(wanted), np.int64),
            completed=np.full(shape, NEVER, np.int64),
            due=np.full(shape, NEVER, np.int64),
        )
        for index, day in enumerate(window.days):
            rows = days[day]
            here, there = _positions(wanted, rows.clusters)
            window.expected[here] += rows.expected[there]
            window.online[here] += rows.online[there]
            window.completed[index, here] = rows.completed[there]
            window.due[index, here] = rows.due[there]
        return window


def _positions(
    wanted: Numbers, known: Numbers
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Positions of the known ids among those wanted, and which of the known ones are wanted."""
    import numpy as np

    if not len(wanted):
        return np.array([], np.intp), np.zeros(len(known), np.bool_)
    positions = np.searchsorted(wanted, known)
    found = wanted[np.minimum(positions, len(wanted) - 1)] == known
    return positions[found], found


def add_up(past: WindowDays, live: WindowDays, at: int) -> Totals:
    """Total a window.

    Args:
        past: Days of it.
        live: The other days, of the same clusters.
        at: Instant up to which plays count, in microseconds.
    """
    import numpy as np

    order = np.argsort([day.toordinal() for day in (*past.days, *live.days)])
    completed = np.concatenate([past.completed, live.completed])[order] < at
    due = np.concatenate([past.due, live.due])[order] < at
    later = np.arange(len(order))[:, None] > _newest(completed)
    return Totals(
        expected=(past.expected + live.expected).tolist(),
        online=(past.online + live.online).tolist(),
        completed=np.any(completed, axis=0).tolist(),
        broadcast_days=(due & later).sum(axis=0).tolist(),
    )


def _newest(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Index of the last true one of each column; -1 without any."""
    import numpy as np

    length = len(flags)
    return np.where(flags.any(axis=0), length - 1 - np.argmax(flags[::-1], axis=0), -1)
