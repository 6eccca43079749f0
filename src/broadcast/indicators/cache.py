"""What a process remembers between two figures: registers and folded days, each by its revision.

A revision is never given twice, so what is remembered under it is as good as read again. Nothing
of the running day is remembered, and no figure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Generic, TypeVar
from uuid import UUID

from broadcast.indicators.days import DayRows
from broadcast.indicators.registry import Register
from broadcast.indicators.sums import Past

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values used last, up to a number of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """What is remembered under a key."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def put(self, key: K, value: V) -> None:
        """Remember a value; the one unused for longest may be forgotten for it."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)


class Memory:
    """Of one process and one database. A province of 10,000 clusters comes to about 100 MB.

    Attributes:
        registers: By revision, day and scope.
        days: By revision.
        pasts: By the register's key and the revisions of the days.
    """

    def __init__(self) -> None:
        self.registers: Recent[tuple[UUID, date, str], Register] = Recent(4)
        self.days: Recent[UUID, DayRows] = Recent(130)
        self.pasts: Recent[tuple[object, ...], Past] = Recent(4)

    def missing(self, revisions: Mapping[date, UUID]) -> list[date]:
        """Days that are not remembered in the version that is kept."""
        return [day for day, revision in revisions.items() if self.days.get(revision) is None]

    def remember(self, revisions: Mapping[date, UUID], days: Mapping[date, DayRows]) -> None:
        """Keep days that were read."""
        for day, rows in days.items():
            self.days.put(revisions[day], rows)

    def recall(self, revisions: Mapping[date, UUID]) -> Iterable[tuple[date, DayRows]]:
        """Remembered days."""
        for day, revision in revisions.items():
            rows = self.days.get(revision)
            assert rows is not None
            yield day, rows
